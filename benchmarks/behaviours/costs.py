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


PLACE = RNG.uniform(0.8, 3.0, (1, 10, 1)) * unit(RNG.uniform(-np.pi, np.pi, (1, 10)))
NEAR = Bodies.at(PLACE, RNG.normal(size=(1, 10, 2)) / 4)
OWN = Bodies.at(np.zeros((1, 2)), [[0.1, 0.2]])


def one() -> Scene:
    """A unit and ten neighbours."""
    return beside(OWN, NEAR, np.ones((1, 10)), rng=RNG, area=(-9.0, -9.0, 9.0, 9.0))


def thousand() -> Scene:
    """A thousand units, each with its ten nearest within 3 m, one in 4 m²."""
    bodies = Bodies.at(RNG.uniform(0, 63, (1000, 2)), RNG.normal(size=(1000, 2)) / 4)
    return among(bodies, reach_m=3.0, nearest=10, rng=RNG, area=(0.0, 0.0, 63.0, 63.0))


def run(quick: bool) -> list[Figure]:
    times = 20 if quick else 200
    crowd = thousand()
    guards = {
        name: Guard(BEHAVIOURS[name], clock=time.monotonic, budget_s=60.0)
        for name in ("flocking", "vasarhelyi", "coverage", "orca")
    }

    def ask(name: str, scene: Scene) -> object:
        return guards[name](scene, **({"wanted": [0.5, 0.0]} if name == "orca" else {}))

    def step(scene: Scene) -> object:
        return guards["orca"](scene, wanted=guards["flocking"](scene))

    rows = [
        ("one unit, 10 neighbours: scene, flocking, orca, guards", lambda: step(one()), 0.3),
        ("1,000 units: who is near whom, flocking, orca, guards", lambda: step(thousand()), 20),
        ("1,000 units: who is near whom", thousand, None),
        *((f"1,000 units: {name}", lambda name=name: ask(name, crowd), None) for name in guards),
    ]
    return [
        Figure(name=f"cost: {name}", value=took_ms(work, times), unit="ms", goal=goal)
        for name, work, goal in rows
    ]
