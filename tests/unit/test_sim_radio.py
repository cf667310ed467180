"""Who hears whom: range, loss, walls, delay."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from mtor_swarm.paths import share
from mtor_swarm.ports import Radio as Port
from mtor_swarm.sim import radio as module
from mtor_swarm.sim.radio import Radio, RadioModel, Walls
from mtor_swarm.sim.reading import read
from mtor_swarm.sim.spatial import Transform, from_euler


def air(places: dict[str, tuple[float, float, float]], walls: Walls | None = None) -> Radio:
    made = Radio(RadioModel(range_m=10.0), random.Random(1), walls)
    made.place(places)
    return made


def test_half_of_the_frames_are_heard_at_the_range_and_ever_fewer_beyond() -> None:
    places = {f"at {x}": (float(x), 0.0, 0.3) for x in (0, 2, 5, 8, 10, 12, 15, 30)}
    heard = list(air(places).chances("at 0").values())[1:]
    assert heard == sorted(heard, reverse=True)
    assert heard[0] > 0.999
    assert heard[3] == pytest.approx(0.5)
    assert heard[-1] < 0.001


def test_hearing_is_mutual_and_only_the_distance_counts() -> None:
    both = air({"a": (3.0, 4.0, 0.0), "b": (-2.0, -4.0, 1.0)})
    assert both.chances("a")["b"] == pytest.approx(both.chances("b")["a"])


def test_frames_are_lost_as_often_as_the_chance_says_and_come_late_as_told() -> None:
    both: Port = air({"a": (0.0, 0.0, 0.0), "b": (9.5, 0.0, 0.0)})
    delays = [both.delay_s("a", "b") for _ in range(4000)]
    heard = [each for each in delays if each is not None]
    wanted = 1 / (1 + math.exp(-27 * math.log10(10 / 9.5) / 1.5))
    assert len(heard) / len(delays) == pytest.approx(wanted, abs=0.03)
    assert 0.001 <= min(heard) < max(heard) <= 0.003


def test_the_same_seed_loses_the_same_frames() -> None:
    runs = [
        [each.delay_s("a", "b") for _ in range(50)]
        for each in (air({"a": (0.0, 0.0, 0.0), "b": (9.9, 0.0, 0.0)}) for _ in range(2))
    ]
    assert runs[0] == runs[1]


def test_who_has_no_place_is_on_a_wire_to_all() -> None:
    one = air({"a": (0.0, 0.0, 0.0)})
    assert one.delay_s("a", "viewer") == one.delay_s("viewer", "a") == 0.0


def test_one_that_moves_is_heard_from_where_it_is_now() -> None:
    both = air({"a": (0.0, 0.0, 0.0), "b": (1.0, 0.0, 0.0)})
    assert both.chances("a")["b"] > 0.999
    both.place({"b": (50.0, 0.0, 0.0), "a": (0.0, 0.0, 0.0)})
    assert both.chances("a")["b"] < 0.001


def test_a_wall_takes_as_much_as_there_is_of_it_on_the_way() -> None:
    wall = Walls([(Transform((5.0, 0.0, 1.0)), (0.2, 4.0, 2.0))])
    here = np.array([0.0, 0.0, 0.5])
    there = np.array(
        [
            [10.0, 0.0, 0.5],  # straight through
            [10.0, 10.0, 0.5],  # past its end
            [10.0, 0.0, 9.0],  # over it
            [4.0, 0.0, 0.5],  # in front of it
            [5.0, 0.0, 0.5],  # into it
            [-9.0, 0.0, 0.5],  # away from it
            [0.0, 0.0, 0.5],  # nowhere
        ]
    )
    assert wall.crossed_m(here, there) == pytest.approx([0.2, 0, 0, 0, 0.1, 0, 0])
    turned = Walls([(Transform((5.0, 0.0, 1.0), from_euler(0, 0, math.pi / 4)), (0.2, 4.0, 2.0))])
    assert turned.crossed_m(here, there[:1]) == pytest.approx([0.2 * math.sqrt(2)])
    assert Walls().crossed_m(here, there) == pytest.approx([0] * 7)


def test_walls_keep_back_what_would_be_heard_in_the_open() -> None:
    places = {"a": (0.0, 0.0, 0.5), "b": (8.0, 0.0, 0.5)}
    walls = Walls([(Transform((x, 0.0, 1.0)), (0.2, 9.0, 2.0)) for x in (2.0, 4.0)])
    assert air(places).chances("a")["b"] > 0.8
    assert air(places, walls).chances("a")["b"] < 0.01


def test_the_boxes_of_a_world_file_that_stand_still_are_walls() -> None:
    world = read(share() / "sim" / "worlds" / "field.sdf")
    walls = Walls.of(world)
    assert len(walls.centres) >= 4
    low, high = walls.centres.min(axis=0), walls.centres.max(axis=0)
    far = np.array([[high[0] + 5, high[1] + 5, 0.3]])
    assert walls.crossed_m(np.array([low[0] - 5, low[1] - 5, 0.3]), far)[0] > 0


def test_rows_are_kept_for_so_many_senders_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ROWS", 2)
    many = air({str(i): (float(i), 0.0, 0.0) for i in range(5)})
    for i in range(5):
        many.chances(str(i))
        assert len(many._rows) <= 2
