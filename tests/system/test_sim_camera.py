"""Cameras: what they show by OpenGL and by rays, and what happens where OpenGL is missing."""

from __future__ import annotations

import math
import subprocess
import threading
from collections import Counter

import cv2
import numpy as np
import pytest

from mtor_swarm.sim import eyes
from mtor_swarm.sim.camera import Cameras
from mtor_swarm.sim.compile import Compiled
from mtor_swarm.sim.reading import read_text
from mtor_swarm.sim.texture import cube_faces, side_uv
from mtor_swarm.sim.world import Camera
from tests import need

BOUND_S = 60.0
SCENE = """
<sdf version="1.9"><world name="w">
<scene><ambient>1 1 1 1</ambient><background>0 0 1 1</background></scene>
<model name="r1"><link name="l">
  <sensor name="camera" type="camera"><camera><horizontal_fov>1.2</horizontal_fov>
    <image><width>160</width><height>120</height></image><clip><near>0.02</near></clip>
  </camera></sensor></link>
  <link name="a"/><joint name="left" type="continuous"><parent>l</parent><child>a</child>
  <axis><xyz>0 1 0</xyz></axis></joint>
  <link name="b"/><joint name="right" type="continuous"><parent>l</parent><child>b</child>
  <axis><xyz>0 1 0</xyz></axis></joint>
  <plugin name="gz::sim::systems::DiffDrive"><left_joint>left</left_joint>
  <right_joint>right</right_joint></plugin></model>
<model name="post"><static>true</static><pose>2 0 0 0 0 {yaw}</pose>
<link name="l"><visual name="v">
  <geometry><box><size>1 1 1</size></box></geometry>
  <material><pbr><metal><albedo_map>{picture}</albedo_map></metal></pbr></material>
</visual></link></model></world></sdf>
"""


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Four quarters: red, green above; white, black below."""
    path = tmp_path_factory.mktemp("picture") / "quarters.png"
    quarters = np.zeros((64, 64, 3), np.uint8)
    quarters[:32, :32] = (0, 0, 255)
    quarters[:32, 32:] = (0, 255, 0)
    quarters[32:, :32] = 255
    cv2.imwrite(str(path), quarters)
    return str(path)


def compiled(picture: str, yaw: float = 0.0) -> Compiled:
    return Compiled(read_text(SCENE.format(picture=picture, yaw=yaw).encode(), "scene"))


def camera_of(scene: Compiled) -> Camera:
    (camera,) = (s for _, s in scene.world.models[0].sensors() if isinstance(s, Camera))
    return camera


def need_egl() -> None:
    why = eyes.why_not_egl()
    if why:
        need.missing(f"needs EGL ({why}): apt-get install libegl1 libgl1-mesa-dri")


def shown(eye: eyes.Eye, scene: Compiled) -> np.ndarray:
    return eye.see(scene.model.qpos0, "r1", camera_of(scene)).astype(int)


def check_quarters(image: np.ndarray) -> None:
    """The picture upright and unmirrored in the middle, the background around it."""
    red, green, white, black = image[45, 65], image[45, 95], image[75, 65], image[75, 95]
    assert red == pytest.approx((0, 0, 255), abs=60)
    assert green == pytest.approx((0, 255, 0), abs=60)
    assert white == pytest.approx((255, 255, 255), abs=60)
    assert black == pytest.approx((0, 0, 0), abs=60)
    assert image[5, 5] == pytest.approx((255, 0, 0), abs=40)


@pytest.mark.parametrize("side", range(4))
def test_each_side_of_a_box_shows_the_picture_upright_by_rays(picture: str, side: int) -> None:
    scene = compiled(picture, side * math.pi / 2)
    check_quarters(shown(eyes.RayEye(scene), scene))


@pytest.mark.parametrize("side", range(4))
def test_each_side_of_a_box_shows_the_picture_upright_by_opengl(picture: str, side: int) -> None:
    need_egl()
    scene = compiled(picture, side * math.pi / 2)
    eye = eyes.EglEye(scene)
    try:
        check_quarters(shown(eye, scene))
    finally:
        eye.close()


def test_both_ways_to_see_show_the_same(picture: str) -> None:
    need_egl()
    scene = compiled(picture, 0.5)
    eye = eyes.EglEye(scene)
    try:
        difference = np.abs(shown(eye, scene) - shown(eyes.RayEye(scene), scene))
    finally:
        eye.close()
    assert np.median(difference) < 10
    assert difference.mean() < 15


def test_a_picture_lies_on_a_box_as_gazebo_lays_it() -> None:
    corners = np.array([[1, -1, 1], [1, 1, -1], [-1, 1, 1], [0.5, -1, 0.2]], float)
    corners *= [[1, 0.99, 0.99], [1, 0.99, 0.99], [1, 0.99, 0.99], [1, 1, 1]]
    u, v = side_uv(corners)
    assert u == pytest.approx([0.005, 0.995, 0.005, 0.75])
    assert v == pytest.approx([0.005, 0.995, 0.005, 0.4])


def test_a_cube_map_has_six_faces_in_rgb() -> None:
    blue = np.zeros((4, 4, 3), np.uint8)
    blue[..., 0] = 255
    faces = cube_faces(blue, 8)
    assert faces.shape == (48, 8, 3)
    assert (faces == (0, 0, 255)).all()


class Album:
    """What cameras delivered, and a wait for it."""

    def __init__(self) -> None:
        self.taken: Counter[str] = Counter()
        self.last = b""
        self._news = threading.Condition()

    def __call__(self, unit: str, time_s: float, jpeg: bytes) -> None:
        with self._news:
            self.taken[unit] += 1
            self.last = jpeg
            self._news.notify()

    def until(self, count: int) -> None:
        with self._news:
            assert self._news.wait_for(lambda: self.taken.total() >= count, BOUND_S)


@pytest.fixture
def album() -> Album:
    return Album()


def test_only_those_whom_somebody_looks_at_are_rendered(picture: str, album: Album) -> None:
    cameras = Cameras(compiled(picture), album, hz=50.0, ray_cast=True)
    cameras.want(["r1", "nobody"])
    cameras.start()
    try:
        album.until(3)
        cameras.want([])
    finally:
        cameras.close()
    assert album.taken.keys() == {"r1"}
    image = cv2.imdecode(np.frombuffer(album.last, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    assert image.shape == (120, 160, 3)
    assert cameras.taken == album.taken.total()
    assert "ray-cast" in cameras.about


def test_without_opengl_it_is_told_what_to_install_and_rays_are_cast(
    picture: str, album: Album, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("__EGL_VENDOR_LIBRARY_FILENAMES", "/nowhere.json")
    cameras = Cameras(compiled(picture), album, hz=50.0)
    cameras.want(["r1"])
    cameras.start()
    try:
        album.until(1)
    finally:
        cameras.close()
    assert "apt-get install libegl1 libgl1-mesa-dri" in cameras.about


def test_a_driver_that_crashes_or_hangs_is_found_out_from_outside(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = subprocess.run

    def driver(program: str) -> str:
        def instead(command: list[str], **options: object) -> object:
            return run([*command[:2], program], **{**options, "timeout": bound})  # type: ignore[call-overload]

        monkeypatch.setattr(subprocess, "run", instead)
        return eyes.why_not_egl()

    bound = BOUND_S
    assert "-11" in driver("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    assert "no display" in driver("raise SystemExit('no display')")
    assert driver("pass") == ""
    bound = 0.2
    assert "did not answer" in driver("import time; time.sleep(60)")


def test_a_fault_in_the_render_thread_is_told_and_ends_only_it(picture: str) -> None:
    def broken(unit: str, time_s: float, jpeg: bytes) -> None:
        raise ValueError("no ink")

    cameras = Cameras(compiled(picture), broken, hz=50.0, ray_cast=True)
    cameras.want(["r1"])
    cameras.start()
    cameras.join(BOUND_S)
    cameras.close()
    assert "ValueError: no ink" in cameras.fault
