"""Places: formations, rings, homes, targets, meeting points, and walks without any."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.behaviours.play import Plane

from mtor_swarm.errors import ConfigError
from mtor_swarm.swarm.behaviours.geometry import length, unit
from mtor_swarm.swarm.behaviours.registry import BEHAVIOURS
from mtor_swarm.swarm.behaviours.scene import Bodies, Memory, Scene, beside
from mtor_swarm.swarm.behaviours.shapes import SHAPES, fitted, places

RNG = np.random.default_rng(5)
SCATTERED = RNG.uniform(-3, 3, (9, 2))


def apart(positions: np.ndarray) -> np.ndarray:
    return np.asarray(length(positions[:, None] - positions))


@pytest.mark.parametrize("shape", [*SHAPES, "letters:GO"])
def test_units_take_any_shape_by_what_their_nearest_four_say(shape: str) -> None:
    at = places(shape, 9, 1.2)
    slot = fitted(SCATTERED, at)
    assert sorted(slot) == list(range(9))
    plane = Plane(SCATTERED, nearest=4).run("formation", 400, places=at, slot=slot)
    assert np.allclose(apart(plane.bodies.position), apart(at[slot]), atol=0.05)


@pytest.mark.parametrize("shape", SHAPES)
def test_neighbours_in_a_shape_stand_as_far_apart_as_asked(shape: str) -> None:
    at = places(shape, 7, 1.5)
    assert np.allclose(at.mean(axis=0), 0.0)
    assert np.allclose((apart(at) + 9 * np.eye(7)).min(axis=1), 1.5)


def test_a_ring_of_one_is_its_middle() -> None:
    assert places("circle", 1).tolist() == [[0.0, 0.0]]


def test_a_formation_travels_and_keeps_its_shape() -> None:
    at = places("wedge", 9)
    slot = fitted(SCATTERED, at)
    plane = Plane(SCATTERED, nearest=4)
    plane.run("formation", 300, places=at, slot=slot, velocity=[0.2, 0.0])
    assert np.allclose(apart(plane.bodies.position), apart(at[slot]), atol=0.05)
    assert plane.bodies.position.mean(axis=0)[0] > 5.0


def test_by_distance_alone_a_shape_may_turn_and_by_bearing_alone_it_may_grow() -> None:
    at = places("grid", 9)
    slot = np.arange(9)
    near = at @ [[0.8, 0.6], [-0.6, 0.8]] + 0.1 * RNG.normal(size=(9, 2))
    turned = Plane(near).run("formation", 600, places=at, slot=slot, by="distance")
    assert np.allclose(apart(turned.bodies.position), apart(at), atol=0.05)
    grown = Plane(0.4 * at + near / 5).run("formation", 900, places=at, slot=slot, by="bearing")
    p = grown.bodies.position - grown.bodies.position.mean(axis=0)
    size = length(p).max() / length(at).max()
    assert np.allclose(p, size * at, atol=0.05)


def test_a_shape_that_there_is_not_is_answered_with_those_there_are() -> None:
    for shape in ("blob", "letters:", "letters:ab"):
        with pytest.raises(ConfigError, match="letters:"):
            places(shape, 3)
    with pytest.raises(ConfigError, match="by 'smell': it goes by displacement"):
        Plane(SCATTERED).run("formation", 1, places=SCATTERED, slot=0, by="smell")


def test_the_fit_is_found_again_when_the_units_stand_in_it() -> None:
    at = places("letters:MTOR", 24)
    order = RNG.permutation(24)
    assert fitted(at[order] + 7.0, at).tolist() == order.tolist()


def test_units_that_see_each_other_meet_in_one_point_and_stay_within_sight() -> None:
    chain = np.stack([np.arange(12) * 0.95, np.sin(np.arange(12))], axis=-1) * 0.9
    reach = 1.3
    links = apart(chain) <= reach

    def look(scene: Scene) -> None:
        assert np.all(apart(scene.own.position)[links] <= reach + 1e-9)

    plane = Plane(chain, reach_m=reach).run("rendezvous", 600, look, reach_m=reach)
    assert apart(plane.bodies.position).max() < 0.05


def test_a_follower_keeps_its_gap_behind_one_that_moves() -> None:
    leader = np.array([2.0, 0.0])
    plane = Plane([[0.0, 0.5]])
    for _ in range(300):
        plane.run("follow", 1, leader=leader, leader_velocity=[0.3, 0.0], gap_m=1.2)
        leader[0] += 0.03
    assert length(leader - plane.bodies.position[0]) == pytest.approx(1.2, abs=0.05)


def test_units_go_home_and_stay() -> None:
    plane = Plane(SCATTERED).run("go_home", 200, home=[0.5, -0.5])
    assert length(plane.bodies.position - [0.5, -0.5]).max() <= 0.1
    assert np.all(plane.bodies.velocity == 0.0)


def test_a_slower_target_is_caught_sooner_than_by_chasing_it() -> None:
    def caught(lead: bool) -> float:
        target, moves = np.array([0.0, 5.0]), np.array([0.4, 0.0])
        plane = Plane([[0.0, 0.0]])
        while length(target - plane.bodies.position[0]) > 0.1 and plane.time_s < 60:
            plane.run("pursuit", 1, target=target, target_velocity=moves if lead else [0.0, 0.0])
            target = target + 0.1 * moves
        return plane.time_s

    assert caught(True) == pytest.approx(5.0 / 0.3, abs=0.3)
    assert caught(False) > caught(True) + 5.0


def test_a_faster_target_is_chased_and_nothing_breaks() -> None:
    plane = Plane(SCATTERED)
    plane.run("pursuit", 50, target=[1.0, 1.0], target_velocity=[0.5, 0.0])
    plane.run("pursuit", 50, target=[1.0, 1.0], target_velocity=[0.9, -0.3])
    assert np.isfinite(plane.bodies.position).all()


def test_units_that_surround_end_evenly_on_the_ring() -> None:
    plane = Plane(SCATTERED[:5] + np.array([3.0, 0.0])).run("surround", 400, target=[0.0, 0.0])
    at = plane.bodies.position
    assert np.allclose(length(at), 1.15, atol=0.15)
    turns = np.sort(np.arctan2(at[:, 1], at[:, 0]))
    assert np.abs(np.diff(turns) - 2 * np.pi / 5).max() < 0.25
    assert np.all(plane.bodies.velocity == 0.0)


def spread(name: str, count: int, steps: int, **parameters: float) -> float:
    """The mean squared way of many walkers, each alone."""
    memory: Memory = {}
    position, rng = np.zeros((count, 2)), np.random.default_rng(1)
    nobody = Bodies.at(np.zeros((count, 0, 2)))
    for _ in range(steps):
        here = beside(Bodies.at(position), nobody, np.zeros((count, 0)), rng=rng, memory=memory)
        position = position + 0.1 * BEHAVIOURS[name].function(here, **parameters)
    return float((length(position) ** 2).mean())


def test_a_random_walk_spreads_as_the_diffusion_it_is_and_a_levy_walk_further() -> None:
    square = spread("random_walk", 1000, 600, turns_per_s=1.0)
    assert square == pytest.approx(2 * 0.4**2 * 60.0 / 1.0, rel=0.15)
    assert spread("levy_walk", 1000, 600, least_m=0.2, exponent=1.8) > 2 * square


@pytest.mark.parametrize("name", ["random_walk", "levy_walk"])
def test_walks_turn_at_the_edge_of_the_area(name: str) -> None:
    plane = Plane(unit(RNG.uniform(-3, 3, 30)), area=(-2.0, -2.0, 2.0, 2.0)).run(name, 300)
    assert np.abs(plane.bodies.position).max() < 2.05
