"""The whole search by six units in virtual time. Each run prints what it took."""

from __future__ import annotations

import math

import pytest

from mtor_swarm.events import TargetLost, TargetSeen
from tests.simulation.field import Field

AIM_S = 120.0


def finished(field: Field, until_s: float = AIM_S) -> float:
    took = field.run(until_s)
    doing = {each.name: each.mission.state.doing for each in field.units}
    print(f"done after {took:.1f} s; {doing}; hulls {field.closest_units:.3f} m apart")
    assert took <= until_s
    assert field.closest_units > 0.0, "two hulls touched"
    assert field.closest_solid > 0.0, "a hull touched a wall, a box or the cat"
    return took


@pytest.mark.parametrize("seed", [1, 3, 7])
def test_six_units_find_the_cat_and_surround_it(seed: int) -> None:
    finished(Field(seed))


@pytest.mark.parametrize("name", ["r1", "r2", "r3", "r4", "r5", "r6"])
def test_any_unit_may_be_killed(name: str) -> None:
    field = Field(20 + int(name[1]))
    field.run(10.0)
    field.kill(name)
    finished(field)


def test_one_of_those_who_surround_may_be_killed() -> None:
    field = Field(2)
    while not any(each.mission.state.doing == "surrounding" for each in field.units):
        field.step()
        assert field.now < AIM_S
    field.kill(next(u.name for u in field.units if u.mission.state.doing == "surrounding"))
    finished(field)


def test_one_of_those_who_surround_may_be_held() -> None:
    field = Field(4)
    while not any(each.mission.state.doing == "surrounding" for each in field.units):
        field.step()
        assert field.now < AIM_S
    name = next(u.name for u in field.units if u.mission.state.doing == "surrounding")
    field.latch(name)
    finished(field)
    assert field[name].mission.state.doing == "holding"


def test_messages_may_be_lost_and_late() -> None:
    finished(Field(12, loss=0.2, delay_s=0.1))


def test_a_detector_that_often_lies_costs_time_only() -> None:
    field = Field(207, lies=0.05)
    finished(field, 180.0)
    assert any(isinstance(data, TargetLost) for _, _, data in field.told)


def test_a_cat_beside_a_box_or_wall_is_surrounded() -> None:
    finished(Field(300, cat_room_m=0.9))


def test_without_a_cat_nobody_says_that_it_is_seen() -> None:
    field = Field(5, cat=False, lies=0.0)
    assert math.isinf(field.run(25.0))
    assert not any(isinstance(data, TargetSeen) for _, _, data in field.told)
    assert {each.mission.state.doing for each in field.units} == {"searching"}


def test_the_same_seed_gives_the_same_run() -> None:
    one, two = Field(9, loss=0.1), Field(9, loss=0.1)
    one.run(8.0)
    two.run(8.0)
    assert [each.pose for each in one.units] == [each.pose for each in two.units]
