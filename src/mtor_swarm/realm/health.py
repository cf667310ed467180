"""How well a worker does its real work: a score between 0 and 1, and what lowers it.

Errors and missed deadlines count against it, and so does being slower than its own history: both
are exponentially weighted means (Roberts, "Control chart tests based on geometric moving
averages", 1959). Errors are forgotten with time as well, since a worker that is asked nothing
cannot show that it is well again. Times are seconds of any steady clock.
"""

from __future__ import annotations

import math

from mtor_swarm.realm.supervision_io import Fault

ILL, WELL = 0.5, 0.75
"""Below the one score a worker is degraded, above the other it is well again."""
FAILING = 5
"""A worker whose last asks all failed, so many of them, begins anew."""
ERROR_WEIGHT = 0.15
STUMBLE_WEIGHT, STUMBLES_MOST = 0.15, 0.4
"""Of a crash, a hang, a failed load; by themselves they make nobody ill who works again."""
FORGET_S = 60.0
"""Errors count half after this."""
RECENT_WEIGHT = 0.2
HISTORY_WEIGHT = 0.01
HISTORY_LEAST = 20
"""So much work makes a history; what it took is their plain mean."""
SLOWER = 1.5
"""Times its history is still its usual pace; at three times that pace the score is half."""
LEAST_S = 0.005
"""Nobody is slow who answers within this."""
MAX_SORTS = 16
"""Sorts of work of one worker whose pace is known; the pace of others is not looked at."""


class Pace:
    """How fast one sort of work goes, against its own history."""

    def __init__(self) -> None:
        self._count = 0
        self._history = 0.0  # logarithms: twice as slow weighs like twice as fast
        self._recent = 0.0

    @property
    def recent_s(self) -> float:
        """What it takes of late."""
        return math.exp(self._recent)

    @property
    def usual_s(self) -> float:
        """What it takes by its history."""
        return math.exp(self._history)

    @property
    def score(self) -> float:
        """1 at its usual pace, half at three times that."""
        return min(1.0, SLOWER * math.exp(self._history - self._recent))

    def took(self, seconds: float) -> None:
        """One more piece of work."""
        pace = math.log(max(seconds, LEAST_S))
        self._count += 1
        self._history += max(HISTORY_WEIGHT, 1 / self._count) * (pace - self._history)
        self._recent += RECENT_WEIGHT * (pace - self._recent)
        if self._count <= HISTORY_LEAST:
            self.begin()

    def begin(self) -> None:
        """A fresh start, at its usual pace."""
        self._recent = self._history


class Health:
    """One worker's health, from what it does."""

    def __init__(self) -> None:
        self.failed_in_a_row = 0
        self._errors, self._errors_s = 0.0, 0.0
        self._paces: dict[str, Pace] = {}
        self._ill: Fault = ""

    def worked(
        self, ok: bool, seconds: float | None, late: bool, now: float, sort: str = ""
    ) -> None:
        """It did a piece of work of this sort, in `seconds` if that was measured."""
        self._err(ERROR_WEIGHT if late or not ok else 0.0, now)
        if seconds is not None:
            self.failed_in_a_row = 0 if ok else self.failed_in_a_row + 1
        if ok and seconds is not None and (sort in self._paces or len(self._paces) < MAX_SORTS):
            self._paces.setdefault(sort, Pace()).took(seconds)

    def stumbled(self, now: float) -> None:
        """It crashed, hung or could not be brought up; what comes next is a fresh start."""
        if self._errors_now(now) < STUMBLES_MOST:
            self._err(STUMBLE_WEIGHT, now)
        self.failed_in_a_row = 0
        for pace in self._paces.values():
            pace.begin()

    def score(self, now: float) -> float:
        """1: all it does is well."""
        return (1.0 - self._errors_now(now)) * self._pace_score()

    def fault(self, now: float) -> Fault:
        """What it is degraded by: `errors`, `slow`, or nothing."""
        score = self.score(now)
        if score > WELL:
            self._ill = ""
        elif score < ILL and not self._ill:
            self._ill = "slow" if self._pace_score() < 1 - self._errors_now(now) else "errors"
        return self._ill

    def reason(self, now: float) -> str:
        """Why, in a few words."""
        if self._ill == "slow":
            slow = min(self._paces.values(), key=lambda each: each.score)
            return f"takes {slow.recent_s:.2g} s where it used to take {slow.usual_s:.2g} s"
        return f"{self._errors_now(now):.0%} of its recent work failed or came too late"

    def well_s(self, now: float) -> float | None:
        """When its errors will be forgotten enough for it to be well, if nothing new comes."""
        most = 1.0 - (WELL + 0.01) / self._pace_score()
        errors = self._errors_now(now)
        if not self._ill or most <= 0 or errors <= most:
            return None
        return now + FORGET_S * math.log2(errors / most)

    def _err(self, weight: float, now: float) -> None:
        errors = self._errors_now(now)
        self._errors_s = now
        self._errors = errors + weight * (1 - errors) if weight else errors * (1 - ERROR_WEIGHT)

    def _errors_now(self, now: float) -> float:
        return self._errors * math.pow(0.5, max(0.0, now - self._errors_s) / FORGET_S)

    def _pace_score(self) -> float:
        return min((each.score for each in self._paces.values()), default=1.0)
