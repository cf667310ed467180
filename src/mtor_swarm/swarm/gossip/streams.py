"""How far this member is in every stream, and which streams there are room for.

A stream exists only by a signed record of it, and nobody's word moves it further than the newest
sequence number that was seen signed. Members of a moment (each `mtor say` is one) make way for
others: the streams of who is gone and of which nothing is stored any more are forgotten first.
"""

from __future__ import annotations

import hashlib
import math
from collections import OrderedDict
from collections.abc import Callable

from mtor_swarm.swarm.gossip.records import Record, StreamKey
from mtor_swarm.swarm.gossip.store import Store
from mtor_swarm.swarm.gossip.wire import Head

MAX_STREAMS = 8192
"""At least twice the events stored: so what a peer may still hold is no forgotten stream's."""
MAX_OF_ONE = 16
"""Channels of one origin, over its latest boots."""
RECENT = 12
"""Streams that moved last: what digests tell of while events flow."""


class Stream:
    """How far this member is in one stream; `touched` notes that its hash is another.

    `head`: all up to it was delivered or passed over; `begun`: what is lost from here on is told.
    `known`: the newest that was seen signed.
    `stale`: it waits so long for an earlier one that what waits is told to peers too.
    `lost`: the newest of which only the signed header is here (`proof`), with its stamp.
    """

    __slots__ = (
        "ahead",
        "begun",
        "head",
        "key",
        "known",
        "lost",
        "lost_stamp",
        "priority",
        "proof",
        "stale",
        "stuck_since",
        "touched",
    )

    def __init__(self, key: StreamKey, touched: set[StreamKey]) -> None:
        self.key, self.touched = key, touched
        self.head = self.known = self.lost = self.lost_stamp = 0
        self.priority = 3
        self.begun = self.stale = False
        self.ahead: dict[int, Record] = {}
        self.proof: bytes | None = None
        self.stuck_since: float | None = None

    @property
    def told(self) -> int:
        """How far peers are told that we are: what we lack of it they would say themselves."""
        return self.known if self.stale else self.head

    def stuck(self, since: float | None, stale: bool = False) -> None:
        """Since when the next one is missing, and whether that is long; None: nothing is."""
        self.stuck_since, self.stale = since, stale
        self.touched.add(self.key)

    def moved_to(self, head: int) -> None:
        """All up to there is settled."""
        self.head = head
        self.touched.add(self.key)

    def lose(self, proof: Record) -> None:
        """The newest record of which only the header is here."""
        self.lost, self.lost_stamp = proof.seq, proof.header.stamp
        self.proof = proof.raw

    def hash(self) -> int:
        """64 bits that stand for being this far in this stream, or having what waits in it."""
        text = f"{self.key} {self.head} {sorted(self.ahead) if self.stale else ''}".encode()
        return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")


class Streams:
    """All streams; `is_live` tells whether a stream's origin may still add to it."""

    def __init__(self, store: Store, is_live: Callable[[StreamKey], bool]) -> None:
        self.store = store
        self.is_live = is_live
        self.most = max(MAX_STREAMS, 2 * store.most)
        self.held = self.held_bytes = 0
        """Records of all streams that wait for earlier ones."""
        self.forgotten = 0
        """Streams that had to make way for others, since the last time that was asked."""
        self._all: OrderedDict[StreamKey, Stream] = OrderedDict()
        self._of: dict[str, list[StreamKey]] = {}
        self._recent: OrderedDict[StreamKey, float] = OrderedDict()
        self._turn = 0
        self._touched: set[StreamKey] = set()
        """Streams that may count otherwise in `_sum` now, which has the hashes of `_counted`."""
        self._counted: dict[StreamKey, int] = {}
        self._sum = 0

    def __len__(self) -> int:
        return len(self._all)

    def get(self, key: StreamKey) -> Stream | None:
        """The stream, if it exists here."""
        return self._all.get(key)

    def waiting(self) -> list[tuple[StreamKey, Stream]]:
        """The streams with records that wait for earlier ones."""
        return [(key, stream) for key, stream in self._all.items() if stream.ahead]

    def hold(self, stream: Stream, record: Record) -> None:
        """A record of that stream waits for its turn."""
        stream.ahead[record.seq] = record
        self._touched.add(record.key)
        self.held += 1
        self.held_bytes += len(record.raw)

    def let_go(self, stream: Stream, seq: int) -> Record:
        """It waits no more."""
        record = stream.ahead.pop(seq)
        self.held -= 1
        self.held_bytes -= len(record.raw)
        return record

    def has_room_for(self, key: StreamKey) -> bool:
        """Whether a new stream would be taken in."""
        mine = self._of.get(key[0], [])
        if len(mine) >= MAX_OF_ONE:
            return min(mine, key=_boot)[1] < key[1]
        return len(self._all) < self.most or self._victim() is not None

    def open(self, key: StreamKey) -> Stream:
        """The stream, made now if it must be: ask `has_room_for` first."""
        stream = self._all.get(key)
        if stream is None:
            mine = self._of.get(key[0], [])
            if len(mine) >= MAX_OF_ONE:
                self._forget(min(mine, key=_boot))
            elif len(self._all) >= self.most:
                victim = self._victim()
                if victim is not None:
                    self._forget(victim)
            stream = self._all[key] = Stream(key, self._touched)
            self._touched.add(key)
            self._of.setdefault(key[0], []).append(key)
        self._all.move_to_end(key)
        return stream

    def _victim(self) -> StreamKey | None:
        """The stream that was silent longest of those that nobody needs."""
        for key, stream in self._all.items():
            if not stream.ahead and not self.store.holds(key) and not self.is_live(key):
                return key
        return None

    def _forget(self, key: StreamKey) -> None:
        stream = self._all.pop(key)
        for seq in list(stream.ahead):
            self.let_go(stream, seq)
        self.store.drop(key)
        self._touched.add(key)
        self._recent.pop(key, None)
        self._of[key[0]].remove(key)
        if not self._of[key[0]]:
            del self._of[key[0]]
        self.forgotten += 1

    def moved(self, key: StreamKey, now: float) -> None:
        """That stream is further now: `recent` tells it."""
        self._recent[key] = now
        self._recent.move_to_end(key)
        if len(self._recent) > RECENT:
            self._recent.popitem(last=False)

    def current(self) -> list[StreamKey]:
        """The streams that matter to peers: something is stored, or may yet come."""
        return [each for each in self._all if self._is_current(each)]

    def _is_current(self, key: StreamKey) -> bool:
        return self.store.holds(key) or self.is_live(key)

    def origin_seen(self, origin: str) -> None:
        """That member came or went: its streams may matter now, or no more."""
        self._touched.update(self._of.get(origin, ()))

    def expire(self, now: float) -> list[tuple[StreamKey, int, bytes]]:
        """Let go of records that are too old or too much; what went, as (stream, seq, record)."""
        gone = self.store.expire(now)
        self._touched.update(key for key, _, _ in gone)
        return gone

    def digest(self) -> bytes:
        """A hash of how far we are: the sum of the streams' hashes, whatever their order."""
        for key in self._touched:
            self._sum -= self._counted.pop(key, 0)
            if key in self._all and self._is_current(key):
                self._counted[key] = self._all[key].hash()
                self._sum += self._counted[key]
        self._touched.clear()
        return (self._sum % 2**64).to_bytes(8, "big")

    def recent(self, before: float = math.inf) -> list[Head]:
        """How far we are where something moved last, and not since that time."""
        found = [each for each, moved in self._recent.items() if moved <= before]
        return [(*each, self._all[each].told) for each in found]

    def is_settled(self, key: StreamKey, before: float) -> bool:
        """Whether that stream has not moved since that time."""
        return self._recent.get(key, before) <= before

    def heads(self, most: int) -> tuple[list[Head], bool]:
        """How far we are, the most urgent streams first; and whether that is all.

        If there are more, those that moved last are told, and of the rest others each time.
        """
        keys = self.current()
        whole = len(keys) <= most
        if not whole:
            self._turn = (self._turn + most // 2) % len(keys)
            turned = keys[self._turn :] + keys[: self._turn]
            latest = keys[-(most - most // 2) :]
            keys = list(dict.fromkeys(latest + turned))[:most]
        keys.sort(key=lambda each: self._all[each].priority)
        return [(*each, self._all[each].told) for each in keys], whole


def _boot(key: StreamKey) -> int:
    return key[1]
