from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from mtor_swarm.config import GossipConfig
from mtor_swarm.errors import WireError
from mtor_swarm.swarm.gossip import effects as fx
from mtor_swarm.swarm.gossip import records
from mtor_swarm.swarm.gossip.repair import GAP_PATIENCE_S, Gap, Repair
from mtor_swarm.swarm.simnet.keys import HashKeys
from tests.simulation.harness import Member, Net, event
from tests.unit.news_play import key_of, record

CHANNELS = (("mtor.unit.changed", "events"), ("mtor.stop.issued", "stop"))


def heard(member: Member, origin: Member, channel: str) -> list[int]:
    """The sequence numbers that a consumer was told of a stream, gaps too, as they came."""
    told: list[int] = []
    for each in member.events:
        if each.type == "mtor.gap.found":
            if (each.data["member"], each.data["member_channel"]) == (origin.id, channel):
                told += range(each.data["first"], each.data["last"] + 1)
        elif (each.origin, each.channel) == (origin.id, channel):
            told.append(each.seq)
    return told


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    loss=st.sampled_from([0.0, 0.1, 0.4]),
    duplication=st.sampled_from([0.0, 0.3]),
    delay=st.sampled_from([0.003, 0.1]),
    store=st.sampled_from([16, 4096]),
)
def test_each_consumer_has_each_event_once_and_in_order_or_a_gap(
    seed, loss, duplication, delay, store
) -> None:
    rng = random.Random(seed)
    net = Net(seed, GossipConfig(store_events=store))
    members = net.grow(5)
    net.loss, net.duplication, net.delay_s = loss, duplication, (0.001, delay)
    if rng.random() < 0.5:
        for each in members:
            for other in members:
                net.give(each, fx.Lossy(other.id, loss))
    said: dict[tuple[str, str], int] = {}
    for i in range(60):
        by = members[rng.randrange(3)]
        kind, channel = rng.choice(CHANNELS)
        said[by.name, channel] = said.get((by.name, channel), 0) + 1
        net.give(by, fx.Published(event(i, kind, channel=channel)))
        if i == 20:
            net.side = {"m4": 1}
        if i == 40:
            net.side = {}
        net.run(rng.choice([0.0, 0.01, 0.2]))
    net.loss = 0.0
    net.run(25.0)
    for (name, channel), count in said.items():
        for each in members:
            if each.name != name:
                told = heard(each, net.members[name], channel)
                assert told == list(range(1, count + 1)), (each.name, name, channel)


@settings(max_examples=100, deadline=None)
@given(
    order=st.lists(st.integers(1, 12), max_size=40),
    words=st.lists(st.tuples(st.integers(0, 2**40), st.integers(0, 4)), max_size=6),
)
def test_whatever_comes_and_whatever_peers_say_nothing_is_told_twice_or_out_of_order(
    order, words
) -> None:
    here = Repair(GossipConfig(store_events=16), lambda key: True)
    told: list[int] = []
    now = 0.0
    for step, seq in enumerate(order):
        if here.is_new(key_of("a"), seq):
            told += [each.seq for each in here.add(record(seq), now)]
        for upto, when in words:
            if when == step % 5:
                now += GAP_PATIENCE_S
                for each in here.passed([(*key_of("a"), upto)], 0, now):
                    told += (
                        range(each.first, each.last + 1) if isinstance(each, Gap) else [each.seq]
                    )
    first = told[0] if told else 1
    assert told == list(range(first, first + len(told)))
    assert len(told) <= max(order, default=0)
    assert here.streams.held <= 12


@given(st.integers(1, 2**62), st.binary(max_size=200), st.integers(0, 400), st.integers(0, 255))
def test_a_record_with_any_byte_changed_is_refused_or_not_genuine(
    seq, payload, place, value
) -> None:
    raw = bytearray(record(seq, payload=payload).raw)
    place %= len(raw)
    if raw[place] == value:
        return
    raw[place] = value
    try:
        read = records.read(records.unpack(bytes(raw)), bytes(raw))
    except WireError:
        return
    assert not records.is_genuine(read, HashKeys("a"))


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_a_record_or_a_wire_error(raw: bytes) -> None:
    try:
        records.read(records.unpack(raw), raw)
    except WireError:
        return
