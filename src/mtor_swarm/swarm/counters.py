"""Counts of what was dropped or refused, by reason, that any thread may read."""

from __future__ import annotations

import threading

COUNTERS = "counters"
"""The kind of ask that every member answers by itself: its counts, as JSON."""


class Counters:
    """Counts by name. The names are ours, never a peer's, so that there are few."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._lock = threading.Lock()

    def count(self, what: str) -> None:
        """One more of these."""
        with self._lock:
            self._counts[what] = self._counts.get(what, 0) + 1

    def all(self) -> dict[str, int]:
        """A copy of all counts."""
        with self._lock:
            return dict(self._counts)
