"""Records, and two members that repair each other, for the tests of events."""

from __future__ import annotations

from mtor_swarm import events
from mtor_swarm.config import GossipConfig
from mtor_swarm.swarm.gossip import records
from mtor_swarm.swarm.gossip.records import Record, StreamKey
from mtor_swarm.swarm.gossip.repair import Gap, Repair
from mtor_swarm.swarm.simnet.keys import HashKeys

UNIT = "mtor.unit.changed"
STOP = "mtor.stop.issued"


def key_of(name: str, boot: int = 1, channel: str = "events") -> StreamKey:
    return (events.fingerprint(HashKeys(name).public_key), boot, channel)


def record(seq: int, name: str = "a", *, boot: int = 1, channel: str = "events", **more) -> Record:
    kind = more.get("type", UNIT)
    return records.make(
        HashKeys(name),
        key_of(name, boot, channel),
        seq,
        priority=events.priority_of(kind),
        stamp=more.get("stamp", 1000 + seq),
        type=kind,
        payload=more.get("payload", b"p" * 10),
    )


def header_of(whole: Record) -> Record:
    return records.proof_of(whole.raw)


def repairs(live: bool = True, **config) -> Repair:
    return Repair(GossipConfig(**config), lambda key: live)


def seqs(found: list[Gap | Record]) -> list[int | tuple[int, int]]:
    return [each.seq if isinstance(each, Record) else (each.first, each.last) for each in found]


def answered(
    asker: Repair, server: Repair, spans: list, now: float
) -> list[int | tuple[int, int]]:
    """One round: what the asker wants of the server, and what it tells its consumers."""
    told: list[Gap | Record] = []
    for _, frame in server.serve(spans):
        for raw in frame.records:
            each = records.read(records.unpack(raw), raw)
            if each.packed.payload is None:
                if asker.proves(each):
                    asker.learn(each, now)
            elif asker.is_new(each.key, each.seq):
                told += asker.add(each, now)
        told += asker.passed(frame.upto, 0, now)
    return seqs(told)
