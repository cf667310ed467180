"""When each kind of mission is done, by the truth alone."""

from __future__ import annotations

import math

import pytest

from mtor_swarm.config import MissionConfig
from mtor_swarm.errors import WorldError
from mtor_swarm.events import Event, make
from mtor_swarm.sim.judge import Truth
from mtor_swarm.sim.kinematic import Kinematic
from mtor_swarm.sim.sight import Thing
from mtor_swarm.sim.verdicts import Delivered, Shadow, Verdict, of
from mtor_swarm.task_events import TaskDone

CONVOY = MissionConfig(name="convoy", kind="convoy", route=[(0, 0), (5, 0), (5, 5)], gap_m=1.0)
SHOP = MissionConfig(name="shop", kind="warehouse", orders=2, picks=[(0, 0), (4, 0)],
                     drops=[(9, 9)])  # fmt: skip


def at(x: float, y: float, yaw: float = 0.0, speed: float = 0.0) -> Truth:
    return Truth(x, y, yaw, speed, 0.0)


def engine(*units: str, **rest: object) -> Kinematic:
    starts = {each: (2.0 * n, 0.0, 0.0) for n, each in enumerate(units)}
    return Kinematic(starts, **rest)  # type: ignore[arg-type]


def done(unit: str, task: str, ok: bool = True) -> Event:
    return make(TaskDone(task=task, ok=ok), source="/x", wall_s=0.0, unit=unit)


def test_a_target_that_walks_is_surrounded_where_it_is():
    world = engine("a", "b", "c", things=[Thing("cat", 0.0, 0.0)])
    verdict = of(MissionConfig(name="watch", kind="perimeter", target="cat"), world)
    turns = {"a": 0, "b": 2, "c": 4}
    around = {name: at(5 + math.cos(turn), math.sin(turn)) for name, turn in turns.items()}
    assert not any(verdict.watch(t, around) for t in range(6))
    world.things["cat"].x_m = 5.0
    assert not verdict.watch(6.0, around)
    assert verdict.watch(10.0, around) == "a, b, c stand around the target"


def test_a_world_without_the_target_is_refused():
    with pytest.raises(WorldError, match="there is no dog in this world"):
        of(MissionConfig(name="x", target="dog"), engine("a"))


def test_an_area_is_covered_once_enough_of_it_was_in_view():
    config = MissionConfig(name="all", kind="coverage", area=(-2, -2, 2, 2), share=0.9, view_m=3)
    world = engine("a")
    verdict = Shadow(config, world)
    said = [verdict.watch(t, {"a": at(0, 0, t * 0.5)}) for t in range(13)]
    assert said[0] == ""
    assert said[-1].endswith("of the area was looked at")


def test_a_wall_hides_what_is_behind_it():
    from mtor_swarm.sim.plan import Footprint

    config = MissionConfig(name="all", kind="coverage", area=(-2, -2, 2, 2), share=0.9, view_m=5)
    wall = Footprint("wall", 0.5, 0.0, 0.0, 0.1, 4.0, (1, 1, 1, 1))
    verdict = Shadow(config, engine("a", solids=[wall]))
    assert not any(verdict.watch(t, {"a": at(-1, 0, t * 0.5)}) for t in range(13))


def ride(verdict: Verdict, places: list[tuple[float, float]], start_s: float = 0.0) -> str:
    for n, place in enumerate(places):
        assert not verdict.watch(start_s + n, {"a": at(*place, speed=0.5)})
    return verdict.watch(start_s + 50, {"a": at(*places[-1])}) or verdict.watch(
        start_s + 54, {"a": at(*places[-1])}
    )


def test_a_convoy_has_arrived_once_all_have_passed_the_route_and_stand():
    verdict = of(CONVOY, engine("a"))
    assert ride(verdict, [(0, 0), (2, 0), (5, 0), (5, 3), (5, 5)]) == (
        "a have passed the whole route"
    )


def test_a_short_cut_is_no_convoy():
    assert ride(of(CONVOY, engine("a")), [(0, 0), (2, 2), (5, 5)]) == ""


def test_one_that_has_died_is_not_waited_for():
    verdict = of(CONVOY, engine("a", "b"))
    assert not verdict.watch(0.0, {"a": at(0, 0), "b": at(1, 0)})
    assert ride(verdict, [(0, 0), (5, 0), (5, 5)], 1.0)


def test_an_order_counts_if_the_unit_stood_at_its_shelf_and_stands_at_its_dock():
    verdict = of(SHOP, engine("a", "b"))
    assert isinstance(verdict, Delivered)
    verdict.watch(0.0, {"a": at(0, 0), "b": at(4, 0)})
    assert not verdict.watch(9.0, {"a": at(9, 9), "b": at(5, 5)}, [done("a", "order1")])
    assert verdict.watch(10.0, {"a": at(8, 8), "b": at(9, 9)}, [done("b", "order2")]) == (
        "2 orders are delivered"
    )
    assert verdict.false == 0


@pytest.mark.parametrize(
    ("shelf", "dock"),
    [(at(0, 0, speed=0.4), at(9, 9)), (at(2, 0), at(9, 9)), (at(0, 0), at(8, 7))],
)
def test_no_unit_is_believed_that_drove_past_or_never_came(shelf: Truth, dock: Truth):
    verdict = of(SHOP, engine("a"))
    assert isinstance(verdict, Delivered)
    verdict.watch(0.0, {"a": shelf})
    verdict.watch(9.0, {"a": dock}, [done("a", "order1")])
    assert verdict.false == 1
    assert verdict.watch(9.5, {"a": dock}, [done("a", "order2", ok=False)]) == ""
