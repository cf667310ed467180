"""What units know when they choose a velocity: themselves, their neighbours, and what those told.

A robot makes a scene of one row from its own pose and the beacons that it heard; a simulator one
of a thousand rows with `among`. Behaviours cannot tell which: row n uses nothing but row n.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtor_swarm.swarm.behaviours.geometry import Array, length

Area = tuple[float, float, float, float]
"""x_min, y_min, x_max, y_max in frame `map`, metres."""
Memory = dict[str, NDArray[Any]]
"""What units remember and tell their neighbours, by name: one row (N, ...) a unit."""


class Bodies(msgspec.Struct, frozen=True):
    """Poses and velocities in frame `map`: metres, m/s, radians."""

    position: Array
    """(..., 2)"""
    velocity: Array
    """(..., 2)"""
    heading: Array
    """(...)"""

    @classmethod
    def at(
        cls, position: ArrayLike, velocity: ArrayLike = 0.0, heading: ArrayLike = 0.0
    ) -> Bodies:
        """Bodies at `position` (..., 2), at rest and facing +x unless said otherwise."""
        p = np.asarray(position, dtype=np.float64)
        v = np.broadcast_to(np.asarray(velocity, dtype=np.float64), p.shape)
        return cls(p, v, np.broadcast_to(np.asarray(heading, dtype=np.float64), p.shape[:-1]))

    def of(self, index: NDArray[np.int64]) -> Bodies:
        """Those at `index`, in its shape."""
        return Bodies(self.position[index], self.velocity[index], self.heading[index])


class Scene(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """N units and, for each, up to K neighbours. `way` and `far` lead from a unit to them."""

    own: Bodies
    """(N, ...)"""
    near: Bodies
    """(N, K, ...); what `mask` leaves out is nobody."""
    mask: NDArray[np.bool_]
    """(N, K): where there is a neighbour."""
    way: Array
    """(N, K, 2), metres; zero where there is nobody."""
    far: Array
    """(N, K), metres; infinite where there is nobody."""
    rng: np.random.Generator
    """Chance, handed in."""
    time_s: float = 0.0
    step_s: float = 0.1
    """Since the scene before."""
    area: Area | None = None
    """Where the units may be, if there are bounds."""
    memory: Memory = msgspec.field(default_factory=dict)
    """The one thing that a behaviour may change; whoever makes scenes carries it to the next, and
    starts each behaviour with an empty one."""
    told: Mapping[str, NDArray[Any]] = msgspec.field(default_factory=dict)
    """(N, K, ...): the neighbours' memory, as they told it last."""

    def recall(self, name: str, start: ArrayLike) -> NDArray[Any]:
        """What the units remember under `name`, to be changed in place; at first `start`."""
        if name not in self.memory:
            first = np.asarray(start)
            shape = (len(self.own.position), *first.shape[1:])
            self.memory[name] = np.broadcast_to(first, shape).copy()
        return self.memory[name]

    def hear(self, name: str, nothing: Any) -> NDArray[Any]:
        """What the neighbours told under `name` (N, K, ...); `nothing` where there is none."""
        if name not in self.told:
            return np.full(self.mask.shape, nothing)
        told = self.told[name]
        here = self.mask.reshape(self.mask.shape + (1,) * (told.ndim - 2))
        return np.asarray(np.where(here, told, nothing))

    def total(self, values: ArrayLike) -> Array:
        """The sum (N, 2) over the neighbours of vectors (N, K, 2)."""
        return np.asarray(np.where(self.mask[..., None], values, 0.0).sum(axis=1))

    def mean(self, values: ArrayLike) -> Array:
        """Their mean (N, 2); zero for a unit that has no neighbour."""
        return np.asarray(self.total(values) / np.maximum(self.mask.sum(axis=1), 1)[:, None])


def beside(
    own: Bodies, near: Bodies, mask: ArrayLike, *, rng: np.random.Generator, **rest: Any
) -> Scene:
    """The scene of units `own` (N, ...) beside their neighbours `near` (N, K, ...).

    `rest` goes to the scene: time_s, step_s, area, memory, told.
    """
    return _scene(own, near, np.asarray(mask, dtype=bool), None, rng=rng, **rest)


def among(
    bodies: Bodies,
    *,
    reach_m: float = np.inf,
    nearest: int | None = None,
    group: ArrayLike = 0,
    period_m: float | None = None,
    memory: Memory | None = None,
    rng: np.random.Generator,
    **rest: Any,
) -> Scene:
    """The scene of N units that know the `nearest` others within `reach_m`, and what these told.

    Only units of one `group` (N,) meet. With `period_m` the plane is a torus of that side. `rest`
    goes to the scene: time_s, step_s, area.
    """
    memory = {} if memory is None else memory
    index, mask = neighbours(
        bodies.position, reach_m=reach_m, nearest=nearest, group=group, period_m=period_m
    )
    told = {name: said[index] for name, said in memory.items() if len(said) == len(mask)}
    near = bodies.of(index)
    return _scene(bodies, near, mask, period_m, rng=rng, memory=memory, told=told, **rest)


def neighbours(
    position: Array,
    *,
    reach_m: float = np.inf,
    nearest: int | None = None,
    group: ArrayLike = 0,
    period_m: float | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Who is near whom: indices (N, K), the nearest first, and which of them count (N, K).

    Without `reach_m`, or on a torus, this looks at all N² pairs.
    """
    n = len(position)
    kin = np.broadcast_to(np.asarray(group, dtype=np.int64), (n,))
    if period_m is None and np.isfinite(reach_m) and reach_m > 0:
        who, whom = _nearby(position, reach_m, kin)
    else:
        who, whom = np.nonzero(kin[:, None] == kin)
    way = position[whom] - position[who]
    if period_m is not None:
        way -= period_m * np.round(way / period_m)
    square = (way**2).sum(axis=-1)
    close = (square <= reach_m * reach_m) & (who != whom)
    who, whom, square = who[close], whom[close], square[close]
    by_far = np.lexsort((square, who))
    who, whom = who[by_far], whom[by_far]
    degree = np.bincount(who, minlength=n)
    rank = np.arange(len(who)) - np.repeat(np.cumsum(degree) - degree, degree)
    most = int(degree.max(initial=0))
    most = most if nearest is None else min(most, nearest)
    kept = rank < most
    index = np.zeros((n, most), dtype=np.int64)
    mask = np.zeros((n, most), dtype=bool)
    index[who[kept], rank[kept]] = whom[kept]
    mask[who[kept], rank[kept]] = True
    return index, mask


def _nearby(
    position: Array, reach_m: float, kin: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs in one cell of a grid, or in cells that touch: all within reach, and some others."""
    cell = np.floor(np.nan_to_num(position) / reach_m).astype(np.int64)
    cell -= cell.min(axis=0, initial=0) - 1
    columns, rows = cell.max(axis=0, initial=0) + 2
    key = ((kin - kin.min(initial=0)) * columns + cell[:, 0]) * rows + cell[:, 1]
    by_key = np.argsort(key, kind="stable")
    pairs = []
    for column in (-1, 0, 1):  # the three cells of a column have keys in a row
        first = np.searchsorted(key, key + column * rows - 1, "left", sorter=by_key)
        last = np.searchsorted(key, key + column * rows + 1, "right", sorter=by_key)
        count = last - first
        who = np.repeat(np.arange(len(key)), count)
        place = np.arange(len(who)) - np.repeat(np.cumsum(count) - count - first, count)
        pairs.append((who, by_key[place]))
    who, whom = (np.concatenate(each) for each in zip(*pairs, strict=True))
    return who, whom


def _scene(
    own: Bodies, near: Bodies, mask: NDArray[np.bool_], period_m: float | None, **rest: Any
) -> Scene:
    told = np.concatenate([near.position, near.velocity, near.heading[..., None]], axis=-1)
    mask = mask & np.isfinite(told).all(axis=-1)  # who tells nonsense is nobody
    way = np.where(mask[..., None], near.position - own.position[:, None], 0.0)
    if period_m is not None:
        way -= period_m * np.round(way / period_m)
    far = np.where(mask, length(way), np.inf)
    return Scene(own=own, near=near, mask=mask, way=way, far=far, **rest)
