from __future__ import annotations

import math

import numpy as np
import pytest

from mtor_swarm.swarm.behaviours.approach import approach
from mtor_swarm.swarm.behaviours.avoid import avoid, free_way
from mtor_swarm.swarm.behaviours.disperse import disperse
from mtor_swarm.swarm.behaviours.geometry import heading, length, rotate, unit, wrap
from mtor_swarm.swarm.behaviours.hold import hold
from mtor_swarm.swarm.behaviours.search import cells, in_view, next_cell
from mtor_swarm.swarm.behaviours.steer import face, steer
from mtor_swarm.swarm.behaviours.surround import ring_slots

NOBODY = np.full((1, 2), np.nan)


def test_turning_a_vector_turns_its_heading() -> None:
    turned = rotate([[1.0, 0.0], [0.0, 2.0]], [math.pi / 2, -math.pi / 2])
    assert np.allclose(turned, [[0.0, 1.0], [2.0, 0.0]])


class TestSteer:
    def test_drives_straight_at_what_lies_ahead(self) -> None:
        speed, turn = steer([0.3, 0.0], 0.0)
        assert speed == pytest.approx(0.3)
        assert turn == 0.0

    def test_turns_on_the_spot_towards_what_lies_behind(self) -> None:
        speed, turn = steer([[-0.5, 0.1], [-0.5, -0.1]], 0.0)
        assert np.all(speed == 0.0)
        assert np.allclose(turn, [1.5, -1.5])

    def test_does_not_turn_for_no_velocity(self) -> None:
        speed, turn = steer([0.0, 0.0], 2.0)
        assert (speed, turn) == (0.0, 0.0)

    def test_faces_the_short_way_round(self) -> None:
        _, turn = face(math.radians(-170), math.radians(170))
        assert turn > 0


class TestDisperse:
    def test_pushes_two_units_apart(self) -> None:
        push = disperse([[0.0, 0.0], [1.0, 0.0]], [[[1.0, 0.0]], [[0.0, 0.0]]], [[True], [True]])
        assert push[0, 0] < 0 < push[1, 0]

    def test_leaves_those_alone_who_have_room(self) -> None:
        assert np.all(disperse([0.0, 0.0], [[9.0, 0.0]], [True]) == 0.0)

    def test_ignores_what_is_masked_and_two_units_in_one_place(self) -> None:
        push = disperse([0.0, 0.0], [[0.1, 0.0], [0.0, 0.0]], [False, True])
        assert np.all(push == 0.0)


class TestHold:
    def test_goes_to_the_post_and_stops_there(self) -> None:
        velocity, arrived = hold([0.0, 0.0], [1.0, 0.0])
        assert velocity[0] > 0.0
        assert not arrived
        velocity, arrived = hold([0.95, 0.0], [1.0, 0.0])
        assert np.all(velocity == 0.0)
        assert arrived

    def test_one_that_has_arrived_ignores_a_post_that_moves_a_little(self) -> None:
        _, arrived = hold([[0.0, 0.0]] * 2, [[0.2, 0.0]] * 2, arrived=[True, False])
        assert arrived.tolist() == [True, False]


class TestApproach:
    def test_goes_straight_to_a_slot_on_its_own_side(self) -> None:
        point = approach([5.0, 0.0], [0.0, 0.0], 0.5, 1.0)
        assert np.allclose(point, unit(0.5))

    def test_goes_round_to_a_slot_on_the_far_side(self) -> None:
        position, slot = np.array([3.0, 0.1]), math.pi - 0.1
        for _ in range(400):
            way = approach(position, [0.0, 0.0], slot, 1.0) - position
            position = position + 0.02 * way / max(float(length(way)), 0.02)
            assert length(position) > 0.9
        assert length(position - unit(slot)) < 0.05


class TestSurround:
    def test_slots_are_evenly_spaced_and_in_the_order_of_the_units(self) -> None:
        units = [[3.0, 0.0], [3.0, 0.5], [3.0, -0.5]]
        slots = ring_slots(units, [True] * 3, [0.0, 0.0])
        assert np.allclose(np.sort(slots), slots[[2, 0, 1]])
        assert np.allclose(np.diff(slots[[2, 0, 1]]), 2 * np.pi / 3)
        assert slots[0] == pytest.approx(0.0, abs=1e-6)

    def test_the_cut_of_the_circle_changes_nothing(self) -> None:
        units = [[-3.0, 0.0], [-3.0, 0.5], [-3.0, -0.5]]
        slots = ring_slots(units, [True] * 3, [0.0, 0.0])
        assert np.allclose(wrap(slots[0] - np.pi), 0.0, atol=1e-6)

    def test_who_stands_already_moves_least(self) -> None:
        units = [[1.15, 0.0], [0.0, 4.0], [0.0, -4.0]]
        slots = ring_slots(units, [True] * 3, [0.0, 0.0], weights=[10.0, 0.1, 0.1])
        assert abs(slots[0]) < 0.02

    def test_masked_units_get_no_slot(self) -> None:
        slots = ring_slots([[1.0, 0.0], [0.0, 1.0]], [True, False], [0.0, 0.0])
        assert slots[0] == pytest.approx(0.0)
        assert np.isnan(slots[1])

    def test_the_ring_turns_away_from_a_body_and_from_walls(self) -> None:
        units = [[3.0, 0.0], [-3.0, 2.0], [-3.0, -2.0]]
        slots = ring_slots(units, [True] * 3, [0.0, 0.0], blocked=[[1.15, 0.0]], room_m=0.5)
        assert length(1.15 * unit(slots) - np.array([1.15, 0.0])).min() >= 0.45
        walls = (-9.0, -1.0, 9.0, 9.0)
        units = [[3.0, -0.6], [0.0, 3.0], [-3.0, 0.5]]
        slots = ring_slots(units, [True] * 3, [0.0, 0.0], area=walls)
        assert (1.15 * unit(slots))[:, 1].min() >= -1.0 + 0.38


class TestAvoid:
    def test_a_wall_ahead_is_as_far_as_the_hull_can_go(self) -> None:
        wall = [[2.0, y] for y in np.linspace(-2, 2, 81)]
        assert free_way(wall, [0.0], 0.4)[0] == pytest.approx(1.6, abs=1e-3)
        assert np.isinf(free_way(wall, [np.pi], 0.4)[0])

    def test_goes_straight_where_nothing_is(self) -> None:
        direction, free = avoid([[np.inf, np.nan]], [3.0, 3.0], np.nan)
        assert direction == pytest.approx(np.pi / 4)
        assert np.isinf(free)

    def test_passes_a_box_beside_it(self) -> None:
        box = np.array([[1.0, y] for y in np.linspace(-0.5, 0.3, 20)])
        direction, free = avoid(box, [4.0, 0.0], np.nan)
        assert 0.3 < direction < 1.2
        assert free > 1.0

    def test_says_when_there_is_no_way(self) -> None:
        ring = 0.32 * unit(np.linspace(-np.pi, np.pi, 90))
        _, free = avoid(ring, [4.0, 0.0], np.nan)
        assert free == 0.0

    def test_many_units_at_once_get_what_each_gets_alone(self) -> None:
        rng = np.random.default_rng(1)
        points, goals = rng.normal(size=(5, 30, 2)) * 3, rng.normal(size=(5, 2)) * 4
        together = avoid(points, goals, np.full(5, np.nan))
        alone = [avoid(p, g, np.nan) for p, g in zip(points, goals, strict=True)]
        assert np.allclose(together[0], [a for a, _ in alone])
        assert np.allclose(together[1], [f for _, f in alone])


class TestSearch:
    AREA = (-2.0, -1.0, 2.0, 1.0)

    def test_cells_cover_the_area(self) -> None:
        centres = cells(self.AREA, 1.0)
        assert len(centres) == 8
        assert np.allclose(centres.mean(axis=0), 0.0)

    def test_a_cell_behind_something_or_beside_the_view_is_not_seen(self) -> None:
        centres = np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]])
        seen = in_view(centres, [0.0, 0.0], 0.0, view_m=3.0, view_rad=1.3, sight_m=[8, 1.5, 8])
        assert seen.tolist() == [True, False, False]

    def test_the_cell_that_is_seen_soonest_comes_next(self) -> None:
        centres = np.array([[5.0, 0.0], [9.0, 0.0], [-5.0, 0.0]])
        best, cost = next_cell(
            centres, [True] * 3, [0.0, 0.0], 0.0, others=NOBODY, claims=NOBODY, view_m=2.0
        )
        assert best == 0
        assert 0 < cost < 10
        best, _ = next_cell(
            centres, [False, False, True], [0.0, 0.0], 0.0,
            others=NOBODY, claims=NOBODY, view_m=2.0,
        )  # fmt: skip
        assert best == 2

    def test_what_another_claims_or_is_nearer_to_is_left_to_it(self) -> None:
        centres = np.array([[5.0, 0.0], [-5.5, 0.0]])
        for others, claims in (([[4.0, 0.0]], NOBODY), (NOBODY, [[5.0, 0.0]])):
            best, _ = next_cell(
                centres, [True] * 2, [0.0, 0.0], np.pi / 2,
                others=others, claims=claims, view_m=2.0,
            )  # fmt: skip
            assert best == 1

    def test_nothing_is_left_when_all_is_seen(self) -> None:
        _, cost = next_cell(
            cells(self.AREA, 1.0), [False] * 8, [0.0, 0.0], 0.0,
            others=NOBODY, claims=NOBODY, view_m=2.0,
        )  # fmt: skip
        assert np.isinf(cost)


def test_heading_and_length_take_any_leading_shape() -> None:
    v = np.ones((2, 3, 2))
    assert heading(v).shape == length(v).shape == (2, 3)
