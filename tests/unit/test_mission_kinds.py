"""The machines of a convoy, a perimeter and a warehouse, fed by hand."""

from __future__ import annotations

import random

import numpy as np
import pytest

from mtor_swarm.config import MissionConfig
from mtor_swarm.events import (
    Command,
    MemberChanged,
    Pose,
    Sighting,
    TargetLost,
    TargetSeen,
    UnitState,
)
from mtor_swarm.workers import mission_io as m
from mtor_swarm.workers.convoy import Convoy, Road
from mtor_swarm.workers.missions import Machine, make
from mtor_swarm.workers.warehouse import ANNOUNCE_S, orders

CONVOY = MissionConfig(name="c", kind="convoy", route=[(0, 0), (10, 0), (10, 10)], gap_m=1.0)
WATCH = MissionConfig(name="p", kind="perimeter", target="cat", sightings=1)
SHOP = MissionConfig(name="w", kind="warehouse", orders=3, picks=[(0, 0), (2, 0)], drops=[(5, 5)])
SCAN = m.Scan(np.full(360, np.inf), -np.pi, 2 * np.pi / 360)


def machine(config: MissionConfig, unit: str = "r1") -> Machine:
    return make(config, unit, random.Random(1))


def drive(one: Machine, x: float, y: float, now: float, yaw: float = 0.0) -> list[m.Effect]:
    one.handle(SCAN, now)
    return one.handle(m.Odom(Pose(x, y, yaw)), now)


def speed(effects: list[m.Effect]) -> float:
    return next(each.speed_mps for each in effects if isinstance(each, m.Drive))


def other(unit: str, x: float, y: float, doing: str, speed_mps: float = 0.0) -> UnitState:
    return UnitState(unit=unit, pose=Pose(x, y, 0.0), doing=doing, speed_mps=speed_mps)


def test_a_road_tells_places_by_their_distance_from_the_beginning():
    road = Road(np.array([(0.0, 0.0), (10.0, 0.0), (10.0, 10.0)]))
    assert road.length_m == 20.0
    assert road.at(12.0) == pytest.approx([10.0, 2.0])
    assert road.along(np.array([9.0, 0.3]), 8.5) == pytest.approx(9.0)
    assert road.along(np.array([10.0, 7.0]), 0.0) == pytest.approx(17.0), "found anew"


def test_where_a_road_comes_back_a_unit_is_where_it_was_a_moment_ago():
    road = Road(np.array([(0.0, 0.0), (10.0, 0.0), (10.0, 0.5), (0.0, 0.5)]))
    assert road.along(np.array([5.0, 0.3]), 4.8) == pytest.approx(5.0)
    assert road.along(np.array([5.0, 0.3]), 15.3) == pytest.approx(15.5)


def test_a_unit_keeps_its_gap_and_waits_for_the_one_behind():
    one = machine(CONVOY)
    drive(one, 0.2, 0.0, 0.0)
    free = speed(drive(one, 3.0, 0.0, 1.0))
    assert one.state.doing == "driving"
    one.handle(other("r2", 3.6, 0.0, "driving"), 1.1)
    assert speed(drive(one, 3.0, 0.0, 1.3)) < free, "too near to the one ahead, which stands"
    one.handle(other("r2", 9.0, 0.0, "driving", 0.5), 1.4)
    one.handle(other("r3", -6.0, 0.0, "gathering"), 1.4)
    assert speed(drive(one, 3.0, 0.0, 1.6)) == 0.0, "r3 is left behind"
    one.handle(MemberChanged(member="x", unit="r3", state="dead"), 1.7)
    assert speed(drive(one, 3.0, 0.0, 1.9)) > 0.0, "nobody waits for the dead"


def test_the_one_ahead_stops_at_the_end_and_the_next_a_gap_before():
    one = machine(CONVOY)
    assert isinstance(one, Convoy)
    drive(one, 0.0, 0.0, 0.0)
    one.handle(other("r2", 10.0, 10.0, "arrived"), 0.9)
    drive(one, 10.0, 8.5, 1.0)
    assert one.state.doing == "driving"
    drive(one, 10.0, 8.95, 1.3)
    assert one.state.doing == "arrived"


def test_a_convoy_obeys_a_hold_and_a_return():
    one = machine(CONVOY)
    drive(one, 3.0, 3.0, 0.0)
    one.handle(m.Latched(True), 0.1)
    assert speed(drive(one, 3.0, 3.0, 0.3)) == 0.0
    assert one.state.doing == "holding"
    one.handle(m.Latched(False), 0.4)
    order = Command(
        id="1", verb="return", units=["r1"], issuer="x", issued_s=0.0, valid_s=9.0, key=b"",
        signature=b"",
    )  # fmt: skip
    one.handle(order, 0.5)
    drive(one, 6.0, 3.0, 0.8)
    assert one.state.doing == "returning"


def sighting(x: float, y: float) -> m.Sightings:
    seen = Sighting(label="cat", score=0.9, left=0, top=0, width=1, height=1, bearing_rad=0.0,
                    range_m=1.0, x_m=x, y_m=y)  # fmt: skip
    return m.Sightings([seen])


def test_a_lone_witness_tracks_the_intruder_until_another_has_seen_it():
    one = machine(WATCH)
    drive(one, 0.0, 0.0, 0.0)
    one.handle(other("r2", -3.0, 0.0, "searching"), 0.1)
    said = one.handle(sighting(1.0, 0.0), 0.2)
    assert [e.data.seen_by for e in said if isinstance(e, m.Say)] == ["r1"]  # type: ignore[attr-defined]
    drive(one, 0.0, 0.0, 0.5)
    assert one.state.doing == "tracking"
    word = TargetSeen(label="cat", score=0.9, x_m=1.4, y_m=0.0, seen_from_x_m=-1.0,
                      seen_from_y_m=0.0, seen_by="r2")  # fmt: skip
    one.handle(word, 0.6)
    drive(one, 0.0, 0.0, 0.9)
    assert one.state.doing in {"approaching", "surrounding"}


def test_the_nearest_that_has_not_seen_it_goes_to_look_and_the_others_watch_on():
    doing = {}
    for name, x in (("r1", -3.0), ("r3", -6.0)):
        one = machine(WATCH, name)
        drive(one, x, 0.0, 0.0)
        for each, place in (("r1", -3.0), ("r2", 2.0), ("r3", -6.0)):
            one.handle(other(each, place, 0.0, "searching"), 0.1)
        word = TargetSeen(label="cat", score=0.9, x_m=1.0, y_m=3.0, seen_from_x_m=2.0,
                          seen_from_y_m=0.0, seen_by="r2")  # fmt: skip
        one.handle(word, 0.2)
        drive(one, x, 0.0, 0.5)
        doing[name] = one.state.doing
        one.handle(TargetLost(label="cat", x_m=1.0, y_m=3.0), 0.6)
        drive(one, x, 0.0, 0.9)
        assert one.state.doing == "searching", "it was a mistake"
    assert doing == {"r1": "verifying", "r3": "searching"}


def test_orders_take_shelves_in_turn():
    assert [each.places for each in orders(SHOP)] == [
        [(0, 0), (5, 5)], [(2, 0), (5, 5)], [(0, 0), (5, 5)],
    ]  # fmt: skip


def test_a_unit_that_is_alone_announces_the_orders_and_brings_them():
    one, place = machine(SHOP), [0.0, 1.0]
    facts, done, doing = set(), set(), set()
    now = 0.0
    while len(done) < 3:
        now += 0.1
        assert now < 300.0
        for effect in drive(one, *place, now):
            if isinstance(effect, m.Fact):
                facts.add(effect.key)
                assert now >= ANNOUNCE_S or effect.key == "row/r1"
            elif isinstance(effect, m.Say) and type(effect.data).__name__ == "TaskDone":
                done.add(effect.data.task)  # type: ignore[attr-defined]
        doing.add(one.state.doing)
        if one.state.goal and one.state.doing != "idle":
            way = np.array(one.state.goal) - place
            place = (place + way * min(1.0, 0.05 / max(np.hypot(*way), 0.05))).tolist()
    assert doing == {"idle", "picking", "delivering"}
    assert {"task/order1", "task/order2", "task/order3", "row/r1"} <= facts


def test_what_a_machine_is_not_about_is_let_pass():
    assert machine(CONVOY).handle(sighting(1.0, 0.0), 0.0) == []
