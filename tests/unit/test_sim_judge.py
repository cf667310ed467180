"""The judge: when a target counts as surrounded, edge by edge."""

from __future__ import annotations

import math

import pytest

from mtor_swarm.sim.judge import Judge, Truth, widest_gap

CAT = (1.0, -2.0)


def at(bearing_deg: float, range_m: float = 1.2, speed: float = 0.0, turn: float = 0.0) -> Truth:
    bearing = math.radians(bearing_deg)
    x, y = CAT[0] + range_m * math.cos(bearing), CAT[1] + range_m * math.sin(bearing)
    return Truth(x, y, 0.0, speed, turn)


def around(*bearings: float) -> dict[str, Truth]:
    return {f"r{i}": at(bearing) for i, bearing in enumerate(bearings)}


def verdict(*watched: tuple[float, dict[str, Truth]]) -> list[str]:
    judge = Judge(CAT)
    return [judge.watch(time_s, truth) for time_s, truth in watched][-1]


def held(truth: dict[str, Truth], seconds: float = 3.0) -> list[str]:
    return verdict((10.0, truth), (10.0 + seconds, truth))


def test_three_units_that_stand_around_it_for_three_seconds_are_enough() -> None:
    assert held(around(0, 120, 240)) == ["r0", "r1", "r2"]


def test_a_moment_less_than_three_seconds_is_not_enough() -> None:
    assert held(around(0, 120, 240), 2.99) == []


@pytest.mark.parametrize(("third", "done"), [(209, False), (211, True)])
def test_a_gap_wider_than_150_degrees_is_too_wide(third: float, done: bool) -> None:
    assert bool(held(around(0, 100, third))) == done


@pytest.mark.parametrize(("range_m", "done"), [(1.499, True), (1.501, False)])
def test_only_those_within_reach_count(range_m: float, done: bool) -> None:
    assert bool(held({**around(0, 120), "r9": at(240, range_m)})) == done


@pytest.mark.parametrize(
    ("speed", "turn", "done"),
    [
        (0.019, 0.0, True),
        (0.02, 0.0, False),
        (-0.02, 0.0, False),
        (0, 0.06, False),
        (0, -0.04, True),
    ],
)
def test_only_those_that_stand_still_count(speed: float, turn: float, done: bool) -> None:
    assert bool(held({**around(0, 120), "r9": at(240, speed=speed, turn=turn)})) == done


def test_two_units_never_surround_anything() -> None:
    assert held(around(0, 180)) == []


def test_one_that_moved_begins_its_three_seconds_anew() -> None:
    still = around(0, 120, 240)
    moving = {**still, "r2": at(240, speed=0.1)}
    assert verdict((0.0, still), (2.0, moving), (4.0, still), (6.9, still)) == []
    assert verdict((0.0, still), (2.0, moving), (4.0, still), (7.0, still))


def test_one_that_passes_by_neither_helps_nor_spoils() -> None:
    assert held({**around(0, 120, 240), "r9": at(60, speed=0.4)}) == ["r0", "r1", "r2"]
    assert held({**around(0, 120), "r9": at(240, speed=0.4)}) == []


def test_one_that_is_gone_no_longer_counts() -> None:
    full = around(0, 120, 240)
    assert verdict((0.0, full), (2.0, around(0, 120)), (3.0, full)) == []


def test_the_widest_gap_closes_the_circle() -> None:
    assert widest_gap([]) == math.tau
    assert widest_gap([1.0]) == pytest.approx(math.tau)
    assert widest_gap([3.1, -3.1]) == pytest.approx(6.2)
    assert widest_gap([0.0, 2.0, 4.0]) == pytest.approx(math.tau - 4)
