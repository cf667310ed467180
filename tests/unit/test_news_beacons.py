from __future__ import annotations

import itertools
import math
from collections import Counter

import msgspec
import pytest

from mtor_swarm.events import Pose, UnitState
from mtor_swarm.swarm.gossip import beacons, wire
from mtor_swarm.swarm.gossip import effects as fx
from mtor_swarm.swarm.simnet.keys import HashKeys
from tests.simulation.harness import Member, Net


class Watched(Net):
    """A net that counts the beacons sent, by who to whom."""

    def __init__(self, seed: int = 1) -> None:
        super().__init__(seed)
        self.beacons: Counter[tuple[str, str]] = Counter()
        self.quiet = 0

    def _carry(self, member: Member, send: fx.Send) -> None:
        if isinstance(send.frame, wire.Beacon):
            to = send.address.removeprefix("tcp://").removesuffix(":1")
            self.beacons[member.name, to] += 1
        self.quiet += isinstance(send.frame, wire.Quiet)
        super()._carry(member, send)


def state(name: str, x_m: float | None = None, **more) -> UnitState:
    pose = None if x_m is None else Pose(x_m, 0.0, 0.0)
    return UnitState(unit=name, pose=pose, **more)


OFFERING_NONSENSE = UnitState(unit="m1", offers={"detect": float("nan")})


def said(
    name: str = "m1", *, seq: int = 1, far: bool = True, body: bytes = b"", **more
) -> wire.Beacon:
    keys = HashKeys(name)
    raw = msgspec.msgpack.encode(
        beacons.Said(keys.public_key, more.get("boot", 1), seq, far, body)
    )
    return wire.Beacon(raw, HashKeys(more.get("signed", name)).sign(beacons.CONTEXT + raw))


def drive(net: Net, seconds: float, moving: list[Member]) -> None:
    """Each moves a little, twenty times a second; `m3` is at 3 m and so on."""
    for step in range(int(seconds * 20)):
        for each in moving:
            place = float(each.name[1:]) + step / 1000
            net.give(each, fx.StateChanged(state(each.name, place)))
        net.run(0.05)


def test_a_state_reaches_those_near_often_and_all_now_and_then():
    net = Watched()
    members = net.grow(20)
    drive(net, 3.0, members)
    net.beacons.clear()
    drive(net, 4.0, members)
    from_m9 = {to: count for (by, to), count in net.beacons.items() if by == "m9"}
    assert {f"m{i}" for i in (6, 7, 8, 10, 11, 12)} <= {
        to for to, count in from_m9.items() if count >= 35
    }
    net.run(2.0)
    places = [
        [each.beacons[other.id].pose for each in members if each is not other] for other in members
    ]
    assert all(len(set(seen)) == 1 for seen in places)


def test_what_a_member_sends_does_not_grow_with_the_swarm():
    def rate(number: int) -> float:
        net = Watched()
        members = net.grow(number)
        drive(net, 3.0, members)
        net.beacons.clear()
        drive(net, 2.0, members)
        return net.beacons.total() / number

    assert rate(24) < 1.5 * rate(12)


def test_in_a_crowd_beacons_to_all_are_rarer():
    net = Watched()
    (first, *_) = net.grow(3)
    assert first.machine.news.beacons._far_period_s() == net.config.beacon_far_s
    first.machine.members.views = dict.fromkeys(map(str, range(500)))
    assert first.machine.news.beacons._far_period_s() == 10 * net.config.beacon_far_s


def test_a_state_that_stands_still_is_sent_sparsely_and_then_not():
    net = Watched()
    members = net.grow(3)
    for _ in range(40):
        net.give(members[0], fx.StateChanged(state("m0", 1.0)))
        net.run(0.05)
    assert 2 <= net.beacons["m0", "m1"] <= 3
    net.run(5.0)
    assert net.beacons["m0", "m1"] <= 3
    assert members[1].beacons[members[0].id] == state("m0", 1.0)


def test_the_last_state_of_many_is_told_to_those_near_in_the_end():
    net = Watched()
    members = net.grow(3)
    for i in range(3):
        net.give(members[0], fx.StateChanged(state("m0", speed_mps=float(i))))
    net.run(0.2)
    assert members[1].beacons[members[0].id].speed_mps == 2.0


def test_observers_that_watch_longest_get_beacons_wherever_they_are():
    net = Watched()
    members = net.grow(20)
    observers = []
    for name in "abc":
        observers.append(net.add(name, role="observer", seeds=["m0"]))
        net.run(0.5)
    drive(net, 2.0, members)
    net.beacons.clear()
    drive(net, 2.0, members)
    direct = {(by, to) for (by, to), count in net.beacons.items() if to in "abc" and count >= 15}
    assert {(each.name, name) for each in members for name in "ab"} <= direct
    assert len({by for by, to in direct if to == "c"}) < len(members)


def test_who_hears_a_unit_twice_asks_for_quiet_for_a_while():
    net = Watched()
    members = net.grow(30)
    drive(net, 2.0, members[:1])
    assert net.quiet > 0
    net.beacons.clear()
    drive(net, 5.0, members[:1])
    far = sum(count for (by, _), count in net.beacons.items() if by != "m0")
    assert far < 1.3 * 5 * len(members)
    heard = members[1].machine.news.beacons._heard
    assert any(each.quiet for each in heard.values())
    net.run(beacons.QUIET_S)
    links = members[1].machine.news.tree.links
    assert members[1].machine.news.beacons._links_for(members[0].id, net.now) == list(links)


def test_quiet_of_strangers_or_about_them_is_nothing():
    net = Net(1)
    members = net.grow(3)
    here = members[0].machine.news.beacons
    here.quieted("s" * 32, members[1].id, 0.0)
    here.quieted(members[1].id, "s" * 32, 0.0)
    assert here._heard == {}


def test_an_old_or_repeated_beacon_is_not_told_again():
    net = Net(1)
    members = net.grow(2)
    body = msgspec.msgpack.encode(state("m1", 1.0))
    told = []
    for seq in (5, 5, 4, 6):
        net.give(members[0], fx.Received(members[1].id, said(seq=seq, body=body)))
        told.append(members[0].beacons.pop(members[1].id, None) is not None)
    assert told == [True, False, False, True]


def test_with_nothing_to_tell_a_late_timer_sends_nothing():
    net = Watched()
    members = net.grow(2)
    net.give(members[0], fx.Fired("beacon"))
    assert net.beacons.total() == 0


def test_a_beacon_that_was_heard_from_near_is_still_passed_on_to_all():
    net = Watched()
    members = net.grow(8)
    body = msgspec.msgpack.encode(state("m1", 1.0))
    net.give(members[0], fx.Received(members[1].id, said(seq=5, far=False, body=body)))
    assert net.beacons.total() == 0
    net.give(members[0], fx.Received(members[1].id, said(seq=5, body=body)))
    assert net.beacons.total() > 0


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (wire.Beacon(b"\xc1", b""), "not beacons"),
        (said("stranger"), "beacons of strangers"),
        (said(signed="m0"), "forged"),
        (said(body=b"\xc1"), "not states"),
        (said(body=msgspec.msgpack.encode(OFFERING_NONSENSE)), "not states"),
    ],
)
def test_bad_beacons_are_counted_and_dropped(frame: wire.Beacon, reason: str):
    net = Net(1)
    members = net.grow(2)
    net.give(members[0], fx.Received(members[1].id, frame))
    assert members[0].machine.out.counters[reason] == 1
    assert members[0].beacons == {}


def test_a_members_own_beacon_coming_back_is_ignored():
    net = Net(1)
    members = net.grow(2)
    net.give(members[0], fx.Received(members[1].id, said("m0")))
    assert members[0].machine.out.counters == {}


@pytest.mark.parametrize("x_m", [math.nan, None])
def test_without_a_place_the_links_are_near(x_m: float | None):
    net = Watched()
    members = net.grow(4)
    body = msgspec.msgpack.encode(state("m1", math.inf))
    net.give(members[0], fx.Received(members[1].id, said(far=False, body=body)))
    net.give(members[0], fx.StateChanged(state("m0", x_m)))
    assert {to for by, to in net.beacons if by == "m0"} == {"m1", "m2", "m3"}


def test_who_is_gone_is_forgotten():
    net = Watched()
    members = net.grow(3)
    drive(net, 1.0, members)
    here = members[0].machine
    assert members[1].id in here.news.beacons._heard
    here.members.forget(members[1].id)
    drive(net, 2.0, members[:1])
    assert members[1].id not in here.news.beacons._heard


def test_where_datagrams_are_lost_beacons_for_all_come_over_more_links():
    net = Watched()
    members = net.grow(16)
    net.loss = 0.3
    for each, other in itertools.permutations(members, 2):
        net.give(each, fx.Lossy(other.id, 0.3))
    late = 0
    for step in range(600):
        for each in members:
            net.give(each, fx.StateChanged(state(each.name, float(each.name[1:]) + step / 1000)))
        net.run(0.05)
        if step >= 200 and step % 40 == 0:
            for each, other in itertools.permutations(members, 2):
                moved = each.beacons[other.id].pose.x_m - float(other.name[1:])
                late += step - moved * 1000 > 50  # older than 2.5 s
    assert late < 10 * 16 * 15 / 100


def test_a_copy_that_came_twice_over_one_link_is_one():
    net = Watched()
    members = net.grow(4)
    for other in members[1:]:
        net.give(members[0], fx.Lossy(other.id, 0.3))
    beacon = said(body=msgspec.msgpack.encode(state("m1", 1.0)))
    for sender in (2, 3, 3):
        net.give(members[0], fx.Received(members[sender].id, beacon))
    heard = members[0].machine.news.beacons._heard[members[1].id]
    assert heard.by == [members[2].id, members[3].id]
    assert not heard.quiet
