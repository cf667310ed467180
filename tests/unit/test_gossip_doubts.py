"""Doubts that come thick, and tables that are long: what is passed on when, and how often."""

from __future__ import annotations

import random

import pytest

from mtor_swarm.swarm.gossip import hearsay, wire
from mtor_swarm.swarm.gossip.repair import Repair
from mtor_swarm.swarm.gossip.wire import MAX_TOLD
from mtor_swarm.swarm.simnet import scenario
from mtor_swarm.swarm.simnet.play import Play
from tests.simulation.harness import Net
from tests.unit.gossip_play import doubt
from tests.unit.news_play import record, repairs


def _doubts_of(net: Net, number: int) -> list[wire.Spread]:
    """So many doubts of others come to m0 within a millisecond, and are passed on."""
    here, names = net.members["m0"].machine, list(net.members)
    told: list[wire.Spread] = []
    send = here.send

    def note(member: str, frame: wire.Frame, *more: object) -> None:
        if isinstance(frame, wire.Spread) and frame.doubts:
            told.append(frame)
        send(member, frame, *more)  # type: ignore[arg-type]

    here.send = note  # type: ignore[method-assign]
    for each in names[2 : 2 + number]:
        net.run(0.00001)
        frame = wire.Spread([], [doubt("m1", each, sure=True)])
        here.hearsay.spread(here.members.live()[0], frame, net.now)
    net.run(0.1)
    return told


def test_the_first_doubts_go_on_at_once_and_the_rest_in_one_frame() -> None:
    net = Net(1)
    net.grow(16)
    told = _doubts_of(net, 12)
    single = [each for each in told if len(each.doubts) == 1]
    many = [each for each in told if len(each.doubts) > 1]
    links = len(net.members["m0"].machine.overlay.active)
    assert len(single) <= (hearsay.HURRIED + 1) * links
    assert {len(each.doubts) for each in many} == {12 - hearsay.HURRIED}
    assert max(len(each.doubts) for each in told) <= MAX_TOLD


def test_a_table_is_told_whole_to_one_at_a_time_and_rarely_where_it_is_long() -> None:
    net = Net(2)
    net.grow(4)
    here = net.members["m0"].machine
    peer = here.members.live()[0]
    here.out.drain()
    for _ in range(5):
        here.hearsay.compare(peer, b"another!", net.now)
    assert len(here.out.drain()) == 1
    here.hearsay.compare(peer, b"another!", net.now + hearsay.COMPARE_S)
    assert len(here.out.drain()) == 1


def _from_scratch(repair: Repair) -> bytes:
    streams = repair.streams
    found = [streams.get(each) for each in streams.current()]
    return (sum(each.hash() for each in found if each) % 2**64).to_bytes(8, "big")


@pytest.mark.parametrize("seed", range(8))
def test_the_digest_of_streams_is_that_of_all_of_them_whatever_happened(seed: int) -> None:
    rng = random.Random(seed)
    gone: set[str] = set()
    repair = repairs(store_events=16, store_age_s=20.0)
    repair.streams.is_live = lambda key: key[0] not in gone
    for step in range(300):
        each = record(rng.randint(1, 12), f"m{rng.randrange(6)}", boot=rng.randint(1, 3))
        if rng.random() < 0.1:
            gone ^= {each.key[0]}
            repair.streams.origin_seen(each.key[0])
        elif rng.random() < 0.1:
            repair.passed([(*each.key, 12)], 0, float(step))
        elif repair.is_new(each.key, each.seq):
            repair.add(each, float(step))
        repair.overdue(float(step))
        repair.expire(float(step))
        assert repair.streams.digest() == _from_scratch(repair)


def test_a_large_swarm_that_parts_sends_few_frames_of_doubts() -> None:
    told = scenario.parse(
        """about = "x"
false_deaths = true
for_s = 12
[[steps]]
at_s = 1
do = "part"
share = 0.4
for_s = 6
"""
    )
    made = Play("parts", told, 100, 1)
    report = made.run()
    assert report.ok
    assert report.frames_s < 120
