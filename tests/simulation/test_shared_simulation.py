"""Shared states in virtual time: whatever is lost, all live members come to the same."""

from __future__ import annotations

import msgspec
import pytest

from mtor_swarm.config import GossipConfig
from mtor_swarm.swarm.gossip import crdt, shared, wire
from mtor_swarm.swarm.gossip import effects as fx
from tests.simulation.harness import Member, Net

seeds = pytest.mark.parametrize("seed", [1, 2, 3])
NAMES = ["map:plan", "set:seen", "counter:found", "stigmergy:best:most"]


def put(net: Net, member: Member, state: str, item: str, value=None, *, gone=False) -> None:
    raw = b"" if value is None else msgspec.json.encode(value)
    net.give(member, fx.SharedWritten(state, item, raw, gone))


def write(net: Net, member: Member, number: int) -> None:
    """One write of some kind, now and then a removal."""
    state, item = NAMES[number % 4], f"i{number % 5}"
    if state == "counter:found":
        put(net, member, state, "", 1)
    else:
        gone = number % 7 == 6
        value = None if gone or state == "set:seen" else number
        put(net, member, state, item, value, gone=gone)


def values(member: Member):
    return crdt.states_of(member.machine.shared.replica)


def agree(net: Net) -> bool:
    return len({str(member.machine.shared.replica.hashes()) for member in net.alive()}) == 1


def dropped(net: Net) -> dict[str, int]:
    counts = [each.machine.out.counters for each in net.alive()]
    return {name: n for each in counts for name, n in each.items() if "shared" in name}


@seeds
@pytest.mark.parametrize("number", [2, 9, 40])
def test_all_come_to_the_same_under_loss(number: int, seed: int) -> None:
    net = Net(seed)
    members = net.grow(number)
    net.loss, net.duplication, net.delay_s = 0.3, 0.2, (0.001, 0.1)
    for i in range(40):
        write(net, members[i % number], i)
        net.run(0.05)
    net.run(20.0)
    assert agree(net)
    assert values(members[0])["counter:found"] == 10
    assert dropped(net) == {}


@seeds
def test_both_sides_of_a_split_keep_what_they_wrote(seed: int) -> None:
    net = Net(seed)
    members = net.grow(10)
    put(net, members[0], "set:seen", "before")
    net.run(1.0)
    net.side = {each.name: 1 for each in members[5:]}
    net.run(10.0)
    put(net, members[0], "counter:found", "", 2)
    put(net, members[9], "counter:found", "", 3)
    put(net, members[0], "set:seen", "here")
    put(net, members[9], "set:seen", "there")
    put(net, members[9], "set:seen", "before", gone=True)
    net.run(5.0)
    assert values(members[0])["set:seen"] == ["before", "here"]
    net.side = {}
    net.run(30.0)
    assert agree(net)
    assert values(members[4]) == {"counter:found": 5, "set:seen": ["here", "there"]}


@seeds
def test_all_live_members_agree_while_others_come_and_go(seed: int) -> None:
    net = Net(seed)
    members = net.grow(12)
    net.loss = 0.1
    for i in range(30):
        member = net.rng.choice(net.alive())
        if i % 3 == 0:
            net.kill(member)
        elif i % 3 == 1:
            gone = net.rng.choice([each for each in members if not each.up] or [members[0]])
            boot = gone.machine.boot + 1
            members[members.index(gone)] = net.add(gone.name, seeds=["m0", "m1"], boot=boot)
        else:
            write(net, member, i)
        net.run(0.5)
    net.run(30.0)
    assert agree(net)
    assert values(net.alive()[0])


def test_a_late_comer_learns_everything_that_is_shared() -> None:
    net = Net(4)
    members = net.grow(3)
    for i in range(500):
        put(net, members[i % 3], "map:big", f"item {i}", "x" * 100)
    net.run(3.0)
    late = net.add("late", seeds=["m0"])
    net.run(3.0)
    assert len(values(late)["map:big"]) == 500
    assert agree(net)


def test_the_others_learn_of_a_change_without_waiting_for_repair() -> None:
    net = Net(5)
    members = net.grow(30)
    net.run(10.0)
    put(net, members[7], "map:plan", "go", [1.5, "home"])
    net.run(0.2)
    assert all(values(each) == {"map:plan": {"go": [1.5, "home"]}} for each in members)


def test_a_swarm_that_shares_nothing_says_nothing_about_it() -> None:
    net = Net(6)
    members = net.grow(5)
    assert not any("state digest" in each.timers for each in members)
    put(net, members[0], "set:seen", "x")
    put(net, members[0], "set:seen", "x", gone=True)
    net.run(4.0)
    assert all("state digest" in each.timers for each in members)
    assert all(values(each) == {"set:seen": []} for each in members)


def test_a_removal_is_forgotten_at_its_age_and_the_talk_ends() -> None:
    net = Net(7, GossipConfig(tombstone_s=20.0))
    members = net.grow(5)
    put(net, members[0], "map:plan", "x", 1)
    put(net, members[3], "set:seen", "kept")
    net.run(1.0)
    put(net, members[1], "map:plan", "x", gone=True)
    net.run(2.0)
    assert all(each.machine.shared.replica.size == 2 for each in members)
    net.run(30.0)
    assert all(values(each) == {"set:seen": ["kept"]} for each in members)
    assert all(each.machine.shared.replica.size == 1 for each in members)
    put(net, members[0], "set:seen", "kept", gone=True)
    net.run(60.0)
    assert all(values(each) == {} for each in members)
    assert not any("state digest" in each.timers for each in members)


def test_many_writes_to_one_item_go_out_as_one() -> None:
    net = Net(8)
    members = net.grow(4)
    before = net.sent
    for i in range(1000):
        put(net, members[0], "map:plan", "x", i)
    net.run(shared.DELTA_S + 0.05)
    assert net.sent - before < 40
    assert all(values(each) == {"map:plan": {"x": 999}} for each in members)


def test_one_that_must_refuse_what_others_share_is_not_sent_it_five_times_a_second() -> None:
    net = Net(1)
    members = net.grow(4)
    for i in range(100):
        put(net, members[0], "map:m", f"k{i}", 1)
    late = net.add("late", seeds=["m0"])
    late.machine.wall_offset_s -= 3600.0
    net.run(20.0)
    assert late.machine.out.counters["from the future"] > 100
    sent = net.sent
    net.run(20.0)
    assert net.sent - sent < 20 * 5 * 12


def test_one_without_a_link_for_a_while_goes_on_comparing_afterwards() -> None:
    net = Net(1)
    me, _ = net.grow(2)
    put(net, me, "map:m", "x", 1)
    net.run(10.0)
    links = list(me.machine.overlay.active)
    me.machine.overlay.active.clear()
    me.timers.clear()
    net.give(me, fx.Fired("state digest"))
    assert "state digest" not in me.timers
    for each in links:
        net.give(me, fx.Received(each, wire.Neighbour("ask")))
    assert "state digest" in me.timers
