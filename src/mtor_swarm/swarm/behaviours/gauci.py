"""Gauci: aggregation by a sensor of one bit and no memory, arithmetic or neighbours' words."""

from __future__ import annotations

import numpy as np

from mtor_swarm.swarm.behaviours.geometry import Array, unit
from mtor_swarm.swarm.behaviours.scene import Scene


def gauci(
    scene: Scene,
    *,
    radius_m: float = 0.037,
    axle_m: float = 0.051,
    wheel_mps: float = 0.128,
) -> Array:
    """The drive (N, 2), speed ahead and turn rate, of a robot that sees a robot or does not.

    Source: Gauci, Chen, Li, Dodd & Groß, "Self-organized aggregation without computation", 2014:
    wheels at (-0.7, -1.0) of `wheel_mps` while it sees none, (1.0, -1.0) while it does.

    Inputs: whether the ray straight ahead of the unit meets a neighbour, a disc of `radius_m`.

    Guarantees: two robots that see far enough always meet; more than two do almost always.
    """
    ahead = unit(scene.own.heading)[:, None]
    along = (ahead * scene.way).sum(axis=-1)
    across = ahead[..., 0] * scene.way[..., 1] - ahead[..., 1] * scene.way[..., 0]
    sees = (scene.mask & (along > 0) & (np.abs(across) < radius_m)).any(axis=1)
    left = wheel_mps * np.where(sees, 1.0, -0.7)
    right = -wheel_mps
    return np.stack([(left + right) / 2, (right - left) / axle_m], axis=-1)
