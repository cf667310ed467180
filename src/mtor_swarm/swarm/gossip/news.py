"""Events of one member's machine: signed, pushed, repaired, delivered."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from mtor_swarm import events
from mtor_swarm.errors import EventError, WireError
from mtor_swarm.events import Event, UnitState
from mtor_swarm.swarm.gossip import effects as fx
from mtor_swarm.swarm.gossip import hlc, records, wire
from mtor_swarm.swarm.gossip.backlog import Backlog
from mtor_swarm.swarm.gossip.beacons import Beacons
from mtor_swarm.swarm.gossip.plumtree import MAX_HOPS, Plumtree
from mtor_swarm.swarm.gossip.records import Record, StreamKey
from mtor_swarm.swarm.gossip.repair import MAX_HEADS, Gap, Repair

if TYPE_CHECKING:
    from mtor_swarm.swarm.gossip.machine import Machine

BUSY_S = 2.0
"""Events flowed within this time: digests go out at the busy pace."""
SETTLE_S = 0.1
"""Of what moved within this time nothing is compared: it is on its way to all."""
GATHER_S = 0.03
"""What peers have and we lack is gathered for this long, to want it from one of them."""
WHOLE_EVERY = 5
"""Of the digests that are sent while events flow, one in so many is about all streams."""
PUSH_AGE_S = 10.0
"""An event repaired within this time goes on as if it were new; older ones wait for digests."""
MAX_PEERS = 16
"""Peers that events are wanted from at the same time."""
ANSWER_S = 0.3
"""A stream is wanted from one peer at a time, unless that one is silent for so long."""
SMALL = 128
"""Below this number of members, and while all are known, there is a common tree."""
SPROUT_S = 0.5
"""The common tree grows anew when nobody came or went for so long."""


class News:
    """What a machine does about events."""

    def __init__(self, machine: Machine) -> None:
        self.m = machine
        self.out = machine.out
        self.clock = hlc.Clock()
        self.repair = Repair(machine.config, self._is_live)
        self.tree = Plumtree(self._send, machine.out, machine.loss)
        self.beacons = Beacons(machine)
        self._seqs: dict[str, int] = {}
        self._busy_until = 0.0
        self._peers: OrderedDict[str, wire.Heads] = OrderedDict()
        self._wanted: dict[StreamKey, float] = {}
        self.backlog = Backlog()
        self._digests = 0
        self._there: list[str] = []
        self._sprouts_sent = 0
        tree, beacons = self.tree, self.beacons
        self._frames: dict[type, Callable[[str, Any, float], None]] = {
            wire.Events: self._events,
            wire.Digest: self._digest,
            wire.Heads: self._heads,
            wire.Want: self._serve,
            wire.Have: lambda sender, it, now: tree.have(sender, it.names, now),
            wire.Graft: self._grafted,
            wire.Prune: lambda sender, it, now: tree.pruned(sender, it.tree),
            wire.Sprout: self._sprouts,
            wire.Beacon: beacons.received,
            wire.Quiet: lambda sender, it, now: beacons.quieted(sender, it.member, now),
        }
        self._timers: dict[str, Callable[[float], None]] = {
            "digest": self._send_digest,
            "want": self._ask_peers,
            "have": lambda now: tree.tell(),
            "graft": tree.ask_missing,
            "sprout": self._sprout,
            "beacon": beacons.send,
        }

    def publish(self, event: Event, now: float) -> None:
        """Sign an event of ours and push it."""
        channel = event.channel or "events"
        seq = self._seqs[channel] = self._seqs.get(channel, 0) + 1
        record = records.make(
            self.m.signer,
            (self.m.member_id, self.m.boot, channel),
            seq,
            priority=events.priority_of(event.type),
            stamp=self.clock.tick(self._wall(now)),
            type=event.type,
            payload=events.to_msgpack(event),
        )
        self.repair.add(record, now)
        self._push([record], "", now)

    def has_room(self, now: float) -> bool:
        """Whether peers keep up with what we publish: if not, publish no more for now."""
        peers = len(self.m.members.live())
        return self.backlog.common(peers, now) < self.m.config.store_events // 4

    def link_up(self, member: str, now: float) -> None:
        """The overlay has a new link: compare at once."""
        self.tree.link_up(member)
        self._digest_by(now + 0.02)

    def link_down(self, member: str, now: float) -> None:
        """The overlay has lost a link."""
        self.tree.link_down(member)

    def state_changed(self, state: UnitState, now: float) -> None:
        """Our unit's latest state."""
        self.beacons.state_changed(state, now)

    def received(self, sender: str, frame: wire.Frame, now: float) -> None:
        """A frame about events or beacons."""
        self._frames[type(frame)](sender, frame, now)

    def fired(self, name: str, now: float) -> None:
        """A timer of events or beacons."""
        self._timers[name](now)

    def _wall(self, now: float) -> float:
        return now + self.m.wall_offset_s

    def _send(self, member: str, frame: wire.Frame, priority: int = 2) -> None:
        self.m.send(member, frame, priority)

    def _is_live(self, key: StreamKey) -> bool:
        """Whether that stream's origin is there and in that boot still."""
        if key[0] == self.m.member_id:
            return key[1] == self.m.boot
        members = self.m.members
        return members.is_live(key[0]) and members.views[key[0]].fact.boot == key[1]

    # --- events

    def _events(self, sender: str, frame: wire.Events, now: float) -> None:
        fresh: list[Record] = []
        for raw in frame.records:
            try:
                packed = records.unpack(raw)
                copy = self.tree.recent.get(packed.name)
                if copy is not None and packed.payload is not None:
                    self.out.count("duplicates")
                    if not frame.upto:
                        self.tree.again(copy, sender, frame.hops)
                    continue
                record = records.read(packed, raw)
            except WireError:
                self.out.count("not records")
                continue
            if self._take(record, now):
                fresh.append(record)
        if fresh:
            since = hlc.at(self._wall(now) - PUSH_AGE_S) if frame.upto else 0
            live = [each for each in fresh if each.header.stamp >= since]
            self._push(live, sender, now, bool(frame.upto), frame.hops)
            if live and frame.upto:
                self.tree.mend(sender, live)
        if frame.upto:
            start = hlc.at(self._wall(self.m.started))
            self._tell(self.repair.passed(frame.upto, start, now), now)
            self._answered(sender, frame, bool(fresh), now)

    def _take(self, record: Record, now: float) -> bool:
        """Keep and deliver a record if it is new and genuine; whether it is to go on."""
        whole = record.packed.payload is not None
        repair, key = self.repair, record.key
        news = repair.is_new(key, record.seq) if whole else repair.proves(record)
        if not news:
            had = not whole or repair.had(key, record.seq)
            self.out.count("duplicates" if had else "no room for events")
        elif record.header.version != wire.VERSION:
            self.out.count("other version")
        elif self._is_over(record, now):
            self.out.count("replayed")
        elif not records.is_genuine(record, self.m.verifier):
            self.out.count("forged")
        else:
            if not self.clock.observe(record.header.stamp, self._wall(now)):
                self.out.count("from the future")
            if whole:
                for ready in self.repair.add(record, now):
                    self._deliver(ready)
            else:
                self.repair.learn(record, now)
            self._count_forgotten()
            return whole
        return False

    def _count_forgotten(self) -> None:
        streams = self.repair.streams
        if streams.forgotten:
            self.out.count("streams forgotten", streams.forgotten)
            streams.forgotten = 0

    def _is_over(self, record: Record, now: float) -> bool:
        """Of a boot that ended, and older than anyone keeps events: someone's recording."""
        view = self.m.members.views.get(record.key[0])
        if view is None or record.header.boot >= view.fact.boot:
            return False
        oldest = self._wall(now) - 2 * self.m.config.store_age_s - hlc.MAX_AHEAD_S
        return record.header.stamp < hlc.at(oldest)

    def _push(
        self, fresh: list[Record], sender: str, now: float, wanted: bool = False, hops: int = 0
    ) -> None:
        self._busy_until = now + BUSY_S
        self._digest_by(now + self.m.config.digest_busy_s)
        self.tree.push(fresh, sender, now, wanted, hops)

    def _deliver(self, record: Record) -> None:
        origin, boot, channel = record.key
        if origin == self.m.member_id or record.packed.payload is None:
            return
        try:
            event = events.from_msgpack(record.packed.payload)
        except EventError:
            self.out.count("not events")
            return
        self.out.add(
            fx.Deliver(
                msgspec.structs.replace(
                    event,
                    type=record.header.type,
                    origin=origin,
                    boot=boot,
                    channel=channel,
                    seq=record.seq,
                    stamp=hlc.text(record.header.stamp),
                )
            )
        )

    def _tell(self, found: list[Gap | Record], now: float) -> None:
        for each in found:
            if isinstance(each, Gap):
                self._gap(each, now)
            else:
                self._deliver(each)

    def _gap(self, gap: Gap, now: float) -> None:
        (origin, boot, channel), first, last = gap
        if origin == self.m.member_id:
            return
        self.out.count("gaps")
        data = events.GapFound(
            member=origin, member_boot=boot, member_channel=channel, first=first, last=last
        )
        self.out.add(
            fx.Deliver(
                Event(
                    id=f"gap-{origin}-{boot}-{channel}-{first}",
                    source="gossip",
                    type="mtor.gap.found",
                    time=events.now_text(self._wall(now)),
                    data=msgspec.to_builtins(data),
                )
            )
        )

    def _grafted(self, sender: str, frame: wire.Graft, now: float) -> None:
        for copy in self.tree.grafted(sender, frame.names):
            raw = self.repair.store.get(copy.key, copy.seq)
            if raw is not None and frame.want:
                priority = events.COMMAND if copy.urgent else events.NOTICE
                again = wire.Events([msgspec.Raw(raw)], hops=min(copy.hops + 1, MAX_HOPS))
                self._send(sender, again, priority)

    # --- repair

    def _digest_by(self, at: float) -> None:
        if not self.m.is_due_by("digest", at):
            self.out.add(fx.SetTimer("digest", at))

    def _send_digest(self, now: float) -> None:
        """To a neighbour; while events flow now and then to anyone, about all streams."""
        busy = now < self._busy_until
        self.repair.expire(now)
        self._tell(self.repair.overdue(now), now)
        pace = self.m.config.digest_busy_s if busy else self.m.config.digest_idle_s
        self.out.add(fx.SetTimer("digest", now + pace))
        self._see_who_is_there(now)
        self._digests += 1
        whole = not busy or self._digests % WHOLE_EVERY == 0
        links = list(self.tree.links)
        pool = self.m.members.live() if (busy and whole) or not links else links
        streams = self.repair.streams
        recent = [] if whole else streams.recent(now - SETTLE_S)
        if pool and (whole or recent):
            assert self.m.fact is not None
            digest = wire.Digest(streams.digest(), self.m.members.digest(self.m.fact), recent)
            self._send(self.m.rng.choice(pool), digest)

    # --- the common tree

    def _see_who_is_there(self, now: float) -> None:
        """Once members came or went, and it is quiet again, the common tree is to grow anew."""
        live = self.m.members.live()
        self.tree.small = self.m.members.whole and len(live) < SMALL
        if live != self._there:
            self._there = list(live)
            if self._is_root():
                self.out.add(fx.SetTimer("sprout", now + SPROUT_S))

    def _is_root(self) -> bool:
        return self.tree.small and bool(self._there) and self.m.member_id < self._there[0]

    def _sprout(self, now: float) -> None:
        if self._is_root():
            self._sprouts_sent += 1
            number = self.m.boot * 2**20 + self._sprouts_sent
            self.tree.sprout(wire.Sprout(self.m.member_id, number, 0))

    def _sprouts(self, sender: str, frame: wire.Sprout, now: float) -> None:
        live = self.m.members.live()
        if self.tree.small and live and frame.root <= min(live[0], self.m.member_id):
            self.tree.sprout(frame, sender)

    # --- repair with a peer

    def _digest(self, sender: str, frame: wire.Digest, now: float) -> None:
        self.m.hearsay.compare(sender, frame.members, now)
        if frame.events == self.repair.streams.digest():
            self.backlog.said(sender, 0, now)
            return
        streams, before = self.repair.streams, now - SETTLE_S
        if not frame.heads:
            heads, whole = streams.heads(MAX_HEADS)
            self._send(sender, wire.Heads(heads, True, whole))
            return
        settled = [each for each in frame.heads if streams.is_settled(each[:3], before)]
        if self._compare(sender, wire.Heads(settled, False, False), now):
            self._send(sender, wire.Heads(streams.recent(before), False, False))

    def _heads(self, sender: str, frame: wire.Heads, now: float) -> None:
        behind = self._compare(sender, frame, now)
        if frame.reply and (behind or not frame.whole):
            heads, whole = self.repair.streams.heads(MAX_HEADS)
            self._send(sender, wire.Heads(heads, False, whole))

    def _compare(self, sender: str, frame: wire.Heads, now: float) -> bool:
        """Want what we lack and the peer has; whether it lacks something that we have."""
        for origin, boot, channel, head in frame.heads:
            self._note_lag(sender, (origin, boot, channel), head, now)
        spans, behind = self.repair.compare(frame.heads, frame.whole)
        if spans:
            self._peers[sender] = frame
            if len(self._peers) > MAX_PEERS:
                self._peers.popitem(last=False)
            self._busy_until = now + BUSY_S
            if not self.m.is_due_by("want", now + GATHER_S):
                self.out.add(fx.SetTimer("want", now + GATHER_S))
        return behind

    def _note_lag(self, peer: str, key: StreamKey, head: int, now: float) -> None:
        """A peer is that far in a stream, which may be ours."""
        if key[:2] == (self.m.member_id, self.m.boot):
            self.backlog.said(peer, self._seqs.get(key[2], 0) - head, now)

    def _serve(self, sender: str, frame: wire.Want, now: float) -> None:
        for origin, boot, channel, first, _ in frame.spans:
            self._note_lag(sender, (origin, boot, channel), first - 1, now)
        for priority, part in self.repair.serve(frame.spans):
            self._send(sender, part, priority)

    def _ask_peers(self, now: float) -> None:
        self._wanted = {each: until for each, until in self._wanted.items() if until > now}
        for peer in list(self._peers):
            self._ask(peer, now)

    def _ask(self, peer: str, now: float) -> None:
        """Want from a peer what it has, we still lack and nobody else was asked for just now."""
        spans, _ = self.repair.compare(self._peers[peer].heads, False)
        free = [each for each in spans if self._wanted.get(each[:3], now) <= now]
        for span in free:
            self._wanted[span[:3]] = now + ANSWER_S
        if free:
            self._send(peer, wire.Want(free))
            self._peers.move_to_end(peer)  # should it be silent, others come first
        elif not spans:
            del self._peers[peer]

    def _answered(self, peer: str, answer: wire.Events, helped: bool, now: float) -> None:
        """What we wanted came: ask on while that helps."""
        for origin, boot, channel, _ in answer.upto:
            self._wanted.pop((origin, boot, channel), None)
        if not (answer.more and helped):
            self._peers.pop(peer, None)
        elif peer in self._peers:
            self._ask(peer, now)
