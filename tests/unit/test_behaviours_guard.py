"""What a behaviour may do wrong leaves the unit standing, and is counted."""

from __future__ import annotations

from collections import Counter
from importlib.metadata import EntryPoint
from typing import Any

import numpy as np
import pytest

from mtor_swarm.errors import ConfigError
from mtor_swarm.swarm.behaviours import registry
from mtor_swarm.swarm.behaviours.geometry import length
from mtor_swarm.swarm.behaviours.guard import STRIKES, Guard
from mtor_swarm.swarm.behaviours.registry import BEHAVIOURS, Behaviour
from mtor_swarm.swarm.behaviours.scene import Bodies, Scene, among, beside, neighbours

RNG = np.random.default_rng(0)


def scene() -> Scene:
    return among(Bodies.at([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]]), rng=RNG)


def guarded(answer: Any, kind: registry.Answer = "velocity") -> Guard:
    def odd(scene: Scene, *, gain: float = 1.0) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    return Guard(Behaviour("odd", odd, kind), clock=lambda: 0.0, speed_mps=0.5)


def swirl(scene: Scene, *, gain: float = 1.0) -> Any:
    return gain * scene.own.position[:, ::-1] * [-1.0, 1.0]


@pytest.mark.parametrize("name", sorted(BEHAVIOURS))
def test_every_behaviour_says_its_source_its_inputs_and_what_it_guarantees(name: str) -> None:
    behaviour = BEHAVIOURS[name]
    assert behaviour.name == name
    assert behaviour.source
    assert behaviour.inputs
    assert behaviour.guarantees
    if behaviour.answer == "velocity":
        assert "`map`" in (behaviour.function.__doc__ or "")


def test_a_behaviour_that_says_nothing_of_itself_has_nothing_to_tell() -> None:
    assert Behaviour("mute", lambda scene: scene).source == ""


def test_units_whose_answer_is_no_number_stand_still_and_the_others_go_on() -> None:
    guard = guarded([[np.nan, 0.1], [0.1, np.inf], [0.1, 0.2]])
    assert guard(scene()).tolist() == [[0.0, 0.0], [0.0, 0.0], [0.1, 0.2]]
    assert guard.counts == Counter(not_finite=2)


def test_nobody_goes_faster_than_allowed() -> None:
    guard = guarded([[3.0, 4.0], [0.0, 0.5], [0.0, 1e308]])
    assert np.allclose(guard(scene()), [[0.3, 0.4], [0.0, 0.5], [0.0, 0.5]])
    assert guard.counts == Counter(too_fast=2)


@pytest.mark.parametrize("answer", [None, 3.0, [[1.0, 2.0]], ["north"] * 3, np.zeros((3, 2)) > 0])
def test_an_answer_of_another_shape_is_no_answer(answer: Any) -> None:
    guard = guarded(answer)
    assert np.all(guard(scene()) == np.zeros((3, 2)))
    assert guard.counts == Counter(misshapen=1)


def test_one_that_raises_stands_still_and_is_quoted() -> None:
    guard = guarded(ZeroDivisionError("by its own spacing"))
    assert np.all(guard(scene()) == 0.0)
    assert guard.counts == Counter(raised=1)
    assert guard.last_error == "ZeroDivisionError: by its own spacing"


def test_an_opinion_that_fails_stays_what_it_was() -> None:
    here = among(Bodies.at(np.zeros((2, 2))), rng=RNG, memory={"opinion": np.array([2, 1])})
    assert guarded(OSError("no"), "opinion")(here).tolist() == [2, 1]
    assert guarded(np.array([1, 1]), "opinion")(here).tolist() == [1, 1]


def test_wheels_turn_as_fast_as_they_like_but_drive_within_the_limit() -> None:
    wheels = guarded([[-2.0, 9.0], [0.1, 0.0], [0.0, np.nan]], "drive")(scene())
    assert wheels.tolist() == [[-0.5, 9.0], [0.1, 0.0], [0.0, 0.0]]


def test_one_that_is_late_again_and_again_must_rest() -> None:
    now = 0.0

    def slow(scene: Scene) -> Any:
        nonlocal now
        now += 0.2
        return np.full((3, 2), 0.1)

    guard = Guard(Behaviour("slow", slow), clock=lambda: now, budget_s=0.05, rest_s=2.0)
    for _ in range(STRIKES):
        assert np.all(guard(scene()) == 0.1)
    assert np.all(guard(scene()) == 0.0)
    assert guard.counts == Counter(late=STRIKES, rested=1)
    now += 2.0
    assert np.all(guard(scene()) == 0.1)


def test_parameters_that_a_behaviour_does_not_take_or_lacks_are_named() -> None:
    with pytest.raises(ConfigError, match="flocking takes no spicing_m; it takes spacing_m"):
        BEHAVIOURS["flocking"].check({"spicing_m": 1.0})
    with pytest.raises(ConfigError, match="attraction needs target"):
        Guard(BEHAVIOURS["attraction"], clock=lambda: 0.0)(scene())


@pytest.fixture(name="installed")
def _installed(monkeypatch: pytest.MonkeyPatch) -> list[EntryPoint]:
    """Entry points as other packages would have them; those that are asked for by name."""
    points: list[EntryPoint] = []

    def entry_points(*, group: str, name: str | None = None) -> list[EntryPoint]:
        assert group == "mtor_swarm.behaviours"
        return [each for each in points if name in {None, each.name}]

    monkeypatch.setattr(registry, "entry_points", entry_points)
    return points


def point(name: str, value: str) -> EntryPoint:
    return EntryPoint(name, value, registry.GROUP)


def test_a_behaviour_of_another_package_is_found_and_called(installed: list[EntryPoint]) -> None:
    installed.append(point("swirl", f"{__name__}:swirl"))
    assert "swirl" in registry.names()
    guard = Guard(registry.found("swirl"), clock=lambda: 0.0, speed_mps=9.0)
    assert np.allclose(guard(scene(), gain=2.0), [[0.0, 0.0], [0.0, 2.0], [-4.0, 0.0]])


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("flocking", "x:y", "there are two behaviours flocking, one by x:y"),
        ("gone", "no_such_module_here:go", r"gone \(no_such_module_here:go\): ModuleNotFound"),
        ("odd", f"{__name__}:RNG", "is no function that answers"),
    ],
)
def test_a_package_whose_behaviour_cannot_be_used_is_named(
    installed: list[EntryPoint], name: str, value: str, said: str
) -> None:
    installed.append(point(name, value))
    with pytest.raises(ConfigError, match=said):
        registry.found(name)


@pytest.mark.usefixtures("installed")
def test_a_name_that_nobody_has_is_answered_with_those_that_there_are() -> None:
    assert registry.found("flocking") is BEHAVIOURS["flocking"]
    with pytest.raises(ConfigError, match=r"no behaviour flok; there are aggregation, "):
        registry.found("flok")


def test_a_unit_alone_with_its_beacons_wants_what_it_would_among_all() -> None:
    rng = np.random.default_rng(3)
    bodies = Bodies.at(rng.normal(size=(12, 2)), rng.normal(size=(12, 2)), rng.normal(size=12))
    together = among(bodies, rng=rng)
    others = Bodies(bodies.position[1:], bodies.velocity[1:], bodies.heading[1:])
    alone = beside(
        Bodies(bodies.position[:1], bodies.velocity[:1], bodies.heading[:1]),
        Bodies(others.position[None], others.velocity[None], others.heading[None]),
        np.ones((1, 11)),
        rng=rng,
    )
    for name in ("aggregation", "dispersion", "flocking", "vasarhelyi"):
        behaviour = BEHAVIOURS[name].function
        assert np.allclose(behaviour(alone)[0], behaviour(together)[0])


def test_neighbours_are_the_nearest_within_reach_of_the_same_group() -> None:
    line = Bodies.at([[0.0, 0.0], [1.0, 0.0], [3.0, 0.0], [0.5, 0.0]])
    here = among(line, reach_m=2.5, nearest=2, group=[1, 1, 1, 2], rng=RNG)
    assert here.mask.sum(axis=1).tolist() == [1, 2, 1, 0]
    assert here.far[1].tolist() == [1.0, 2.0]
    ring = among(line, reach_m=1.1, period_m=4.0, rng=RNG)
    assert [-1.0, 0.0] in ring.way[0].tolist()


def test_a_crowd_on_a_grid_has_the_neighbours_that_it_has_when_all_pairs_are_looked_at() -> None:
    rng = np.random.default_rng(4)
    place, group = rng.uniform(-9, 9, (120, 2)), rng.integers(0, 3, 120)
    index, mask = neighbours(place, reach_m=2.5, group=group)
    for n in range(120):
        far = length(place - place[n])
        near = np.flatnonzero((far <= 2.5) & (group == group[n]) & (np.arange(120) != n))
        assert index[n][mask[n]].tolist() == near[np.argsort(far[near])].tolist()
    assert neighbours(place[:0], reach_m=1.0)[0].shape == (0, 0)
