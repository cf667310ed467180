"""Who says more than the realm can hear: pure. Times are seconds of any steady clock."""

from __future__ import annotations

MOST_EVENTS_S = 300.0
"""Of one worker: ten cameras at 30 Hz. It costs every listener some 0.1 ms an event."""
WINDOW_S = 2.0
MAX_SOURCES = 256


class Flood:
    """Counts each source's events over short windows."""

    def __init__(self) -> None:
        self._since_s = 0.0
        self._counts: dict[str, int] = {}

    def heard(self, source: str, now: float) -> float | None:
        """One more event of this source; its events a second, once, when that is too much."""
        if now - self._since_s >= WINDOW_S:
            self._since_s = now
            self._counts.clear()
        if source not in self._counts and len(self._counts) >= MAX_SOURCES:
            return None
        count = self._counts[source] = self._counts.get(source, 0) + 1
        if count != int(MOST_EVENTS_S * WINDOW_S):
            return None
        return count / max(now - self._since_s, 0.001)
