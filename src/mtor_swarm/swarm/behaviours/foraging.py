"""Foraging: units fetch things home, and trails tell the others where from."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from mtor_swarm.errors import ConfigError
from mtor_swarm.swarm.behaviours.geometry import Array, direction, heading, length, reflected, unit
from mtor_swarm.swarm.behaviours.scene import Scene

LOOKS = np.radians([-45.0, 0.0, 45.0])
"""Where a unit smells ahead of it, from its course."""


def foraging(
    scene: Scene,
    *,
    home: ArrayLike,
    food: ArrayLike,
    cell_m: float = 0.5,
    touch_m: float = 0.5,
    fades_s: float = 60.0,
    turns_per_s: float = 0.3,
    follows: float = 0.95,
    speed_mps: float = 0.4,
) -> Array:
    """The velocity (N, 2) in `map` of units that search, fetch and lay a trail on their way home.

    Source: Panait & Luke, "A pheromone-based utility model for collaborative foraging", 2004, with
    a known way home, as units that know where they are have it; the trail is what Pinciroli, Lee-
    Brown & Beltrame, "A tuple space for data sharing in robot swarms", 2016, call stigmergy.

    Inputs: the unit's position, `area`, `home` (2,) and the places of `food` (F, 2), all `map`; a
    unit knows of food only within `touch_m`. It remembers its `course`, whether it is `loaded` and
    how much it `brought`. `trail` (rows, columns), cells of `cell_m` from the area's lower left
    corner, belongs to all: it fades within `fades_s`, and the units share it.

    Guarantees: exactly `speed_mps`; whoever is loaded goes straight home. ConfigError without an
    `area`.
    """
    if scene.area is None:
        raise ConfigError("behaviour foraging needs an area, for the trail to lie in")
    own = scene.own.position
    loaded, brought = scene.recall("loaded", [False]), scene.recall("brought", [0])
    course = scene.recall("course", scene.own.heading)
    trail = _trail(scene, cell_m)
    trail *= np.exp(-scene.step_s / fades_s)
    at_home = length(np.asarray(home) - own) <= touch_m
    brought += loaded & at_home
    loaded[at_home] = False
    loaded |= (length(own[:, None] - np.asarray(food)) <= touch_m).any(axis=1)
    row, column = _cell(own, scene, cell_m, trail.shape)
    np.add.at(trail, (row[loaded], column[loaded]), scene.step_s)
    n = len(own)
    turns = scene.rng.random(n) < -np.expm1(-turns_per_s * scene.step_s)
    wanders = course + np.where(turns, scene.rng.normal(0.0, 1.0, n), 0.0)
    scent, strength = _smell(scene, course, np.asarray(home), trail, cell_m)
    course[:] = np.where((strength > 0) & (scene.rng.random(n) < follows), scent, wanders)
    course[loaded] = heading(np.asarray(home) - own)[loaded]
    course[:] = reflected(course, own, scene.area)
    return np.asarray(speed_mps * unit(course))


def _trail(scene: Scene, cell_m: float) -> Array:
    x_min, y_min, x_max, y_max = scene.area or (0.0, 0.0, 0.0, 0.0)
    shape = int(np.ceil((y_max - y_min) / cell_m)), int(np.ceil((x_max - x_min) / cell_m))
    return scene.memory.setdefault("trail", np.zeros(shape))


def _cell(
    place: Array, scene: Scene, cell_m: float, shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    corner = (scene.area or (0.0, 0.0))[:2]
    index = np.floor((place - corner) / cell_m).astype(np.int64)
    return np.clip(index[..., 1], 0, shape[0] - 1), np.clip(index[..., 0], 0, shape[1] - 1)


def _smell(
    scene: Scene, course: Array, home: Array, trail: Array, cell_m: float
) -> tuple[Array, Array]:
    """The course (N,) along which the trail is strongest, of those away from home; how strong."""
    looks = course[:, None] + LOOKS
    spot = scene.own.position[:, None] + cell_m * unit(looks)
    away = direction(scene.own.position - home)[:, None]
    scent = trail[_cell(spot, scene, cell_m, trail.shape)]
    scent = np.where((unit(looks) * away).sum(axis=-1) > 0.0, scent, 0.0)
    best = scent.argmax(axis=1)[:, None]
    return (
        np.take_along_axis(looks, best, axis=1)[:, 0],
        np.take_along_axis(scent, best, axis=1)[:, 0],
    )
