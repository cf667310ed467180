"""Lévy walk: short legs mostly, now and then a long one; good where finds are far between."""

from __future__ import annotations

import numpy as np

from mtor_swarm.swarm.behaviours.geometry import Array, reflected, unit
from mtor_swarm.swarm.behaviours.scene import Scene


def levy_walk(
    scene: Scene,
    *,
    exponent: float = 2.0,
    least_m: float = 0.5,
    most_m: float = 50.0,
    speed_mps: float = 0.4,
) -> Array:
    """The velocity (N, 2) in `map` along legs whose lengths follow a power law.

    Source: Viswanathan et al., "Optimizing the success of random searches", 1999: an `exponent`
    near 2 finds most where targets are few and come again.

    Inputs: chance, and the unit's position where there is an `area`; it remembers its `course`
    and how much of its `leg` is left, in metres.

    Guarantees: exactly `speed_mps`, never outwards at the area's edge; legs between `least_m` and
    `most_m`.
    """
    course, leg = scene.recall("course", scene.own.heading), scene.recall("leg", [0.0])
    done = leg <= 0
    draw = 1.0 - scene.rng.random(len(leg))  # (0, 1]
    fresh_m = np.minimum(least_m * draw ** (-1.0 / (exponent - 1.0)), most_m)
    leg[:] = np.where(done, fresh_m, leg) - speed_mps * scene.step_s
    fresh = scene.rng.uniform(-np.pi, np.pi, len(leg))
    course[:] = reflected(np.where(done, fresh, course), scene.own.position, scene.area)
    return np.asarray(speed_mps * unit(course))
