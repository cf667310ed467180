"""Real time and fair turns, in virtual time."""

from __future__ import annotations

import math

import pytest

from mtor_swarm.sim.camera import Rota
from mtor_swarm.sim.pace import CATCH_UP_S, Pace


def test_simulated_time_is_never_ahead_of_real_time() -> None:
    pace = Pace(100.0)
    assert pace.due_s(100.0, 0.0) == 0.0
    assert pace.due_s(100.1, 0.0) == pytest.approx(0.1)
    assert pace.due_s(100.1, 0.2) == 0.0


def test_after_a_hold_up_only_a_little_is_made_up_for() -> None:
    pace = Pace(0.0)
    assert pace.due_s(10.0, 0.0) == pytest.approx(CATCH_UP_S)
    assert pace.due_s(10.1, CATCH_UP_S) == pytest.approx(0.1)


def test_the_real_time_factor_tells_of_lost_time() -> None:
    pace = Pace(0.0)
    for tick in range(1, 101):
        pace.due_s(tick * 0.1, tick * 0.05)
    assert pace.factor == pytest.approx(0.5)


def test_turns_are_fair_and_never_oftener_than_asked() -> None:
    rota = Rota(4.0)
    now, taken = 0.0, []
    while now < 2.0:
        unit, wait_s = rota.next({"a", "b", "c"}, now)
        now += wait_s + 1e-6
        rota.took(unit, now)
        taken.append(unit)
    assert taken[:6] == ["a", "b", "c", "a", "b", "c"]
    assert all(8 <= taken.count(unit) <= 9 for unit in "abc")


def test_many_units_share_the_budget() -> None:
    rota = Rota(10.0, budget_hz=20.0)
    units = [f"r{n}" for n in range(10)]
    now, taken = 0.0, []
    while now < 5.0:
        unit, wait_s = rota.next(units, now)
        now += wait_s + 0.001
        rota.took(unit, now)
        taken.append(unit)
    assert max(taken.count(unit) for unit in units) - min(taken.count(u) for u in units) <= 1
    assert len(taken) <= 5 * 20 + len(units)


def test_nobody_is_waited_for_when_nobody_looks() -> None:
    assert Rota(4.0).next((), 1.0) == ("", math.inf)


def test_a_newcomer_comes_first() -> None:
    rota = Rota(4.0)
    rota.took("a", 0.0)
    assert rota.next(("a", "b"), 0.1) == ("b", 0.0)
