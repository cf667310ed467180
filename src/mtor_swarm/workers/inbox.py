"""What one thread hands another: bounded, the most urgent first, the latest only where asked."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections import Counter
from typing import Generic, TypeVar

T = TypeVar("T")


class Inbox(Generic[T]):
    """A queue by priority, then age. When it is full, the least urgent item that is newest goes.

    An item with a `key` takes the place of the waiting one with that key. `dropped` counts by
    priority what found no room.
    """

    def __init__(self, most: int) -> None:
        self.dropped: Counter[int] = Counter()
        self._most = most
        self._order = itertools.count()
        self._heap: list[tuple[int, int, str]] = []
        self._items: dict[int, T] = {}
        self._keys: dict[str, int] = {}
        self._changed = threading.Condition()
        self._closed = False

    def __len__(self) -> int:
        return len(self._items)

    def put(self, priority: int, item: T, key: str = "") -> None:
        """Hand over; never blocks."""
        with self._changed:
            if self._closed:
                return
            if key in self._keys:
                self._items[self._keys[key]] = item
                return
            number = next(self._order)
            heapq.heappush(self._heap, (priority, number, key))
            self._items[number] = item
            if key:
                self._keys[key] = number
            if len(self._heap) > self._most:
                self._drop()
            self._changed.notify()

    def take(self) -> T | None:
        """The next item, waiting for one; None once it is closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._heap or self._closed)
            if not self._heap:
                return None
            _, number, key = heapq.heappop(self._heap)
            self._keys.pop(key, None)
            return self._items.pop(number)

    def close(self) -> None:
        """Take nothing more in; what waits can still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _drop(self) -> None:
        worst = max(self._heap)
        self._heap.remove(worst)
        heapq.heapify(self._heap)
        self._keys.pop(worst[2], None)
        del self._items[worst[1]]
        self.dropped[worst[0]] += 1
