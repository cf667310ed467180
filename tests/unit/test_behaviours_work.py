"""Work that units share: covering, patrolling, searching, foraging, deciding."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from benchmarks.behaviours.play import Plane, largest_cluster, lloyd

from mtor_swarm.errors import ConfigError
from mtor_swarm.swarm.behaviours.geometry import Array, length
from mtor_swarm.swarm.behaviours.majority import majority
from mtor_swarm.swarm.behaviours.registry import BEHAVIOURS
from mtor_swarm.swarm.behaviours.scene import Scene
from mtor_swarm.swarm.behaviours.search import cells

RNG = np.random.default_rng(3)
ROOM = (0.0, 0.0, 8.0, 8.0)
PLACES = cells(ROOM, 0.25)


def cost(positions: Array, weight: Any = 1.0) -> float:
    """The mean squared distance from a place to the nearest unit."""
    return float((weight * (length(PLACES[:, None] - positions).min(axis=1) ** 2)).mean())


def test_units_cover_a_room_as_well_as_one_who_knows_all_would_place_them() -> None:
    start = np.random.default_rng(0).uniform(0, 8, (9, 2))
    costs: list[float] = []
    plane = Plane(start, area=ROOM)
    plane.run("coverage", 500, lambda s: costs.append(cost(s.own.position)))
    assert costs[-1] < 1.05 * cost(lloyd(start, PLACES))
    assert np.all(np.diff(costs) < 1e-3)


def test_a_unit_that_covers_a_plane_without_end_stays_where_it_is() -> None:
    assert np.allclose(Plane([[3.0, 4.0]]).run("coverage", 5).bodies.position, [[3.0, 4.0]])


def test_what_matters_more_is_covered_more_closely() -> None:
    def corner(at: Array) -> Array:
        return np.exp(-((at - [7.0, 7.0]) ** 2).sum(axis=-1) / 4.0)

    even = Plane(RNG.uniform(0, 8, (9, 2)), area=ROOM).run("coverage", 200)
    dense = Plane(even.bodies.position, area=ROOM).run("coverage", 300, density=corner)
    weight = corner(PLACES)
    assert cost(dense.bodies.position, weight) < 0.6 * cost(even.bodies.position, weight)


def test_patrolling_units_leave_no_post_idle_and_take_over_from_one_that_is_lost() -> None:
    posts = cells(ROOM, 2.0)

    def worst_idleness(plane: Plane) -> float:
        last, worst = np.full(len(posts), plane.time_s), 0.0

        def look(scene: Scene) -> None:
            nonlocal worst
            near = (length(posts[:, None] - scene.own.position) < 0.5).any(axis=1)
            last[near] = scene.time_s
            worst = max(worst, float((scene.time_s - last).max()))

        plane.run("patrol", 1500, look, posts=posts)
        return worst

    start = RNG.uniform(0, 8, (4, 2))
    plane = Plane(start, reach_m=5.0)
    tour_s = 16 * 2.0 / 0.5  # by one unit alone, around all posts
    assert worst_idleness(plane) < tour_s
    survivors = Plane(plane.bodies.position[:3], reach_m=5.0)
    survivors.memory = {name: kept[:3] for name, kept in plane.memory.items()}
    survivors.time_s = plane.time_s
    assert worst_idleness(survivors) < 1.5 * tour_s


def test_units_that_tell_each_other_search_a_room_faster_than_one() -> None:
    def seen_after(count: int) -> float:
        plane = Plane(RNG.uniform(0, 1, (count, 2)), area=(0.0, 0.0, 20.0, 20.0))
        while not (known := plane.memory.get("seen", np.zeros(1))).all() and plane.time_s < 900:
            plane.run("search", 1)
        assert known.all()
        plane.run("search", 2)
        assert np.all(plane.bodies.velocity == 0.0)
        return plane.time_s

    assert seen_after(4) < 0.5 * seen_after(1)


def test_a_trail_brings_more_home() -> None:
    def brought(follows: float) -> int:
        plane = Plane(np.full((30, 2), 5.0), seed=2, area=(0.0, 0.0, 20.0, 20.0), reach_m=0.0)
        plane.run("foraging", 3000, home=[5.0, 5.0], food=[[15.0, 12.0]], follows=follows)
        return int(plane.memory["brought"].sum())

    assert brought(0.95) > 1.5 * brought(0.0)


@pytest.mark.parametrize("name", ["search", "foraging"])
def test_what_needs_an_area_says_so(name: str) -> None:
    needed = {"home": [0, 0], "food": [[1, 1]]} if name == "foraging" else {}
    with pytest.raises(ConfigError, match=f"{name} needs an area"):
        Plane([[0.0, 0.0]]).run(name, 1, **needed)


def test_robots_that_see_one_bit_gather() -> None:
    plane = Plane(RNG.uniform(-0.6, 0.6, (10, 2)))
    for _ in range(3000):
        plane.run("gauci", 1)
        plane.part(0.037)
    assert largest_cluster(plane.bodies.position, 4 * 0.037) == 1.0


class TestVotes:
    def ends(self, name: str, **parameters: Any) -> Array:
        """The opinions (6, 20) of six groups that walk and vote for a while."""
        group = np.repeat(np.arange(6), 20)
        plane = Plane(
            RNG.uniform(0, 4, (120, 2)), area=(0.0, 0.0, 4.0, 4.0), step_s=1.0,
            group=1 + group, reach_m=1.5,
        )  # fmt: skip
        start = np.tile([1, 2], 60)
        for _ in range(900):
            scene = plane.scene()
            BEHAVIOURS[name].function(scene, start=start, **parameters)
            plane.move(BEHAVIOURS["random_walk"].function(scene))
        return np.asarray(plane.memory["opinion"]).reshape(6, 20)

    @pytest.mark.parametrize("name", ["voter", "majority", "cross_inhibition"])
    def test_most_groups_agree_on_the_better_option(self, name: str) -> None:
        right = (self.ends(name, qualities=[1.0, 0.4]) == 1).mean(axis=1)
        assert (right > 0.9).sum() >= 4

    def test_cross_inhibition_breaks_the_tie_of_two_that_are_equal(self) -> None:
        ends = self.ends("cross_inhibition", qualities=[1.0, 1.0])
        assert all(len(np.unique(each[each > 0])) == 1 for each in ends)

    def test_a_unit_that_hears_as_many_for_its_own_as_for_another_keeps_its_own(self) -> None:
        plane = Plane([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        vote = {"start": [1, 1, 2], "qualities": [1.0, 1.0]}
        majority(plane.scene(), **vote)
        plane.memory["says"][:] = True
        plane.memory["until"][:] = [0.5, 99.0, 99.0]
        plane.time_s = 1.0
        assert majority(plane.scene(), **vote).tolist() == [1, 1, 2]
        plane.memory["opinion"][1] = 2
        plane.memory["says"][0], plane.memory["until"][0] = True, 0.5
        assert majority(plane.scene(), **vote).tolist() == [2, 2, 2]

    def test_an_opinion_that_nobody_else_says_is_not_heard(self) -> None:
        plane = Plane([[0.0, 0.0], [50.0, 0.0]], reach_m=1.0)
        for _ in range(100):
            majority(plane.scene(), start=[1, 2], qualities=[1.0, 1.0])
            plane.time_s += 10.0
        assert plane.memory["opinion"].tolist() == [1, 2]


class TestOrca:
    def crossing(self, count: int, seconds: int, seed: int = 0) -> tuple[float, int]:
        """Units that cross through the centre and back: how near they came, how often there."""
        turn = np.arange(count) * 2 * np.pi / count
        ring = 6.0 * np.stack([np.cos(turn), np.sin(turn)], axis=-1)
        plane = Plane(ring, seed=seed, nearest=10, reach_m=5.0)
        goal, nearest, arrivals = -ring, np.inf, 0
        for _ in range(seconds * 10):
            scene = plane.scene()
            nearest = min(nearest, float(scene.far.min()))
            way = goal - scene.own.position
            there = length(way) < 0.3
            arrivals += int(there.sum())
            goal = np.where(there[:, None], -goal, goal)
            wanted = 0.5 * way / np.maximum(length(way), 0.5)[:, None]
            plane.move(BEHAVIOURS["orca"].function(scene, wanted=wanted, radius_m=0.3))
        return nearest, arrivals

    def test_twenty_units_cross_through_the_centre_and_none_touches_another(self) -> None:
        nearest, arrivals = self.crossing(20, 120)
        assert nearest >= 0.6 - 1e-6
        assert arrivals >= 40

    def test_who_meets_nobody_goes_as_it_likes(self) -> None:
        plane = Plane([[0.0, 0.0], [9.0, 0.0]], reach_m=5.0)
        wanted = [[0.3, 0.1], [2.0, 0.0]]
        velocity = BEHAVIOURS["orca"].function(plane.scene(), wanted=wanted, aside_rad=0.0)
        assert np.allclose(velocity, [[0.3, 0.1], [0.5, 0.0]])

    def test_units_that_overlap_are_driven_apart(self) -> None:
        crowd = RNG.uniform(-0.4, 0.4, (8, 2))
        plane = Plane(crowd)
        for _ in range(100):
            plane.move(BEHAVIOURS["orca"].function(plane.scene(), wanted=np.zeros((8, 2))))
        assert plane.scene().far.min() > 0.59
