"""SDF text → `World`: each element is read, checked and resolved here."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal, cast

from mtor_swarm.sim import xml
from mtor_swarm.sim.resources import text_of, texture_path
from mtor_swarm.sim.spatial import Transform, Vector, conjugate, from_euler, turned
from mtor_swarm.sim.world import (
    Box,
    Camera,
    Colour,
    Cylinder,
    Drive,
    Geometry,
    Imu,
    Joint,
    Lidar,
    Light,
    Link,
    Model,
    Odometry,
    Plane,
    Sensor,
    Shape,
    Sphere,
    World,
)
from mtor_swarm.sim.xml import Element

MAX_MODELS = 2000
MAX_PIXELS = 1920 * 1080
MAX_SAMPLES = 4096
JOINTS = {"fixed": "fixed", "revolute": "hinge", "continuous": "hinge", "prismatic": "slide"}


def read(path: str | Path) -> World:
    """The world in a file; WorldError names file, line and element of the first mistake."""
    return read_text(text_of(path), str(path))


def read_text(raw: bytes, file: str) -> World:
    """The world in an SDF text; `file` is what errors call it and where URIs start."""
    root = xml.parse(raw, file)
    if root.tag != "sdf":
        raise root.error('is no SDF file: the root is <sdf version="1.9">')
    world = root.need("world")
    for tag in ("include", "actor", "population"):
        for found in world.all(tag):
            raise found.error("is not simulated here: write the model into this file")
    models = [_model(each) for each in world.all("model")]
    if len(models) > MAX_MODELS:
        raise world.error(f"{len(models)} models; {MAX_MODELS} at most")
    _unique(world.all("model"))
    _unique(world.all("light"))
    gravity = world.child("gravity")
    return World(
        name=world.attribute("name"),
        file=file,
        step_s=min(world.number("physics/max_step_size", 0.001, above=0), 0.02),
        gravity=_vector(gravity) if gravity else (0.0, 0.0, -9.8),
        ambient=_colour(world.child("scene/ambient"), (0.4, 0.4, 0.4, 1.0)),
        background=_colour(world.child("scene/background"), (0.7, 0.7, 0.7, 1.0)),
        lights=tuple(_light(each) for each in world.all("light")),
        models=tuple(models),
    )


def _unique(elements: list[Element]) -> None:
    seen: dict[str, int] = {}
    for each in elements:
        name = each.attribute("name")
        if name in seen:
            raise each.error(f"`{name}` has the name of line {seen[name]}'s; rename one")
        seen[name] = each.line


def _model(model: Element) -> Model:
    for found in model.all("model") + model.all("include"):
        raise found.error("models inside models are not simulated here: flatten it")
    links, joints = model.all("link"), model.all("joint")
    if not links:
        raise model.error("has no <link>")
    _unique(links + joints)
    for each in links:
        _unique(each.all("collision") + each.all("visual") + each.all("sensor"))
    frames = _frames(model, links)
    plugins = {each.attributes.get("name", ""): each for each in model.all("plugin")}
    drive = plugins.get("gz::sim::systems::DiffDrive")
    odometry = plugins.get("gz::sim::systems::OdometryPublisher")
    name = model.attribute("name")
    return Model(
        name=name,
        line=model.line,
        static=model.flag("static"),
        pose=_pose(model),
        links=tuple(_link(each, frames) for each in links),
        joints=_joints(joints, links, frames),
        drive=_drive(drive, name, joints) if drive else None,
        odometry=_odometry(odometry, name) if odometry else None,
    )


def _frames(model: Element, links: list[Element]) -> dict[str, Transform]:
    """Each link's pose in its model, whatever other link it is given relative to."""
    frames = {"__model__": Transform(), "": Transform()}
    waiting = list(links)
    while waiting:
        later = []
        for link in waiting:
            pose = link.child("pose")
            base = pose.attributes.get("relative_to", "") if pose else ""
            if base in frames:
                frames[link.attribute("name")] = frames[base] @ _pose(link)
            else:
                later.append(link)
        if len(later) == len(waiting):
            raise later[0].need("pose").error("relative_to names no link of this model")
        waiting = later
    return frames


def _link(link: Element, frames: dict[str, Transform]) -> Link:
    inertial = link.child("inertial")
    inertia = [
        link.number(f"inertial/inertia/{axis}", 1.0 if axis in ("ixx", "iyy", "izz") else 0.0)
        for axis in ("ixx", "iyy", "izz", "ixy", "ixz", "iyz")
    ]
    shapes = [_shape(each, "collision") for each in link.all("collision")]
    shapes += [_shape(each, "visual") for each in link.all("visual")]
    sensors = [_sensor(each) for each in link.all("sensor")]
    return Link(
        name=link.attribute("name"),
        pose=frames[link.attribute("name")],
        mass=link.number("inertial/mass", 1.0, above=0),
        inertial_pose=_pose(inertial) if inertial else Transform(),
        inertia=cast(tuple[float, float, float, float, float, float], tuple(inertia)),
        shapes=tuple(shapes),
        sensors=tuple(each for each in sensors if each),
    )


def _shape(shape: Element, kind: Literal["visual", "collision"]) -> Shape:
    material = shape.child("material")
    colour: Colour = (0.7, 0.7, 0.7, 1.0)
    texture = ""
    if material:
        tint = material.child("diffuse") or material.child("ambient")
        albedo = material.child("pbr/metal/albedo_map")
        colour = _colour(tint, (1.0, 1.0, 1.0, 1.0) if albedo else colour)
        texture = _texture(albedo) if albedo else ""
    friction = shape.number("surface/friction/ode/mu", 1.0, above=-1e-9)
    geometry = _geometry(shape.need("geometry"))
    return Shape(
        name=shape.attribute("name"),
        kind=kind,
        pose=_pose(shape),
        geometry=geometry,
        colour=colour,
        texture=texture if isinstance(geometry, Box) else "",
        friction=max(0.0, friction),
    )


def _texture(albedo: Element) -> str:
    uri = albedo.text.strip()
    found = texture_path(uri, albedo.file)
    if found is None:
        raise albedo.error(f"there is no picture `{uri}`")
    return str(found)


def _geometry(geometry: Element) -> Geometry:
    if len(geometry.children) != 1:
        raise geometry.error("holds one of box, sphere, cylinder, plane")
    shape = geometry.children[0]
    if shape.tag == "box":
        size = shape.need("size")
        return Box(cast(Vector, _positive(size, 3)))
    if shape.tag == "sphere":
        return Sphere(_positive(shape.need("radius"), 1)[0])
    if shape.tag == "cylinder":
        radius, length = (_positive(shape.need(each), 1)[0] for each in ("radius", "length"))
        return Cylinder(radius, length)
    if shape.tag == "plane":
        extent, normal = shape.child("size"), shape.child("normal")
        sides = cast(tuple[float, float], _positive(extent, 2)) if extent else (100.0, 100.0)
        direction = _vector(normal) if normal else (0.0, 0.0, 1.0)
        if not any(direction) and normal:
            raise normal.error("is no direction")
        return Plane(sides, direction)
    raise shape.error("is not simulated here; use box, sphere, cylinder or plane")


def _sensor(sensor: Element) -> Sensor | None:
    """The sensor, or None if it is of a kind that only Gazebo has."""
    kind = sensor.attribute("type")
    name, pose = sensor.attribute("name"), _pose(sensor)
    topic = sensor.word("topic") or name
    rate = sensor.number("update_rate", 10.0, above=0)
    if kind == "imu":
        return Imu(name=name, pose=pose, topic=topic, rate_hz=rate)
    if kind == "camera":
        return _camera(sensor.need("camera"), name, pose, topic, rate)
    if kind == "gpu_lidar":
        return _lidar(sensor.child("lidar") or sensor.need("ray"), name, pose, topic, rate)
    return None


def _camera(camera: Element, name: str, pose: Transform, topic: str, rate: float) -> Camera:
    width = int(camera.number("image/width", 320, above=0))
    height = int(camera.number("image/height", 240, above=0))
    if width < 1 or height < 1 or width * height > MAX_PIXELS:
        raise camera.error(f"{width} × {height} pixels; {MAX_PIXELS} at most")
    fov = camera.number("horizontal_fov", 1.047, above=0)
    if fov >= math.pi:
        raise camera.need("horizontal_fov").error("must be below pi")
    near = camera.number("clip/near", 0.1, above=0)
    return Camera(
        name=name,
        pose=pose,
        topic=topic,
        rate_hz=rate,
        width=width,
        height=height,
        fov_rad=fov,
        near_m=near,
        far_m=camera.number("clip/far", 100.0, above=near),
    )


def _lidar(lidar: Element, name: str, pose: Transform, topic: str, rate: float) -> Lidar:
    samples = int(lidar.number("scan/horizontal/samples", 360, above=0))
    if not 2 <= samples <= MAX_SAMPLES:
        raise lidar.error(f"{samples} samples; 2 to {MAX_SAMPLES} are simulated")
    first = lidar.number("scan/horizontal/min_angle", -math.pi)
    near = lidar.number("range/min", 0.1, above=0)
    return Lidar(
        name=name,
        pose=pose,
        topic=topic,
        rate_hz=rate,
        samples=samples,
        first_rad=first,
        last_rad=lidar.number("scan/horizontal/max_angle", math.pi, above=first),
        min_m=near,
        max_m=lidar.number("range/max", 10.0, above=near),
    )


def _joints(
    joints: list[Element], links: list[Element], frames: dict[str, Transform]
) -> tuple[Joint, ...]:
    names = {each.attribute("name") for each in links}
    found: dict[str, Joint] = {}
    for each in joints:
        kind = JOINTS.get(each.attribute("type"))
        if kind is None:
            raise each.error(f"is none of {', '.join(JOINTS)}")
        parent, child = each.need("parent"), each.need("child")
        for end in (parent, child):
            if end.text.strip() not in names:
                raise end.error(f"`{end.text.strip()}` is no link of this model")
        if child.text.strip() in found:
            raise child.error(f"`{child.text.strip()}` already hangs on another joint")
        found[child.text.strip()] = Joint(
            name=each.attribute("name"),
            kind=cast(Literal["fixed", "hinge", "slide"], kind),
            parent=parent.text.strip(),
            child=child.text.strip(),
            axis=(0.0, 0.0, 1.0) if kind == "fixed" else _axis(each, frames),
            damping=each.number("axis/dynamics/damping", 0.001, above=-1e-9),
        )
        if not _has_root(found, child.text.strip()):
            raise each.error("closes a loop of joints, which is not simulated here")
    return tuple(found.values())


def _has_root(found: dict[str, Joint], link: str) -> bool:
    for _ in range(len(found) + 1):
        if link not in found:
            return True
        link = found[link].parent
    return False


def _axis(joint: Element, frames: dict[str, Transform]) -> Vector:
    """The joint's axis in its child's frame."""
    xyz = joint.need("axis/xyz")
    axis = _vector(xyz)
    if not any(axis):
        raise xyz.error("is no direction")
    base = xyz.attributes.get("expressed_in", "")
    if not base:
        return axis
    if base not in frames:
        raise xyz.error(f"expressed_in=`{base}` is no link of this model")
    child = frames[joint.need("child").text.strip()]
    return turned(conjugate(child.rotation), turned(frames[base].rotation, axis))


def _drive(plugin: Element, model: str, joints: list[Element]) -> Drive:
    names = {each.attribute("name") for each in joints}
    sides: list[tuple[str, ...]] = []
    for side in ("left_joint", "right_joint"):
        found = plugin.all(side)
        if not found:
            raise plugin.error(f"needs a <{side}>")
        for each in found:
            if each.text.strip() not in names:
                raise each.error(f"`{each.text.strip()}` is no joint of this model")
        sides.append(tuple(each.text.strip() for each in found))
    if len({*sides[0], *sides[1]}) != len(sides[0]) + len(sides[1]):
        raise plugin.error("has one joint twice")
    return Drive(
        left=sides[0],
        right=sides[1],
        separation=plugin.number("wheel_separation", 1.0, above=0),
        radius=plugin.number("wheel_radius", 0.2, above=0),
        topic=plugin.word("topic") or f"model/{model}/cmd_vel",
        max_mps=plugin.number("max_linear_velocity", 0.0),
        max_rps=plugin.number("max_angular_velocity", 0.0),
        max_mps2=plugin.number("max_linear_acceleration", 0.0),
        max_rps2=plugin.number("max_angular_acceleration", 0.0),
    )


def _odometry(plugin: Element, model: str) -> Odometry:
    return Odometry(
        topic=plugin.word("odom_topic") or f"model/{model}/odometry",
        frame=plugin.word("odom_frame") or f"{model}/odom",
        child_frame=plugin.word("robot_base_frame") or f"{model}/base_footprint",
        rate_hz=plugin.number("odom_publish_frequency", 50.0, above=0),
    )


def _light(light: Element) -> Light:
    direction = light.child("direction")
    return Light(
        name=light.attribute("name"),
        direction=_vector(direction) if direction else (0.0, 0.0, -1.0),
        diffuse=_colour(light.child("diffuse"), (1.0, 1.0, 1.0, 1.0)),
    )


def _pose(element: Element) -> Transform:
    pose = element.child("pose")
    if pose is None or not pose.text.strip():
        return Transform()
    x, y, z, roll, pitch, yaw = pose.values(6)
    return Transform((x, y, z), from_euler(roll, pitch, yaw))


def _vector(element: Element) -> Vector:
    return cast(Vector, element.values(3))


def _positive(element: Element, count: int) -> tuple[float, ...]:
    found = element.values(count)
    if min(found) <= 0:
        raise element.error("must be greater than 0")
    return found


def _colour(element: Element | None, default: Colour) -> Colour:
    if element is None:
        return default
    found = element.values(3, 4)
    return cast(Colour, (*found, 1.0)[:4])
