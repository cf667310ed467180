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
from tests.simulation.harness import Net, event

A, B = "a" * 32, "b" * 32
WITNESSES = ["c" * 32, "d" * 32, "e" * 32]


def fact_of(boot: int, incarnation: int, left: bool) -> Fact:
    return Fact(
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
    )


fact = st.builds(fact_of, st.integers(1, 3), st.integers(1, 3), st.booleans())
told = st.tuples(
    fact, st.none() | st.tuples(st.sampled_from(WITNESSES), st.booleans(), st.integers(0, 2))
)


@given(st.binary(max_size=400))
def test_arbitrary_bytes_are_a_frame_or_a_wire_error(raw: bytes) -> None:
    with contextlib.suppress(WireError):
        wire.encode(wire.decode(raw))


@given(st.lists(told, max_size=8), st.randoms(use_true_random=False))
def test_membership_is_the_same_in_the_end_whatever_the_order_of_the_news(news, rng) -> None:
    def merged(items):
        members = Membership(A, GossipConfig(), random.Random(1))
        for witness in WITNESSES:
            members.learn_fact(witness, fact_of(1, 1, False), 0.0)
        for each, doubt in items + items:
            members.learn_fact(B, each, 0.0)
            if doubt is not None:
                witness, sure, more = doubt
                said = Doubt(
                    b"",
                    b"",
                    member=B,
                    boot=each.boot,
                    incarnation=each.incarnation + more,
                    sure=sure,
                )
                if members.tells(said, witness):
                    members.learn_doubt(said, witness, 0.0)
        view = members.views.get(B)
        return (view.age, view.rank) if view else None

    shuffled = list(news)
    rng.shuffle(shuffled)
    assert merged(news) == merged(shuffled)


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
        wire.Spread([members[1].machine.fact], [], True),
        wire.Known([(members[0].id, 1, 9, 2)], True),
        wire.Neighbour("ask", 0),
        wire.Heads(members[1].machine.news.repair.streams.recent(), True, True),
        wire.Ping(1),
        wire.Ack(1, "0" * 32),
        wire.PingRequest(1, "0" * 32),
        wire.Digest(b"", b""),
        wire.Ask(1, "k", b""),
        wire.Answer(9, True, b""),
        wire.AnswerPart(1, 0, b""),
        wire.AskOver(1),
        wire.Beacon(b"\xc1", b""),
        wire.Want([(members[0].id, 1, "events", 1, 9)]),
        wire.Have([b"12345678"]),
        wire.Graft([b"12345678"], True),
        wire.Prune(members[0].id),
        wire.Sprout("0" * 32, 1, 0),
        wire.Quiet(members[0].id),
    ]
    for frame in sent:
        raw = bytearray(wire.encode(frame))
        for _ in range(flips):
            raw[rng.randrange(len(raw))] = rng.randrange(256)
        with contextlib.suppress(WireError):
            net.give(members[0], fx.Received(members[1].id, wire.decode(bytes(raw))))
    net.run(1.0)
