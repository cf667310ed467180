"""ORCA: the velocity nearest to the wanted one that keeps units from colliding."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from mtor_swarm.swarm.behaviours.geometry import Array, length
from mtor_swarm.swarm.behaviours.halfplanes import Planes, cross, nearest
from mtor_swarm.swarm.behaviours.scene import Scene


def orca(
    scene: Scene,
    *,
    wanted: ArrayLike,
    radius_m: float = 0.3,
    horizon_s: float = 3.0,
    aside_rad: float = 0.05,
    speed_mps: float = 0.5,
) -> Array:
    """The velocity (N, 2) in `map`, as near to `wanted`, (2,) or (N, 2) in `map`, as is safe.

    Source: van den Berg, Guy, Lin & Manocha, "Reciprocal n-body collision avoidance", 2011. All
    turn their wish by `aside_rad` to the right, so that those who meet head-on pass.

    Inputs: the neighbours' relative positions and velocities and the unit's own, all discs of
    `radius_m`.

    Guarantees: at most `speed_mps`. Units that all keep to this, know all within reach of each
    other in `horizon_s` and have the velocity at once, do not collide within that time; where it
    is too dense for that, the answer is the one that collides latest.
    """
    planes = _planes(scene, 2 * radius_m, horizon_s)
    cos, sin = np.cos(aside_rad), np.sin(aside_rad)
    aside = np.asarray(wanted) @ np.array([[cos, -sin], [sin, cos]])  # clockwise
    return nearest(planes, np.broadcast_to(aside, scene.own.position.shape), speed_mps)


def _planes(scene: Scene, sum_m: float, horizon_s: float) -> Planes:
    """Half of what each pair must change to leave its velocity obstacle, by the shortest way."""
    way = scene.way
    own = scene.own.velocity[:, None]
    slip = own - scene.near.velocity
    square = (way**2).sum(axis=-1)
    touches = square <= sum_m**2
    time_s = np.where(touches, scene.step_s, horizon_s)
    w = slip - way / time_s[..., None]  # from the middle of the cut-off disc
    size = np.maximum(length(w), 1e-9)
    inward = (w * way).sum(axis=-1)
    rounded = touches | ((inward < 0) & (inward**2 > sum_m**2 * size**2))
    normal = w / size[..., None]
    arc = np.stack([normal[..., 1], -normal[..., 0]], axis=-1)
    out = ((sum_m / time_s - size)[..., None]) * normal
    leg = np.sqrt(np.maximum(square - sum_m**2, 0.0))
    side = np.where(cross(way, w) > 0, 1.0, -1.0)
    flat = (
        np.stack(
            [
                side * leg * way[..., 0] - sum_m * way[..., 1],
                sum_m * way[..., 0] + side * leg * way[..., 1],
            ],
            axis=-1,
        )
        / np.maximum(square, 1e-9)[..., None]
    )
    drop = (slip * flat).sum(axis=-1)[..., None] * flat - slip
    along = np.where(rounded[..., None], arc, flat)
    change = np.where(rounded[..., None], out, drop)
    return Planes(own + change / 2, along, scene.mask)
