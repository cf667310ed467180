"""Cross-inhibition: hear another opinion, and doubt your own first."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from mtor_swarm.swarm.behaviours.opinions import Ints, decide
from mtor_swarm.swarm.behaviours.scene import Scene


def cross_inhibition(
    scene: Scene,
    *,
    start: ArrayLike,
    qualities: ArrayLike,
    noise: float = 0.0,
    explore_s: float = 5.0,
    disseminate_s: float = 20.0,
) -> Ints:
    """The opinions (N,), 1 to M, or 0 for a unit that doubts, which takes the next that it hears.

    Source: Seeley et al., "Stop signals provide cross inhibition in collective decision-making by
    honeybee swarms", 2012; Reina, Valentini, Fernández-Oto, Dorigo & Trianni, "A design pattern
    for decentralised decision making", 2015.

    Inputs: what one neighbour says just then. `start` (N,) are the first opinions; the
    `qualities` (M,) of options 1 to M, 0 to 1, are measured with normal `noise`, while the unit
    explores for `explore_s` on average; it then says its opinion for `disseminate_s` times that
    quality on average, and listens at the end.

    Guarantees: options of equal quality end in no deadlock; an opinion that nobody holds does not
    come back.
    """
    return decide(
        scene,
        _doubted,
        start=start,
        qualities=qualities,
        hears=1,
        noise=noise,
        explore_s=explore_s,
        disseminate_s=disseminate_s,
    )


def _doubted(opinion: Ints, heard: Ints) -> Ints:
    other = (heard[:, 0] > 0) & (heard[:, 0] != opinion)
    return np.where(other, np.where(opinion == 0, heard[:, 0], 0), opinion)
