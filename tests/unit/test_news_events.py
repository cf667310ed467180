from __future__ import annotations

import pytest

from mtor_swarm.swarm.gossip import effects as fx
from mtor_swarm.swarm.gossip import hlc, records, repair, wire
from mtor_swarm.swarm.gossip.records import Record
from tests.simulation.harness import WALL, Net, event, numbers
from tests.unit.news_net import Watched, counted, forged, give, record


def test_an_event_is_told_with_where_it_came_from_and_its_place():
    net = Net(1)
    members = net.grow(3)
    net.give(members[0], fx.Published(event(7)))
    net.run(0.5)
    (told,) = members[1].events
    assert (told.origin, told.boot, told.channel, told.seq) == (members[0].id, 1, "events", 1)
    assert told.stamp >= hlc.text(hlc.at(WALL))


def test_even_the_first_events_of_a_small_swarm_come_to_a_member_once():
    net = Watched()
    members = net.grow(24)
    for i in range(10):
        net.give(members[i], fx.Published(event(i)))
        net.run(0.2)
    copies = sum(len(each.frame.records) for each in net.of(wire.Events))
    assert copies <= 1.1 * 10 * 23
    assert len({each.machine.news.tree._root for each in members}) == 1


def test_only_the_lowest_id_is_a_root():
    net = Net(1)
    members = sorted(net.grow(3), key=lambda each: each.id)
    before = members[0].machine.news.tree._root
    wrong = wire.Sprout(members[1].id, 2**40, 0)
    net.give(members[2], fx.Received(members[1].id, wrong))
    net.give(members[1], fx.Fired("sprout"))
    assert {each.machine.news.tree._root for each in members} == {before}


def test_after_the_first_each_event_comes_to_a_member_once():
    net = Watched()
    members = net.grow(24)
    net.give(members[0], fx.Published(event(0)))
    net.run(1.0)
    net.frames.clear()
    for i in range(1, 21):
        net.give(members[0], fx.Published(event(i)))
        net.run(0.2)
    copies = sum(len(each.frame.records) for each in net.of(wire.Events))
    assert copies <= 1.3 * 20 * 23
    assert all(numbers(each, members[0]) == list(range(21)) for each in members[1:])


def test_a_broken_tree_is_mended():
    net = Watched()
    members = net.grow(24)
    for i in range(3):
        net.give(members[0], fx.Published(event(i)))
        net.run(0.2)
    for each in members[8:16]:
        each.up = False
    for i in range(3, 6):
        net.give(members[0], fx.Published(event(i)))
        net.run(0.3)
    net.run(2.0)
    assert all(numbers(each, members[0]) == list(range(6)) for each in net.alive()[1:])
    assert net.of(wire.Graft)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (b"\xc0", "not records"),
        (forged(), "forged"),
        (record(1, payload=b"\xc1"), "not events"),
        (record(1, stamp=hlc.at(WALL + 1000)), "from the future"),
    ],
)
def test_bad_records_are_counted(given: Record | bytes, reason: str):
    net = Net(1)
    members = net.grow(2)
    give(net, members[0], members[1], given)
    assert counted(members[0], reason) == 1
    assert len(members[0].events) == (reason == "from the future")


def test_another_version_is_counted_and_not_passed_on(monkeypatch):
    net = Watched()
    members = net.grow(3)
    monkeypatch.setattr(records, "VERSION", 2)
    newer = record(1)
    net.frames.clear()
    give(net, members[0], members[1], newer)
    assert counted(members[0], "other version") == 1
    assert not net.of(wire.Events)


def test_a_recording_of_an_ended_boot_is_refused_and_what_is_fresh_of_it_is_not():
    net = Net(1)
    members = net.grow(2)
    again = net.add("m1", seeds=["m0"], boot=2)
    net.run(1.0)
    old = record(1, "m1", stamp=hlc.at(WALL - 10_000))
    give(net, members[0], again, old)
    assert counted(members[0], "replayed") == 1
    give(net, members[0], again, record(2, "m1"), record(1, "m1", stamp=hlc.at(WALL)))
    assert numbers(members[0], again) == [1, 2]


def test_a_restarted_member_keeps_its_old_events_for_others_and_hears_none_of_them():
    net = Net(1)
    members = net.grow(4)
    net.give(members[0], fx.Published(event(1)))
    net.run(1.0)
    net.kill(members[0])
    again = net.add("m0", seeds=["m1"], boot=2)
    net.run(5.0)
    assert again.events == []
    assert len(again.machine.news.repair.store) == 1
    digests = {each.machine.news.repair.streams.digest() for each in net.alive()}
    assert len(digests) == 1


def test_what_an_ended_boot_said_still_reaches_all():
    net = Net(1)
    members = net.grow(6)
    net.side = {"m5": 1}
    net.give(members[0], fx.Published(event(1)))
    net.run(0.3)
    net.kill(members[0])
    again = net.add("m0", seeds=["m1"], boot=2)
    net.run(2.0)
    net.give(again, fx.Published(event(2)))
    net.side = {}
    net.run(20.0)
    assert numbers(members[5], again) == [1, 2]


def test_gaps_of_our_own_former_boots_are_not_told():
    net = Net(1)
    members = net.grow(2)
    here = members[0].machine.news
    here._gap(repair.Gap((members[0].id, 0, "events"), 1, 2), net.now)
    assert members[0].events == []
