"""A net that keeps what was sent, and records from afar, for the tests of events."""

from __future__ import annotations

import msgspec

from mtor_swarm import events
from mtor_swarm.config import GossipConfig
from mtor_swarm.swarm.gossip import effects as fx
from mtor_swarm.swarm.gossip import hlc, records, wire
from mtor_swarm.swarm.gossip.records import Record
from mtor_swarm.swarm.simnet.keys import HashKeys
from tests.simulation.harness import WALL, Member, Net, event


class Watched(Net):
    """A net that keeps what was sent."""

    def __init__(self, seed: int = 1, config: GossipConfig | None = None) -> None:
        super().__init__(seed, config)
        self.frames: list[tuple[str, fx.Send]] = []

    def _carry(self, member: Member, send: fx.Send) -> None:
        self.frames.append((member.name, send))
        super()._carry(member, send)

    def of(self, kind: type, by: str = "") -> list[fx.Send]:
        return [e for name, e in self.frames if isinstance(e.frame, kind) and by in ("", name)]


def record(seq: int, name: str = "far", *, boot: int = 1, **more) -> Record:
    keys = HashKeys(name)
    payload = more.get("payload", events.to_msgpack(event(seq)))
    key = (events.fingerprint(keys.public_key), boot, "events")
    stamp = more.get("stamp", hlc.at(WALL))
    return records.make(
        keys,
        key,
        seq,
        priority=2,
        stamp=stamp,
        type="mtor.unit.changed",
        payload=payload,
    )


def forged() -> bytes:
    packed = msgspec.structs.replace(record(1).packed, signature=b"x" * 32)
    return msgspec.msgpack.encode(packed)


def give(net: Net, to: Member, sender: Member, *given: Record | bytes, **more) -> None:
    raws = [msgspec.Raw(e.raw if isinstance(e, Record) else e) for e in given]
    net.give(to, fx.Received(sender.id, wire.Events(raws, **more)))


def counted(member: Member, reason: str) -> int:
    return member.machine.out.counters.get(reason, 0)
