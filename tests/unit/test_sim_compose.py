"""Worlds with units and target placed by a seed, and the map of what stands there."""

from __future__ import annotations

import ctypes
import json
import math
from itertools import combinations
from pathlib import Path

import pytest

from mtor_swarm.errors import WorldError
from mtor_swarm.sim import compose, plan, resources
from mtor_swarm.sim.reading import read_text
from mtor_swarm.sim.world import World
from tests import need

FIELD = resources.world_path("field")
SIX = compose.unit_names(6)
SDFORMAT = "libsdformat12.so.12"


def composed(units: list[str], seed: int, *, target: bool = True) -> World:
    return read_text(compose.compose(FIELD, units, seed, target=target).encode(), str(FIELD))


def test_the_shipped_field_is_what_seed_0_makes_of_it() -> None:
    assert compose.compose(FIELD, SIX, 0) == FIELD.read_text()


def test_the_same_seed_places_alike_and_another_elsewhere() -> None:
    assert compose.compose(FIELD, SIX, 3) == compose.compose(FIELD, SIX, 3)
    assert composed(SIX, 3).model("cat") != composed(SIX, 4).model("cat")


@pytest.mark.parametrize("seed", range(20))
def test_units_start_together_and_the_cat_far_off_with_room_around_it(seed: int) -> None:
    world = composed(SIX, seed)
    solids = plan.footprints(world)
    starts = [each.pose.position[:2] for each in world.units]
    assert all(0.5 < math.dist(a, b) < 4 for a, b in combinations(starts, 2))
    assert all(each.distance(*start) >= 0.4 for each in solids for start in starts)
    cat = world.model("cat")
    assert cat is not None
    at = cat.pose.position[:2]
    assert all(math.dist(at, start) >= 4 for start in starts)
    assert all(each.distance(*at) >= 2 for each in solids)


@pytest.mark.parametrize("count", [1, 2, 24])
def test_the_field_has_room_for_few_and_many_units(count: int) -> None:
    for seed in range(5):
        assert len(composed(compose.unit_names(count), seed).units) == count


def test_units_keep_their_names_and_topics_and_differ_in_colour() -> None:
    amy, bob = composed(["amy", "bob"], 1).units
    assert amy.drive is not None
    assert amy.drive.topic == "amy/cmd_vel"
    assert bob.odometry is not None
    assert (bob.odometry.topic, bob.odometry.frame) == ("bob/odom", "map")
    colours = {each.links[0].shapes[3].colour for each in (amy, bob)}
    assert len(colours) == 2


def test_a_world_may_be_composed_without_the_target() -> None:
    without = composed(SIX, 1, target=False)
    assert without.model("cat") is None
    assert plan.footprints(without) == plan.footprints(composed(SIX, 1))


@pytest.mark.parametrize(
    ("units", "words"),
    [
        ([], "not 0"),
        (["a", "a"], "two units have one name: a, a"),
        (["cat"], "`cat`"),
        (SIX * 99, "not 594"),
        (["A B"], "`A B`"),
    ],
)
def test_units_that_cannot_be_placed_are_refused(units: list[str], words: str) -> None:
    with pytest.raises(WorldError, match=words):
        compose.compose(FIELD, units, 0)


def test_too_many_units_for_the_field_is_said() -> None:
    with pytest.raises(WorldError, match="no room for 150 units"):
        compose.compose(FIELD, compose.unit_names(150), 0)


@pytest.mark.parametrize("units", [SIX, ["amy"]])
def test_gazebos_own_parser_finds_no_fault(units: list[str], tmp_path: Path) -> None:
    try:
        library = ctypes.CDLL(SDFORMAT)
    except OSError:
        need.missing(f"needs {SDFORMAT}: apt-get install libsdformat12-12")
    file = tmp_path / "world.sdf"
    file.write_text(compose.compose(FIELD, units, 5))
    assert library.cmdCheck(str(file).encode()) == 0
    file.write_text(file.read_text().replace("<mass>3<", "<mass>-3<"))
    assert library.cmdCheck(str(file).encode()) != 0


def test_the_map_has_walls_and_boxes_and_neither_target_nor_units() -> None:
    shown = json.loads(json.dumps(plan.load(FIELD)))
    assert shown["bounds"] == pytest.approx([-7.2, -5.2, 7.2, 5.2])
    names = [each["name"] for each in shown["boxes"]]
    assert len(names) == 11
    assert not {"cat", "ground", *SIX} & set(names)
    red = next(each for each in shown["boxes"] if each["name"] == "red_box")
    assert (red["x"], red["y"], red["yaw"]) == pytest.approx((-4.3, 3.3, 0.3))
    assert (red["sx"], red["sy"], red["color"]) == (0.8, 0.8, "#bf261f")
    assert plan.footprints(composed(SIX, 0))[5].distance(-4.3, 3.3) >= 0


def test_a_distance_is_measured_to_the_turned_rectangle() -> None:
    turned = plan.Footprint("b", 1.0, 1.0, math.pi / 4, 2.0, 2.0, (0, 0, 0, 1))
    assert turned.distance(1.0, 1.0) == 0.0
    assert turned.distance(1.0, 1.0 + math.sqrt(2) + 1) == pytest.approx(math.sqrt(0.5 + 0.5), 0.3)
    assert turned.distance(2.9, 2.9) == pytest.approx(math.dist((1, 1), (2.9, 2.9)) - 1)
