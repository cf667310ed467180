"""The kinematic engine: a thousand units on wheels that never slip, in a flat world, by numpy.

What `sim.engine` does with physics this does with geometry, behind the same calls: units follow
their drive's limits exactly, and stand where a wall or another unit is. It has no IMU and renders
nothing; `sees` stands for camera and detector together. Deterministic: the same seed and commands
give the same trace. It knows no ROS and no clock. Frame `map`, metres and radians.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mtor_swarm.errors import WorldError
from mtor_swarm.events import Pose, Sighting
from mtor_swarm.sim.flat import Flat, cast_discs
from mtor_swarm.sim.judge import Truth
from mtor_swarm.sim.measures import POSITION_NOISE_M, YAW_NOISE_RAD, Measured
from mtor_swarm.sim.plan import TARGET, Footprint, footprints
from mtor_swarm.sim.sight import Sight, Thing
from mtor_swarm.sim.spatial import Transform
from mtor_swarm.sim.world import Camera, Drive, Lidar, World
from mtor_swarm.swarm.behaviours.geometry import Array, length, unit, wrap
from mtor_swarm.swarm.behaviours.scene import neighbours

STEP_S = 0.05
HULL_M = 0.18
"""Radius of a unit's hull."""
ROUNDS = 4
"""How often it is asked in a step who stands in whose way; what overlaps then parts later."""
NEAREST = 32
"""A scan shows at most so many other units, the nearest ones: no more have room around one."""
Place = tuple[float, float, float]
"""x, y in metres and yaw in radians."""

DRIVE = Drive(
    left=(), right=(), separation=0.26, radius=0.05, topic="",
    max_mps=0.6, max_rps=2.0, max_mps2=1.5, max_rps2=8.0,
)  # fmt: skip
LIDAR = Lidar(
    name="lidar", pose=Transform(), topic="", rate_hz=10.0, samples=360,
    first_rad=-math.pi, last_rad=math.pi - math.tau / 360, min_m=0.157, max_m=8.0,
)  # fmt: skip


class Kinematic:
    """Moves units and measures in their world. All units are alike."""

    def __init__(
        self,
        starts: Mapping[str, Place],
        solids: Sequence[Footprint] = (),
        *,
        things: Sequence[Thing] = (),
        drive: Drive = DRIVE,
        lidar: Lidar = LIDAR,
        sight: Sight = Sight(),  # noqa: B008 (frozen: one serves all)
        seed: int = 0,
        step_s: float = STEP_S,
    ) -> None:
        """`starts`: each unit's place by its name; `things` are what units may see and name."""
        self.units = tuple(starts)
        self.things = {each.label: each for each in things}
        self.touches = 0
        """How many steps of a unit ended at a wall, a thing or another unit."""
        self.step_s = step_s
        self._flat = Flat(solids)
        self._drive, self._lidar, self._sight = drive, lidar, sight
        self._number = {name: number for number, name in enumerate(starts)}
        places = np.array(list(starts.values()), dtype=np.float64).reshape(-1, 3)
        self.position: Array = places[:, :2].copy()
        """(N, 2), in the order of `units`."""
        self.heading: Array = places[:, 2].copy()
        self._wanted = np.zeros((len(places), 2))
        self._given = np.zeros((len(places), 2))
        self._moved = np.zeros(len(places))
        self._steps = 0
        self._dice = [np.random.default_rng((seed, n)) for n in range(len(places))]
        self._rays = np.linspace(lidar.first_rad, lidar.last_rad, lidar.samples)

    @classmethod
    def of(cls, world: World, *, seed: int = 0, target: str = TARGET) -> Kinematic:
        """The world of an SDF file; its target becomes a thing. WorldError if it has no units."""
        if not world.units:
            raise WorldError(f"{world.file}: has no units: give it models with a DiffDrive plugin")
        first = world.units[0]
        assert first.drive is not None, "what has no drive is no unit"
        lidars = [each for _, each in first.sensors() if isinstance(each, Lidar)]
        cameras = [each for _, each in first.sensors() if isinstance(each, Camera)]
        solids = footprints(world, leave_out="")
        seen = [each for each in solids if each.name == target]
        return cls(
            {each.name: _place(each.pose) for each in world.units},
            [each for each in solids if each.name != target],
            things=[Thing(e.name, e.x_m, e.y_m, (e.length_m + e.width_m) / 4) for e in seen],
            drive=first.drive,
            lidar=lidars[0] if lidars else LIDAR,
            sight=Sight(fov_rad=cameras[0].fov_rad) if cameras else Sight(),
            seed=seed,
        )

    @property
    def time_s(self) -> float:
        """Simulated seconds since the start."""
        return self._steps * self.step_s

    @property
    def velocity_mps(self) -> Array:
        """How units really move, (N, 2)."""
        return self._moved[:, None] * unit(self.heading)

    def command(self, unit: str, v_mps: float, w_rps: float) -> None:
        """What the unit's drive shall do from now on: velocity ahead, turn rate to the left."""
        self._wanted[self._number[unit]] = (v_mps, w_rps)

    def command_all(self, wanted: Array) -> None:
        """The same for all units at once: (N, 2), speed ahead and turn rate."""
        self._wanted[:] = wanted

    def put(self, unit: str, x_m: float, y_m: float, yaw_rad: float) -> None:
        """The unit is there now, wherever it was: so a map follows another engine's truth."""
        n = self._number[unit]
        self.position[n], self.heading[n] = (x_m, y_m), yaw_rad

    def step(self, count: int = 1) -> None:
        """Advance by that many steps."""
        drive, step_s = self._drive, self.step_s
        most = np.array([drive.max_mps or np.inf, drive.max_rps or np.inf])
        change = np.array([drive.max_mps2 or np.inf, drive.max_rps2 or np.inf]) * step_s
        for _ in range(count):
            goal = np.clip(self._wanted, -most, most)
            self._given += np.clip(goal - self._given, -change, change)
            turned = self._given[:, 1] * step_s
            way = (self._given[:, 0] * step_s)[:, None] * unit(self.heading + turned / 2)
            free = self._free(way)
            self.touches += int((~free).sum())
            self._moved = np.where(free, self._given[:, 0], 0.0)
            self.position += np.where(free[:, None], way, 0.0)
            self.heading = wrap(self.heading + turned)
            self._steps += 1

    def state(self) -> bytes:
        """All that the future depends on but the dice."""
        parts = (self.position, self.heading, self._given, self._wanted)
        return b"".join([self._steps.to_bytes(8, "little"), *(each.tobytes() for each in parts)])

    def pose(self, unit: str) -> Pose:
        """Where the unit really is."""
        n = self._number[unit]
        x, y = self.position[n].tolist()
        return Pose(x, y, float(self.heading[n]))

    def velocity(self, unit: str) -> tuple[float, float]:
        """How the unit really moves: m/s ahead, rad/s about z."""
        n = self._number[unit]
        return float(self._moved[n]), float(self._given[n, 1])

    def truth(self) -> Mapping[str, Truth]:
        """Every unit's real pose and motion. No unit is ever told."""
        found = {}
        for each in self.units:
            pose, (v, w) = self.pose(each), self.velocity(each)
            found[each] = Truth(pose.x_m, pose.y_m, pose.yaw_rad, v, w)
        return found

    def odometry(self, unit: str) -> Measured:
        """The unit's pose with its localisation's noise, and its motion by its wheels."""
        pose, given = self.pose(unit), self._given[self._number[unit]]
        noise = (POSITION_NOISE_M, POSITION_NOISE_M, YAW_NOISE_RAD)
        dx, dy, turn = self._dice[self._number[unit]].normal(0.0, noise).tolist()
        where = Pose(pose.x_m + dx, pose.y_m + dy, math.remainder(pose.yaw_rad + turn, math.tau))
        return Measured(where, float(given[0]), float(given[1]))

    def lidar(self, unit: str) -> NDArray[np.float32]:
        """Ranges in metres, in the order of the scan; inf where nothing is, -inf if too near."""
        scan: NDArray[np.float32] = self.scans([unit])[0]
        return scan

    def scans(self, units: Sequence[str]) -> NDArray[np.float32]:
        """The scans of several units, (len(units), samples), at a lower price each (REP 117)."""
        which = np.array([self._number[each] for each in units], dtype=np.int64)
        found = self.cast(which, self._rays + self.heading[which, None])
        found[found > self._lidar.max_m] = np.inf
        found[found < self._lidar.min_m] = -np.inf
        return found.astype(np.float32)

    def cast(self, which: NDArray[np.int64], angles: Array, *, unseen: str | None = None) -> Array:
        """How far rays (K, R) from the units numbered `which` (K,) go, in directions of `map`.

        `unseen` is a thing that they pass through.
        """
        own = self.position[which]
        reach = self._lidar.max_m + HULL_M
        index, near = neighbours(self.position, reach_m=reach, nearest=NEAREST)
        others = self.position[index[which]] - own[:, None]
        others = np.where(near[which][..., None], others, np.nan)
        things = [each for each in self.things.values() if each.label != unseen]
        places = np.array([(each.x_m, each.y_m) for each in things]).reshape(-1, 2)
        radii = np.array([HULL_M] * others.shape[1] + [each.radius_m for each in things])
        ways = np.concatenate([others, places - own[:, None]], axis=1)
        return np.minimum(self._flat.cast(own, angles), cast_discs(ways, radii, angles))

    def sees(self, unit: str) -> list[Sighting]:
        """What the detector finds in a frame of the unit's camera now."""
        n = self._number[unit]
        which = np.array([n])

        def free(label: str, directions: Array) -> Array:
            return np.ravel(self.cast(which, directions[None], unseen=label))

        seen = (
            self._sight.look(each, self.pose(unit), free, self._dice[n])
            for each in self.things.values()
        )
        return [each for each in seen if each]

    def clearance(self, points: Array) -> Array:
        """Metres from points (..., 2) to the nearest wall or box (...)."""
        return self._flat.clearance(points)

    def _free(self, way: Array) -> NDArray[np.bool_]:
        """Which units may take this step (N, 2): it ends clear, or clearer than it begins.

        Who may not stands, which may be in the way of others: so it is asked again.
        """
        free = np.ones(len(way), dtype=bool)
        before: Array | None = None
        for _ in range(ROUNDS):
            room = self._room(self.position + np.where(free[:, None], way, 0.0))
            bad = free & (room < 0.0)
            if not bad.any():
                break
            before = self._room(self.position) if before is None else before
            bad &= room < before
            free &= ~bad
        return free

    def _room(self, position: Array) -> Array:
        """Metres (N,) from each hull, were it there, to what is nearest; under 0: they overlap."""
        room = self._flat.clearance(position) - HULL_M
        index, near = neighbours(position, reach_m=2 * HULL_M)
        apart = length(position[index] - position[:, None]) - 2 * HULL_M
        room = np.minimum(room, np.where(near, apart, np.inf).min(axis=1, initial=np.inf))
        for each in self.things.values():
            far = length(position - np.array([each.x_m, each.y_m]))
            room = np.minimum(room, far - each.radius_m - HULL_M)
        return np.asarray(room)


def _place(pose: Transform) -> Place:
    x, y, _ = pose.position
    return x, y, pose.yaw_rad
