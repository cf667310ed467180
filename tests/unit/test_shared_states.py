"""Shared states: what is refused, bounded and forgotten, and how the rest of the code uses it."""

from __future__ import annotations

import msgspec
import pytest

from mtor_swarm.errors import SwarmError
from mtor_swarm.swarm.gossip import crdt, wire
from mtor_swarm.swarm.gossip import effects as fx
from mtor_swarm.swarm.gossip.crdt import Replica
from mtor_swarm.swarm.sharing import SharedStates
from mtor_swarm.swarm.simnet.keys import HashKeys
from tests.simulation.harness import WALL, Member, Net

ME, OTHER = HashKeys("me"), HashKeys("other")
MY_ID, OTHER_ID = (wire.fingerprint(each.public_key) for each in (ME, OTHER))
STAMP = int(WALL * 1000) << 16


def entry(state: str, keys: HashKeys = OTHER, *, item: str = "x", **more) -> wire.Entry:
    stamp = more.pop("stamp", STAMP)
    made = wire.Entry(
        keys.public_key,
        b"",
        boot=more.pop("boot", 1),
        state=state,
        item=item,
        clock=more.pop("clock", stamp),
        stamp=stamp,
        **more,
    )
    return wire.sign(made, keys)


WRONG = {
    "a clock ahead of its stamp": entry("stigmergy:s", clock=STAMP + 1, value=b"1"),
    "a removal that makes no sense": entry("counter:c", item="", gone=True),
    "a removal of nothing": entry("set:s", of=OTHER_ID, gone=True),
    "written for another": entry("map:m", of=MY_ID, value=b"1"),
    "a clock that is not its stamp": entry("map:m", clock=3, value=b"1"),
    "a set's value": entry("set:s", of=OTHER_ID, value=b"1"),
    "a count beyond bounds": entry("counter:c", item="", value=b"[-1,0]"),
    "not a value": entry("map:m", value=b"{"),
    "nested too deep": entry("map:m", value=b"[" * 300 + b"]" * 300),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_bad_entry_is_refused_by_what_is_wrong_with_it(wrong: str) -> None:
    assert crdt.fault(WRONG[wrong]) == wrong
    net, (me, other) = pair()
    net.give(me, fx.Received(other.id, wire.StateDelta([WRONG[wrong]])))
    assert me.machine.out.counters[f"shared: {wrong}"] == 1
    assert not me.machine.shared.replica.states


@pytest.mark.parametrize(
    "bad",
    [
        entry("map:m", gone=True, value=b"1"),
        entry("map:m", of=MY_ID, gone=True),
        entry("set:s", of="", gone=True, clock=1),
        entry("counter:c", value=b"[1,0]"),
        entry("counter:c", item="", value=b"[1]"),
        entry("stigmergy:s:most", value=b'"high"'),
        entry("map:m", value=b'"\xff"'),
    ],
)
def test_an_entry_that_makes_no_sense_for_its_kind_is_refused(bad: wire.Entry) -> None:
    assert crdt.fault(bad)


def pair() -> tuple[Net, list[Member]]:
    net = Net(1)
    members = [net.add("me"), net.add("other", seeds=["me"])]
    net.run(1.0)
    return net, members


def got(members: list[Member], name: str) -> list[object]:
    return [each.machine.shared.replica.value(name) for each in members]


def test_nobody_writes_in_anothers_name() -> None:
    net, (me, other) = pair()
    forged = msgspec.structs.replace(entry("map:m", value=b"1"), value=b"2")
    net.give(me, fx.Received(other.id, wire.StateDelta([forged])))
    assert me.machine.out.counters["forged"] == 1
    assert got([me], "map:m") == [{}]


def test_a_write_from_the_future_would_hold_for_ever_and_is_refused() -> None:
    net, (me, other) = pair()
    ahead = entry("map:m", stamp=STAMP + (3600_000 << 16), value=b"1")
    net.give(me, fx.Received(other.id, wire.StateDelta([ahead])))
    assert me.machine.out.counters["from the future"] == 1


def test_a_state_with_an_owner_is_written_by_that_key_alone() -> None:
    net, (me, other) = pair()
    swarm = HashKeys("swarm")
    me.machine.shared.owners["map:revoked"] = swarm.public_key
    other.machine.shared.owners["map:revoked"] = swarm.public_key
    net.give(me, fx.SharedWritten("map:revoked", "x", b"1"))
    assert me.machine.out.counters["shared: not the owner's"] == 1
    net.give(me, fx.SharedCarried(entry("map:revoked", swarm, value=b"true")))
    net.run(0.1)
    assert got([me, other], "map:revoked") == [{"x": True}] * 2


def test_what_there_is_no_room_for_is_counted_but_held_items_still_change() -> None:
    net, (me, other) = pair()
    replica = me.machine.shared.replica
    writers = [HashKeys(f"writer {number}") for number in range(4)]
    for i in range(crdt.MAX_ENTRIES):
        replica.join(entry("map:m", writers[i % 4], item=f"i{i}", value=b"1"))
    new = [entry("map:m", item="one more", value=b"1"), entry("map:m", item="i3", value=b"2")]
    later = msgspec.structs.replace(new[1], clock=STAMP + 1, stamp=STAMP + 1)
    sent = [new[0], wire.sign(later, OTHER)]
    net.give(me, fx.Received(other.id, wire.StateDelta(sent)))
    assert me.machine.out.counters["shared: no room"] == 1
    assert replica.size == crdt.MAX_ENTRIES
    assert replica.value("map:m")["i3"] == 2


def test_no_writer_takes_all_the_room() -> None:
    replica = Replica(10.0)
    for i in range(crdt.MAX_OF_ONE):
        replica.join(entry("map:m", item=f"i{i}", value=b"1"))
    assert not replica.has_room(entry("map:m", item="more", value=b"1"))
    assert replica.has_room(entry("map:m", ME, item="more", value=b"1"))
    assert replica.has_room(entry("map:m", item="i3", value=b"2"))
    replica.join(entry("map:m", ME, item="i3", stamp=STAMP + 1, value=b"3"))
    assert replica.has_room(entry("map:m", item="more", value=b"1"))
    assert replica.size == crdt.MAX_OF_ONE


def test_there_are_only_so_many_states() -> None:
    replica = Replica(1.0)
    for i in range(crdt.MAX_STATES):
        replica.join(entry(f"map:m{i}", value=b"1"))
    assert replica.has_room(entry("map:m0", item="y", value=b"1"))
    assert not replica.has_room(entry("map:more", value=b"1"))


def test_a_removal_too_old_to_be_remembered_still_removes() -> None:
    replica = Replica(10.0)
    removal = entry("map:m", gone=True)
    assert not replica.is_news(removal, WALL + 11)
    replica.join(entry("map:m", stamp=STAMP - 1, value=b"1"))
    assert replica.is_news(removal, WALL + 11)
    replica.join(removal)
    assert replica.value("map:m") == {}
    replica.join(entry("map:m", item="y", gone=True, stamp=STAMP + (5_000 << 16)))
    replica.expire(WALL + 11)
    assert replica.size == 1
    replica.expire(WALL + 12)
    replica.expire(WALL + 16)
    assert not replica.states


def test_a_write_that_had_not_seen_the_other_is_told_when_it_loses() -> None:
    net, (me, other) = pair()
    net.give(me, fx.SharedWritten("stigmergy:best:most", "x", b"3"))
    told = me.machine.handle(
        fx.Received(
            other.id, wire.StateDelta([entry("stigmergy:best:most", clock=1, value=b"4")])
        ),
        net.now,
    )
    merged = fx.SharedMerged("stigmergy:best:most", "x", OTHER_ID, True)
    assert merged in told
    net.give(me, fx.SharedWritten("stigmergy:best:most", "x", b"2"))
    assert got([me], "stigmergy:best:most") == [{"x": 2}]


def test_one_that_is_alone_compares_with_nobody_until_it_meets_someone() -> None:
    net = Net(1)
    me = net.add("me")
    net.give(me, fx.SharedWritten("set:s", "x"))
    net.run(5.0)
    assert "state digest" not in me.timers
    other = net.add("other", seeds=["me"])
    net.run(2.0)
    assert got([me, other], "set:s") == [["x"]] * 2


def test_writes_that_change_nothing_are_not_sent() -> None:
    net, (me, other) = pair()
    net.give(me, fx.SharedWritten("map:m", "x", gone=True))
    net.give(me, fx.SharedWritten("set:s", "x", gone=True))
    assert not me.machine.shared.replica.states
    net.give(me, fx.SharedWritten("set:s", "x"))
    net.run(1.0)
    sent = net.sent
    net.give(me, fx.SharedWritten("set:s", "x"))
    assert "state delta" not in me.timers
    assert net.sent == sent
    assert got([me, other], "set:s") == [["x"]] * 2


def test_a_counter_goes_on_after_a_restart() -> None:
    net, (me, other) = pair()
    net.give(me, fx.SharedWritten("counter:c", "", b"5"))
    net.run(1.0)
    me = net.add("me", seeds=["other"], boot=2)
    net.give(me, fx.SharedWritten("counter:c", "", b"-2"))
    net.run(3.0)
    assert got([me, other], "counter:c") == [3, 3]


def test_ids_that_are_cut_off_are_just_ids_that_nobody_has() -> None:
    net, (me, other) = pair()
    net.give(me, fx.SharedWritten("map:m", "x", b"1"))
    held = wire.StateHeld([("map:m", b"123"), ("map:none", b"12345678")], False)
    told = me.machine.handle(fx.Received(other.id, held), net.now)
    assert [each.frame.entries[0].item for each in told if isinstance(each, fx.Send)] == ["x"]


def test_hashes_that_contradict_each_other_ask_for_nothing() -> None:
    net, (me, other) = pair()
    net.give(me, fx.SharedWritten("map:m", "x", b"1"))
    hashes = me.machine.shared.replica.hashes()
    lie = wire.StateDigest(b"another", hashes)
    told = me.machine.handle(fx.Received(other.id, lie), net.now)
    assert not [each for each in told if isinstance(each, fx.Send)]


def test_a_discovered_address_is_one_more_seed_until_there_are_too_many() -> None:
    net = Net(2)
    early = net.add("early")
    late = net.add("late")
    for _ in range(2):
        net.give(late, fx.Discovered("tcp://early:1"))
        net.give(late, fx.Discovered("tcp://late:1"))
    net.run(1.0)
    assert (late.sees(early), early.sees(late)) == ("alive", "alive")
    sent = net.sent
    net.give(early, fx.Discovered("tcp://late:1"))
    for i in range(100):
        net.give(late, fx.Discovered(f"tcp://none{i}:1"))
    assert net.sent == sent + 100
    assert len(late.machine.seeds.found) == 64
    assert late.machine.out.counters["seeds forgotten"] == 38


def test_a_seed_may_be_discovered_before_the_start() -> None:
    net = Net(3)
    member = net.add("m", seeds=["x"])
    fresh = Net(4).add("m").machine
    fresh.fact = None
    assert fresh.handle(fx.Discovered("tcp://y:1"), 0.0) == []
    assert fresh.seeds.all == ["tcp://y:1"]
    assert net.sent == 1
    assert "join" in member.timers


class Desk:
    """A facade on a machine, as the driver has one."""

    def __init__(self) -> None:
        net, (me, _) = pair()
        self.shared = SharedStates(me.machine.shared, lambda item: net.give(me, item))


def test_the_facade_writes_and_reads_every_kind() -> None:
    shared = Desk().shared
    shared.put("map:plan", "go", {"to": [1, 2]})
    shared.put("map:plan", "stop", None)
    shared.put("stigmergy:best", "x", 0.5)
    shared.add("set:seen", "cat")
    shared.add("set:seen", "ant")
    shared.count("counter:n")
    shared.count("counter:n", -4)
    shared.remove("map:plan", "stop")
    assert shared.all() == {
        "counter:n": -3,
        "map:plan": {"go": {"to": [1, 2]}},
        "set:seen": ["ant", "cat"],
        "stigmergy:best": {"x": 0.5},
    }
    assert shared.get("counter:none") == 0
    assert [each.item for each in shared.entries("set:seen")] == ["cat", "ant"]


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (lambda it: it.put("plan", "x", 1), "'plan' is no shared state: say map:NAME"),
        (lambda it: it.put("set:s", "x", 1), "that is for map: and stigmergy:"),
        (lambda it: it.add("map:s", "x"), "that is for set:"),
        (lambda it: it.count("map:s"), "that is for counter:"),
        (lambda it: it.remove("counter:s", "x"), "that is for map:"),
        (lambda it: it.get("Map:m"), "no shared state"),
        (lambda it: it.put("map:m", "x", object()), "not a JSON value"),
        (lambda it: it.put("map:m", "x", "a" * 2000), "2002 bytes, 1024 at most"),
        (lambda it: it.put("map:m", "x" * 200, 1), "128 characters at most"),
        (lambda it: it.put("stigmergy:s:most", "x", "high"), "a number"),
        (lambda it: it.count("counter:c", 2**40), "too much to count"),
        (lambda it: it.put("map:mine", "x", 1), "only the holder of one key"),
    ],
)
def test_the_facade_says_what_is_wrong(call, reason: str) -> None:
    shared = Desk().shared
    shared.reserve("map:mine", OTHER.public_key)
    with pytest.raises(SwarmError, match=reason):
        call(shared)


def test_an_owner_may_carry_what_it_signed() -> None:
    shared = Desk().shared
    shared.reserve("map:mine", OTHER.public_key)
    shared.carry(entry("map:mine", value=b"1"))
    assert shared.get("map:mine") == {"x": 1}


SWARM = HashKeys("the swarm's key")


def owned(stamp: int = STAMP) -> wire.Entry:
    return entry("map:revoked", SWARM, item="thief", value=b"true", stamp=stamp)


def test_nobody_fills_the_room_of_a_state_with_an_owner() -> None:
    net, (me, other) = pair()
    me.machine.shared.owners["map:revoked"] = SWARM.public_key
    junk = [entry(f"map:m{i}", value=b"1") for i in range(crdt.MAX_STATES)]
    net.give(me, fx.Received(other.id, wire.StateDelta(junk)))
    for i in range(4):
        rude = HashKeys(f"rude {i}")
        many = [entry("map:m0", rude, item=f"{i} {n}", value=b"1") for n in range(crdt.MAX_OF_ONE)]
        for piece in range(0, len(many), 256):
            net.give(me, fx.Received(other.id, wire.StateDelta(many[piece : piece + 256])))
    net.give(me, fx.Received(other.id, wire.StateDelta([owned()])))
    replica = me.machine.shared.replica
    assert replica.entries("map:revoked") == [owned()]
    assert len(replica.states) == crdt.MAX_STATES
    assert replica.size == crdt.MAX_ENTRIES + 1
    assert me.machine.out.counters["shared: no room"]


def test_a_state_with_an_owner_is_bounded_too(monkeypatch) -> None:
    monkeypatch.setattr(crdt, "MAX_ENTRIES", 2)
    replica = Replica(60.0)
    for i in range(2):
        assert replica.has_room(entry("map:m", item=f"{i}", value=b"1"), {"map:m"})
        replica.join(entry("map:m", item=f"{i}", value=b"1"))
    assert not replica.has_room(entry("map:m", item="more", value=b"1"), {"map:m"})


def test_a_clock_that_is_behind_hides_no_revocation() -> None:
    net, (me, other) = pair()
    me.machine.shared.owners["map:revoked"] = SWARM.public_key
    ahead = STAMP + (3_600_000 << 16)
    net.give(me, fx.Received(other.id, wire.StateDelta([owned(ahead)])))
    assert me.machine.shared.replica.entries("map:revoked") == [owned(ahead)]
    assert me.machine.out.counters["from the future"] == 1
