"""Company: what a unit knows of the others, from their beacons and its own gossip's verdicts."""

from __future__ import annotations

import math

import msgspec
import numpy as np
from numpy.typing import NDArray

from mtor_swarm.events import UnitState

MAX_OTHERS = 256
FRESH_S = 5.0
"""A unit that says nothing for this long takes part in nothing until it is heard again."""
LATE_S = 2.0
"""A beacon within this time after its unit's death may have been under way: it proves nothing."""

Vector = NDArray[np.float64]


class Other(msgspec.Struct):
    """The last beacon of a unit, when it came, and since when it is dead (None: it is not)."""

    state: UnitState
    heard_s: float
    dead_s: float | None = None


class Company:
    """The other units. Pure: times are given, seconds."""

    def __init__(self, unit: str) -> None:
        self._unit = unit
        self._others: dict[str, Other] = {}
        self.dropped = 0

    def hear(self, state: UnitState, now: float) -> None:
        """Take in another unit's beacon; one's own, and those beyond the bound, are dropped."""
        known = self._others.get(state.unit)
        if state.unit == self._unit or (known is None and len(self._others) >= MAX_OTHERS):
            self.dropped += 1
            return
        if known and known.dead_s is not None and now < known.dead_s + LATE_S:
            return
        self._others[state.unit] = Other(state, now)

    def judge(self, unit: str, state: str, now: float) -> None:
        """Take in what the gossip says of a unit."""
        known = self._others.get(unit)
        if known is not None:
            known.dead_s = now if state in {"dead", "left"} else None

    def active(self, now: float) -> list[UnitState]:
        """Those who take part: alive, heard of late, with a pose; sorted by name."""
        return [
            each.state
            for _, each in sorted(self._others.items())
            if each.dead_s is None and now - each.heard_s < FRESH_S and each.state.pose
        ]

    def bodies(self, now: float) -> Vector:
        """Where units stand that will not make way, (M, 2): held, dead or silent ones."""
        active = {each.unit for each in self.active(now) if not each.latched}
        poses = [
            each.state.pose
            for name, each in sorted(self._others.items())
            if name not in active and each.state.pose
        ]
        return np.array([[p.x_m, p.y_m] for p in poses]).reshape(-1, 2)

    def motions(self, now: float) -> list[tuple[Vector, Vector]]:
        """Position and velocity, each (2,), of those who take part."""
        return [
            (
                np.array([p.x_m, p.y_m]),
                each.speed_mps * np.array([math.cos(p.yaw_rad), math.sin(p.yaw_rad)]),
            )
            for each in self.active(now)
            if (p := each.pose)
        ]


def places(states: list[UnitState]) -> Vector:
    """The positions (K, 2) of states that have a pose."""
    return np.array([[s.pose.x_m, s.pose.y_m] for s in states if s.pose]).reshape(-1, 2)
