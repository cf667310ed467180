"""Gathering: Gauci's robots with one bit of sight, for fifteen minutes."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.behaviours.play import Plane, largest_cluster
from benchmarks.form import Figure
from mtor_swarm.swarm.behaviours.geometry import Array
from mtor_swarm.swarm.behaviours.registry import BEHAVIOURS
from mtor_swarm.swarm.behaviours.scene import Scene, beside

ROBOTS, RADIUS_M, SIDE_M, RUN_S = 40, 0.037, 3.0, 900.0


class Trials(Plane):
    """Many groups on planes of their own, each robot in sight of its whole group."""

    def __init__(self, trials: int, seed: int) -> None:
        start = np.random.default_rng(seed).uniform(0, SIDE_M, (trials * ROBOTS, 2))
        super().__init__(start, seed=seed)
        other = np.arange(ROBOTS - 1) + (np.arange(ROBOTS - 1) >= np.arange(ROBOTS)[:, None])
        self.index = (other + ROBOTS * np.arange(trials)[:, None, None]).reshape(-1, ROBOTS - 1)
        self.mask = np.ones_like(self.index, dtype=bool)

    def table(self, reach_m: float) -> tuple[Any, Any]:
        return self.index, self.mask

    def scene(self) -> Scene:
        return beside(self.bodies, self.bodies.of(self.index), self.mask, rng=self.rng)


def clusters(trials: int, seed: int = 0) -> Array:
    """The share of each trial's robots in its largest cluster.

    Two robots are in one cluster, as the paper has it, if no third fits between them.
    """
    plane = Trials(trials, seed)
    for _ in range(int(RUN_S / plane.step_s)):
        plane.drive(BEHAVIOURS["gauci"].function(plane.scene(), radius_m=RADIUS_M))
        plane.part(RADIUS_M, rounds=2)
    groups = plane.bodies.position.reshape(trials, ROBOTS, 2)
    return np.array([largest_cluster(each, 4 * RADIUS_M) for each in groups])


def run(quick: bool) -> list[Figure]:
    share = 100 * clusters(6 if quick else 30)
    about = f"{len(share)} trials × {ROBOTS} robots"
    return [
        Figure(name=f"aggregation: in one cluster, mean of {about}", value=float(share.mean()),
               unit="%", goal=98, better="more", baseline=98.6),
        Figure(name="aggregation: worst trial", value=float(share.min()), unit="%"),
    ]  # fmt: skip
