"""How a camera's picture comes about: by OpenGL through EGL, or by casting rays where none is.

An eye belongs to one thread and has MuJoCo data of its own, so that physics never waits for it.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Protocol

import cv2
import mujoco
import numpy as np
from numpy.typing import NDArray

from mtor_swarm.ports import Picture
from mtor_swarm.sim.compile import SEEN, Compiled
from mtor_swarm.sim.reading import read_text
from mtor_swarm.sim.texture import sample, side_uv
from mtor_swarm.sim.world import Camera

Array = NDArray[np.float64]

PROBE_TIMEOUT_S = 60.0
RAY_SCALE = 2
"""The ray-cast camera has one ray for so many pixels along each side."""
NO_EGL = (
    "no picture by EGL ({why}): a coarse ray-cast camera is used meanwhile; for the real one: "
    "apt-get install libegl1 libgl1-mesa-dri"
)
_PROBE = b"""
<sdf version="1.9"><world name="probe"><model name="probe"><static>true</static><link name="link">
  <sensor name="camera" type="camera">
    <camera><image><width>32</width><height>24</height></image></camera>
  </sensor>
  <visual name="ball"><pose>1 0 0 0 0 0</pose>
    <geometry><sphere><radius>0.3</radius></sphere></geometry>
  </visual>
</link></model></world></sdf>
"""


class Eye(Protocol):
    """Makes pictures of a world as positions have it."""

    def see(self, qpos: Array, unit: str, camera: Camera) -> Picture:
        """What the unit's camera shows, (height, width, 3) in BGR."""

    def close(self) -> None:
        """Let go of what the eye holds; from its own thread."""


class EglEye:
    """Renders with OpenGL, on a GPU or on the CPU by Mesa, without a screen."""

    def __init__(self, compiled: Compiled) -> None:
        from mujoco.egl import GLContext

        model = compiled.model
        self._model, self._data = model, mujoco.MjData(model)
        self._gl = GLContext(0, 0)
        self._gl.make_current()
        self._context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_50)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)
        self._scene = mujoco.MjvScene(model, maxgeom=model.ngeom + 16)
        for flag in ("SHADOW", "REFLECTION", "FOG", "HAZE"):
            self._scene.flags[getattr(mujoco.mjtRndFlag, f"mjRND_{flag}")] = 0
        self._option = mujoco.MjvOption()
        self._option.geomgroup[:] = 0
        self._option.geomgroup[SEEN] = 1
        self._camera = mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
        self._perturbation = mujoco.MjvPerturb()

    def see(self, qpos: Array, unit: str, camera: Camera) -> Picture:
        model, data = self._model, self._data
        data.qpos[:] = qpos
        mujoco.mj_kinematics(model, data)
        mujoco.mj_camlight(model, data)
        self._camera.fixedcamid = model.camera(f"{unit}/{camera.name}").id
        mujoco.mjv_updateScene(
            model,
            data,
            self._option,
            self._perturbation,
            self._camera,
            mujoco.mjtCatBit.mjCAT_ALL,
            self._scene,
        )
        view = mujoco.MjrRect(0, 0, camera.width, camera.height)
        mujoco.mjr_render(view, self._scene, self._context)
        pixels = np.empty((camera.height, camera.width, 3), np.uint8)
        mujoco.mjr_readPixels(pixels, None, view, self._context)
        picture: Picture = cv2.cvtColor(pixels[::-1], cv2.COLOR_RGB2BGR)  # rows come bottom up
        return picture

    def close(self) -> None:
        self._context.free()
        self._gl.free()


class RayEye:
    """Casts a ray for every second pixel of every second row: coarse, but needs no OpenGL."""

    def __init__(self, compiled: Compiled) -> None:
        model = compiled.model
        self._compiled, self._model, self._data = compiled, model, mujoco.MjData(model)
        self._groups = np.zeros(6, np.uint8)
        self._groups[SEEN] = 1
        self._colours = np.vstack((model.geom_rgba[:, :3], compiled.world.background[:3]))
        self._directions: dict[Camera, Array] = {}

    def see(self, qpos: Array, unit: str, camera: Camera) -> Picture:
        model, data = self._model, self._data
        data.qpos[:] = qpos
        mujoco.mj_kinematics(model, data)
        mujoco.mj_camlight(model, data)
        which = model.camera(f"{unit}/{camera.name}").id
        rays = self._rays(camera) @ data.cam_xmat[which].reshape(3, 3).T
        eye, count = data.cam_xpos[which], len(rays)
        geom, distance = np.empty(count, np.int32), np.empty(count)
        normals = np.empty((count, 3))
        mujoco.mj_multiRay(
            model,
            data,
            eye,
            np.ascontiguousarray(rays).ravel(),
            self._groups,
            True,
            model.cam_bodyid[which],
            geom,
            distance,
            normals.reshape(-1),
            count,
            camera.far_m,
        )
        colours = self._colours[geom]  # a ray that hits nothing has geom -1, the last colour
        for number, picture in self._compiled.pictures.items():
            hit = geom == number
            if hit.any():
                points = eye + distance[hit, None] * rays[hit] - data.geom_xpos[number]
                local = points @ data.geom_xmat[number].reshape(3, 3) / model.geom_size[number]
                colours[hit] *= sample(picture, *side_uv(local))[:, ::-1] / 255
        colours[geom >= 0] *= self._light(normals[geom >= 0])
        coarse = (np.clip(colours, 0, 1)[:, ::-1] * 255).astype(np.uint8)
        rows, columns = camera.height // RAY_SCALE, camera.width // RAY_SCALE
        whole: Picture = cv2.resize(
            coarse.reshape(rows, columns, 3), (camera.width, camera.height)
        )
        return whole

    def close(self) -> None:
        self._directions.clear()

    def _rays(self, camera: Camera) -> Array:
        """Unit vectors in the camera's own axes (-z ahead, y up), row by row from the top."""
        if camera not in self._directions:
            rows, columns = camera.height // RAY_SCALE, camera.width // RAY_SCALE
            side = np.tan(camera.fov_rad / 2)
            x = (np.arange(columns) + 0.5) / columns * 2 - 1
            y = 1 - (np.arange(rows) + 0.5) / rows * 2
            xs, ys = np.meshgrid(x * side, y * side * camera.height / camera.width)
            rays = np.column_stack((xs.ravel(), ys.ravel(), np.full(xs.size, -1.0)))
            self._directions[camera] = rays / np.linalg.norm(rays, axis=1, keepdims=True)
        return self._directions[camera]

    def _light(self, normals: Array) -> Array:
        """How bright surfaces are, shape (n, 3): ambient and each sun by Lambert's law."""
        world = self._compiled.world
        found = np.tile(np.array(world.ambient[:3]), (len(normals), 1))
        for light in world.lights:
            towards = -np.array(light.direction) / np.linalg.norm(light.direction)
            shade = np.maximum(0.0, normals @ towards)[:, None]
            found += shade * np.array(light.diffuse[:3])
        return found


def make_eye(compiled: Compiled, *, ray_cast: bool = False) -> tuple[Eye, str]:
    """The best eye there is, for the calling thread, and what to tell people about it.

    EGL is tried in a process of its own first: some drivers crash where they should refuse.
    """
    if ray_cast:
        return RayEye(compiled), "ray-cast camera, as asked"
    why = why_not_egl()
    if why:
        return RayEye(compiled), NO_EGL.format(why=why)
    return EglEye(compiled), "camera by EGL"


def why_not_egl() -> str:
    """Empty where a small picture can be made through EGL, else the reason."""
    program = "from mtor_swarm.sim.eyes import probe; probe()"
    try:
        done = subprocess.run(
            [sys.executable, "-c", program],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PROBE_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"it did not answer within {PROBE_TIMEOUT_S:.0f} s"
    if done.returncode == 0:
        return ""
    said = done.stderr.strip().splitlines()
    return said[-1][:200] if said else f"it ended with {done.returncode}"


def probe() -> None:
    """Make one small picture through EGL; raises, or dies, where that is impossible."""
    world = read_text(_PROBE, "probe")
    compiled = Compiled(world)
    camera = world.models[0].links[0].sensors[0]
    assert isinstance(camera, Camera)
    eye = EglEye(compiled)
    picture = eye.see(compiled.model.qpos0, "probe", camera)
    eye.close()
    if picture.std() == 0:
        raise RuntimeError("the picture is empty")
