"""Voting on two options, of which one is a little better: how often right, and how fast."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.behaviours.play import Plane
from benchmarks.form import Figure
from mtor_swarm.swarm.behaviours.registry import BEHAVIOURS

UNITS, ROOM_M, REACH_M, STEP_S = 40, 4.0, 1.5, 2.0
QUALITIES = (1.0, 0.8)
AGREED = 0.9
SIZES = (3, 5, 9, 13)


def decided(name: str, groups: int, most_s: float, **parameters: Any) -> tuple[float, float]:
    """The share of groups that agree on the better option, and the mean time of those that agree.

    Units walk at random and hear those within reach. A group agrees when nine in ten do.
    """
    rng = np.random.default_rng(0)
    agreed_s = np.full(groups, np.nan)
    right = np.zeros(groups, dtype=bool)
    kin = 1 + np.repeat(np.arange(groups), UNITS)
    plane = Plane(
        rng.uniform(0, ROOM_M, (groups * UNITS, 2)), area=(0.0, 0.0, ROOM_M, ROOM_M),
        step_s=STEP_S, group=kin, reach_m=REACH_M,
    )  # fmt: skip
    start = np.tile([1, 2], groups * UNITS // 2)
    while np.isnan(agreed_s).any() and plane.time_s < most_s:
        scene = plane.scene()
        said = BEHAVIOURS[name].function(scene, start=start, qualities=QUALITIES, **parameters)
        plane.move(BEHAVIOURS["random_walk"].function(scene))
        votes = said.reshape(groups, UNITS)
        share = np.stack([(votes == option).mean(axis=1) for option in (1, 2)])
        new = np.isnan(agreed_s) & (share.max(axis=0) >= AGREED)
        agreed_s[new], right[new] = plane.time_s, share[0, new] >= AGREED
    return float(right.mean()), float(np.nanmean(agreed_s)) if np.isfinite(
        agreed_s
    ).any() else np.inf


def against_size(groups: int, most_s: float) -> list[tuple[str, int, float, float]]:
    """Each rule, how many votes it counts, its accuracy and time; the majority's for several."""
    rules: list[tuple[str, str, int, dict[str, int]]] = [("voter model", "voter", 1, {})]
    rules += [(f"majority of {n}", "majority", n, {"hears": n - 1}) for n in SIZES]
    rules.append(("cross-inhibition", "cross_inhibition", 1, {}))
    return [
        (title, size, *decided(name, groups, most_s, **extra))
        for title, name, size, extra in rules
    ]


def run(quick: bool) -> list[Figure]:
    figures = []
    for title, _, right, time_s in against_size(20 if quick else 100, 4000.0):
        figures += [
            Figure(name=f"voting: {title}, agreed on the better", value=100 * right, unit="%"),
            Figure(name=f"voting: {title}, time", value=time_s, unit="s"),
        ]
    return figures
