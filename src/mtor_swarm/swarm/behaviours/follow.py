"""Follow: a unit goes where another goes, a gap behind."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from mtor_swarm.swarm.behaviours.geometry import Array, direction, length, limited
from mtor_swarm.swarm.behaviours.scene import Scene


def follow(
    scene: Scene,
    *,
    leader: ArrayLike,
    leader_velocity: ArrayLike = (0.0, 0.0),
    gap_m: float = 1.0,
    gain_per_s: float = 1.0,
    speed_mps: float = 0.5,
) -> Array:
    """The velocity (N, 2) in `map` that keeps `gap_m` between a unit and its leader.

    Source: Desai, Ostrowski & Kumar, "Modeling and control of formations of nonholonomic mobile
    robots", 2001, separation control with the leader's velocity fed forward.

    Inputs: the leader's position and velocity, (2,) or (N, 2) in `map`, and the unit's position.

    Guarantees: at most `speed_mps`; behind a leader that is slower than that, the gap converges.
    """
    way = np.asarray(leader, dtype=np.float64) - scene.own.position
    close = gain_per_s * (length(way) - gap_m)[:, None] * direction(way)
    return limited(close + np.asarray(leader_velocity), speed_mps)
