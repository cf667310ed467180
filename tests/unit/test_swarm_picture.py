from __future__ import annotations

import math
from typing import Any

import pytest

from mtor_swarm.events import Event, Pose, UnitState
from mtor_swarm.swarm.gossip.membership import MemberInfo
from mtor_swarm.swarm.picture import Picture, speaker


def member(id: str, unit: str, state: Any = "alive", role: str = "unit") -> MemberInfo:
    return MemberInfo(
        id=id,
        unit=unit,
        role=role,
        address="tcp://127.0.0.1:1",
        boot=1,
        incarnation=0,
        state=state,
        started_s=0.0,
    )


def at(unit: str, x_m: float = 1.0, **more: Any) -> UnitState:
    return UnitState(unit=unit, pose=Pose(x_m, 2.0, 0.0), **more)


def said(unit: str, origin: str) -> dict[str, Any]:
    event = Event(id="1", source="/x", type="mtor.x", time="", unit=unit, origin=origin)
    return Picture().event(event)


def test_a_lost_unit_stays_with_when_and_where_until_it_is_back() -> None:
    picture = Picture()
    picture.member(member("a", "r1"), 10.0)
    picture.beacon("a", at("r1"), 11.0)
    picture.member(member("a", "r1", "suspect"), 12.0)
    (_, _), (kind, unit) = picture.member(member("a", "r1", "dead"), 13.0)
    assert (kind, unit["lost_at_s"], unit["lost_x_m"], unit["lost_y_m"]) == ("unit", 13.0, 1, 2)
    picture.member(member("a", "r1", "left"), 99.0)
    assert picture.units["r1"]["lost_at_s"] == 13.0
    picture.member(member("a", "r1"), 100.0)
    assert picture.units["r1"]["lost_at_s"] is None
    assert picture.units["r1"]["state"]["pose"]["x_m"] == 1.0


def test_when_a_unit_was_lost_that_was_lost_before_we_came_is_not_made_up() -> None:
    picture = Picture()
    picture.member(member("a", "r1", "dead"), 13.0)
    assert picture.units["r1"]["member_state"] == "dead"
    assert picture.units["r1"]["lost_at_s"] is None


def test_an_observer_with_a_units_name_is_not_that_unit() -> None:
    picture = Picture()
    picture.member(member("spy", "r1", role="observer"), 1.0)
    assert picture.units == {}
    picture.member(member("a", "r1"), 2.0)
    assert picture.beacon("spy", at("r1"), 3.0) is None
    assert picture.beacon("a", at("r1"), 3.0) is not None
    assert picture.dropped["beacons_junk"] == 1


def test_nobody_shows_anothers_state() -> None:
    picture = Picture()
    picture.member(member("a", "r1"), 1.0)
    picture.member(member("b", "r2"), 1.0)
    assert picture.beacon("b", at("r1"), 2.0) is None
    assert picture.beacon("nobody", at("r9"), 2.0) is None
    assert picture.units["r1"]["state"] is None
    assert picture.dropped["beacons_junk"] == 2


@pytest.mark.parametrize(
    "state",
    [
        at("r1", math.nan),
        at("r1", math.inf),
        at("r1", speed_mps=math.nan),
        at("r1", goal=(0.0, math.inf)),
        at("r1", target=(math.nan, 0.0)),
        at("r1", battery=math.nan),
        at("r1", cost_m=math.inf),
        at("r1", offers={"detect": math.nan}),
    ],
)
def test_a_state_that_is_not_of_numbers_is_counted_and_not_shown(state: UnitState) -> None:
    picture = Picture()
    picture.member(member("a", "r1"), 1.0)
    assert picture.beacon("a", state, 2.0) is None
    assert picture.dropped["beacons_junk"] == 1


@pytest.mark.parametrize("state", ["alive", "suspect"])
def test_who_holds_a_name_keeps_it_until_gone(state: str) -> None:
    picture = Picture()
    picture.member(member("a", "r1"), 1.0)
    picture.member(member("a", "r1", state), 2.0)
    assert picture.member(member("b", "r1"), 3.0)[1:] == []
    assert picture.units["r1"]["member"] == "a"
    picture.member(member("a", "r1", "dead"), 4.0)
    assert picture.units["r1"]["member"] == "b"
    assert picture.units["r1"]["member_state"] == "alive"
    picture.member(member("b", "r1", "dead"), 5.0)
    assert picture.units["r1"]["member_state"] == "dead"
    picture.member(member("a", "r1"), 6.0)
    assert (picture.units["r1"]["member"], picture.units["r1"]["lost_at_s"]) == ("a", None)


def test_departed_members_are_forgotten_oldest_first_and_counted() -> None:
    picture = Picture(most_members=3)
    picture.member(member("a", "r1"), 1.0)
    picture.member(member("x", "mtor", "left", "observer"), 2.0)
    picture.member(member("y", "mtor", "dead", "observer"), 3.0)
    picture.member(member("x", "mtor", role="observer"), 4.0)
    picture.member(member("x", "mtor", "left", "observer"), 5.0)
    picture.member(member("z", "mtor", role="observer"), 6.0)
    assert set(picture.members) == {"a", "x", "z"}
    picture.member(member("b", "r2"), 7.0)
    assert set(picture.members) == {"a", "z", "b"}
    assert picture.member(member("c", "r3"), 8.0) == []  # all who are there have their place
    assert set(picture.members) == {"a", "z", "b"}
    assert picture.dropped["members_forgotten"] == 3


def test_a_lost_unit_stays_though_its_member_is_forgotten_and_may_come_back() -> None:
    picture = Picture(most_members=1)
    picture.member(member("a", "r1"), 1.0)
    picture.member(member("a", "r1", "dead"), 2.0)
    picture.member(member("x", "mtor", role="observer"), 3.0)
    assert picture.units["r1"]["member_state"] == "dead"
    picture.member(member("x", "mtor", "left", "observer"), 4.0)
    picture.member(member("a2", "r1"), 5.0)
    assert picture.units["r1"]["member"] == "a2"
    assert picture.units["r1"]["member_state"] == "alive"


def test_an_event_is_the_units_whose_member_signed_it() -> None:
    picture = Picture()
    picture.member(member("a", "r1"), 1.0)
    picture.member(member("b", "r2"), 1.0)
    picture.member(member("spy", "r1", role="observer"), 1.0)
    units = picture.units
    assert speaker(said("r1", "a"), units) == "r1"
    assert speaker(said("r2", "a"), units) == ""
    assert speaker(said("r1", "spy"), units) == ""
    assert speaker(said("", "a"), units) == ""
    assert speaker(said("r9", "a"), units) == ""
