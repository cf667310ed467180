"""Flocking: the order of Vicsek's model against noise, and where it is most unsure."""

from __future__ import annotations

import numpy as np

from benchmarks.behaviours.play import Plane, order
from benchmarks.form import Figure
from mtor_swarm.swarm.behaviours.geometry import Array

UNITS, SIDE_M = 300, 10.0
NOISES = np.array([0.1, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.2])
SOME = NOISES[[0, 3, 6, 7, 8, 10]]


def curve(noises: Array, seeds: int, steps: int) -> tuple[Array, Array]:
    """φ averaged over seeds and the later half of the steps, and N times its variance."""
    phi = np.array([[_run(noise, seed, steps) for seed in range(seeds)] for noise in noises])
    return phi.mean(axis=(1, 2)), UNITS * phi.var(axis=(1, 2))


def _run(noise: float, seed: int, steps: int) -> list[float]:
    start = np.random.default_rng(seed).uniform(0, SIDE_M, (UNITS, 2))
    plane = Plane(start, seed=seed, step_s=1.0, reach_m=1.0, period_m=SIDE_M)
    phi: list[float] = []
    plane.run("vicsek", steps // 2, noise_rad=noise, speed_mps=0.1)
    plane.run(
        "vicsek", steps // 2, lambda scene: phi.append(order(scene.own.heading)),
        noise_rad=noise, speed_mps=0.1,
    )  # fmt: skip
    return phi


def run(quick: bool) -> list[Figure]:
    noises = SOME if quick else NOISES
    seeds = 3 if quick else 20
    phi, unsure = curve(noises, seeds, 240 if quick else 300)
    between = float(noises[unsure.argmax()])
    inside = float(noises[0] < between < noises[-1])
    about = f"{UNITS} units, {seeds} seeds"
    return [
        Figure(name=f"flocking: order φ at noise {noises[0]}, {about}", value=float(phi[0]),
               goal=0.9, better="more"),
        Figure(name=f"flocking: order φ at noise {noises[-1]}", value=float(phi[-1]), goal=0.2),
        Figure(name="flocking: susceptibility peaks at noise", value=between, unit="rad"),
        Figure(name="flocking: that is between", value=inside, goal=1, better="more"),
    ]  # fmt: skip
