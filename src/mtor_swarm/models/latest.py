"""A thread that always works on the latest thing it was handed, and never falls behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Latest(Generic[T]):
    """One thread, one slot: what is offered while it works replaces what waits there."""

    def __init__(self, work: Callable[[T], None], *, max_rate_hz: float, name: str) -> None:
        """`work` is called in the thread, at most so often, and must not raise."""
        self.skipped = 0
        self._work = work
        self._period_s = 1.0 / max_rate_hz
        self._changed = threading.Condition()
        self._slot: T | None = None
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def offer(self, item: T) -> None:
        """Hand over the latest; the one that still waited is dropped and counted. Never blocks."""
        with self._changed:
            self.skipped += self._slot is not None
            self._slot = item
            self._changed.notify()

    def stop(self, timeout_s: float = 10.0) -> bool:
        """End the thread after the work in hand; False if that is not done in time."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (item := self._take()) is not None:
            started = time.monotonic()
            self._work(item)
            self._rest(started + self._period_s)

    def _take(self) -> T | None:
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._slot is not None)
            item, self._slot = self._slot, None
            return None if self._stopped else item

    def _rest(self, until_s: float) -> None:
        """Sleep until then, or until stopped; what is offered meanwhile waits in the slot."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped, max(0.0, until_s - time.monotonic()))
