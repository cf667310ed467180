"""Patrol: each goes to the place that has waited longest for its way, unless another does."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from mtor_swarm.swarm.behaviours.geometry import Array, length, limited
from mtor_swarm.swarm.behaviours.scene import Scene


def patrol(
    scene: Scene,
    *,
    posts: ArrayLike,
    visit_m: float = 0.5,
    yields: float = 1.0,
    speed_mps: float = 0.5,
) -> Array:
    """The velocity (N, 2) in `map` to the next of the `posts` (P, 2) in `map`.

    Source: Portugal & Rocha, "Distributed multi-robot patrol: a scalable and fault-tolerant
    framework", 2013: the gain of a visit is the idleness it ends over the way there, less where
    others go; idleness by Machado, Ramalho, Zucker & Drogoul, 2002.

    Inputs: the positions of the unit and its neighbours. It remembers when each post was
    `visited`, as far as it knows, and its `goal`; neighbours tell theirs, and the later visit is
    believed.

    Guarantees: at most `speed_mps`. No leader and no plan: when a unit is lost, the idleness of
    its posts brings others.
    """
    own, at = scene.own.position, np.asarray(posts, dtype=np.float64)
    visited = scene.recall("visited", np.full((1, len(at)), scene.time_s))
    goal = scene.recall("goal", [-1])
    if "visited" in scene.told:
        visited[:] = np.maximum(
            visited, scene.hear("visited", -np.inf).max(axis=1, initial=-np.inf)
        )
    far = length(own[:, None] - at)
    visited[far <= visit_m] = scene.time_s
    theirs = scene.hear("goal", -1)
    chooses = (goal < 0) | (np.take_along_axis(far, goal[:, None], axis=1)[:, 0] <= visit_m)
    way_s = far / speed_mps
    then = scene.time_s + way_s - visited  # its idleness on arrival
    gain = then / (way_s + visit_m / speed_mps)
    for n in np.flatnonzero(chooses):  # the few that have just arrived, one after another
        claims = theirs[n][theirs[n] >= 0]
        value = gain[n].copy()
        value[claims] -= yields * np.abs(value[claims])
        value[far[n] <= visit_m] = -np.inf
        goal[n] = int(value.argmax())
    return limited((at[goal] - own) / scene.step_s, speed_mps)
