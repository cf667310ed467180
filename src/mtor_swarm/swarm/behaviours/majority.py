"""Majority rule: take the opinion that most about one hold."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from mtor_swarm.swarm.behaviours.opinions import Ints, decide
from mtor_swarm.swarm.behaviours.scene import Scene


def majority(
    scene: Scene,
    *,
    start: ArrayLike,
    qualities: ArrayLike,
    hears: int = 5,
    noise: float = 0.0,
    explore_s: float = 5.0,
    disseminate_s: float = 20.0,
) -> Ints:
    """The opinions (N,), 1 to M: each takes, when it has had its say, that of most about it.

    Source: Valentini, Ferrante, Hamann & Dorigo, "Collective decision with 100 Kilobots", 2016.

    Inputs: what at most `hears` neighbours say just then, and the unit's own vote.
    `start` (N,) are the first opinions; the
    `qualities` (M,) of options 1 to M, 0 to 1, are measured with normal `noise`, while the unit
    explores for `explore_s` on average; it then says its opinion for `disseminate_s` times that
    quality on average, and listens at the end.

    Guarantees: a unit that hears as many for its own opinion as for another keeps its own. The
    more are heard, the faster it is, and the less often right.
    """
    return decide(
        scene,
        lambda opinion, heard: _most(opinion, heard, len(np.asarray(qualities))),
        start=start,
        qualities=qualities,
        hears=hears,
        noise=noise,
        explore_s=explore_s,
        disseminate_s=disseminate_s,
    )


def _most(opinion: Ints, heard: Ints, options: int) -> Ints:
    votes = (heard[..., None] == np.arange(1, options + 1)).sum(axis=1) * 2
    votes[np.arange(len(opinion)), opinion - 1] += 3  # its own vote, and the tie's
    return np.asarray(votes.argmax(axis=1) + 1)
