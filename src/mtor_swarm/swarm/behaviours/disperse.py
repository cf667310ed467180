"""Disperse: units push each other away until there is room.

Source: potential fields for deployment (Howard, Matarić & Sukhatme, "Mobile sensor network
deployment using potential fields", DARS 2002).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from mtor_swarm.swarm.behaviours.geometry import Array, length
from mtor_swarm.swarm.behaviours.scene import Scene


def disperse(
    position: ArrayLike,
    neighbours: ArrayLike,
    mask: ArrayLike,
    *,
    reach_m: float = 2.0,
    speed_mps: float = 0.5,
) -> Array:
    """The velocity (..., 2) away from neighbours nearer than `reach_m`.

    `position` (..., 2) and `neighbours` (..., K, 2) in frame `map`, `mask` (..., K) true where
    there is one. Guarantees: at most `speed_mps`, zero when nobody is within reach, finite even
    for two units in one place (they then push nowhere).
    """
    away = np.asarray(position, dtype=np.float64)[..., None, :] - np.asarray(neighbours)
    far = length(away)
    near = np.asarray(mask, dtype=bool) & (far < reach_m) & (far > 0)
    safe = np.where(near, far, 1.0)
    strength = np.where(near, 1.0 - safe / reach_m, 0.0) / safe
    push = np.sum(np.where(near[..., None], away, 0.0) * strength[..., None], axis=-2)
    size = length(push)[..., None]
    return np.asarray(speed_mps * push / np.maximum(size, 1.0))


def dispersion(scene: Scene, *, reach_m: float = 2.0, speed_mps: float = 0.5) -> Array:
    """The velocity (N, 2) in `map` of `disperse`.

    Inputs: the neighbours' positions, metres.

    Guarantees: at most `speed_mps`; zero for a unit with nobody within `reach_m`.
    """
    return disperse(
        scene.own.position,
        scene.own.position[:, None] + scene.way,  # the nearer way round, on a torus
        scene.mask,
        reach_m=reach_m,
        speed_mps=speed_mps,
    )
