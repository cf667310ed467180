"""The kinematic engine: how units move, what they touch, measure and see."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mtor_swarm.errors import WorldError
from mtor_swarm.sim.compose import compose
from mtor_swarm.sim.kinematic import HULL_M, LIDAR, Kinematic
from mtor_swarm.sim.plan import Footprint
from mtor_swarm.sim.reading import read_text
from mtor_swarm.sim.sight import Sight, Thing

SURE = Sight(chance=1.0, bearing_noise_rad=0.0, range_noise_m=0.0)


def box(x: float, y: float, size: float = 1.0, yaw: float = 0.0) -> Footprint:
    return Footprint("box", x, y, yaw, size, size, (1.0, 1.0, 1.0, 1.0))


def alone(*solids: Footprint, **rest: object) -> Kinematic:
    return Kinematic({"r1": (0.0, 0.0, 0.0)}, solids, **rest)  # type: ignore[arg-type]


def test_a_unit_drives_as_far_as_its_drive_lets_it():
    engine = alone()
    engine.command("r1", 9.0, 0.0)
    engine.step(40)
    assert engine.time_s == pytest.approx(2.0)
    # 0.4 s to its 0.6 m/s, at 1.5 m/s², then 1.6 s at that
    assert engine.pose("r1").x_m == pytest.approx(0.12 + 0.96, abs=0.03)
    assert engine.velocity("r1") == (pytest.approx(0.6), 0.0)


def test_a_unit_turns_on_a_circle_of_speed_by_turn_rate():
    engine = alone()
    engine.command("r1", 0.5, 1.0)
    engine.step(20)
    places = []
    for _ in range(126):
        engine.step()
        places.append(engine.position[0].copy())
    span = np.ptp(np.array(places), axis=0)
    assert span == pytest.approx([1.0, 1.0], abs=0.02)


def test_a_unit_stands_at_a_wall_and_may_back_off():
    engine = alone(box(2.0, 0.0))
    engine.command("r1", 0.6, 0.0)
    engine.step(160)
    assert 0.0 <= 1.5 - HULL_M - engine.pose("r1").x_m < 0.04
    assert engine.velocity("r1")[0] == 0.0
    assert engine.touches > 0
    engine.command("r1", -0.3, 0.0)
    engine.step(40)
    assert engine.pose("r1").x_m < 1.0


def test_units_do_not_drive_through_each_other():
    engine = Kinematic({"r1": (0.0, 0.0, 0.0), "r2": (2.0, 0.0, math.pi)})
    engine.command_all(np.array([[0.5, 0.0], [0.5, 0.0]]))
    engine.step(160)
    apart = engine.pose("r2").x_m - engine.pose("r1").x_m
    assert 2 * HULL_M <= apart < 2 * HULL_M + 0.06


def test_a_scan_measures_boxes_turned_ones_and_units():
    engine = Kinematic(
        {"r1": (0.0, 0.0, 0.0), "r2": (0.0, 3.0, 0.0)},
        [box(2.0, 0.0), box(-3.0, 0.0, math.sqrt(2.0), math.pi / 4)],
    )
    scan = engine.lidar("r1")
    assert scan.shape == (LIDAR.samples,)
    behind, right, ahead, left = scan[[0, 90, 180, 270]]
    assert ahead == pytest.approx(1.5)
    assert behind == pytest.approx(2.0, abs=1e-3)  # its corner
    assert left == pytest.approx(3.0 - HULL_M, abs=1e-3)
    assert right == np.inf


def test_a_scan_says_what_is_too_near_and_leaves_out_what_is_too_far():
    near, far = alone(box(0.6, 0.0)), alone(box(9.0, 0.0))
    assert near.lidar("r1")[180] == -np.inf
    assert far.lidar("r1")[180] == np.inf


def test_scans_of_all_are_those_of_each():
    engine = Kinematic({"a": (0, 0, 1), "b": (1, 1, 2), "c": (-2, 0, 3)}, [box(3.0, 0.0)])
    assert (engine.scans("abc") == np.array([engine.lidar(each) for each in "abc"])).all()


def test_what_is_in_view_is_seen_where_it_stands():
    engine = alone(things=[Thing("cat", 2.0, 0.5)], sight=SURE)
    (seen,) = engine.sees("r1")
    assert seen.label == "cat"
    assert seen.bearing_rad == pytest.approx(math.atan2(0.5, 2.0))
    assert seen.range_m == pytest.approx(math.hypot(2.0, 0.5) - 0.3)
    assert seen.x_m == pytest.approx(2.0, abs=0.3)


@pytest.mark.parametrize(
    ("thing", "why"),
    [(Thing("cat", 3.5, 0.0), "too far"), (Thing("cat", 1.0, 1.0), "aside"),
     (Thing("cat", 2.8, 0.0), "behind the box")],
)  # fmt: skip
def test_what_is_out_of_view_is_not_seen(thing: Thing, why: str):
    engine = alone(box(2.0, 0.0), things=[thing], sight=SURE)
    assert engine.sees("r1") == [], why


def test_another_unit_hides_a_thing():
    starts = {"r1": (0.0, 0.0, 0.0), "r2": (1.0, 0.0, 0.0)}
    engine = Kinematic(starts, things=[Thing("cat", 2.0, 0.0, 0.15)], sight=SURE)
    assert engine.sees("r1") == []
    assert engine.sees("r2")


def test_the_same_seed_and_commands_give_the_same_trace():
    def run(seed: int) -> list[object]:
        engine = Kinematic({"r1": (0, 0, 0), "r2": (3, 0, 2)}, [box(1.5, 1.5)], seed=seed,
                           things=[Thing("cat", 2.0, 0.0)])  # fmt: skip
        told: list[object] = []
        for step in range(50):
            engine.command("r1", 0.4, 0.1 * step)
            engine.step()
            told += [engine.odometry("r1"), engine.lidar("r2").tobytes(), engine.sees("r1")]
        return [*told, engine.state()]

    assert run(1) == run(1)
    assert run(1) != run(2)


def test_a_world_file_gives_units_walls_and_the_target():
    text = compose("field", ["r1", "r2"], 3)
    world = read_text(text.encode(), "field")
    engine = Kinematic.of(world, seed=3)
    assert engine.units == ("r1", "r2")
    cat = world.model("cat")
    assert cat
    assert (engine.things["cat"].x_m, engine.things["cat"].y_m) == cat.pose.position[:2]
    assert engine.clearance(np.array([0.0, 5.1])) == 0.0
    unit = world.model("r1")
    assert unit
    assert engine.pose("r1").yaw_rad == pytest.approx(unit.pose.yaw_rad)
    assert (engine.lidar("r1") < 3.0).any(), "it starts in a corner"


def test_a_world_without_units_is_refused():
    text = b'<sdf version="1.9"><world name="empty"/></sdf>'
    with pytest.raises(WorldError, match="has no units"):
        Kinematic.of(read_text(text, "empty"))


def test_a_thousand_units_keep_apart():
    side = np.arange(32) * 0.8
    starts = {
        f"r{32 * i + j}": (float(x), float(y), float(i * j))
        for i, x in enumerate(side) for j, y in enumerate(side) if 32 * i + j < 1000
    }  # fmt: skip
    engine = Kinematic(starts, [box(-1.0, -1.0)])
    engine.command_all(np.tile([0.6, 0.0], (1000, 1)))
    engine.step(24)
    way = engine.position[:, None] - engine.position
    apart = np.hypot(way[..., 0], way[..., 1]) + 9.0 * np.eye(1000)
    assert engine.touches > 0
    assert apart.min() > 2 * HULL_M - 0.03
