"""Angles and vectors, as every behaviour uses them: radians, metres, counter-clockwise."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
"""Numbers of any leading shape; vectors have x and y in the last dimension."""


def wrap(angle: ArrayLike) -> Array:
    """The same angle in [-π, π)."""
    return np.asarray((np.asarray(angle, dtype=np.float64) + np.pi) % (2 * np.pi) - np.pi)


def heading(vector: ArrayLike) -> Array:
    """The direction of a vector (..., 2) as an angle (...); 0 for a vector of no length."""
    v = np.asarray(vector, dtype=np.float64)
    return np.asarray(np.arctan2(v[..., 1], v[..., 0]))


def unit(angle: ArrayLike) -> Array:
    """The vector (..., 2) of length 1 that points along an angle (...)."""
    a = np.asarray(angle, dtype=np.float64)
    return np.stack([np.cos(a), np.sin(a)], axis=-1)


def length(vector: ArrayLike) -> Array:
    """The Euclidean length (...) of vectors (..., 2)."""
    v = np.asarray(vector, dtype=np.float64)
    return np.asarray(np.hypot(v[..., 0], v[..., 1]))


def rotate(vector: ArrayLike, angle: ArrayLike) -> Array:
    """Vectors (..., 2) turned counter-clockwise by an angle (...)."""
    v = np.asarray(vector, dtype=np.float64)
    cos, sin = np.cos(angle), np.sin(angle)
    turned: Any = [cos * v[..., 0] - sin * v[..., 1], sin * v[..., 0] + cos * v[..., 1]]
    return np.stack(turned, axis=-1)


def direction(vector: ArrayLike) -> Array:
    """Vectors (..., 2) brought to length 1; zero for those of no length."""
    v = np.asarray(vector, dtype=np.float64)
    return np.asarray(v / np.maximum(length(v), 1e-12)[..., None])


def limited(vector: ArrayLike, most: ArrayLike) -> Array:
    """Vectors (..., 2), those longer than `most` (...) shortened to it."""
    v = np.asarray(vector, dtype=np.float64)
    return np.asarray(v * np.minimum(1.0, most / np.maximum(length(v), 1e-12))[..., None])


def inside(point: ArrayLike, area: tuple[float, float, float, float]) -> Array:
    """Points (..., 2), those beyond `area` (x_min, y_min, x_max, y_max) moved to its edge."""
    return np.clip(np.asarray(point, dtype=np.float64), area[:2], area[2:])


def reflected(
    course: ArrayLike, position: ArrayLike, area: tuple[float, float, float, float] | None
) -> Array:
    """Courses (...) as they are, but those that lead out of `area` at its edge, turned back in."""
    ahead = unit(course)
    if area is not None:
        p = np.asarray(position, dtype=np.float64)
        out = ((p <= area[:2]) & (ahead < 0)) | ((p >= area[2:]) & (ahead > 0))
        ahead = np.where(out, -ahead, ahead)
    return heading(ahead)
