"""Attraction: units are drawn to a place."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from mtor_swarm.swarm.behaviours.geometry import Array, limited
from mtor_swarm.swarm.behaviours.scene import Scene


def attraction(
    scene: Scene, *, target: ArrayLike, gain_per_s: float = 1.0, speed_mps: float = 0.5
) -> Array:
    """The velocity (N, 2) in `map` towards `target` (2,) or (N, 2) in `map`.

    Source: Khatib, "Real-time obstacle avoidance for manipulators and mobile robots", 1986: the
    parabolic well, conic from where it would be too fast.

    Inputs: the unit's own position.

    Guarantees: at most `speed_mps`, straight, and without overshoot while `gain_per_s` times the
    step stays under 1.
    """
    return limited(gain_per_s * (np.asarray(target) - scene.own.position), speed_mps)
