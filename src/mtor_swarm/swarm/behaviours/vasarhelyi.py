"""Vásárhelyi: flocking that holds for real drones, delays, confined areas and all."""

from __future__ import annotations

import numpy as np

from mtor_swarm.swarm.behaviours.geometry import Array, direction, length, limited, unit
from mtor_swarm.swarm.behaviours.scene import Scene


def braking(room_m: Array, ease_per_s: float, slow_mps2: float) -> Array:
    """The speed (...) from which one stops within `room_m` (...): linear, then a square root."""
    room = np.maximum(room_m, 0.0)
    root = np.sqrt(np.maximum(2 * slow_mps2 * room - (slow_mps2 / ease_per_s) ** 2, 0.0))
    return np.where(room * ease_per_s < slow_mps2 / ease_per_s, room * ease_per_s, root)


def vasarhelyi(
    scene: Scene,
    *,
    spacing_m: float = 1.0,
    push_per_s: float = 0.6,
    friction: float = 0.2,
    slack_mps: float = 0.05,
    ease_per_s: float = 1.5,
    slow_mps2: float = 0.5,
    wall_mps: float = 0.8,
    cruise_mps: float = 0.4,
    speed_mps: float = 0.6,
) -> Array:
    """The velocity (N, 2) in `map`: cruise, push, friction, and walls that seem to fly inwards.

    Source: Vásárhelyi, Virágh, Somorjai, Nepusz, Eiben & Vicsek, "Optimized flocking of autonomous
    drones in confined environments", 2018, equations 1 to 9; the defaults are for small ground
    robots, not the paper's.

    Inputs: the neighbours' relative positions and velocities, the unit's velocity (its heading, if
    it stands), and the four walls of `area`, if there is one.

    Guarantees: at most `speed_mps`.
    """
    own = scene.own
    course = np.where(length(own.velocity)[:, None] > 0.01, own.velocity, unit(own.heading))
    wanted = cruise_mps * direction(course)
    push = push_per_s * np.clip(spacing_m - scene.far, 0.0, None)
    wanted = wanted - scene.total(push[..., None] * direction(scene.way))
    slip = scene.near.velocity - own.velocity[:, None]
    room = np.where(scene.mask, scene.far - spacing_m, 0.0)
    most = np.maximum(slack_mps, braking(room, ease_per_s, slow_mps2))
    wanted = wanted + scene.total(_friction(slip, most, friction))
    if scene.area is not None:
        for axis in (0, 1):
            for bound, inward in ((scene.area[axis], 1.0), (scene.area[axis + 2], -1.0)):
                agent = np.zeros(2)
                agent[axis] = inward * wall_mps
                room = inward * (own.position[:, axis] - bound)
                most = braking(room, ease_per_s, slow_mps2)
                wanted = wanted + _friction(agent - own.velocity, most, 1.0)
    return limited(wanted, speed_mps)


def _friction(slip: Array, most_mps: Array, share: float) -> Array:
    """`share` of the difference in velocity (..., 2), of what is over `most_mps` (...)."""
    over = np.clip(length(slip) - most_mps, 0.0, None)
    return np.asarray(share * over[..., None] * direction(slip))
