from __future__ import annotations

import math

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mtor_swarm.swarm.behaviours.avoid import SHORT_M, avoid, free_way
from mtor_swarm.swarm.behaviours.disperse import disperse
from mtor_swarm.swarm.behaviours.geometry import length, wrap
from mtor_swarm.swarm.behaviours.steer import steer
from mtor_swarm.swarm.behaviours.surround import ring_slots
from mtor_swarm.swarm.tasks.roles import Claim, chosen

unhurried = settings(
    deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
"""The same examples each time, and no clock: a busy machine is no failure."""
metres = st.floats(-20, 20, allow_nan=False)
point = st.tuples(metres, metres)
angle = st.floats(-10, 10, allow_nan=False)


@unhurried
@given(point, angle)
def test_a_unit_never_drives_backwards_nor_faster_than_it_may(v: tuple[float, float], yaw: float):
    speed, turn = steer(v, yaw)
    assert 0.0 <= speed <= 0.5
    assert abs(turn) <= 1.5


@unhurried
@given(point, st.lists(point, max_size=8))
def test_dispersing_is_bounded_and_finite(position, neighbours) -> None:
    others = np.array(neighbours).reshape(-1, 2)
    push = disperse(position, others, np.ones(len(others), dtype=bool))
    assert np.all(np.isfinite(push))
    assert length(push) <= 0.5 + 1e-9


@unhurried
@given(st.lists(point, min_size=1, max_size=7, unique=True), st.randoms(use_true_random=False))
def test_all_units_work_out_the_same_ring_whatever_order_they_list_each_other_in(units, rng):
    order = list(range(len(units)))
    rng.shuffle(order)
    mask = np.ones(len(units), dtype=bool)
    slots = ring_slots(units, mask, [0.5, 0.25])
    shuffled = ring_slots([units[i] for i in order], mask, [0.5, 0.25])
    assert np.allclose(np.sort(slots), np.sort(shuffled))
    steps = np.diff(np.sort(slots))
    assert np.allclose(steps, 2 * math.pi / len(units))


@unhurried
@given(st.lists(point, max_size=40), point)
def test_the_chosen_way_is_free_or_there_is_none(echoes, goal) -> None:
    points = np.array(echoes).reshape(-1, 2)
    direction, free = avoid(points, goal, np.nan, least_m=0.28)
    assert free >= 0.0
    assert -math.pi - 1e-9 <= float(wrap(direction)) <= math.pi
    if free > 0:
        open_m = free_way(points, direction[None], np.array(0.28))[0]
        assert open_m >= min(SHORT_M, float(length(goal))) - 1e-6


claims = st.lists(
    st.builds(
        Claim,
        st.text("abc", min_size=1, max_size=3),
        st.none() | st.floats(0, 50, allow_nan=False),
        st.booleans(),
    ),
    max_size=10,
    unique_by=lambda each: each.unit,
)


@unhurried
@given(claims, st.integers(0, 5), st.randoms(use_true_random=False))
def test_roles_do_not_hang_on_the_order_of_the_claims(offers, count, rng) -> None:
    first = chosen(offers, count)
    shuffled = list(offers)
    rng.shuffle(shuffled)
    assert chosen(shuffled, count) == first
    able = [each for each in offers if each.able and each.cost_m is not None]
    assert len(first) == min(count, len(able))


@unhurried
@given(claims, st.integers(1, 5))
def test_when_one_drops_out_the_others_keep_their_roles(offers, count) -> None:
    first = chosen(offers, count)
    if first:
        left = chosen([each for each in offers if each.unit != first[0]], count)
        assert set(first[1:]) <= set(left)
