"""Patrolling sixteen posts, beside a cyclic plan made by one who knows all."""

from __future__ import annotations

import numpy as np

from benchmarks.behaviours.play import Plane
from benchmarks.form import Figure
from mtor_swarm.swarm.behaviours.geometry import Array, length
from mtor_swarm.swarm.behaviours.scene import Scene
from mtor_swarm.swarm.behaviours.search import cells

UNITS, STEP_M, SPEED_MPS, VISIT_M = 4, 2.0, 0.5, 0.5
POSTS = cells((0.0, 0.0, 8.0, 8.0), STEP_M)
TOUR_S = len(POSTS) * STEP_M / SPEED_MPS
"""The shortest way round: the posts are a grid with an even number of rows."""


def idleness(plane: Plane, seconds: float) -> tuple[float, float]:
    """The mean over posts and time, and the worst, of the time since a post was last visited."""
    last, seen = np.full(len(POSTS), plane.time_s), []

    def look(scene: Scene) -> None:
        near = length(POSTS[:, None] - scene.own.position) <= VISIT_M
        last[near.any(axis=1)] = scene.time_s
        seen.append(scene.time_s - last)

    plane.run("patrol", int(seconds / plane.step_s), look, posts=POSTS, speed_mps=SPEED_MPS)
    each: Array = np.array(seen)
    return float(each.mean()), float(each.max())


def run(quick: bool) -> list[Figure]:
    whole, fewer = [], []
    for seed in range(3 if quick else 20):
        start = np.random.default_rng(seed).uniform(0, 8, (UNITS, 2))
        plane = Plane(start, seed=seed, reach_m=6.0)
        idleness(plane, 60)
        whole.append(idleness(plane, 300))
        left = Plane(plane.bodies.position[1:], seed=seed, reach_m=6.0)
        left.memory = {name: kept[1:] for name, kept in plane.memory.items()}
        left.time_s = plane.time_s
        fewer.append(idleness(left, 300))
    lap = TOUR_S / UNITS
    figures = []
    for name, seen, worst in (("4 units", whole, lap), ("one of them lost", fewer, 2 * lap)):
        # The plan goes on with a gap where the lost unit was: uneven laps, and their mean.
        laps = [lap] * UNITS if worst == lap else [lap] * (UNITS - 2) + [2 * lap]
        mean = sum(each**2 / 2 for each in laps) / TOUR_S
        got = np.array(seen)
        figures += [
            Figure(name=f"patrol: mean idleness, {name}", value=float(got[:, 0].mean()), unit="s",
                   baseline=mean),
            Figure(name=f"patrol: worst idleness, {name}", value=float(got[:, 1].mean()),
                   unit="s", baseline=worst),
        ]  # fmt: skip
    return figures
