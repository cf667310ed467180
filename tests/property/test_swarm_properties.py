from __future__ import annotations

import contextlib
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from mtor_swarm.config import GossipConfig
from mtor_swarm.errors import WireError
from mtor_swarm.swarm.gossip import effects as fx
from mtor_swarm.swarm.gossip import wire
from mtor_swarm.swarm.gossip.membership import Membership
from mtor_swarm.swarm.gossip.wire import Doubt, Fact
from tests.simulation.harness import HashKeys, Net, event

A, B = "a" * 32, "b" * 32
fact = st.builds(
    lambda boot, incarnation, left: Fact(
        b"k" * 32,
        b"",
        boot=boot,
        incarnation=incarnation,
        address="tcp://x:1",
        unit="u",
        role="unit",
        started_s=0.0,
        link=b"l" * 32,
        left=left,
    ),
    st.integers(1, 3),
    st.integers(1, 3),
    st.booleans(),
)
told = st.tuples(fact, st.none() | st.tuples(st.booleans(), st.integers(0, 2)))


@given(st.binary(max_size=400))
def test_arbitrary_bytes_are_a_frame_or_a_wire_error(raw: bytes) -> None:
    with contextlib.suppress(WireError):
        wire.encode(wire.decode(raw))


@given(st.lists(told, max_size=8), st.randoms(use_true_random=False))
def test_membership_is_the_same_whatever_the_order_of_the_news(news, rng) -> None:
    def merged(items):
        members = Membership(A, GossipConfig())
        for each, doubt in items:
            members.learn_fact(B, each, 0.0)
            if doubt is not None:
                dead, more = doubt
                members.learn_doubt(Doubt(B, each.boot, each.incarnation + more, dead, A), 0.0)
        return members.views[B].key if news else None

    shuffled = list(news)
    rng.shuffle(shuffled)
    assert merged(news) == merged(shuffled)
    assert merged(news) == merged(news + shuffled)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 4))
def test_mangled_frames_from_a_peer_never_raise(seed: int, flips: int) -> None:
    rng = random.Random(seed)
    net = Net(3)
    members = net.grow(3)
    sent: list[wire.Frame] = [
        each.frame
        for each in members[1].machine.handle(fx.Published(event(1)), net.now)
        if isinstance(each, fx.Send)
    ]
    sent += [
        members[1].machine.all_known_pull(),
        wire.Heads(members[1].machine.news.repair.heads(), True),
        wire.Ping(1, 5),
        wire.Ack(1, "0" * 32),
        wire.PingRequest(1, "0" * 32),
        wire.Digest(b"", b""),
        wire.Ask(1, "k", b""),
        wire.Answer(9, True, b""),
        wire.sign(
            wire.Beacon(HashKeys("m1").public_key, b"", boot=1, seq=1, state=b"\xc1"),
            HashKeys("m1"),
        ),
    ]
    for frame in sent:
        raw = bytearray(wire.encode(frame))
        for _ in range(flips):
            raw[rng.randrange(len(raw))] = rng.randrange(256)
        with contextlib.suppress(WireError):
            net.give(members[0], fx.Received(members[1].id, wire.decode(bytes(raw))))
    net.run(1.0)
