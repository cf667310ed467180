"""Who links with whom, in virtual time: few links, all connected, whole again after half die."""

from __future__ import annotations

import pytest

from mtor_swarm.config import GossipConfig
from mtor_swarm.swarm.gossip import effects as fx
from mtor_swarm.swarm.gossip import wire
from tests.simulation.harness import Member, Net, event, numbers

seeds = pytest.mark.parametrize("seed", [1, 2, 3])
SAMPLED = GossipConfig(members_known=16)


def reached(net: Net) -> set[str]:
    """Whom one can go to along links that both ends know, from the first that is up."""
    by_id = {each.id: each for each in net.alive()}
    todo = [net.alive()[0]]
    found = {todo[0].id}
    while todo:
        member = todo.pop()
        for each in member.machine.overlay.active:
            other = by_id.get(each)
            if other and each not in found and member.id in other.machine.overlay.active:
                found.add(each)
                todo.append(other)
    return found


def links(member: Member) -> int:
    return len(member.machine.overlay.active)


def whole(net: Net) -> bool:
    return len(reached(net)) == len(net.alive())


@seeds
@pytest.mark.parametrize("number", [2, 3, 6, 12, 60])
def test_links_are_few_and_lead_to_everyone(number: int, seed: int) -> None:
    net = Net(seed)
    members = net.grow(number)
    assert whole(net)
    least, most = min(4, number - 1), net.config.neighbours
    assert all(least <= links(each) <= most for each in members)


@seeds
def test_every_link_is_known_at_both_ends_even_under_loss(seed: int) -> None:
    net = Net(seed)
    net.loss, net.delay_s = 0.3, (0.001, 0.05)
    members = net.grow(20)
    net.run(60.0)
    by_id = {each.id: each for each in members}
    for each in members:
        for other in each.machine.overlay.active:
            assert each.id in by_id[other].machine.overlay.active


@seeds
@pytest.mark.parametrize("config", [GossipConfig(), SAMPLED], ids=["whole", "sampled"])
def test_when_half_die_at_once_the_rest_are_whole_again_in_seconds(config, seed: int) -> None:
    net = Net(seed, config)
    members = net.grow(60)
    net.run(10.0)
    for each in members[::2]:
        net.kill(each)
    net.run(5.0)
    assert whole(net)
    dead = {each.id for each in members[::2]}
    assert all(dead.isdisjoint(each.machine.overlay.active) for each in net.alive())
    net.give(members[1], fx.Published(event(1)))
    net.run(10.0)
    assert all(numbers(each, members[1]) == [1] for each in members[3::2])
    assert net.false_deaths() == []


@seeds
def test_of_a_large_swarm_each_knows_a_few_and_events_reach_all(seed: int) -> None:
    net = Net(seed, SAMPLED)
    members = [net.add(f"m{i}", seeds=["m0", f"m{i % 3}"]) for i in range(80)]
    net.run(15.0)
    assert all(len(each.machine.members.views) <= 16 for each in members)
    assert whole(net)
    assert max(links(each) for each in members) <= SAMPLED.neighbours
    net.give(members[7], fx.Published(event(1)))
    net.run(10.0)
    assert all(numbers(each, members[7]) == [1] for each in members if each is not members[7])


@seeds
def test_a_large_swarm_goes_on_mixing_whom_each_knows(seed: int) -> None:
    net = Net(seed, SAMPLED)
    members = net.grow(40)
    before = {each.id: set(each.machine.members.views) for each in members}
    net.run(60.0)
    fresh = [each for each in members if set(each.machine.members.views) - before[each.id]]
    assert len(fresh) == len(members)


@seeds
def test_two_swarms_that_meet_by_one_seed_become_one(seed: int) -> None:
    net = Net(seed)
    ours = net.grow(10)
    theirs = [net.add(f"t{i}", seeds=["t0"]) for i in range(10)]
    net.run(3.0)
    assert not whole(net)
    net.give(ours[4], fx.Discovered("tcp://t7:1"))
    net.run(3.0)
    assert whole(net)
    assert all(a.sees(b) == "alive" for a in ours for b in theirs)


@seeds
def test_a_swarm_split_whole_finds_itself_again_without_any_seed(seed: int) -> None:
    net = Net(seed)
    members = net.grow(10)
    net.kill(members[0])
    net.side = {each.name: 1 for each in members[:5]}
    net.run(20.0)
    assert members[1].sees(members[9]) == "dead"
    net.side = {}
    net.run(20.0)
    assert whole(net)
    up = net.alive()
    assert all(a.sees(b) == "alive" for a in up for b in up if a is not b)


def test_a_lost_link_is_checked_at_once() -> None:
    net = Net(1)
    members = net.grow(8)
    near = members[0].machine.overlay.active[0]
    gone = next(each for each in members if each.id == near)
    gone.up = False
    net.give(members[0], fx.LinkLost(f"tcp://{gone.name}:1", False))
    net.run(0.65)
    assert members[0].sees(gone) == "suspect"


def test_the_departed_are_forgotten_in_time_and_no_ghost_returns() -> None:
    net = Net(1, GossipConfig(forget_s=20.0))
    members = net.grow(6)
    net.kill(members[5])
    net.give(members[4], fx.Leaving())
    net.kill(members[4])
    net.run(60.0)
    assert all(len(each.machine.members.views) == 3 for each in net.alive())
    assert all(each.forgotten == {members[4].id, members[5].id} for each in net.alive())


@seeds
def test_members_that_are_all_starved_hold_each_other_for_alive(seed: int) -> None:
    net = Net(seed)
    members = net.grow(16)
    for step in range(400):
        for each in members:
            if each.stalled_until <= net.now and net.rng.random() < 0.3:
                each.stalled_until = net.now + net.rng.uniform(0.1, 1.2)
        net.run(0.1)
        if step == 200:
            net.loss = 0.1
    assert net.false_deaths() == []


@seeds
def test_few_are_suspected_though_a_third_of_the_datagrams_is_lost(seed: int) -> None:
    net = Net(seed)
    members = net.grow(16)
    net.loss = 0.3
    net.run(120.0)
    told = [state for each in members for seen in each.states.values() for _, state in seen]
    assert told.count("suspect") < 3 * 16 * 15
    assert net.false_deaths() == []


class Refusing:
    """An authority that admits all but one member."""

    def __init__(self, member: str) -> None:
        self.member = member

    def admit(self, fact: wire.Fact, now: float) -> str:
        return "certificates that have ended" if fact.origin == self.member else ""


def test_one_that_refuses_a_member_whom_others_admit_does_not_make_them_talk_for_ever() -> None:
    net = Net(1)
    members = net.grow(8)
    late = net.add("late", seeds=["m0"])
    late.machine.authority = Refusing(members[1].id)
    net.run(20.0)
    assert (late.sees(members[1]), late.sees(members[2])) == ("", "alive")
    sent = net.sent
    net.run(20.0)
    assert net.sent - sent < 20 * 9 * 8


@seeds
def test_a_restart_too_quick_to_be_missed_leaves_no_link_that_one_end_knows_of(seed: int) -> None:
    net = Net(seed)
    members = net.grow(16)
    again = net.add("m3", boot=2, seeds=["m5"])
    net.run(3.0)
    linked = {e.id for e in members if again.id in e.machine.overlay.active}
    assert linked == set(again.machine.overlay.active)
    assert net.false_deaths() == []
