"""Pure: whether the mission is done, from the ground truth that no unit can read.

Done is when at least three units have stood still within reach of the target for long enough
and surround it: seen from it, no gap between neighbours is too wide. A unit that only passes by
neither helps nor spoils it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec


class Truth(msgspec.Struct, frozen=True):
    """Where a unit really is and how it really moves; `speed_mps` is negative backwards."""

    x_m: float
    y_m: float
    yaw_rad: float
    speed_mps: float
    turn_rps: float


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """When a target counts as surrounded."""

    units: int = 3
    within_m: float = 1.5
    widest_gap_rad: float = math.radians(150)
    still_mps: float = 0.02
    still_rps: float = 0.05
    still_s: float = 3.0


class Judge:
    """Watches a run; `verdict` is final once given."""

    def __init__(self, target: tuple[float, float], rules: Rules = Rules()) -> None:  # noqa: B008
        """`target`: where it stands, in metres; rules are frozen, so one default serves all."""
        self.target = target
        """It may move."""
        self._rules = rules
        self._since: dict[str, float] = {}

    def watch(self, time_s: float, truth: Mapping[str, Truth]) -> list[str]:
        """The units that surround the target, sorted, once it is done; before that none.

        To be called often: a unit counts as still between two calls if it was at both.
        """
        for unit, each in truth.items():
            if self._stands(each):
                self._since.setdefault(unit, time_s)
            else:
                self._since.pop(unit, None)
        for gone in self._since.keys() - truth.keys():
            del self._since[gone]
        rules = self._rules
        standing = sorted(u for u, since in self._since.items() if time_s - since >= rules.still_s)
        x, y = self.target
        bearings = [math.atan2(truth[u].y_m - y, truth[u].x_m - x) for u in standing]
        around = len(standing) >= rules.units and widest_gap(bearings) <= rules.widest_gap_rad
        return standing if around else []

    def _stands(self, each: Truth) -> bool:
        near = math.dist((each.x_m, each.y_m), self.target) <= self._rules.within_m
        still = abs(each.speed_mps) < self._rules.still_mps
        return near and still and abs(each.turn_rps) < self._rules.still_rps


def widest_gap(bearings: list[float]) -> float:
    """The widest angle between neighbours around the circle, radians; a full turn for one."""
    if not bearings:
        return math.tau
    ring = sorted(each % math.tau for each in bearings)
    return max(
        (
            after - before
            for before, after in zip(ring, [*ring[1:], ring[0] + math.tau], strict=True)
        )
    )
