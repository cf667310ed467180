from __future__ import annotations

import msgspec
import pytest

from mtor_swarm import events
from mtor_swarm.config import GossipConfig
from mtor_swarm.swarm.gossip import effects as fx
from mtor_swarm.swarm.gossip import hlc, news, records, repair, wire
from mtor_swarm.swarm.gossip.records import Record
from tests.simulation.harness import WALL, HashKeys, Member, Net, event, numbers


class Watched(Net):
    """A net that keeps what was sent."""

    def __init__(self, seed: int = 1, config: GossipConfig | None = None) -> None:
        super().__init__(seed, config)
        self.frames: list[tuple[str, fx.Send]] = []

    def _carry(self, member: Member, send: fx.Send) -> None:
        self.frames.append((member.name, send))
        super()._carry(member, send)

    def of(self, kind: type, by: str = "") -> list[fx.Send]:
        return [e for name, e in self.frames if isinstance(e.frame, kind) and by in ("", name)]


def record(seq: int, name: str = "far", *, boot: int = 1, **more) -> Record:
    keys = HashKeys(name)
    payload = more.get("payload", events.to_msgpack(event(seq)))
    key = (events.fingerprint(keys.public_key), boot, "events")
    stamp = more.get("stamp", hlc.at(WALL))
    return records.make(
        keys,
        key,
        seq,
        priority=2,
        stamp=stamp,
        type="mtor.unit.changed",
        payload=payload,
    )


def forged() -> bytes:
    packed = msgspec.structs.replace(record(1).packed, signature=b"x" * 32)
    return msgspec.msgpack.encode(packed)


def give(net: Net, to: Member, sender: Member, *given: Record | bytes, **more) -> None:
    raws = [msgspec.Raw(e.raw if isinstance(e, Record) else e) for e in given]
    net.give(to, fx.Received(sender.id, wire.Events(raws, **more)))


def counted(member: Member, reason: str) -> int:
    return member.machine.out.counters.get(reason, 0)


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
    net.give(members[0], fx.Received(members[1].id, behind))
    assert not here.has_room(net.now)
    for each in members[2:]:
        net.give(members[0], fx.Received(each.id, level))
    assert here.has_room(net.now)
    for _ in range(2):
        net.give(members[0], fx.Received(members[1].id, behind))
    assert not here.has_room(net.now)
    assert here.has_room(net.now + 2 * news.LAG_S)


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
