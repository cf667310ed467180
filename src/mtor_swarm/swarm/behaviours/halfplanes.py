"""Half-planes: for many units at once, the velocity nearest to the wanted one that all permit.

Source: the incremental linear programs of de Berg et al., *Computational Geometry*, ch. 4, as
van den Berg, Guy, Lin & Manocha, "Reciprocal n-body collision avoidance", 2011, use them.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from mtor_swarm.swarm.behaviours.geometry import Array, direction, limited

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
EPSILON = 1e-9


class Planes(msgspec.Struct, frozen=True):
    """K half-planes for each of M units: what lies to the left of a line is permitted."""

    point: Array
    """(M, K, 2) on the line"""
    along: Array
    """(M, K, 2), of length 1"""
    mask: Bools
    """(M, K): which of them count"""

    def some(self, rows: Ints | Bools) -> Planes:
        """Those of some units."""
        return Planes(self.point[rows], self.along[rows], self.mask[rows])

    def line(self, k: Ints) -> tuple[Array, Array]:
        """Point and direction (M, 2) of line `k` (M,) of each unit."""
        rows = np.arange(len(k))
        return self.point[rows, k], self.along[rows, k]

    def before(self, k: Ints) -> Bools:
        """Which lines (M, K) count and come before line `k` (M,)."""
        return self.mask & (np.arange(self.mask.shape[1]) < k[:, None])

    def beyond(self, velocity: Array) -> Array:
        """How far (M, K) a velocity (M, 2) lies on the wrong side of each line; -inf for none."""
        far = cross(self.along, self.point - velocity[:, None])
        return np.where(self.mask, far, -np.inf)


def cross(a: Array, b: Array) -> Array:
    """The z (...) of the product of vectors (..., 2)."""
    return np.asarray(a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0])


def nearest(planes: Planes, wanted: Array, most: float) -> Array:
    """The velocity (M, 2) of length `most` or less nearest to `wanted` (M, 2) that all permit.

    Where there is none, the one that is on the wrong side of the worst line by least.
    """
    found, failed = _within(planes, limited(wanted, most), most, furthest=False)
    rows = np.flatnonzero(failed < planes.mask.shape[1])
    if len(rows):
        found[rows] = _least_bad(planes.some(rows), found[rows], failed[rows], most)
    return found


def _within(planes: Planes, aim: Array, most: float, *, furthest: bool) -> tuple[Array, Ints]:
    """What all lines permit nearest to `aim`, or furthest along it; and the line (M,) that failed.

    That is K where none did; where one did, the answer is the one before it.
    """
    found = most * aim if furthest else aim.copy()
    count = planes.mask.shape[1]
    failed, done, rows = np.full(len(aim), count), np.full(len(aim), -1), np.arange(len(aim))
    while count:  # each unit goes on to its next line that does not permit what it found
        wrong = (planes.beyond(found[rows]) > 0) & (np.arange(count) > done[rows, None])
        again = np.asarray(wrong.any(axis=1))
        if not again.all():
            rows, planes, wrong = rows[again], planes.some(again), wrong[again]
        if not len(rows):
            break
        done[rows] = k = wrong.argmax(axis=1)
        low, high = _span(planes, k, most)
        point, along = planes.line(k)
        t = (along * (aim[rows] - (0.0 if furthest else point))).sum(axis=-1)
        t = np.where(t > 0, high, low) if furthest else np.clip(t, low, np.maximum(low, high))
        there = point + t[:, None] * along
        if not (possible := low <= high).all():
            failed[rows[~possible]] = k[~possible]
            rows, planes, there = rows[possible], planes.some(possible), there[possible]
        found[rows] = there
    return found, failed


def _span(planes: Planes, k: Ints, most: float) -> tuple[Array, Array]:
    """The stretch (M,), (M,) of line `k` in the disc that the lines before it permit."""
    point, along = planes.line(k)
    middle = -(point * along).sum(axis=-1)
    square = middle**2 + most**2 - (point**2).sum(axis=-1)
    half = np.sqrt(np.maximum(square, 0.0))
    turn = cross(along[:, None], planes.along)
    lies = cross(planes.along, point[:, None] - planes.point)
    counts = planes.before(k)
    parallel = np.abs(turn) <= EPSILON
    t = lies / np.where(parallel, 1.0, turn)
    high = np.where(counts & ~parallel & (turn > 0), t, np.inf).min(axis=1, initial=np.inf)
    low = np.where(counts & ~parallel & (turn < 0), t, -np.inf).max(axis=1, initial=-np.inf)
    never = (square < 0) | (counts & parallel & (lies < 0)).any(axis=1)
    high = np.where(never, -np.inf, np.minimum(high, middle + half))
    return np.maximum(low, middle - half), high


def _least_bad(planes: Planes, found: Array, failed: Ints, most: float) -> Array:
    """The velocity (M, 2) for which the worst of all lines is passed by least."""
    depth, done, rows = np.zeros(len(found)), failed - 1, np.arange(len(found))
    while True:
        worse = planes.some(rows).beyond(found[rows]) > depth[rows, None] + EPSILON
        worse &= np.arange(planes.mask.shape[1]) > done[rows, None]
        if not (again := worse.any(axis=1)).any():
            return found
        rows, k = rows[again], worse[again].argmax(axis=1)
        done[rows] = k
        some = planes.some(rows)
        point, along = some.line(k)
        inwards = np.stack([-along[:, 1], along[:, 0]], axis=-1)
        better, stuck = _within(_bisectors(some, k), inwards, most, furthest=True)
        solved = stuck == planes.mask.shape[1]
        found[rows[solved]] = better[solved]
        depth[rows] = cross(along, point - found[rows])


def _bisectors(planes: Planes, k: Ints) -> Planes:
    """Lines on which line `k` and each one before it are passed by as much."""
    point, along = (each[:, None] for each in planes.line(k))
    turn = cross(along, planes.along)
    parallel = np.abs(turn) <= EPSILON
    t = cross(planes.along, point - planes.point) / np.where(parallel, 1.0, turn)
    meet = np.where(parallel[..., None], (point + planes.point) / 2, point + t[..., None] * along)
    same = parallel & ((along * planes.along).sum(axis=-1) > 0)
    return Planes(meet, direction(planes.along - along), planes.before(k) & ~same)
