"""Each event once and in order per (origin, boot, channel), whatever the links lose.

Members compare hashes of how far they are in every stream (anti-entropy, Demers et al. 1987) and
send each other what is missing. `floor` is up to where a stream has expired; what is missing below
every peer's floor is a gap, told once and then passed over.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from mtor_swarm.config import GossipConfig
from mtor_swarm.swarm.gossip.dissemination import Store, StreamKey
from mtor_swarm.swarm.gossip.wire import Head, Record

MAX_STREAMS = 4096
MAX_AHEAD = 4096
"""Records of one stream held while an earlier one is missing."""
GAP_PATIENCE_S = 3.0
"""A hole is a gap only when no peer could fill it for this long."""
MAX_REPAIR = 64
MAX_REPAIR_BYTES = 256 * 1024


class Stream:
    """How far this member is in one stream."""

    def __init__(self) -> None:
        self.head = 0
        self.gone = 0
        self.begun = False
        self.ahead: dict[int, Record] = {}
        self.stuck_since: float | None = None

    @property
    def floor(self) -> int:
        """Up to here we have let go of records that were delivered."""
        return min(self.gone, self.head)

    def offers(self, seq: int) -> bool:
        """Whether this sequence number is new here."""
        return seq > self.head and seq not in self.ahead


class Gap(NamedTuple):
    """Events `first` to `last` of a stream that are lost for good."""

    key: StreamKey
    first: int
    last: int


class Repair:
    """All streams and the store behind them."""

    def __init__(self, config: GossipConfig) -> None:
        self.store = Store(config.store_events, config.store_age_s)
        self.streams: dict[StreamKey, Stream] = {}
        self._boots: dict[str, int] = {}
        self._hash: bytes | None = None

    def is_new(self, key: StreamKey, seq: int) -> bool:
        """Whether that record was not had yet and its boot is not over."""
        if key[1] < self._boots.get(key[0], 0):
            return False
        stream = self.streams.get(key)
        if stream is None:
            return len(self.streams) < MAX_STREAMS
        return stream.offers(seq) and (len(stream.ahead) < MAX_AHEAD or seq == stream.head + 1)

    def add(self, key: StreamKey, record: Record, now: float) -> list[Record]:
        """A new record; the records that are now in order, this one last or not at all."""
        self._newer_boot(key[0], key[1])
        stream = self.streams.setdefault(key, Stream())
        self._hash = None
        self._expired(self.store.add(key, record, now))
        stream.ahead[record.seq] = record
        return self._in_order(stream, now)

    def _in_order(self, stream: Stream, now: float) -> list[Record]:
        ready = []
        while stream.head + 1 in stream.ahead:
            stream.head += 1
            stream.begun = True
            ready.append(stream.ahead.pop(stream.head))
        if not stream.ahead:
            stream.stuck_since = None
        elif ready or stream.stuck_since is None:
            stream.stuck_since = now
        return ready

    def _newer_boot(self, origin: str, boot: int) -> None:
        """What an earlier boot of that member said is over: nobody repairs it any more."""
        if boot <= self._boots.get(origin, 0):
            return
        self._boots[origin] = boot
        for key in [each for each in self.streams if each[0] == origin and each[1] < boot]:
            del self.streams[key]

    def _expired(self, gone: list[tuple[StreamKey, int]]) -> None:
        for key, seq in gone:
            stream = self.streams.get(key)
            if stream is not None:
                stream.gone = max(stream.gone, seq)
                self._hash = None

    def expire(self, now: float) -> None:
        """Let go of what is too old."""
        self._expired(self.store.expire(now))

    def digest(self) -> bytes:
        """A hash of how far we are in every stream."""
        if self._hash is None:
            text = repr(sorted((key, each.head) for key, each in self.streams.items()))
            self._hash = hashlib.blake2b(text.encode(), digest_size=8).digest()
        return self._hash

    def heads(self) -> list[Head]:
        """How far we are, to tell a peer."""
        return [(*key, each.floor, each.head) for key, each in self.streams.items()]

    def missing_at(self, heads: list[Head]) -> list[Record]:
        """What a peer that is this far lacks and we still have, bounded."""
        theirs = {(o, b, c): head for o, b, c, _, head in heads}
        found: list[Record] = []
        size = 0
        for key, stream in self.streams.items():
            first = max(theirs.get(key, 0), stream.floor) + 1
            for seq in range(first, stream.head + 1):
                record = self.store.get(key, seq)
                if record is None:
                    continue
                found.append(record)
                size += len(record.payload)
                if len(found) >= MAX_REPAIR or size >= MAX_REPAIR_BYTES:
                    return found
        return found

    def compare(self, heads: list[Head], now: float) -> tuple[bool, list[Gap], list[Record]]:
        """A peer's heads: do we lack something it has; gaps found; what they let through."""
        lacking = False
        gaps: list[Gap] = []
        ready: list[Record] = []
        for origin, boot, channel, floor, head in heads:
            key = (origin, boot, channel)
            if boot < self._boots.get(origin, 0):
                continue
            stream = self.streams.get(key)
            if stream is None:
                if len(self.streams) >= MAX_STREAMS:
                    continue
                self._newer_boot(origin, boot)
                stream = self.streams[key] = Stream()
                self._hash = None
            if floor > stream.head:
                gap, more = self._pass_over(key, stream, floor, now)
                gaps += gap
                ready += more
            lacking = lacking or head > stream.head
        return lacking, gaps, ready

    def _pass_over(
        self, key: StreamKey, stream: Stream, floor: int, now: float
    ) -> tuple[list[Gap], list[Record]]:
        """The peer no longer has what we miss: wait for another a while, then go on."""
        if stream.begun and stream.stuck_since is None:
            stream.stuck_since = now
        if stream.begun and now - (stream.stuck_since or now) < GAP_PATIENCE_S:
            return [], []
        passed = [stream.ahead.pop(seq) for seq in sorted(stream.ahead) if seq <= floor]
        gaps = _holes(key, stream.head, passed, floor) if stream.begun else []
        stream.head = floor
        stream.gone = max(stream.gone, floor)
        stream.begun = True
        stream.stuck_since = None
        self._hash = None
        return gaps, passed + self._in_order(stream, now)


def _holes(key: StreamKey, head: int, held: list[Record], floor: int) -> list[Gap]:
    """What is missing above `head` up to `floor`, but for the records that are held."""
    gaps = []
    for seq in [*(each.seq for each in held), floor + 1]:
        if seq > head + 1:
            gaps.append(Gap(key, head + 1, seq - 1))
        head = seq
    return gaps
