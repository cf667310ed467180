"""Surround: units stand around a target, evenly, and nobody crosses another's way.

Source: cyclic pursuit's equilibrium, the regular polygon in the order in which the units already
stand (Marshall, Broucke & Francis, "Formations of vehicles in cyclic pursuit", 2004). All who
know the same positions work out the same slots.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from mtor_swarm.swarm.behaviours.approach import approach
from mtor_swarm.swarm.behaviours.geometry import Array, heading, length, unit
from mtor_swarm.swarm.behaviours.hold import hold
from mtor_swarm.swarm.behaviours.scene import Scene

TIGHT = 200.0
"""What lacks of a slot's room costs this, squared: one bad slot is worse than two that are tight.
A body in its very middle outweighs any turn of the ring."""
PHASES = 49
"""Turns of the whole ring that are tried, when something stands in the way of a slot."""


def ring_slots(
    positions: ArrayLike,
    mask: ArrayLike,
    target: ArrayLike,
    *,
    weights: ArrayLike = 1.0,
    radius_m: float = 1.15,
    blocked: ArrayLike | None = None,
    room_m: float = 0.6,
    area: tuple[float, float, float, float] | None = None,
    wall_m: float = 0.4,
) -> Array:
    """The bearing (..., K), seen from the target, at which each unit shall stand.

    `positions` (..., K, 2) and `target` (..., 2) in frame `map`, `mask` (..., K) true where there
    is a unit (bearings of the others are NaN). `weights` (..., K): who shall move least. `blocked`
    (..., M, 2) are places that a slot keeps `room_m` from, `area` the walls (x_min, y_min, x_max,
    y_max) from which it keeps `wall_m`. Guarantees: neighbouring slots are 2π/n apart, in the
    cyclic order of the units' own bearings; the sum of weighted squared turns is the least, unless
    something stands in the way. The answer does not hang on the order of the units, nor on where
    the circle is cut: a cut elsewhere adds 2π/n to every unit's share alike.
    """
    here = np.asarray(mask, dtype=bool)
    centre = np.asarray(target, dtype=np.float64)
    own = np.where(here, heading(np.asarray(positions) - centre[..., None, :]), np.inf)
    rank = np.argsort(np.argsort(own, axis=-1, kind="stable"), axis=-1, kind="stable")
    gap = 2 * np.pi / np.maximum(here.sum(axis=-1), 1)[..., None]
    share = np.where(here, own - rank * gap, 0.0)
    weight = np.where(here, np.asarray(weights, dtype=np.float64), 0.0)
    phase = (share * weight).sum(-1) / np.maximum(weight.sum(-1), 1e-9)
    slots = phase[..., None] + rank * gap
    turns = np.linspace(-0.5, 0.5, PHASES) * gap  # (..., P)
    spots = centre[..., None, None, :] + radius_m * unit(slots[..., None, :] + turns[..., None])
    tight = np.zeros(spots.shape[:-1])  # (..., P, K)
    if blocked is not None and np.asarray(blocked).shape[-2]:
        between = spots[..., None, :] - np.asarray(blocked)[..., None, None, :, :]
        tight = np.maximum(1.0 - length(between).min(axis=-1) / room_m, 0.0)
    if area is not None:
        inside = np.minimum(spots - np.asarray(area[:2]), np.asarray(area[2:]) - spots)
        tight = tight + np.maximum(wall_m - inside.min(axis=-1), 0.0)
    cost = turns**2 + TIGHT * np.where(here[..., None, :], tight**2, 0.0).sum(axis=-1)
    best = cost.argmin(axis=-1)[..., None]
    return np.where(here, slots + np.take_along_axis(turns, best, axis=-1), np.nan)


def surround(
    scene: Scene, *, target: ArrayLike, radius_m: float = 1.15, speed_mps: float = 0.5
) -> Array:
    """The velocity (N, 2) in `map` to the unit's slot on the ring about `target` (2,), `map`.

    Inputs: the positions of the unit and of those neighbours that surround with it.

    Guarantees: at most `speed_mps`, and no way through the ring. Units that know each other and
    stand still end evenly spaced; they remember that they have `arrived`.
    """
    own, centre = scene.own.position, np.asarray(target, dtype=np.float64)
    ring = np.concatenate([own[:, None], own[:, None] + scene.way], axis=1)
    here = np.concatenate([np.ones((len(own), 1), dtype=bool), scene.mask], axis=1)
    slots = ring_slots(ring, here, np.broadcast_to(centre, own.shape), radius_m=radius_m)[:, 0]
    point = approach(own, centre, slots, radius_m)
    arrived = scene.recall("arrived", [False])
    velocity, arrived[:] = hold(own, point, arrived=arrived, speed_mps=speed_mps)
    return velocity
