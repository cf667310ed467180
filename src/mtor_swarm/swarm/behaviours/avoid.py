"""Avoid: the direction that leads on to a goal, past what the lidar sees.

Source: VFH+ (Ulrich & Borenstein 1998) for the widened obstacles and the cost with a memory of
the last choice; TangentBug (Kamon, Rimon & Rivlin 1998) for judging a direction by the way that
remains after it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from mtor_swarm.swarm.behaviours.geometry import Array, heading, length, unit, wrap

FAN = wrap(np.linspace(0.0, 2 * np.pi, 64, endpoint=False))
"""Directions that are tried, beside the goal's own."""
SHORT_M = 0.12
"""A direction that is free for less is no way at all."""


def free_way(points: ArrayLike, directions: ArrayLike, clearance_m: ArrayLike) -> Array:
    """How far (..., D) a disc of radius `clearance_m` (...) can go along each direction (..., D).

    `points` (..., N, 2) are what the lidar saw, relative to the unit's centre, in the directions'
    frame; rows that are not finite count as nothing. Infinite where nothing stands in the way; 0
    or less where the disc already touches something on that side.
    """
    p = np.asarray(points, dtype=np.float64)
    p = np.where(np.isfinite(p).all(axis=-1, keepdims=True), p, 0.0)  # nothing lies along 0
    d = unit(directions)  # (..., D, 2)
    x, y = p[..., None, :, 0], p[..., None, :, 1]
    along = d[..., 0, None] * x + d[..., 1, None] * y
    across = d[..., 0, None] * y - d[..., 1, None] * x
    slack = np.asarray(clearance_m, dtype=np.float64)[..., None, None] ** 2 - across**2
    hit = (slack > 0) & (along > 0)
    reach = np.where(hit, along - np.sqrt(np.maximum(slack, 0.0)), np.inf)
    return np.asarray(reach.min(axis=-1, initial=np.inf))


def avoid(
    points: ArrayLike,
    goal: ArrayLike,
    last: ArrayLike,
    *,
    clearance_m: float = 0.38,
    least_m: float = 0.28,
    look_m: float = 2.5,
) -> tuple[Array, Array]:
    """The direction (...) to drive in and how far it is free (...).

    `points` (..., N, 2): what the lidar saw; `goal` (..., 2); both relative to the unit's centre
    and in one frame (axes of `map`, say). `last` (...) is the direction chosen before, NaN for
    none. The clearance shrinks to what is there, down to `least_m`, so that a unit can leave a
    tight place. Guarantees: the way is free for at least `SHORT_M`, or the free length is 0.
    """
    p = np.asarray(points, dtype=np.float64)
    g = np.asarray(goal, dtype=np.float64)
    range_m = length(p)
    nearest = np.where(np.isfinite(range_m), range_m, np.inf).min(axis=-1, initial=np.inf)
    clearance = np.clip(nearest - 0.01, least_m, clearance_m)
    to_goal = heading(g)[..., None]
    fan = np.broadcast_to(FAN, (*to_goal.shape[:-1], FAN.size))
    directions = np.concatenate([to_goal, fan], axis=-1)
    free = free_way(p, directions, clearance)
    wanted = np.minimum(length(g), look_m)[..., None]
    step = np.clip(free, 0.0, wanted)
    rest = length(g[..., None, :] - step[..., None] * unit(directions))
    memory = np.asarray(last, dtype=np.float64)[..., None]
    change = np.where(np.isnan(memory), 0.0, np.abs(wrap(directions - np.nan_to_num(memory))))
    cost = step + rest + 1.5 * (wanted - step) + 0.25 * change
    cost = np.where(free < np.minimum(SHORT_M, wanted), np.inf, cost)
    best = cost.argmin(axis=-1)[..., None]
    chosen = np.take_along_axis(directions, best, axis=-1)[..., 0]
    open_m = np.take_along_axis(free, best, axis=-1)[..., 0]
    stuck = np.isinf(np.take_along_axis(cost, best, axis=-1)[..., 0])
    return np.asarray(chosen), np.where(stuck, 0.0, np.maximum(open_m, 0.0))
