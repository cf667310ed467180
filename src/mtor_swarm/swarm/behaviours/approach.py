"""Approach: reach a place beside a target without driving through it.

Source: the tangent path around a disc, the shortest one (Dubins 1957; TangentBug, Kamon, Rimon &
Rivlin 1998).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from mtor_swarm.swarm.behaviours.geometry import Array, heading, length, unit, wrap

STEP_RAD = 0.4
"""How far ahead on the circle the next point lies."""


def approach(
    position: ArrayLike, target: ArrayLike, bearing: ArrayLike, radius_m: ArrayLike
) -> Array:
    """The next point (..., 2) to drive to, on the way to the slot at `bearing` (...).

    `position` and `target` (..., 2) in frame `map`; `bearing` (...) is the slot's, seen from the
    target, `radius_m` (...) its distance. Guarantees: the slot itself if the straight way to it
    stays out of the circle; otherwise a point on the circle, the shorter way round.
    """
    centre = np.asarray(target, dtype=np.float64)
    ring = np.asarray(radius_m, dtype=np.float64)
    offset = np.asarray(position, dtype=np.float64) - centre
    far = np.maximum(length(offset), 1e-6)
    own = heading(offset)
    turn = wrap(np.asarray(bearing) - own)
    tangent = np.arccos(np.clip(ring / far, -1.0, 1.0))
    ahead = np.minimum(np.abs(turn), tangent + STEP_RAD)
    point = centre + ring[..., None] * unit(own + np.sign(turn) * ahead)
    return np.asarray(point)
