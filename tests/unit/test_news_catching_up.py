from __future__ import annotations

from mtor_swarm import events
from mtor_swarm.config import GossipConfig
from mtor_swarm.swarm.gossip import backlog, hlc, news, records, repair, wire
from mtor_swarm.swarm.gossip import effects as fx
from mtor_swarm.swarm.simnet.keys import HashKeys
from tests.simulation.harness import WALL, Net, event, numbers
from tests.unit.news_net import Watched, counted, give, record


def test_a_late_joiner_catches_up_in_batches_one_after_the_other():
    net = Watched()
    members = net.grow(4)
    for i in range(1000):
        net.give(members[i % 2], fx.Published(event(i)))
    net.run(3.0)
    net.frames.clear()
    late = net.add("late", seeds=["m3"])
    net.run(2.0)
    for origin in members[:2]:
        assert len(numbers(late, origin)) == 500
    sent = sum(len(each.frame.records) for each in net.of(wire.Events))
    assert sent < 1.5 * 1000


def test_a_stop_is_repaired_before_a_flood_of_others():
    net = Net(1)
    members = net.grow(4)
    net.side = {"m3": 1}
    for i in range(500):
        net.give(members[0], fx.Published(event(i)))
    net.give(members[0], fx.Published(event(500, "mtor.stop.issued", channel="stop")))
    net.run(8.0)
    net.side = {}
    net.run(20.0)
    told = numbers(members[3], members[0])
    assert told.index(500) <= repair.MAX_REPAIR
    assert [each for each in told if each != 500] == list(range(500))


def test_events_that_expired_before_a_member_joined_are_no_gap_to_it():
    net = Net(1, GossipConfig(store_events=16))
    members = net.grow(3)
    for i in range(40):
        net.give(members[0], fx.Published(event(i)))
        net.run(0.1)
    late = net.add("late", seeds=["m1"])
    net.run(3.0)
    net.give(members[0], fx.Published(event(40)))
    net.run(1.0)
    assert all(each.type != "mtor.gap.found" for each in late.events)
    got = numbers(late, members[0])
    assert got == list(range(got[0], 41))


def test_quiet_members_compare_with_one_neighbour_and_busy_ones_with_anyone():
    net = Watched()
    net.grow(8)
    net.run(10.0)
    net.frames.clear()
    net.run(20.0)
    assert len(net.of(wire.Digest)) <= 8 * 11
    assert not any(each.frame.heads for each in net.of(wire.Digest))
    assert not net.of(wire.Heads)


def test_a_stream_is_wanted_from_one_peer_at_a_time(monkeypatch):
    monkeypatch.setattr(news, "MAX_PEERS", 2)
    net = Watched()
    members = net.grow(5)
    far = (events.fingerprint(HashKeys("far").public_key), 1, "events", 9)
    for each in members[1:]:
        net.give(members[0], fx.Received(each.id, wire.Heads([far], False, False)))
    assert len(members[0].machine.news._peers) == 2
    net.run(0.2)
    assert len(net.of(wire.Want, "m0")) == 1


def test_after_a_silent_peer_another_is_asked():
    net = Watched()
    members = net.grow(3)
    far = (events.fingerprint(HashKeys("far").public_key), 1, "events", 9)
    for _ in range(2):
        for each in members[1:]:
            net.give(members[0], fx.Received(each.id, wire.Heads([far], False, False)))
        net.run(news.ANSWER_S + 0.1)
    assert {each.address for each in net.of(wire.Want, "m0")} == {"tcp://m1:1", "tcp://m2:1"}


def test_what_came_by_itself_meanwhile_is_not_wanted():
    net = Watched()
    members = net.grow(3)
    far = (events.fingerprint(HashKeys("far").public_key), 1, "events", 1)
    net.give(members[0], fx.Received(members[1].id, wire.Heads([far], False, False)))
    give(net, members[0], members[2], record(1))
    net.run(0.2)
    assert not net.of(wire.Want, "m0")
    assert not members[0].machine.news._peers


def test_a_header_alone_is_learned_but_neither_delivered_nor_passed_on():
    net = Watched()
    members = net.grow(3)
    proof = records.proof_of(record(4, stamp=hlc.at(WALL - 100)).raw)
    net.frames.clear()
    far = (*record(1).key, 4)
    give(net, members[0], members[1], proof, upto=[far])
    assert members[0].events == []
    assert not net.of(wire.Events)
    give(net, members[0], members[1], record(5))
    assert [each.seq for each in members[0].events] == [5]


def test_while_peers_are_far_behind_there_is_no_room_and_one_liar_takes_none():
    net = Net(1, GossipConfig(store_events=16))
    members = net.grow(4)
    here = members[0].machine.news
    assert here.has_room(net.now)
    for i in range(8):
        net.give(members[0], fx.Published(event(i)))
    behind = wire.Heads([(members[0].id, 1, "events", 0)], False, False)
    level = wire.Heads([(members[0].id, 1, "events", 8)], False, False)
    for _ in range(9):
        net.give(members[0], fx.Received(members[1].id, behind))
    assert here.has_room(net.now)
    net.give(members[0], fx.Received(members[2].id, level))
    assert here.has_room(net.now)
    net.give(members[0], fx.Received(members[3].id, behind))
    assert not here.has_room(net.now)
    assert here.has_room(net.now + 2 * backlog.LAG_S)


def test_of_two_members_the_other_ones_word_counts_until_it_has_all():
    net = Net(1, GossipConfig(store_events=16))
    me, other = net.grow(2)
    for i in range(8):
        net.give(me, fx.Published(event(i)))
    here = me.machine.news
    lacks = [(other.id, 1, "events", 1), (me.id, 1, "events", 0), (me.id, 1, "stop", 0)]
    net.give(me, fx.Received(other.id, wire.Heads(lacks, False, False)))
    assert not here.has_room(net.now)
    net.give(me, fx.Received(other.id, wire.Digest(here.repair.streams.digest(), b"")))
    net.run(0.01)
    net.give(me, fx.Received(other.id, wire.Digest(here.repair.streams.digest(), b"")))
    assert here.has_room(net.now)


def test_of_many_peers_the_latest_words_are_kept():
    here = backlog.Backlog()
    for number in range(backlog.MAX_PEERS + 9):
        here.said(str(number), 5, float(number))
    assert len(here._said) == backlog.MAX_PEERS


def test_a_graft_for_what_expired_changes_the_tree_and_sends_nothing():
    net = Watched()
    members = net.grow(2)
    net.give(members[0], fx.Published(event(1)))
    name = next(iter(members[0].machine.news.tree.recent))
    members[0].machine.news.repair.expire(net.now + 1000)
    net.frames.clear()
    net.give(members[0], fx.Received(members[1].id, wire.Graft([name], True)))
    net.give(members[0], fx.Received(members[1].id, wire.Graft([name], False)))
    assert not net.of(wire.Events)


def test_what_was_told_of_but_lost_on_its_way_is_grafted_and_comes():
    net = Watched()
    members = net.grow(3)
    for i, stop in enumerate(("mtor.unit.changed", "mtor.stop.issued")):
        net.give(members[0], fx.Published(event(i, stop, channel=f"c{i}")))
    net.frames.clear()
    names = list(members[0].machine.news.tree.recent)
    net.give(members[0], fx.Received(members[1].id, wire.Graft(names, True)))
    assert [each.priority for each in net.of(wire.Events)] == [events.COMMAND, events.NOTICE]


def test_what_comes_twice_is_counted_however_it_comes():
    net = Net(1)
    members = net.grow(2)
    here = members[0].machine.news
    give(net, members[0], members[1], record(1), record(1))
    give(net, members[0], members[1], record(1), upto=[(*record(1).key, 1)])
    here.tree.recent.clear()
    give(net, members[0], members[1], record(1))
    assert counted(members[0], "duplicates") == 3
    assert len(members[0].events) == 1


def test_a_gap_is_told_with_whose_events_are_lost():
    net = Net(1)
    members = net.grow(2)
    give(net, members[0], members[1], record(1), record(4))
    net.run(repair.GAP_PATIENCE_S + 0.1)
    give(net, members[0], members[1], upto=[(*record(1).key, 4)])
    origin = record(1).key[0]
    assert [each.data for each in members[0].events if each.type == "mtor.gap.found"] == [
        {"member": origin, "member_boot": 1, "member_channel": "events", "first": 2, "last": 3}
    ]


def test_an_answer_that_helps_nothing_is_the_last_for_now():
    net = Watched()
    members = net.grow(3)
    far = (*record(1).key, 90)
    net.give(members[0], fx.Received(members[1].id, wire.Heads([far], False, False)))
    net.run(0.1)
    give(net, members[0], members[1], record(1), upto=[(*record(1).key, 1)], more=True)
    assert len(net.of(wire.Want, "m0")) == 2
    give(net, members[0], members[1], upto=[(*record(1).key, 1)], more=True)
    assert not members[0].machine.news._peers
    give(net, members[0], members[1], record(2), upto=[(*record(1).key, 2)], more=True)
    assert len(net.of(wire.Want, "m0")) == 2


def test_streams_of_live_members_are_compared_even_when_nothing_is_kept():
    net = Net(1)
    members = net.grow(2)
    net.give(members[0], fx.Published(event(1)))
    net.run(1.0)
    here = members[1].machine.news.repair
    here.expire(net.now + 1000.0)
    assert here.streams.heads(9) == ([(members[0].id, 1, "events", 1)], True)
    assert members[0].machine.news.repair.streams.heads(9)[1]
    members[0].machine.news.repair.expire(net.now + 1000.0)
    assert members[0].machine.news.repair.streams.heads(9)[0] == here.streams.heads(9)[0]
    net.kill(members[0])
    net.run(5.0)
    assert here.streams.heads(9) == ([], True)


def test_what_finds_no_room_is_counted_as_that(monkeypatch):
    monkeypatch.setattr(repair, "MAX_AHEAD", 1)
    net = Net(1)
    members = net.grow(2)
    give(net, members[0], members[1], record(5), record(7))
    assert counted(members[0], "no room for events") == 1
    assert counted(members[0], "duplicates") == 0


def test_streams_that_make_way_are_counted(monkeypatch):
    net = Net(1, GossipConfig(store_events=16))
    members = net.grow(2)
    monkeypatch.setattr(members[0].machine.news.repair.streams, "most", 20)
    for number in range(25):
        give(net, members[0], members[1], record(1, f"say{number}"))
    assert len(members[0].events) == 25
    assert counted(members[0], "streams forgotten") == 5
