"""Search: units look at every cell of an area, each through its own camera.

Source: frontier exploration shared among robots (Yamauchi 1998; Burgard et al., "Coordinated
multi-robot exploration", 2005): the next cell is the one that can be looked at soonest, less what
others are nearer to or have claimed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from mtor_swarm.errors import ConfigError
from mtor_swarm.swarm.behaviours.geometry import Array, heading, length, limited, wrap
from mtor_swarm.swarm.behaviours.scene import Scene

CLAIM_S, CLAIM_M = 8.0, 2.0
"""A cell beside another's goal is as good as this much later; the reach of that claim."""
YIELD = 1.5
"""Seconds of handicap for each second that another unit would be there sooner."""


def cells(area: tuple[float, float, float, float], cell_m: float) -> Array:
    """The centres (C, 2) of the cells that cover `area` (x_min, y_min, x_max, y_max), `map`."""
    x_min, y_min, x_max, y_max = area
    columns = max(1, round((x_max - x_min) / cell_m))
    rows = max(1, round((y_max - y_min) / cell_m))
    x = x_min + (np.arange(columns) + 0.5) * (x_max - x_min) / columns
    y = y_min + (np.arange(rows) + 0.5) * (y_max - y_min) / rows
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)


def in_view(
    centres: ArrayLike,
    position: ArrayLike,
    yaw: ArrayLike,
    *,
    view_m: float,
    view_rad: float,
    sight_m: ArrayLike = np.inf,
) -> Array:
    """Whether each cell (..., C) lies in the camera's view, and nothing hides it.

    `centres` (C, 2), `position` (..., 2) and `yaw` (...) in frame `map`; `sight_m` (..., C) is how
    far the lidar sees in the direction of each cell.
    """
    way = np.asarray(centres) - np.asarray(position, dtype=np.float64)[..., None, :]
    far = length(way)
    aside = np.abs(wrap(heading(way) - np.asarray(yaw, dtype=np.float64)[..., None]))
    seen = (far <= view_m) & (aside <= view_rad / 2) & (far <= np.asarray(sight_m))
    return np.asarray(seen)


def next_cell(
    centres: ArrayLike,
    unseen: ArrayLike,
    position: ArrayLike,
    yaw: ArrayLike,
    *,
    others: ArrayLike,
    claims: ArrayLike,
    view_m: float,
    hidden: ArrayLike = False,
    speed_mps: float = 0.5,
    turn_rps: float = 1.2,
) -> tuple[Array, Array]:
    """The index (...) of the cell to look at next and its cost in seconds (...), inf for none.

    `centres` (C, 2), `position` (..., 2), `yaw` (...), `others` (..., K, 2) and their goals
    `claims` (..., L, 2) in frame `map`; NaN rows count as nobody. `unseen` (..., C) says which are
    left, `hidden` (..., C) which cannot be seen from here although near enough. Guarantees: never
    a cell that is seen; the nearest in time if there is nobody else.
    """
    c = np.asarray(centres, dtype=np.float64)
    own = np.asarray(position, dtype=np.float64)[..., None, :]
    way = c - own
    far = length(way)
    turn = np.abs(wrap(heading(way) - np.asarray(yaw, dtype=np.float64)[..., None]))
    travel = np.where(np.asarray(hidden, dtype=bool), far, np.maximum(far - 0.8 * view_m, 0.0))
    cost = travel / speed_mps + turn / turn_rps
    if np.asarray(others).shape[-2]:
        theirs = length(c[:, None, :] - np.asarray(others)[..., None, :, :])
        sooner = far - np.nan_to_num(theirs, nan=np.inf).min(axis=-1)
        cost = cost + YIELD * np.maximum(sooner, 0.0) / speed_mps
    if np.asarray(claims).shape[-2]:
        claimed = length(c[:, None, :] - np.asarray(claims)[..., None, :, :])
        nearest = np.nan_to_num(claimed, nan=np.inf).min(axis=-1)
        cost = cost + CLAIM_S * np.exp(-((nearest / CLAIM_M) ** 2))
    cost = np.where(np.asarray(unseen, dtype=bool), cost, np.inf)
    best = cost.argmin(axis=-1)
    return np.asarray(best), np.take_along_axis(cost, best[..., None], axis=-1)[..., 0]


def search(
    scene: Scene,
    *,
    cell_m: float = 1.0,
    view_m: float = 3.0,
    view_rad: float = 2 * np.pi,
    speed_mps: float = 0.5,
) -> Array:
    """The velocity (N, 2) in `map` to the cell of the scene's `area` that is to be seen next.

    Inputs: the poses of the unit and its neighbours. It remembers which cells it knows to be
    `seen`, a row of `cells(area, cell_m)`, and its `claim` (2,) in `map`; neighbours tell theirs.

    Guarantees: at most `speed_mps`; zero when all is seen. ConfigError without an `area`.
    """
    if scene.area is None:
        raise ConfigError("behaviour search needs an area, to know what there is to see")
    own, centres = scene.own, cells(scene.area, cell_m)
    seen = scene.recall("seen", np.zeros((1, len(centres)), dtype=bool))
    seen |= in_view(centres, own.position, own.heading, view_m=view_m, view_rad=view_rad)
    claim = scene.recall("claim", np.full((1, 2), np.nan))
    claims = np.zeros((len(seen), 0, 2))
    if "seen" in scene.told:
        seen |= scene.hear("seen", False).any(axis=1)
        claims = scene.hear("claim", np.nan)
    others = np.where(scene.mask[..., None], scene.near.position, np.nan)
    best, cost = next_cell(
        centres,
        ~seen,
        own.position,
        own.heading,
        others=others,
        claims=claims,
        view_m=view_m,
        speed_mps=speed_mps,
    )
    claim[:] = np.where(np.isfinite(cost)[:, None], centres[best], np.nan)
    way = np.nan_to_num(claim - own.position)
    return limited(way / scene.step_s, speed_mps)
