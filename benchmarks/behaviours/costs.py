"""Cost: what a step takes, for one unit with ten neighbours and for a thousand at once."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np

from benchmarks.form import Figure
from mtor_swarm.swarm.behaviours.geometry import unit
from mtor_swarm.swarm.behaviours.guard import Guard
from mtor_swarm.swarm.behaviours.registry import BEHAVIOURS
from mtor_swarm.swarm.behaviours.scene import Bodies, Scene, among, beside

RNG = np.random.default_rng(0)


def took_ms(work: Callable[[], object], times: int) -> float:
    """The median of several runs, after one that warms the caches."""
    work()
    each = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        each.append(time.perf_counter() - began)
    return 1e3 * statistics.median(each)


def one() -> Scene:
    """A unit and ten neighbours."""
    place = RNG.uniform(0.8, 3.0, (1, 10, 1)) * unit(RNG.uniform(-np.pi, np.pi, (1, 10)))
    near = Bodies.at(place, RNG.normal(size=(1, 10, 2)) / 4)
    own = Bodies.at(np.zeros((1, 2)), [[0.1, 0.2]])
    return beside(own, near, np.ones((1, 10)), rng=RNG, area=(-9.0, -9.0, 9.0, 9.0))


def thousand() -> Scene:
    """A thousand units, each with its ten nearest within 3 m, one in 4 m²."""
    bodies = Bodies.at(RNG.uniform(0, 63, (1000, 2)), RNG.normal(size=(1000, 2)) / 4)
    return among(bodies, reach_m=3.0, nearest=10, rng=RNG, area=(0.0, 0.0, 63.0, 63.0))


def run(quick: bool) -> list[Figure]:
    times = 20 if quick else 200
    figures = []
    guards = {
        name: Guard(BEHAVIOURS[name], clock=time.monotonic, budget_s=60.0)
        for name in ("flocking", "vasarhelyi", "coverage", "orca")
    }
    for name, guard in guards.items():
        alone = {"wanted": [[0.5, 0.0]]} if name == "orca" else {}
        value = took_ms(lambda: guard(one(), **alone), times)  # noqa: B023 (called at once)
        figures.append(
            Figure(name=f"cost: {name}, one unit, 10 neighbours, scene and guard", value=value,
                   unit="ms", goal=0.3 if name in {"flocking", "vasarhelyi"} else None)
        )  # fmt: skip
    figures.append(
        Figure(name="cost: who is near whom, 1,000 units", value=took_ms(thousand, times),
               unit="ms")
    )  # fmt: skip
    scene = thousand()
    for name, guard in guards.items():
        alone = {"wanted": np.full((1000, 2), 0.3)} if name == "orca" else {}
        value = took_ms(lambda: guard(scene, **alone), times)  # noqa: B023 (called at once)
        figures.append(
            Figure(name=f"cost: {name}, 1,000 units", value=value, unit="ms",
                   goal=None if name == "coverage" else 20)
        )  # fmt: skip
    return figures
