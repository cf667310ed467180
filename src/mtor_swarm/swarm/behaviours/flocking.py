"""Flocking: units travel together, none in another's way."""

from __future__ import annotations

import numpy as np

from mtor_swarm.swarm.behaviours.geometry import Array, direction, inside, length, unit
from mtor_swarm.swarm.behaviours.scene import Scene


def flocking(
    scene: Scene,
    *,
    spacing_m: float = 1.0,
    apart: float = 1.5,
    align: float = 1.0,
    together: float = 0.3,
    wall: float = 2.0,
    speed_mps: float = 0.4,
) -> Array:
    """The velocity (N, 2) in `map`: the unit's course, bent by three urges and by walls.

    Source: Reynolds, "Flocks, herds, and schools", 1987: keep apart, align, keep together.

    Inputs: the neighbours' relative positions and velocities, the unit's velocity (its heading, if
    it stands), and `area`, if there is one.

    Guarantees: exactly `speed_mps`, unless the urges cancel out; then zero. Whoever is beyond the
    area is bent back.
    """
    own = scene.own
    course = np.where(length(own.velocity)[:, None] > 0.01, own.velocity, unit(own.heading))
    near = np.clip(1.0 - scene.far / spacing_m, 0.0, None) / np.maximum(scene.far, 1e-6)
    urge = direction(course)
    urge = urge - apart * scene.total(near[..., None] * scene.way)
    urge = urge + align * scene.mean(scene.near.velocity) / speed_mps
    urge = urge + together * scene.mean(scene.way) / spacing_m
    if scene.area is not None:
        urge = urge + wall * (inside(own.position, scene.area) - own.position) / spacing_m
    return speed_mps * direction(urge)
