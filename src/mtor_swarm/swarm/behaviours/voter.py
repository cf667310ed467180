"""Voter model: take the opinion of one neighbour."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from mtor_swarm.swarm.behaviours.opinions import Ints, decide
from mtor_swarm.swarm.behaviours.scene import Scene


def voter(
    scene: Scene,
    *,
    start: ArrayLike,
    qualities: ArrayLike,
    noise: float = 0.0,
    explore_s: float = 5.0,
    disseminate_s: float = 20.0,
) -> Ints:
    """The opinions (N,), 1 to M: each takes, when it has had its say, some neighbour's.

    Source: Valentini, Hamann & Dorigo, "Self-organized collective decision making: the weighted
    voter model", 2014.

    Inputs: what the neighbours within earshot say just then.
    `start` (N,) are the first opinions; the
    `qualities` (M,) of options 1 to M, 0 to 1, are measured with normal `noise`, while the unit
    explores for `explore_s` on average; it then says its opinion for `disseminate_s` times that
    quality on average, and listens at the end.

    Guarantees: an opinion that nobody holds does not come back; slow, and right more often than
    the majority rule.
    """
    return decide(
        scene,
        _heard,
        start=start,
        qualities=qualities,
        hears=1,
        noise=noise,
        explore_s=explore_s,
        disseminate_s=disseminate_s,
    )


def _heard(opinion: Ints, heard: Ints) -> Ints:
    return np.where(heard[:, 0] > 0, heard[:, 0], opinion)
