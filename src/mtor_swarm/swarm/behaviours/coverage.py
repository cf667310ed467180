"""Coverage: units spread so that every place has one near it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mtor_swarm.swarm.behaviours.geometry import Array, limited, unit
from mtor_swarm.swarm.behaviours.scene import Scene

RINGS, SPOKES = 12, 24
"""Points at which a unit looks at its cell."""


def coverage(
    scene: Scene,
    *,
    density: Callable[[Array], Array] | None = None,
    reach_m: float = 3.0,
    gain_per_s: float = 1.0,
    speed_mps: float = 0.5,
) -> Array:
    """The velocity (N, 2) in `map` to the centroid of the unit's own Voronoi cell.

    Source: Lloyd's descent as a control law: Cortés, Martínez, Karataş & Bullo, "Coverage control
    for mobile sensing networks", 2004; with the cell cut off at `reach_m`: "Spatially-distributed
    coverage optimization and control with limited-range interactions", 2005.

    Inputs: the neighbours' relative positions, the unit's position, `area` if there is one, and
    how much the places (..., 2) in `map` matter: `density` gives numbers (...), 0 or more.

    Guarantees: at most `speed_mps`. The cell is right if all units within twice `reach_m` are
    neighbours. The cost, the mean squared distance to the nearest unit, goes down until each
    stands in its centroid (as exactly as 288 points tell).
    """
    spot, share = _disc(reach_m)
    nearer = np.einsum("nkx,sx->nks", scene.way, spot) - 0.5 * (scene.way**2).sum(-1)[..., None]
    mine = ~((nearer > 0) & scene.mask[..., None]).any(axis=1)
    place = scene.own.position[:, None] + spot
    weight = np.where(mine, share, 0.0)
    if scene.area is not None:
        within = (place >= scene.area[:2]) & (place <= scene.area[2:])
        weight = np.where(within.all(axis=-1), weight, 0.0)
    if density is not None:
        weight = weight * density(place)
    centroid = weight @ spot / np.maximum(weight.sum(axis=1), 1e-12)[:, None]
    return limited(gain_per_s * centroid, speed_mps)


def _disc(radius_m: float) -> tuple[Array, Array]:
    """Points (S, 2) that fill a disc, and the share of it (S,) that each stands for."""
    ring = (np.arange(RINGS) + 0.5) * radius_m / RINGS
    turn = np.arange(SPOKES) * 2 * np.pi / SPOKES
    spot = ring[:, None, None] * unit(turn + np.arange(RINGS)[:, None] * np.pi / SPOKES)
    return spot.reshape(-1, 2), np.repeat(ring, SPOKES)
