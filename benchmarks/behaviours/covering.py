"""Covering a room, beside Lloyd's algorithm with full knowledge from the same start."""

from __future__ import annotations

import numpy as np

from benchmarks.behaviours.play import Plane, lloyd
from benchmarks.form import Figure
from mtor_swarm.swarm.behaviours.geometry import Array, length
from mtor_swarm.swarm.behaviours.search import cells

UNITS, ROOM = 12, (0.0, 0.0, 10.0, 8.0)
PLACES = cells(ROOM, 0.25)


def cost(positions: Array) -> float:
    """The mean squared distance from a place to the nearest unit, m²."""
    return float((length(PLACES[:, None] - positions).min(axis=1) ** 2).mean())


def run(quick: bool) -> list[Figure]:
    ours, best = [], []
    for seed in range(6 if quick else 30):
        start = np.random.default_rng(seed).uniform(ROOM[:2], ROOM[2:], (UNITS, 2))
        plane = Plane(start, area=ROOM, reach_m=6.0).run("coverage", 500)
        ours.append(cost(plane.bodies.position))
        best.append(cost(lloyd(start, PLACES)))
    ratio = np.array(ours) / best
    return [
        Figure(name=f"coverage: final cost over Lloyd's, mean of {len(ratio)} starts",
               value=float(ratio.mean()), goal=1.05),
        Figure(name="coverage: worst start", value=float(ratio.max())),
        Figure(name="coverage: final cost", value=float(np.mean(ours)), unit="m²",
               baseline=float(np.mean(best))),
    ]  # fmt: skip
