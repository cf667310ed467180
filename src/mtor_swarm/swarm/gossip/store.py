"""Recent records for repair: bounded in number, and by type of event in size and age."""

from __future__ import annotations

import heapq
from collections import deque

from mtor_swarm import events
from mtor_swarm.swarm.gossip.records import Record, StreamKey

OTHER = ""
"""All types that are not known here share one shelf."""


class Shelf:
    """The records of one type, the oldest first."""

    def __init__(self, type_name: str, age_s: float) -> None:
        known = events.TYPES.get(type_name)
        self.age_s = min(age_s, known.keep_s if known and known.keep_s else age_s)
        self.most_bytes = known.keep_bytes if known else events.KEEP_BYTES
        self.bytes = 0
        self.order: deque[tuple[float, StreamKey, int, int]] = deque()

    def is_over(self, now: float) -> bool:
        """Whether the oldest here must go."""
        return self.bytes > self.most_bytes or now - self.order[0][0] >= self.age_s


class Store:
    """Records as they travel, by stream; the oldest to arrive goes first."""

    def __init__(self, most: int, age_s: float) -> None:
        self.most = most
        self.age_s = age_s
        self._count = 0
        self._shelves: dict[str, Shelf] = {}
        self._streams: dict[StreamKey, dict[int, bytes]] = {}

    def __len__(self) -> int:
        return self._count

    def add(self, record: Record, now: float) -> None:
        """Keep a record that is not here yet."""
        kind = record.header.type if record.header.type in events.TYPES else OTHER
        shelf = self._shelves.get(kind)
        if shelf is None:
            shelf = self._shelves[kind] = Shelf(kind, self.age_s)
        shelf.order.append((now, record.key, record.seq, len(record.raw)))
        shelf.bytes += len(record.raw)
        self._count += 1
        self._streams.setdefault(record.key, {})[record.seq] = record.raw

    def expire(self, now: float) -> list[tuple[StreamKey, int, bytes]]:
        """Let go of what is too old or too much; what went, as (stream, seq, record)."""
        gone = []
        for shelf in self._shelves.values():
            while shelf.order and shelf.is_over(now):
                gone += self._take(shelf)
        while self._count > self.most:
            filled = [each for each in self._shelves.values() if each.order]
            gone += self._take(min(filled, key=lambda each: each.order[0][0]))
        return gone

    def _take(self, shelf: Shelf) -> list[tuple[StreamKey, int, bytes]]:
        _, key, seq, size = shelf.order.popleft()
        shelf.bytes -= size
        self._count -= 1
        stream = self._streams.get(key, {})
        raw = stream.pop(seq, None)
        if key in self._streams and not stream:
            del self._streams[key]
        return [] if raw is None else [(key, seq, raw)]

    def drop(self, key: StreamKey) -> None:
        """Forget a stream at once; its place on the shelves comes free in time."""
        self._streams.pop(key, None)

    def get(self, key: StreamKey, seq: int) -> bytes | None:
        """The record, if it is still here."""
        return self._streams.get(key, {}).get(seq)

    def holds(self, key: StreamKey) -> bool:
        """Whether anything of that stream is here."""
        return key in self._streams

    def within(self, key: StreamKey, first: int, last: int, most: int) -> list[tuple[int, bytes]]:
        """The first so many records of a stream between two sequence numbers, in order."""
        stream = self._streams.get(key, {})
        return heapq.nsmallest(most, ((s, raw) for s, raw in stream.items() if first <= s <= last))
