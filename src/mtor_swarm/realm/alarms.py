"""What is to be done at which time, for those who are told the time."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable

Alarm = tuple[float, int]
"""When it is due, and its number: what `cancel` takes."""


class Alarms:
    """Things to do, each at its time and at most once; in order of time, then of setting."""

    def __init__(self) -> None:
        self._order: list[Alarm] = []
        self._what: dict[int, Callable[[float], None]] = {}
        self._last = 0

    @property
    def next_s(self) -> float | None:
        """When the first is due."""
        return self._order[0][0] if self._order else None

    def set(self, at_s: float, what: Callable[[float], None]) -> Alarm:
        """Do `what(now)` once it is `at_s`."""
        self._last += 1
        alarm = (at_s, self._last)
        insort(self._order, alarm)
        self._what[alarm[1]] = what
        return alarm

    def cancel(self, alarm: Alarm | None) -> None:
        """Not that one; one that is gone or was never set is no matter."""
        if alarm is not None and self._what.pop(alarm[1], None) is not None:
            del self._order[bisect_left(self._order, alarm)]

    def pop(self, now: float) -> Callable[[float], None] | None:
        """What is due first, which is then set no more; None if nothing is."""
        if not self._order or self._order[0][0] > now:
            return None
        return self._what.pop(self._order.pop(0)[1])
