"""Pursuit: head for where the target will be, not for where it is."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from mtor_swarm.swarm.behaviours.geometry import Array, length, limited
from mtor_swarm.swarm.behaviours.scene import Scene


def pursuit(
    scene: Scene,
    *,
    target: ArrayLike,
    target_velocity: ArrayLike = (0.0, 0.0),
    horizon_s: float = 30.0,
    speed_mps: float = 0.5,
) -> Array:
    """The velocity (N, 2) in `map` towards the point of interception.

    Source: Isaacs, *Differential Games*, 1965: the straight collision course, on which the
    bearing of the target does not change.

    Inputs: the target's position and velocity, (2,) or (N, 2) in `map`, and the unit's position.

    Guarantees: at most `speed_mps`. A slower target that holds its course is caught in the least
    time; a faster one is led by `horizon_s` at most.
    """
    way = np.asarray(target, dtype=np.float64) - scene.own.position
    moves = np.asarray(target_velocity, dtype=np.float64)
    faster = (moves**2).sum(axis=-1) - speed_mps**2
    along = (way * moves).sum(axis=-1)
    root = np.sqrt(np.maximum(along**2 - faster * length(way) ** 2, 0.0))
    time_s = np.where(faster < 0, -(along + root) / np.minimum(faster, -1e-9), horizon_s)
    aim = way + np.minimum(time_s, horizon_s)[..., None] * moves
    return limited(aim / scene.step_s, speed_mps)
