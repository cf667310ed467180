"""Crossing: units go through the centre of a circle and back, again and again."""

from __future__ import annotations

import numpy as np

from benchmarks.behaviours.play import Plane
from benchmarks.form import Figure
from mtor_swarm.swarm.behaviours.geometry import Array, length, unit
from mtor_swarm.swarm.behaviours.registry import BEHAVIOURS
from mtor_swarm.swarm.behaviours.steer import steer

UNITS, RING_M, RADIUS_M = 20, 6.0, 0.3


def crossing(
    seconds: float, *, wheels: bool = False, keep_m: float = 0.0, seed: int = 0
) -> tuple[float, int, int]:
    """The least distance between centres, how often a pair touched, and how many ways were done.

    `wheels`: units cannot move sideways but steer towards their velocity, and keep `keep_m` more.
    """
    turn = np.arange(UNITS) * 2 * np.pi / UNITS
    ring = RING_M * unit(turn + np.random.default_rng(seed).normal(0, 0.02, UNITS))
    plane = Plane(ring, seed=seed, headings=turn + np.pi, nearest=10, reach_m=5.0)
    goal, least, ways = -ring, np.inf, 0
    touching, touches = np.zeros((UNITS, UNITS), dtype=bool), 0
    for _ in range(int(seconds / plane.step_s)):
        scene = plane.scene()
        way = goal - scene.own.position
        there = length(way) < 0.3
        ways += int(there.sum())
        goal = np.where(there[:, None], -goal, goal)
        wanted = 0.5 * way / np.maximum(length(way), 0.5)[:, None]
        velocity = BEHAVIOURS["orca"].function(scene, wanted=wanted, radius_m=RADIUS_M + keep_m)
        if wheels:
            plane.drive(np.stack(steer(velocity, plane.bodies.heading), axis=-1))
        else:
            plane.move(velocity)
        apart = _apart(plane.bodies.position)
        now = apart < 2 * RADIUS_M - 1e-6
        touches += int((now & ~touching).sum()) // 2
        touching, least = now, min(least, float(apart.min()))
    return least, touches, ways


def _apart(positions: Array) -> Array:
    apart = length(positions[:, None] - positions)
    np.fill_diagonal(apart, np.inf)
    return apart


def run(quick: bool) -> list[Figure]:
    seconds = 200 if quick else 600
    figures = []
    for name, wheels, keep_m in (
        (", 0.05 m more", False, 0.05),
        (", on wheels, 0.15 m more", True, 0.15),
    ):
        least, touches, ways = crossing(seconds, wheels=wheels, keep_m=keep_m)
        about = f"{UNITS} units crossing for {seconds} s{name}"
        figures += [
            Figure(name=f"collisions: {about}", value=touches, goal=0),
            Figure(name=f"collisions: nearest, {2 * RADIUS_M} touch{name}", value=least, unit="m"),
            Figure(name=f"collisions: ways done{name}", value=ways),
        ]
    return figures
