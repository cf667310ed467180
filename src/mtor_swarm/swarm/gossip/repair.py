"""Each event once and in order per (origin, boot, channel), whatever the links lose.

Members compare how far they are in every stream (anti-entropy, Demers et al. 1987) and want from
each other what they lack. What no peer has any more is a gap, told once and then passed over.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from mtor_swarm.config import GossipConfig
from mtor_swarm.events import COMMAND, NOTICE
from mtor_swarm.swarm.gossip import records
from mtor_swarm.swarm.gossip.records import Record, StreamKey
from mtor_swarm.swarm.gossip.store import Store
from mtor_swarm.swarm.gossip.streams import Stream, Streams
from mtor_swarm.swarm.gossip.wire import Events, Head, Span

MAX_AHEAD = 4096
MAX_AHEAD_BYTES = 4 * 1024 * 1024
"""Records of all streams held while an earlier one is missing."""
GAP_PATIENCE_S = 3.0
"""A hole is a gap only when no peer could fill it for this long."""
MAX_REPAIR = 64
MAX_REPAIR_BYTES = 256 * 1024
MAX_HEADS = 256
MAX_SPANS = 256
MAX_HOLES = 32
"""Holes of one stream that are wanted at once."""


class Gap(NamedTuple):
    """Events `first` to `last` of a stream that are lost for good."""

    key: StreamKey
    first: int
    last: int


class Repair:
    """All streams and the store behind them."""

    def __init__(self, config: GossipConfig, is_live: Callable[[StreamKey], bool]) -> None:
        self.store = Store(config.store_events, config.store_age_s)
        self.streams = Streams(self.store, is_live)

    # --- records

    def is_new(self, key: StreamKey, seq: int) -> bool:
        """Whether that record was not had yet and there is room for it."""
        stream = self.streams.get(key)
        if stream is None:
            return self._has_room(seq, 0) and self.streams.has_room_for(key)
        return seq > stream.head and seq not in stream.ahead and self._has_room(seq, stream.head)

    def had(self, key: StreamKey, seq: int) -> bool:
        """Whether that record was delivered, passed over or is held."""
        stream = self.streams.get(key)
        return stream is not None and (seq <= stream.head or seq in stream.ahead)

    def _has_room(self, seq: int, head: int) -> bool:
        """What is next in order waits for nothing; the rest is bounded, all streams together."""
        there = self.streams
        return seq == head + 1 or (there.held < MAX_AHEAD and there.held_bytes < MAX_AHEAD_BYTES)

    def add(self, record: Record, now: float) -> list[Record]:
        """A new, genuine record; the records that are now in order."""
        key, seq = record.key, record.seq
        stream = self.streams.open(key)
        stream.known = max(stream.known, seq)
        stream.priority = min(stream.priority, record.priority)
        self.streams.hold(stream, record)
        self.store.add(record, now)
        ready = self._in_order(key, stream, now)
        self.expire(now)
        return ready

    def proves(self, record: Record) -> bool:
        """Whether a record without payload tells something new."""
        stream = self.streams.get(record.key)
        if stream is None:
            return self.streams.has_room_for(record.key)
        return record.seq > max(stream.head, stream.lost)

    def learn(self, record: Record, now: float) -> None:
        """A genuine header alone: its origin got that far, and the event may be gone."""
        stream = self.streams.open(record.key)
        stream.known = max(stream.known, record.seq)
        stream.priority = min(stream.priority, record.priority)
        stream.lose(record)
        if stream.stuck_since is None:
            stream.stuck_since = now

    def _in_order(self, key: StreamKey, stream: Stream, now: float) -> list[Record]:
        ready = []
        while stream.head + 1 in stream.ahead:
            ready.append(self.streams.let_go(stream, stream.head + 1))
            stream.moved_to(stream.head + 1)
        if ready:
            stream.begun = True
            self.streams.moved(key, now)
        if stream.head >= stream.known:
            stream.stuck(None)
        elif ready or stream.stuck_since is None:
            stream.stuck(now)
        return ready

    def overdue(self, now: float) -> list[Gap | Record]:
        """What waited for an event that nobody will send: the gap before it, and it.

        So it is when an origin died of whose last events each of us lacks some. What waits is
        shared first. It waits as long as events are kept, for those may have what is lacking who
        are out of reach now; a stop or command waits not much longer than a gap does.
        """
        found: list[Gap | Record] = []
        for key, stream in self.streams.waiting() if self.streams.held else ():
            since = now if stream.stuck_since is None else stream.stuck_since
            urgent = stream.priority <= COMMAND
            if now - since >= (2 * GAP_PATIENCE_S if urgent else self.store.age_s):
                stream.begun = True
                found += self._pass_over(key, stream, stream.known, now)
            elif now - since >= GAP_PATIENCE_S and not stream.stale:
                stream.stuck(since, stale=True)
        return found

    def expire(self, now: float) -> None:
        """Let go of what is too old or too much; the newest header of it stays as proof."""
        for key, seq, raw in self.streams.expire(now):
            stream = self.streams.get(key)
            if stream is not None and seq > stream.lost:
                stream.lose(records.proof_of(raw))

    # --- with a peer

    def compare(self, heads: list[Head], whole: bool) -> tuple[list[Span], bool]:
        """A peer's heads: what of it we lack; and whether the peer lacks something of ours."""
        spans: list[Span] = []
        behind = False
        for origin, boot, channel, head in heads:
            key = (origin, boot, channel)
            stream = self.streams.get(key)
            if stream is None:
                if head and self.streams.has_room_for(key):
                    spans.append((*key, 1, head))
            elif head < stream.head:
                behind = True
            elif head > stream.head:
                spans += _lacking(key, stream, head)
        if whole and not behind:
            told = {(origin, boot, channel) for origin, boot, channel, _ in heads}
            behind = any(each not in told for each in self.streams.current())
        return spans[:MAX_SPANS], behind

    def serve(self, spans: list[Span]) -> list[tuple[int, Events]]:
        """What a peer wants and we have, bounded, by priority: stops first, by themselves."""
        known = [(self.streams.get(each[:3]), each) for each in spans]
        wanted = [(stream, span) for stream, span in known if stream is not None]
        wanted.sort(key=lambda each: each[0].priority)
        served: dict[int, Events] = {}
        room = Room()
        for stream, span in wanted:
            if room.is_full:
                break
            frame = served.setdefault(min(stream.priority, NOTICE), Events([], []))
            self._serve(stream, span, frame, room)
        done = [(priority, frame) for priority, frame in served.items() if frame.upto]
        if not room.is_full:
            return done
        return [(each, msgspec.structs.replace(frame, more=True)) for each, frame in done]

    def _serve(self, stream: Stream, span: Span, frame: Events, room: Room) -> None:
        origin, boot, channel, first, last = span
        had = len(frame.records)
        if stream.proof is not None and first <= stream.lost <= min(last, stream.head):
            room.take(stream.proof)
            frame.records.append(msgspec.Raw(stream.proof))
        for seq, raw in self.store.within((origin, boot, channel), first, last, MAX_REPAIR + 1):
            if room.is_full:
                last = seq - 1
                break
            room.take(raw)
            frame.records.append(msgspec.Raw(raw))
        last = min(last, stream.head)
        if first <= last or len(frame.records) > had:
            frame.upto.append((origin, boot, channel, last))

    def passed(self, heads: list[Head], start: int, now: float) -> list[Gap | Record]:
        """A peer sent all it has up to there: gaps, and the records they let through, in order.

        What was lost before we began, by the clock's stamp `start`, is passed over at once, and
        silently where nothing of the stream was had yet. For the rest we wait for other peers a
        while.
        """
        found: list[Gap | Record] = []
        patient: dict[StreamKey, bool] = {}
        for origin, boot, channel, told in heads:
            key = (origin, boot, channel)
            stream = self.streams.get(key)
            if stream is None or min(told, stream.known) <= stream.head:
                continue
            since = now if stream.stuck_since is None else stream.stuck_since
            patient.setdefault(key, now - since < GAP_PATIENCE_S)
            if stream.head < stream.lost and stream.lost_stamp < start:
                found += self._pass_over(key, stream, min(told, stream.lost), now)
            elif not patient[key]:
                stream.begun = True
                found += self._pass_over(key, stream, min(told, stream.known), now)
        return found

    def _pass_over(
        self, key: StreamKey, stream: Stream, upto: int, now: float
    ) -> list[Gap | Record]:
        found: list[Gap | Record] = []
        head = stream.head
        for seq in [*sorted(each for each in stream.ahead if each <= upto), upto + 1]:
            if seq > head + 1 and stream.begun:
                found.append(Gap(key, head + 1, seq - 1))
            if seq <= upto:
                found.append(self.streams.let_go(stream, seq))
                stream.begun = True
            head = seq
        stream.moved_to(upto)
        self.streams.moved(key, now)
        return found + self._in_order(key, stream, now)


class Room:
    """What one answer may still hold."""

    def __init__(self) -> None:
        self.records = MAX_REPAIR
        self.bytes = MAX_REPAIR_BYTES

    @property
    def is_full(self) -> bool:
        return self.records <= 0 or self.bytes <= 0

    def take(self, raw: bytes) -> None:
        """One more record goes in."""
        self.records -= 1
        self.bytes -= len(raw)


def _lacking(key: StreamKey, stream: Stream, head: int) -> list[Span]:
    """The first holes above our head up to the peer's."""
    spans: list[Span] = []
    first = stream.head + 1
    for seq in [*sorted(each for each in stream.ahead if each <= head), head + 1]:
        if seq > first:
            spans.append((*key, first, seq - 1))
        first = seq + 1
    return spans[:MAX_HOLES]
