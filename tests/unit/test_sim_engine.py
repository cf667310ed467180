"""The engine: how units move, what they bump into and what their sensors measure."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from mtor_swarm.errors import WorldError
from mtor_swarm.sim import compose, resources
from mtor_swarm.sim.engine import Engine
from mtor_swarm.sim.reading import read, read_text
from mtor_swarm.sim.world import World

FIELD = resources.world_path("field")


def field(units: int = 2, seed: int = 2) -> World:
    text = compose.compose(FIELD, compose.unit_names(units), seed, target=False)
    return read_text(text.encode(), str(FIELD))


def engine(units: int = 2, *, at: dict[str, tuple[float, float, float]] | None = None) -> Engine:
    made = Engine(field(units), seed=5)
    for unit, (x, y, yaw) in (at or {}).items():
        start = made.model.joint(f"{unit}/base_link").qposadr[0]
        made.data.qpos[start : start + 7] = (
            *(x, y, 0.07),
            *(math.cos(yaw / 2), 0.0, 0.0, math.sin(yaw / 2)),
        )
    made.step()
    return made


def run(made: Engine, seconds: float) -> None:
    made.step(round(seconds / made.world.step_s))


def test_the_same_commands_give_the_same_trace_byte_for_byte() -> None:
    def trace() -> list[bytes]:
        made, found = engine(6), []
        for tick in range(60):
            for number, unit in enumerate(made.units):
                made.command(unit, 0.3 + 0.05 * number, math.sin(tick / 5 + number))
            made.step(10)
            found.append(made.state())
            found.append(repr(made.odometry("r1")).encode())
            found.append(made.lidar("r2").tobytes())
        return found

    assert trace() == trace()


def test_another_seed_gives_other_noise_and_the_same_motion() -> None:
    one, other = Engine(field(), seed=1), Engine(field(), seed=2)
    for each in (one, other):
        each.command("r1", 0.5, 0.2)
        each.step(200)
    assert one.state() == other.state()
    assert one.odometry("r1") != other.odometry("r1")


@pytest.mark.parametrize(
    ("v", "w"), [(0.3, 0.0), (-0.2, 0.0), (0.0, 1.5), (0.4, -0.8), (0.6, 0.5)]
)
def test_a_unit_drives_as_commanded_within_two_percent(v: float, w: float) -> None:
    made = engine(1, at={"r1": (2.0, 1.0, math.pi)})
    made.command("r1", v, w)
    run(made, 1.5)
    speed, turn = made.velocity("r1")
    assert speed == pytest.approx(v, rel=0.02, abs=0.002)
    assert turn == pytest.approx(w, rel=0.02, abs=0.002)
    measured = made.odometry("r1")
    assert measured.speed_mps == pytest.approx(v, rel=0.02, abs=0.002)
    assert measured.turn_rps == pytest.approx(w, rel=0.02, abs=0.002)


def test_a_unit_gathers_speed_no_faster_than_its_drive_may() -> None:
    made = engine(1, at={"r1": (2.0, 1.0, math.pi)})
    made.command("r1", 0.6, 0.0)
    run(made, 0.1)
    assert made.velocity("r1")[0] == pytest.approx(0.2, abs=0.06)
    run(made, 0.4)
    assert made.velocity("r1")[0] == pytest.approx(0.6, rel=0.02)


def test_a_unit_that_stands_stays_where_it_is() -> None:
    made = engine(1)
    run(made, 1.0)
    before = made.pose("r1")
    run(made, 5.0)
    after = made.pose("r1")
    assert math.dist((before.x_m, before.y_m), (after.x_m, after.y_m)) < 1e-3
    assert abs(made.velocity("r1")[0]) < 1e-3


def test_a_wall_stops_a_unit() -> None:
    made = engine(1, at={"r1": (6.0, 0.0, 0.0)})
    made.command("r1", 0.5, 0.0)
    run(made, 4.0)
    assert made.pose("r1").x_m == pytest.approx(7.0 - 0.16, abs=0.02)


def test_units_cannot_drive_through_each_other() -> None:
    made = engine(2, at={"r1": (2.0, 1.0, 0.0), "r2": (3.0, 1.0, math.pi)})
    for unit in made.units:
        made.command(unit, 0.3, 0.0)
    run(made, 4.0)
    one, other = (made.pose(unit) for unit in made.units)
    assert math.dist((one.x_m, one.y_m), (other.x_m, other.y_m)) >= 0.3


def test_the_lidar_sees_walls_boxes_and_other_units_but_not_its_own() -> None:
    made = engine(2, at={"r1": (6.0, 0.5, 0.0), "r2": (5.0, 0.5, 0.0)})
    ranges = made.lidar("r1")
    assert ranges.shape == (360,)
    assert ranges.dtype == np.float32
    assert ranges[180] == pytest.approx(1.0, abs=0.02)  # ahead: the wall at x = 7
    assert ranges[0] == pytest.approx(1.0 - 0.16, abs=0.02)  # behind: the other's hull
    assert np.nanmin(ranges) > 0.5
    assert np.isinf(ranges).any()  # the far wall is beyond its reach


def test_the_lidar_sees_every_box_of_the_field() -> None:
    for box in (each for each in field(1).models if each.name.endswith("_box")):
        x, y, _ = box.pose.position
        yaw = math.atan2(-y, -x)  # from the middle's side
        made = engine(
            1, at={"r1": (x + 1.2 * math.cos(yaw), y + 1.2 * math.sin(yaw), yaw + math.pi)}
        )
        assert 0.4 < made.lidar("r1")[180] < 1.2, box.name


def test_bodies_that_stand_fast_have_their_mass_where_they_stand() -> None:
    made = engine(1)  # MuJoCo 3.17 culls rays by this frame
    for box in (each for each in made.world.models if each.name.endswith("_box")):
        body = made.data.body(f"{box.name}/{box.links[0].name}")
        assert body.xipos == pytest.approx(body.xpos), box.name


def test_the_localisation_is_near_the_truth_and_its_noise_small() -> None:
    made = engine(1)
    run(made, 0.5)
    truth = made.pose("r1")
    heard = [made.odometry("r1").pose for _ in range(400)]
    errors = np.array(
        [(p.x_m - truth.x_m, p.y_m - truth.y_m, p.yaw_rad - truth.yaw_rad) for p in heard]
    )
    assert np.abs(errors.mean(axis=0)).max() < 0.002
    assert errors.std(axis=0) == pytest.approx((0.01, 0.01, math.radians(0.3)), rel=0.2)


def test_the_imu_feels_gravity_and_turning() -> None:
    made = engine(1, at={"r1": (2.0, 1.0, 0.0)})
    made.command("r1", 0.0, 1.0)
    run(made, 1.5)
    reading = made.imu("r1")
    assert reading.acceleration[2] == pytest.approx(9.8, abs=0.1)
    assert reading.turning == pytest.approx((0, 0, 1), abs=0.02)
    w, _, _, z = reading.orientation
    assert math.remainder(2 * math.atan2(z, w) - made.pose("r1").yaw_rad, math.tau) == (
        pytest.approx(0, abs=0.01)  # it is a step old
    )


def test_truth_tells_of_every_unit() -> None:
    made = engine(2, at={"r1": (2.0, 1.0, 0.5)})
    truth = made.truth()
    assert list(truth) == ["r1", "r2"]
    assert (truth["r1"].x_m, truth["r1"].yaw_rad) == pytest.approx((2.0, 0.5), abs=1e-3)


def test_a_world_without_units_says_what_to_do() -> None:
    bare = read_text(
        b'<sdf><world name="w"><model name="m"><link name="l"/></model></world></sdf>', "w"
    )
    with pytest.raises(WorldError, match=r"w: has no units: .*--units"):
        Engine(bare)


def test_a_world_that_mujoco_refuses_names_the_file() -> None:
    bad = FIELD.read_text().replace("<ixx>0.02</ixx>", "<ixx>9</ixx>")
    with pytest.raises(WorldError, match=r"f\.sdf: cannot be simulated: .*inertia"):
        Engine(read_text(bad.encode(), "f.sdf"))


def test_the_shipped_field_runs_as_it_is() -> None:
    made = Engine(read(FIELD))
    made.step(10)
    assert made.time_s == pytest.approx(0.05)


def test_a_world_that_diverges_says_so_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    heavy = FIELD.read_text().replace("<physics", "<gravity>0 0 -1e30</gravity><physics")
    made = Engine(read_text(heavy.encode(), "f.sdf"))
    with pytest.raises(WorldError, match=r"f\.sdf: the simulation diverged after"):
        made.step(20)
    assert not list(tmp_path.iterdir())


def test_a_world_that_jumps_is_not_put_back_to_its_start() -> None:
    made = engine(1)
    made.data.qvel[:] = 1e11  # more than MuJoCo takes for sound
    with pytest.raises(WorldError, match="diverged"):
        made.step()
