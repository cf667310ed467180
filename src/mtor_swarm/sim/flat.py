"""The world seen flat: rectangles and discs, and how far rays go until they meet one.

All that stands is taken to be as high as the lidar. Frame `map`, metres and radians.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from mtor_swarm.sim.plan import Footprint
from mtor_swarm.swarm.behaviours.geometry import Array, length, unit

AT_ONCE = 1 << 21
"""Pairs of a ray and a solid that are looked at together: what that takes stays in memory."""
_PARALLEL = 1e-12


class Flat:
    """The rectangles of a world, W of them."""

    def __init__(self, solids: Sequence[Footprint]) -> None:
        self._centres = np.array([(each.x_m, each.y_m) for each in solids]).reshape(-1, 2)
        sizes = np.array([(each.length_m, each.width_m) for each in solids])
        self._halves = sizes.reshape(-1, 2) / 2
        self._axes = unit(np.array([each.yaw_rad for each in solids])).reshape(-1, 2)

    def __len__(self) -> int:
        return len(self._centres)

    def clearance(self, points: ArrayLike) -> Array:
        """Metres from points (..., 2) to the nearest rectangle (...); 0 inside, inf without."""
        way = np.asarray(points, dtype=np.float64)[..., None, :] - self._centres
        x, y = self._turned(way)
        out = np.stack([np.abs(x), np.abs(y)], axis=-1) - self._halves
        return np.asarray(length(np.maximum(out, 0.0)).min(axis=-1, initial=np.inf))

    def cast(self, origins: Array, angles: Array) -> Array:
        """How far the rays (N, R) from `origins` (N, 2) go; inf where nothing is.

        The slab method (Kay and Kajiya, SIGGRAPH 1986). An origin inside a solid sees 0.
        """
        found = np.full(angles.shape, np.inf)
        if not len(self):
            return found
        rows = max(1, AT_ONCE // max(1, angles.shape[1] * len(self)))
        for first in range(0, len(origins), rows):
            part = slice(first, first + rows)
            found[part] = self._cast(origins[part], angles[part])
        return found

    def _cast(self, origins: Array, angles: Array) -> Array:
        starts = self._turned(origins[:, None] - self._centres)
        ways = self._turned(unit(angles)[:, :, None])
        enter, leave = np.zeros(()), np.full((), np.inf)
        for start, way, half in zip(starts, ways, self._halves.T, strict=True):
            slope = 1.0 / np.where(np.abs(way) < _PARALLEL, _PARALLEL, way)
            middle, reach = -start[:, None] * slope, np.abs(slope) * half
            enter = np.maximum(enter, middle - reach)
            leave = np.minimum(leave, middle + reach)
        return np.asarray(np.where(enter <= leave, enter, np.inf).min(axis=-1))

    def _turned(self, vectors: Array) -> tuple[Array, Array]:
        """Vectors (..., W or 1, 2) along each rectangle's own axes: x (..., W) and y (..., W)."""
        cos, sin = self._axes[:, 0], self._axes[:, 1]
        x, y = vectors[..., 0], vectors[..., 1]
        return x * cos + y * sin, y * cos - x * sin


def cast_discs(ways: Array, radii: ArrayLike, angles: Array) -> Array:
    """How far rays (N, R) go until they meet a disc, inf for none.

    `ways` (N, K, 2) lead from each origin to the discs' centres; NaN rows are nothing. Discs of
    `radii` (K,) or one for all; what an origin stands in is not seen.
    """
    if not ways.shape[1]:
        return np.full(angles.shape, np.inf)
    course = unit(angles)[:, :, None]
    x, y = ways[:, None, :, 0], ways[:, None, :, 1]
    along = course[..., 0] * x + course[..., 1] * y
    across = course[..., 0] * y - course[..., 1] * x
    root = np.asarray(radii, dtype=np.float64) ** 2 - across**2
    near = along - np.sqrt(np.maximum(root, 0.0))
    return np.asarray(np.where((root > 0) & (near > 0), near, np.inf).min(axis=-1))
