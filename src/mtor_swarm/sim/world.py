"""A world file (a subset of SDF 1.9, http://sdformat.org/spec) as frozen, resolved structs.

Read are models of boxes, spheres, cylinders and planes with fixed, revolute, continuous and
prismatic joints, materials with a colour or an `albedo_map`, lights, the sensors camera, gpu_lidar
and imu, and the plugins DiffDrive and OdometryPublisher. What would change how things stand or
move and is not understood is an error; other elements are left to Gazebo. Lengths are metres,
angles radians, masses kilograms; every pose is resolved: a model's in the world, a link's in its
model, the rest in their link.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from mtor_swarm.sim.spatial import Transform, Vector

Colour = tuple[float, float, float, float]
"""Red, green, blue, opacity, 0 to 1."""


class Box(msgspec.Struct, frozen=True, tag=True):
    """Full lengths along x, y, z."""

    size: Vector


class Sphere(msgspec.Struct, frozen=True, tag=True):
    """A ball."""

    radius: float


class Cylinder(msgspec.Struct, frozen=True, tag=True):
    """Along z."""

    radius: float
    length: float


class Plane(msgspec.Struct, frozen=True, tag=True):
    """Infinite for collisions; drawn `size` large."""

    size: tuple[float, float]
    normal: Vector = (0.0, 0.0, 1.0)


Geometry = Box | Sphere | Cylinder | Plane


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """A visual (seen by cameras) or a collision (touched, and seen by lidars)."""

    name: str
    kind: Literal["visual", "collision"]
    pose: Transform
    geometry: Geometry
    colour: Colour = (0.7, 0.7, 0.7, 1.0)
    texture: str = ""
    friction: float = 1.0


class Camera(msgspec.Struct, frozen=True, kw_only=True):
    """Looks along its x axis; the field of view is the horizontal one."""

    name: str
    pose: Transform
    topic: str
    rate_hz: float
    width: int
    height: int
    fov_rad: float
    near_m: float
    far_m: float


class Lidar(msgspec.Struct, frozen=True, kw_only=True):
    """A planar scan in its xy plane, counter-clockwise from its x axis."""

    name: str
    pose: Transform
    topic: str
    rate_hz: float
    samples: int
    first_rad: float
    last_rad: float
    min_m: float
    max_m: float


class Imu(msgspec.Struct, frozen=True, kw_only=True):
    """Angular velocity, acceleration (gravity included) and orientation."""

    name: str
    pose: Transform
    topic: str
    rate_hz: float


Sensor = Camera | Lidar | Imu


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """A rigid body; `inertia` is ixx, iyy, izz, ixy, ixz, iyz about `inertial_pose`."""

    name: str
    pose: Transform
    mass: float
    inertial_pose: Transform
    inertia: tuple[float, float, float, float, float, float]
    shapes: tuple[Shape, ...]
    sensors: tuple[Sensor, ...]


class Joint(msgspec.Struct, frozen=True, kw_only=True):
    """Joins `child` to `parent`; `axis` in the child's frame."""

    name: str
    kind: Literal["fixed", "hinge", "slide"]
    parent: str
    child: str
    axis: Vector
    damping: float


class Drive(msgspec.Struct, frozen=True, kw_only=True):
    """gz::sim::systems::DiffDrive: limits hold for both signs; 0 means none."""

    left: tuple[str, ...]
    right: tuple[str, ...]
    separation: float
    radius: float
    topic: str
    max_mps: float
    max_rps: float
    max_mps2: float
    max_rps2: float


class Odometry(msgspec.Struct, frozen=True, kw_only=True):
    """gz::sim::systems::OdometryPublisher: the model's pose in `frame`."""

    topic: str
    frame: str
    child_frame: str
    rate_hz: float


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """A thing in the world; one with a drive is a unit."""

    name: str
    line: int
    static: bool
    pose: Transform
    links: tuple[Link, ...]
    joints: tuple[Joint, ...]
    drive: Drive | None
    odometry: Odometry | None

    def sensors(self) -> list[tuple[Link, Sensor]]:
        """Every sensor with the link that carries it."""
        return [(link, sensor) for link in self.links for sensor in link.sensors]


class Light(msgspec.Struct, frozen=True, kw_only=True):
    """A directional light."""

    name: str
    direction: Vector
    diffuse: Colour


class World(msgspec.Struct, frozen=True, kw_only=True):
    """All that is simulated; `step_s` is the physics step."""

    name: str
    file: str
    step_s: float
    gravity: Vector
    ambient: Colour
    background: Colour
    lights: tuple[Light, ...]
    models: tuple[Model, ...]

    @property
    def units(self) -> tuple[Model, ...]:
        """The models that drive, in the order of the file."""
        return tuple(each for each in self.models if each.drive)

    def model(self, name: str) -> Model | None:
        """The model of that name."""
        return next((each for each in self.models if each.name == name), None)
