"""`World` → MuJoCo model: what Gazebo would load, as MuJoCo has it.

Geoms are in groups by purpose, so that a lidar sees what can be touched and a camera what can be
seen. Names are `model/link` for bodies and `model/…` for the rest.
"""

from __future__ import annotations

import math
import os

os.environ.setdefault("MUJOCO_GL", "disable")  # the camera makes its own context, in its thread

import cv2
import mujoco
import numpy as np

from mtor_swarm.errors import WorldError
from mtor_swarm.ports import Picture
from mtor_swarm.sim.spatial import Transform, between, from_euler, product
from mtor_swarm.sim.texture import cube_faces
from mtor_swarm.sim.world import (
    Box,
    Camera,
    Cylinder,
    Drive,
    Imu,
    Joint,
    Link,
    Model,
    Plane,
    Shape,
    Sphere,
    World,
)

SEEN, TOUCHED = 2, 3
"""Groups of geoms: visuals and collisions."""
WHEEL_GAIN = 1.0
"""N·m per rad/s that a wheel's motor gives against an error of its speed."""
ARMATURE = 0.001
MAX_TEXTURE_BYTES = 4 << 20
TEXTURE_PIXELS = 256
"""Side of a texture's faces: at 1 m the 320 × 240 camera sees no more of a box."""
CAMERA_AXES = from_euler(math.pi / 2, 0.0, -math.pi / 2)
"""MuJoCo's cameras look along -z with y up, SDF's along x with z up."""


class Compiled:
    """A world as MuJoCo has it, with the pictures of its textured boxes by geom id."""

    def __init__(self, world: World) -> None:
        """WorldError if MuJoCo refuses the world or a texture is no picture."""
        self.world = world
        self._spec = mujoco.MjSpec()
        self._pictures: dict[str, Picture] = {}
        self._textured: dict[str, str] = {}
        self._settings()
        for model in world.models:
            self._model(model)
        try:
            self.model = self._spec.compile()
        except ValueError as error:
            said = " ".join(str(error).split())
            raise WorldError(f"{world.file}: cannot be simulated: {said}") from None
        self.pictures = {
            self.model.geom(name).id: self._pictures[path] for name, path in self._textured.items()
        }

    def _settings(self) -> None:
        world, spec = self.world, self._spec
        spec.modelname = world.name
        spec.memory = 64 << 20
        spec.option.timestep = world.step_s
        spec.option.gravity = world.gravity
        spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
        # Else MuJoCo would put everything back to the start, where the engine shall say so.
        spec.option.disableflags |= mujoco.mjtDisableBit.mjDSBL_AUTORESET
        quality = spec.visual.quality  # ten times cheaper on a CPU, and cameras are small
        quality.offsamples = quality.shadowsize = 0
        quality.numslices, quality.numquads = 10, 1
        headlight = spec.visual.headlight
        headlight.ambient = world.ambient[:3]
        headlight.diffuse = headlight.specular = (0.0, 0.0, 0.0)
        width, height = _largest_picture(world)
        spec.visual.global_.offwidth, spec.visual.global_.offheight = width, height
        spec.stat.extent, spec.stat.center = 10.0, (0.0, 0.0, 0.0)
        spec.visual.map.znear, spec.visual.map.zfar = 0.002, 10.0
        sky = spec.add_texture(name="sky", width=8, height=48, rgb1=world.background[:3])
        sky.type = mujoco.mjtTexture.mjTEXTURE_SKYBOX
        sky.builtin, sky.rgb2 = mujoco.mjtBuiltin.mjBUILTIN_FLAT, world.background[:3]
        for each in world.lights:
            light = spec.worldbody.add_light(name=each.name, dir=each.direction)
            light.type = mujoco.mjtLightType.mjLIGHT_DIRECTIONAL
            light.pos, light.castshadow = (0.0, 0.0, 10.0), False
            light.diffuse, light.ambient = each.diffuse[:3], (0.0, 0.0, 0.0)
            light.specular = (0.0, 0.0, 0.0)

    def _model(self, model: Model) -> None:
        joints = {each.child: each for each in model.joints}
        links = {each.name: each for each in model.links}

        def attach(link: Link, parent: mujoco.MjsBody, base: Transform) -> None:
            here = model.pose @ link.pose
            at = base.inverse() @ here
            body = parent.add_body(name=f"{model.name}/{link.name}")
            body.pos, body.quat = at.position, at.rotation
            joint = joints.get(link.name)
            _mass(link, body)  # static ones too: rays miss turned bodies that have none (3.17)
            if not model.static:
                _mobility(model, joint, body)
            for shape in link.shapes:
                self._shape(f"{model.name}/{link.name}", shape, body)
            self._sensors(model, link, body)
            for each in model.joints:
                if each.parent == link.name:
                    attach(links[each.child], body, here)

        for link in model.links:
            if link.name not in joints:
                attach(link, self._spec.worldbody, Transform())
        if model.drive:
            self._wheels(model, model.drive)

    def _shape(self, owner: str, shape: Shape, body: mujoco.MjsBody) -> None:
        name = f"{owner}/{shape.kind}/{shape.name}"
        geom = body.add_geom(name=name, mass=0.0)
        pose = shape.pose
        geom.type, geom.size = _geometry(shape)
        if isinstance(shape.geometry, Plane):
            pose = pose @ Transform(rotation=between(shape.geometry.normal))
        geom.pos, geom.quat = pose.position, pose.rotation
        if shape.kind == "visual":
            geom.contype = geom.conaffinity = 0
            geom.group, geom.rgba = SEEN, shape.colour
            if shape.texture:
                geom.material = self._material(shape.texture)
                self._textured[name] = shape.texture
            return
        geom.group = TOUCHED
        geom.friction = (shape.friction, 0.005, 0.0001)
        if shape.friction == 0.0:  # a caster slides whatever it stands on
            geom.condim, geom.priority = 1, 1

    def _material(self, path: str) -> str:
        """The name of the material that shows this picture on each side of a box."""
        name = f"picture{list(self._pictures).index(path)}" if path in self._pictures else ""
        if name:
            return name
        name = f"picture{len(self._pictures)}"
        picture = _picture(path)
        self._pictures[path] = picture
        side = TEXTURE_PIXELS
        texture = self._spec.add_texture(name=name, width=side, height=6 * side, nchannel=3)
        texture.type = mujoco.mjtTexture.mjTEXTURE_CUBE
        texture.data = cube_faces(picture, side).tobytes()
        material = self._spec.add_material(name=name, specular=0.0, shininess=0.0)
        material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = name
        return name

    def _sensors(self, model: Model, link: Link, body: mujoco.MjsBody) -> None:
        for sensor in link.sensors:
            name = f"{model.name}/{sensor.name}"
            at = sensor.pose.position
            if isinstance(sensor, Camera):
                camera = body.add_camera(name=name, pos=at)
                camera.quat = product(sensor.pose.rotation, CAMERA_AXES)
                camera.fovy = math.degrees(fov_y_rad(sensor))
            else:
                body.add_site(name=name, pos=at, quat=sensor.pose.rotation, group=5)
            if isinstance(sensor, Imu):
                for what, kind in (
                    ("gyro", mujoco.mjtSensor.mjSENS_GYRO),
                    ("acceleration", mujoco.mjtSensor.mjSENS_ACCELEROMETER),
                    ("orientation", mujoco.mjtSensor.mjSENS_FRAMEQUAT),
                ):
                    self._spec.add_sensor(
                        name=f"{name}/{what}",
                        type=kind,
                        objtype=mujoco.mjtObj.mjOBJ_SITE,
                        objname=name,
                    )

    def _wheels(self, model: Model, drive: Drive) -> None:
        for joint in (*drive.left, *drive.right):
            name = f"{model.name}/{joint}"
            motor = self._spec.add_actuator(name=name, target=name)
            motor.trntype = mujoco.mjtTrn.mjTRN_JOINT
            motor.set_to_velocity(kv=WHEEL_GAIN)


def fov_y_rad(camera: Camera) -> float:
    """The vertical field of view of a camera with square pixels."""
    return 2 * math.atan(math.tan(camera.fov_rad / 2) * camera.height / camera.width)


def _mobility(model: Model, joint: Joint | None, body: mujoco.MjsBody) -> None:
    if joint is None:
        body.add_freejoint(name=body.name)
    elif joint.kind != "fixed":
        hinge = body.add_joint(name=f"{model.name}/{joint.name}", axis=joint.axis)
        slides = joint.kind == "slide"
        hinge.type = getattr(mujoco.mjtJoint, "mjJNT_SLIDE" if slides else "mjJNT_HINGE")
        hinge.armature, hinge.damping = ARMATURE, (joint.damping, 0.0, 0.0)


def _mass(link: Link, body: mujoco.MjsBody) -> None:
    body.mass, body.explicitinertial = link.mass, True
    body.ipos, body.iquat = link.inertial_pose.position, link.inertial_pose.rotation
    body.fullinertia = link.inertia


def _geometry(shape: Shape) -> tuple[mujoco.mjtGeom, tuple[float, float, float]]:
    geometry = shape.geometry
    if isinstance(geometry, Box):
        x, y, z = geometry.size
        return mujoco.mjtGeom.mjGEOM_BOX, (x / 2, y / 2, z / 2)
    if isinstance(geometry, Sphere):
        return mujoco.mjtGeom.mjGEOM_SPHERE, (geometry.radius, 0.0, 0.0)
    if isinstance(geometry, Cylinder):
        return mujoco.mjtGeom.mjGEOM_CYLINDER, (geometry.radius, geometry.length / 2, 0.0)
    x, y = geometry.size
    return mujoco.mjtGeom.mjGEOM_PLANE, (x / 2, y / 2, 1.0)


def _picture(path: str) -> Picture:
    with open(path, "rb") as file:
        raw = np.frombuffer(file.read(MAX_TEXTURE_BYTES + 1), np.uint8)
    found = cv2.imdecode(raw, cv2.IMREAD_COLOR) if 0 < raw.size <= MAX_TEXTURE_BYTES else None
    if found is None:
        raise WorldError(
            f"{path}: is no picture, or one over {MAX_TEXTURE_BYTES >> 20} MiB; use PNG or JPEG"
        )
    picture: Picture = found.astype(np.uint8)
    return picture


def _largest_picture(world: World) -> tuple[int, int]:
    """The width and height that any camera's picture fits into."""
    cameras = [
        sensor
        for model in world.models
        for _, sensor in model.sensors()
        if isinstance(sensor, Camera)
    ]
    return (
        max((each.width for each in cameras), default=64),
        max((each.height for each in cameras), default=64),
    )
