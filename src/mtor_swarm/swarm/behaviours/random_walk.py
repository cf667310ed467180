"""Random walk: straight on, until chance turns the unit."""

from __future__ import annotations

import numpy as np

from mtor_swarm.swarm.behaviours.geometry import Array, reflected, unit
from mtor_swarm.swarm.behaviours.scene import Scene


def random_walk(scene: Scene, *, turns_per_s: float = 0.2, speed_mps: float = 0.4) -> Array:
    """The velocity (N, 2) in `map` of a unit that takes a new course, any, now and then.

    Source: the run-and-tumble walk, Codling, Plank & Benhamou, "Random walk models in biology",
    2008.

    Inputs: chance, and the unit's position where there is an `area`; it remembers its `course`.

    Guarantees: exactly `speed_mps`, never outwards at the area's edge. Free, the mean squared way
    after t grows as 2 v² t / `turns_per_s`.
    """
    course = scene.recall("course", scene.own.heading)
    turns = scene.rng.random(len(course)) < -np.expm1(-turns_per_s * scene.step_s)
    fresh = scene.rng.uniform(-np.pi, np.pi, len(course))
    course[:] = reflected(np.where(turns, fresh, course), scene.own.position, scene.area)
    return np.asarray(speed_mps * unit(course))
