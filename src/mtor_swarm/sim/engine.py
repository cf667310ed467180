"""The embedded simulator: a world that moves, and what its units' sensors measure.

Deterministic: the same world, seed and commands at the same steps give the same state and the same
measurements, bit for bit, on the same machine. It knows nothing of ROS and never looks at a clock.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec
import mujoco
import numpy as np
from numpy.typing import NDArray

from mtor_swarm.errors import WorldError
from mtor_swarm.events import Pose
from mtor_swarm.sim.compile import TOUCHED, Compiled
from mtor_swarm.sim.judge import Truth
from mtor_swarm.sim.measures import POSITION_NOISE_M, YAW_NOISE_RAD, Measured
from mtor_swarm.sim.world import Drive, Imu, Lidar, Model, World

Array = NDArray[np.float64]


class Inertial(msgspec.Struct, frozen=True):
    """An IMU's reading: quaternion (w, x, y, z), rad/s and m/s² in the sensor's frame."""

    orientation: tuple[float, ...]
    turning: tuple[float, ...]
    acceleration: tuple[float, ...]


class _Unit:
    """A unit's places in MuJoCo's arrays, its setpoint and its dice."""

    def __init__(self, compiled: Compiled, model: Model, drive: Drive, seed: int) -> None:
        mj = compiled.model
        self.model = model
        self.drive = drive
        children = {each.child for each in model.joints}
        root = next(each for each in model.links if each.name not in children)
        self.body = mj.body(f"{model.name}/{root.name}").id
        free = mj.body_jntadr[self.body]
        if model.static or mj.jnt_type[free] != mujoco.mjtJoint.mjJNT_FREE:
            raise WorldError(f"{compiled.world.file}:{model.line}: <model>: a unit is not static")
        self.at = int(mj.jnt_qposadr[free])
        self.moving = int(mj.jnt_dofadr[free])
        self.motors = [
            [mj.actuator(f"{model.name}/{joint}").id for joint in side]
            for side in (drive.left, drive.right)
        ]
        self.wheels = [
            [int(mj.joint(f"{model.name}/{joint}").dofadr[0]) for joint in side]
            for side in (drive.left, drive.right)
        ]
        self.wanted = (0.0, 0.0)
        self.given = (0.0, 0.0)
        self.dice = np.random.default_rng((seed, compiled.world.units.index(model)))
        self.lidar: Lidar | None = None
        self.imu: Imu | None = None
        for _, sensor in model.sensors():
            if isinstance(sensor, Lidar):
                self.lidar = sensor
            elif isinstance(sensor, Imu):
                self.imu = sensor


class Engine:
    """Steps a world and measures in it. To be used from one thread."""

    def __init__(self, world: World, *, seed: int = 0) -> None:
        """WorldError if the world cannot be simulated or has no units."""
        if not world.units:
            raise WorldError(
                f"{world.file}: has no units: give it models with a DiffDrive plugin, or "
                "start it with --units"
            )
        self.world = world
        self.compiled = Compiled(world)
        self.model = self.compiled.model
        self.data = mujoco.MjData(self.model)
        self._units = {
            model.name: _Unit(self.compiled, model, model.drive, seed)
            for model in world.units
            if model.drive
        }
        self._rays = {
            unit.lidar: _directions(unit.lidar) for unit in self._units.values() if unit.lidar
        }
        self._groups = np.zeros(6, np.uint8)
        self._groups[TOUCHED] = 1
        self._sound_s = 0.0
        mujoco.set_mju_user_warning(_no_log)
        mujoco.mj_forward(self.model, self.data)

    @property
    def units(self) -> tuple[str, ...]:
        """The names of all units, in the order of the world file."""
        return tuple(self._units)

    @property
    def time_s(self) -> float:
        """Simulated seconds since the start."""
        return float(self.data.time)

    def command(self, unit: str, v_mps: float, w_rps: float) -> None:
        """What the unit's drive shall do from now on: velocity ahead, turn rate to the left."""
        drive = self._units[unit].drive
        self._units[unit].wanted = (
            _limited(v_mps, drive.max_mps),
            _limited(w_rps, drive.max_rps),
        )

    def step(self, count: int = 1) -> None:
        """Advance by that many physics steps."""
        for _ in range(count):
            for unit in self._units.values():
                self._drive(unit)
            mujoco.mj_step(self.model, self.data)
        moving = (self.data.qpos, self.data.qvel)
        if not all((np.abs(each) < mujoco.mjMAXVAL).all() for each in moving):
            raise WorldError(
                f"{self.world.file}: the simulation diverged after {self._sound_s:.3f} s: give "
                "bodies masses and inertias that fit each other, or a smaller max_step_size"
            )
        self._sound_s = self.time_s

    def state(self) -> bytes:
        """All that the future depends on but the dice: time, positions, velocities, contacts."""
        kind = mujoco.mjtState.mjSTATE_INTEGRATION
        found = np.empty(mujoco.mj_stateSize(self.model, kind))
        mujoco.mj_getState(self.model, self.data, found, kind)
        return found.tobytes()

    def pose(self, unit: str) -> Pose:
        """Where the unit's base link really is."""
        at = self._units[unit].at
        x, y, _, qw, qx, qy, qz = self.data.qpos[at : at + 7].tolist()
        return Pose(x, y, math.atan2(2 * (qw * qz + qx * qy), 1 - 2 * (qy * qy + qz * qz)))

    def velocity(self, unit: str) -> tuple[float, float]:
        """How the unit really moves: m/s in the plane (negative backwards), rad/s about z."""
        dof = self._units[unit].moving
        vx, vy = self.data.qvel[dof : dof + 2].tolist()
        yaw = self.pose(unit).yaw_rad
        ahead = vx * math.cos(yaw) + vy * math.sin(yaw)
        return math.copysign(math.hypot(vx, vy), ahead), float(self.data.qvel[dof + 5])

    def truth(self) -> Mapping[str, Truth]:
        """Every unit's real pose and motion. No unit is ever told."""
        found = {}
        for unit in self._units:
            pose, (v, w) = self.pose(unit), self.velocity(unit)
            found[unit] = Truth(pose.x_m, pose.y_m, pose.yaw_rad, v, w)
        return found

    def odometry(self, unit: str) -> Measured:
        """The unit's pose with its localisation's noise, and its motion by its wheels."""
        each, pose = self._units[unit], self.pose(unit)
        noise = each.dice.normal(0.0, (POSITION_NOISE_M, POSITION_NOISE_M, YAW_NOISE_RAD))
        dx, dy, dyaw = noise.tolist()
        left, right = (
            each.drive.radius * float(np.mean(self.data.qvel[side])) for side in each.wheels
        )
        return Measured(
            Pose(pose.x_m + dx, pose.y_m + dy, math.remainder(pose.yaw_rad + dyaw, math.tau)),
            (left + right) / 2,
            (right - left) / each.drive.separation,
        )

    def lidar(self, unit: str) -> NDArray[np.float32]:
        """Ranges in metres, in the order of the scan; inf where nothing is, -inf if too near.

        REP 117. WorldError if the unit has no lidar.
        """
        each = self._units[unit]
        if each.lidar is None:
            raise WorldError(f"{self.world.file}: {unit} has no gpu_lidar")
        site = self.data.site(f"{unit}/{each.lidar.name}")
        rays = self._rays[each.lidar] @ site.xmat.reshape(3, 3).T
        count = len(rays)
        hit, distance = np.empty(count, np.int32), np.empty(count)
        mujoco.mj_multiRay(
            self.model,
            self.data,
            site.xpos,
            np.ascontiguousarray(rays).ravel(),
            self._groups,
            True,
            each.body,
            hit,
            distance,
            None,
            count,
            each.lidar.max_m,
        )
        distance[distance < 0] = np.inf
        distance[distance > each.lidar.max_m] = np.inf
        distance[distance < each.lidar.min_m] = -np.inf
        return distance.astype(np.float32)

    def imu(self, unit: str) -> Inertial:
        """The unit's inertial reading. WorldError if it has no IMU."""
        sensor = self._units[unit].imu
        if sensor is None:
            raise WorldError(f"{self.world.file}: {unit} has no imu")
        orientation, turning, acceleration = (
            tuple(self.data.sensor(f"{unit}/{sensor.name}/{what}").data.tolist())
            for what in ("orientation", "gyro", "acceleration")
        )
        return Inertial(orientation, turning, acceleration)

    def _drive(self, unit: _Unit) -> None:
        """Move the setpoint towards what is wanted, as fast as the drive may; set the motors."""
        drive, step = unit.drive, self.world.step_s
        v = _towards(unit.given[0], unit.wanted[0], drive.max_mps2 * step)
        w = _towards(unit.given[1], unit.wanted[1], drive.max_rps2 * step)
        unit.given = (v, w)
        turn = w * drive.separation / 2
        for side, speed in zip(unit.motors, (v - turn, v + turn), strict=True):
            self.data.ctrl[side] = speed / drive.radius


def _no_log(_warning: str) -> None:
    """MuJoCo would write a file into the user's folder; what matters is an error of ours."""


def _limited(value: float, most: float) -> float:
    return max(-most, min(most, value)) if most > 0 else value


def _towards(value: float, goal: float, most: float) -> float:
    """The goal, or as far towards it as one step may change; a `most` of 0 is no limit."""
    return goal if most <= 0 else value + max(-most, min(most, goal - value))


def _directions(lidar: Lidar) -> Array:
    """Unit vectors of a scan's rays in the sensor's frame, shape (samples, 3)."""
    angles = np.linspace(lidar.first_rad, lidar.last_rad, lidar.samples)
    return np.column_stack((np.cos(angles), np.sin(angles), np.zeros_like(angles)))
