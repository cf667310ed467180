"""Scenarios in virtual time; each with several seeds, which the test's name tells."""

from __future__ import annotations

import itertools

import pytest

from mtor_swarm.config import GossipConfig
from mtor_swarm.events import UnitState
from mtor_swarm.swarm.gossip import effects as fx
from tests.simulation.harness import Net, event, numbers

seeds = pytest.mark.parametrize("seed", [1, 2, 3])


def all_see(net: Net, state: str = "alive") -> bool:
    return all(a.sees(b) == state for a in net.alive() for b in net.alive() if a is not b)


@seeds
@pytest.mark.parametrize("number", [2, 3, 8, 40, 100])
def test_members_that_know_one_address_all_meet(number: int, seed: int) -> None:
    net = Net(seed)
    net.grow(number)
    assert all_see(net)


@seeds
@pytest.mark.parametrize("number", [2, 7, 40])
def test_every_event_reaches_everyone_once_and_in_order_under_loss(number, seed) -> None:
    net = Net(seed)
    members = net.grow(number)
    net.loss, net.duplication, net.delay_s = 0.3, 0.2, (0.001, 0.1)
    for i in range(30):
        net.give(members[i % 2], fx.Published(event(i)))
        net.run(0.05)
    net.run(20.0)
    for origin in members[:2]:
        wanted = [i for i in range(30) if members[i % 2] is origin]
        for each in members:
            if each is not origin:
                assert numbers(each, origin) == wanted, each.name


@seeds
def test_nobody_is_falsely_declared_dead_under_loss(seed: int) -> None:
    net = Net(seed)
    net.grow(16)
    net.loss = 0.3
    net.run(120.0)
    assert net.false_deaths() == []


@seeds
def test_a_killed_process_is_known_to_all_at_once(seed: int) -> None:
    net = Net(seed)
    members = net.grow(12)
    net.kill(members[0])
    net.run(0.5)
    assert {each.sees(members[0]) for each in members[1:]} == {"dead"}
    assert net.false_deaths() == []


@seeds
@pytest.mark.parametrize("number", [2, 3, 12])
def test_a_silent_process_is_known_to_all_in_seconds(number: int, seed: int) -> None:
    net = Net(seed)
    members = net.grow(number)
    members[0].up = False
    net.run(6.0)
    assert {each.sees(members[0]) for each in members[1:]} == {"dead"}


@seeds
def test_a_stalled_member_doubts_itself_and_kills_no_one(seed: int) -> None:
    net = Net(seed)
    members = net.grow(8)
    for _ in range(20):
        members[3].stalled_until = net.now + 0.9
        net.run(1.0)
    assert [pair for pair in net.false_deaths() if pair[0] == members[3].name] == []
    net.run(15.0)
    assert all_see(net)


@seeds
def test_a_member_stopped_for_long_comes_back_and_refutes(seed: int) -> None:
    net = Net(seed)
    members = net.grow(8)
    members[2].stalled_until = net.now + 10.0
    net.run(8.0)
    assert {e.sees(members[2]) for e in members if e is not members[2]} == {"dead"}
    net.run(15.0)
    assert all_see(net)


@seeds
def test_a_split_swarm_heals_and_catches_up(seed: int) -> None:
    net = Net(seed)
    members = net.grow(12)
    net.side = {each.name: 1 for each in members[6:]}
    net.run(15.0)
    assert members[0].sees(members[11]) == "dead"
    net.give(members[0], fx.Published(event(1)))
    net.give(members[11], fx.Published(event(2)))
    net.run(5.0)
    assert numbers(members[11], members[0]) == []
    net.side = {}
    net.run(30.0)
    assert all_see(net)
    assert all(numbers(each, members[0]) == [1] for each in members[1:])
    assert all(numbers(each, members[11]) == [2] for each in members[:11])


@seeds
def test_a_restarted_member_is_taken_back_with_its_new_boot(seed: int) -> None:
    net = Net(seed)
    members = net.grow(6)
    net.give(members[2], fx.Published(event(1)))
    net.run(1.0)
    net.kill(members[2])
    net.run(2.0)
    again = net.add("m2", seeds=["m4"], boot=2)
    net.run(3.0)
    net.give(again, fx.Published(event(2)))
    net.run(2.0)
    assert all_see(net)
    assert numbers(members[0], again) == [1, 2]
    assert members[0].events[-1].boot == 2


@seeds
def test_a_late_joiner_learns_whom_the_swarm_has_lost(seed: int) -> None:
    net = Net(seed)
    members = net.grow(6)
    net.kill(members[3])
    net.run(5.0)
    late = net.add("late", seeds=["m1"], role="observer")
    net.run(10.0)
    assert late.sees(members[3]) == "dead"
    assert all_see(net)


@seeds
def test_a_late_joiner_gets_the_recent_events(seed: int) -> None:
    net = Net(seed)
    members = net.grow(5)
    for i in range(200):
        net.give(members[0], fx.Published(event(i)))
    net.run(5.0)
    late = net.add("late", seeds=["m3"])
    net.run(5.0)
    assert numbers(late, members[0]) == list(range(200))


@seeds
def test_what_expired_is_told_as_a_gap_to_who_missed_it(seed: int) -> None:
    net = Net(seed, GossipConfig(store_events=16))
    members = net.grow(5)
    net.give(members[0], fx.Published(event(0)))
    net.run(3.0)
    net.side = {"m4": 1}
    for i in range(1, 60):
        net.give(members[0], fx.Published(event(i)))
    net.run(20.0)
    net.side = {}
    net.run(40.0)
    got = numbers(members[4], members[0])
    gaps = [each.data for each in members[4].events if each.type == "mtor.gap.found"]
    lost = [seq - 1 for gap in gaps for seq in range(gap["first"], gap["last"] + 1)]
    assert lost
    assert sorted(got + lost) == list(range(60))
    assert got == sorted(got)


def test_a_leaving_member_is_seen_as_left_not_dead() -> None:
    net = Net(1)
    members = net.grow(6)
    net.give(members[1], fx.Leaving())
    net.kill(members[1])
    net.run(10.0)
    assert {e.sees(members[1]) for e in members if e is not members[1]} == {"left"}


def test_the_latest_state_of_a_unit_reaches_all() -> None:
    net = Net(1)
    members = net.grow(20)
    for i in range(20):
        net.give(members[0], fx.StateChanged(UnitState(unit="m0", speed_mps=float(i))))
        net.run(0.02)
    net.run(1.0)
    assert {each.beacons[members[0].id].speed_mps for each in members[1:]} == {19.0}


def test_the_later_of_two_members_with_one_name_is_told_to_go() -> None:
    net = Net(1)
    members = net.grow(3)
    twin = net.add("twin", unit="m1", seeds=["m0"])
    net.run(3.0)
    assert [each.later for each in twin.conflicts] == [True]
    assert [each.later for each in members[1].conflicts] == [False]
    assert members[2].conflicts == []


def test_idle_members_say_next_to_nothing() -> None:
    net = Net(1)
    net.grow(8)
    net.run(10.0)
    before = net.sent
    net.run(20.0)
    assert (net.sent - before) / 8 / 20 < 8


def test_the_same_seed_gives_the_same_trace() -> None:
    def trace() -> tuple[int, list[tuple[float, str]]]:
        net = Net(5)
        members = net.grow(9)
        net.loss = 0.3
        net.run(20.0)
        return net.sent, members[0].states[members[1].id]

    assert trace() == trace()


@pytest.mark.parametrize(("number", "seed"), [(2, 59), (3, 3), (8, 295), (16, 47)])
def test_what_came_of_a_dead_members_last_events_reaches_all(number: int, seed: int) -> None:
    net = Net(seed, GossipConfig(store_age_s=30.0))
    members = net.grow(number)
    net.loss = 0.3
    for each, other in itertools.permutations(members, 2):
        net.give(each, fx.Lossy(other.id, 0.3))
    for i in range(20):
        net.give(members[0], fx.Published(event(i)))
        net.run(net.rng.uniform(0.0, 0.03))
    net.kill(members[0])
    net.run(15.0)
    assert any(each.machine.news.repair.streams.held for each in members[1:])
    net.run(30.0)
    assert not any(each.machine.news.repair.streams.held for each in members[1:])
    got = {tuple(numbers(each, members[0])) for each in members[1:]}
    assert len(got) == 1
    assert len(got.pop()) > 2
