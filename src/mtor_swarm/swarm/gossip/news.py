"""Events and beacons of one member's machine: signed, pushed, repaired, delivered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mtor_swarm import events
from mtor_swarm.errors import EventError
from mtor_swarm.events import Event, UnitState
from mtor_swarm.swarm.gossip import effects as fx
from mtor_swarm.swarm.gossip import hlc, wire
from mtor_swarm.swarm.gossip.repair import Gap, Repair

if TYPE_CHECKING:
    from mtor_swarm.swarm.gossip.machine import Machine

BUSY_S = 3.0
"""Events flowed within this time: digests go out at the busy pace."""


class News:
    """What a machine does about events and beacons."""

    def __init__(self, machine: Machine) -> None:
        self.m = machine
        self.out = machine.out
        self.clock = hlc.Clock()
        self.repair = Repair(machine.config)
        self._seqs: dict[str, int] = {}
        self._busy_until = 0.0
        self._state: UnitState | None = None
        self._beacon_seq = 0
        self._beacon_due = 0.0
        self._beacons: dict[str, tuple[int, int]] = {}

    def publish(self, event: Event, now: float) -> None:
        """Sign an event of ours and push it."""
        channel = event.channel or "events"
        seq = self._seqs[channel] = self._seqs.get(channel, 0) + 1
        record = wire.sign(
            wire.Record(
                self.m.signer.public_key,
                b"",
                version=wire.VERSION,
                boot=self.m.boot,
                channel=channel,
                seq=seq,
                priority=events.priority_of(event.type),
                stamp=self.clock.tick(now + self.m.wall_offset_s),
                type=event.type,
                payload=events.to_msgpack(event),
            ),
            self.m.signer,
        )
        self.repair.add((self.m.member_id, self.m.boot, channel), record, now)
        self._push([record], now, but="")

    def received(self, sender: str, frame: wire.Frame, now: float) -> None:
        """A frame about events or beacons."""
        if isinstance(frame, wire.Events):
            self._records(sender, frame.records, now)
        elif isinstance(frame, wire.Digest):
            self._digest(sender, frame)
        elif isinstance(frame, wire.Heads):
            self._heads(sender, frame, now)
        elif isinstance(frame, wire.Beacon):
            self._beacon(sender, frame)

    def fired(self, name: str, now: float) -> None:
        """The digest's or the beacon's timer."""
        if name == "digest":
            self._send_digest(now)
        elif name == "beacon":
            self._send_beacon(now)

    # --- events

    def _records(self, sender: str, records: list[wire.Record], now: float) -> None:
        fresh = []
        for record in records:
            key = (record.origin, record.boot, record.channel)
            if key[0] == self.m.member_id or not self.repair.is_new(key, record.seq):
                self.out.count("duplicates")
            elif record.version != wire.VERSION:
                self.out.count("other version")
            elif not wire.is_genuine(record, self.m.verifier):
                self.out.count("forged")
            else:
                if not self.clock.observe(record.stamp, now + self.m.wall_offset_s):
                    self.out.count("from the future")
                fresh.append(record)
                self._deliver(self.repair.add(key, record, now))
        if fresh:
            self._push(fresh, now, but=sender)

    def _push(self, records: list[wire.Record], now: float, but: str) -> None:
        self._busy_until = now + BUSY_S
        soon = now + self.m.config.digest_busy_s
        if not self.m.is_due_by("digest", soon):
            self.out.add(fx.SetTimer("digest", soon))
        priority = min(each.priority for each in records)
        origins = {each.origin for each in records}
        for member in self.m.near:
            if member != but and origins != {member}:
                self.m.send(member, wire.Events(records), priority)

    def _deliver(self, records: list[wire.Record]) -> None:
        for record in records:
            try:
                event = events.from_msgpack(record.payload)
            except EventError:
                self.out.count("not events")
                continue
            self.out.add(
                fx.Deliver(
                    msgspec.structs.replace(
                        event,
                        type=record.type,
                        origin=record.origin,
                        boot=record.boot,
                        channel=record.channel,
                        seq=record.seq,
                        stamp=hlc.text(record.stamp),
                    )
                )
            )

    def _gap(self, gap: Gap, now: float) -> None:
        (origin, boot, channel), first, last = gap
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
                    time=events.now_text(now + self.m.wall_offset_s),
                    data=msgspec.to_builtins(data),
                )
            )
        )

    # --- repair

    def _send_digest(self, now: float) -> None:
        busy = now < self._busy_until
        self.repair.expire(now)
        pace = self.m.config.digest_busy_s if busy else self.m.config.digest_idle_s
        self.out.add(fx.SetTimer("digest", now + pace))
        assert self.m.fact is not None
        digest = wire.Digest(self.repair.digest(), self.m.members.digest(self.m.fact))
        live = self.m.members.live()
        chosen = {self.m.rng.choice(pool) for pool in (self.m.near, live) if pool}
        for member in sorted(chosen):
            self.m.send(member, digest)

    def _digest(self, sender: str, frame: wire.Digest) -> None:
        assert self.m.fact is not None
        if frame.members != self.m.members.digest(self.m.fact):
            self.m.send(sender, self.m.all_known_pull())
        if frame.events != self.repair.digest():
            self.m.send(sender, wire.Heads(self.repair.heads(), True))

    def _heads(self, sender: str, frame: wire.Heads, now: float) -> None:
        lacking, gaps, ready = self.repair.compare(frame.heads, now)
        for gap in gaps:
            self._gap(gap, now)
        self._deliver(ready)
        missing = self.repair.missing_at(frame.heads)
        if missing:
            self.m.send(sender, wire.Events(missing))
        if frame.reply and lacking:
            self.m.send(sender, wire.Heads(self.repair.heads(), False))
        if lacking:
            self._busy_until = now + BUSY_S

    # --- beacons

    def state_changed(self, state: UnitState, now: float) -> None:
        """Spread our unit's state, at most once a beacon period; the latest wins."""
        self._state = state
        if now >= self._beacon_due:
            self._send_beacon(now)
        else:
            self.out.add(fx.SetTimer("beacon", self._beacon_due))

    def _send_beacon(self, now: float) -> None:
        if self._state is None:
            return
        self._beacon_seq += 1
        self._beacon_due = now + self.m.config.beacon_period_s
        body = msgspec.msgpack.encode(self._state)
        self._state = None
        beacon = wire.Beacon(
            self.m.signer.public_key, b"", boot=self.m.boot, seq=self._beacon_seq, state=body
        )
        self._flood(wire.sign(beacon, self.m.signer), but="")

    def _beacon(self, sender: str, beacon: wire.Beacon) -> None:
        origin, age = beacon.origin, (beacon.boot, beacon.seq)
        if origin == self.m.member_id or age <= self._beacons.get(origin, (0, 0)):
            return
        if origin not in self.m.members.views:
            self.out.count("beacons of strangers")
            return
        if not wire.is_genuine(beacon, self.m.verifier):
            self.out.count("forged")
            return
        try:
            state = msgspec.msgpack.decode(beacon.state, type=UnitState)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self.out.count("not states")
            return
        self._beacons[origin] = age
        self.out.add(fx.BeaconHeard(origin, state))
        self._flood(beacon, but=sender)

    def _flood(self, beacon: wire.Beacon, but: str) -> None:
        for member in self.m.near:
            if member not in (but, beacon.origin):
                self.m.send(member, beacon, 3)
