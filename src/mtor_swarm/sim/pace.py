"""Pure: how much simulated time is due, so that a simulation keeps to real time.

It is never ahead of real time. After a hold-up it catches up, but not more than a little: what is
beyond that is lost, and shows in the real-time factor.
"""

from __future__ import annotations

CATCH_UP_S = 0.25
WINDOW_S = 2.0


class Pace:
    """Real time in (monotonic seconds), simulated time due out."""

    def __init__(self, now: float) -> None:
        self._start = now
        self._lost = 0.0
        self._marks = [(now, 0.0)]
        self.factor = 1.0
        """Simulated seconds a real second, over the last two or so."""

    def due_s(self, now: float, time_s: float) -> float:
        """Simulated seconds to advance now, when the simulation stands at `time_s`."""
        behind = now - self._start - self._lost - time_s
        self._lost += max(0.0, behind - CATCH_UP_S)
        self._measure(now, time_s)
        return max(0.0, min(behind, CATCH_UP_S))

    def _measure(self, now: float, time_s: float) -> None:
        if now - self._marks[-1][0] >= WINDOW_S / 4:
            self._marks = [*self._marks[-4:], (now, time_s)]
            (then, was), _ = self._marks[0], self._marks[-1]
            self.factor = (time_s - was) / (now - then)
