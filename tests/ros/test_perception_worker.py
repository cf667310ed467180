"""Perception as a real ROS node, with the real detector, fed through real topics."""

from __future__ import annotations

import array
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import rclpy
from nav_msgs.msg import Odometry
from rclpy.experimental.events_executor import EventsExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, LaserScan
from skimage import data

from mtor_swarm.config import PerceptionConfig, RealmConfig
from mtor_swarm.events import DetectionSeen, Event, UnitChanged, WorkerChanged, payload
from mtor_swarm.models.annotate import MAX_JPEG_BYTES
from mtor_swarm.models.store import Store
from mtor_swarm.ports import Picture
from mtor_swarm.realm.bus import ALL, SENSOR_QOS, RealmBus
from mtor_swarm.workers.perception import FAILURES_IN_A_ROW, PerceptionWorker

LONG_S = 60.0
SUCCESS = TransitionCallbackReturn.SUCCESS
CAT = cv2.resize(np.ascontiguousarray(data.chelsea()[:, :, ::-1]), (320, 240))
BLANK = np.full((240, 320, 3), 128, np.uint8)


def jpeg(picture: Picture) -> bytes:
    return bytes(cv2.imencode(".jpg", picture)[1])


class Robot:
    """A unit's sensors, and an ear for what perception says."""

    def __init__(self, unit: str) -> None:
        self.node = Node("robot", namespace=f"/{unit}")
        self._image = self.node.create_publisher(
            CompressedImage, "camera/image/compressed", SENSOR_QOS
        )
        self._scan = self.node.create_publisher(LaserScan, "scan", SENSOR_QOS)
        self._odom = self.node.create_publisher(Odometry, "odom", SENSOR_QOS)
        self.events: list[Event] = []
        self.annotated: list[CompressedImage] = []
        RealmBus(self.node).subscribe((ALL,), self.events.append)
        self.node.create_subscription(
            CompressedImage, "camera/annotated/compressed", self.annotated.append, SENSOR_QOS
        )

    def show(self, raw: bytes) -> None:
        """A frame, a scan that meets something 2.14 m around, and a pose at (1, 2) facing +y."""
        stamp = self.node.get_clock().now().to_msg()
        half_turn = math.pi / 4
        odom, scan = Odometry(), LaserScan()
        odom.header.stamp = scan.header.stamp = stamp
        odom.pose.pose.position.x, odom.pose.pose.position.y = 1.0, 2.0
        odom.pose.pose.orientation.z = math.sin(half_turn)
        odom.pose.pose.orientation.w = math.cos(half_turn)
        scan.angle_min, scan.angle_increment = -math.pi, math.tau / 360
        scan.range_min, scan.range_max = 0.1, 10.0
        scan.ranges = array.array("f", [2.14] * 360)
        self._odom.publish(odom)
        self._scan.publish(scan)
        image = CompressedImage(format="jpeg", data=array.array("B", raw))
        image.header.stamp = stamp
        self._image.publish(image)

    def heard(self, kind: str) -> list[Event]:
        return [each for each in self.events if each.type == kind]

    def states(self) -> list[str]:
        return [payload(each, WorkerChanged).state for each in self.heard("mtor.worker.changed")]

    def reasons(self) -> str:
        told = (payload(each, WorkerChanged) for each in self.heard("mtor.worker.changed"))
        return "\n".join(each.reason for each in told)


class Stage:
    """A worker and its robot on one executor."""

    def __init__(self, unit: str, **settings: object) -> None:
        config = RealmConfig(unit=unit, perception=PerceptionConfig(**settings))  # type: ignore[arg-type]
        self.worker = PerceptionWorker(config=config)
        self.robot = Robot(unit)
        self._executor = EventsExecutor()
        self._executor.add_node(self.worker)
        self._executor.add_node(self.robot.node)
        self.until(self._are_introduced)
        self.robot.events.clear()

    def _are_introduced(self) -> bool:
        """DDS finds peers in its own time: what is said before is not heard."""
        self.worker.say(UnitChanged(doing="testing", was=""))
        return bool(self.robot.events)

    def until(self, met: Callable[[], object], show: bytes | None = None) -> None:
        """Spin until the condition is met, showing a frame ten times a second meanwhile."""
        deadline, shown = time.monotonic() + LONG_S, 0.0
        while not met():
            assert time.monotonic() < deadline, self.robot.events
            if show is not None and time.monotonic() - shown > 0.1:
                self.robot.show(show)
                shown = time.monotonic()
            self._executor.spin_once(timeout_sec=0.05)

    def close(self) -> None:
        self.worker.close()
        for node in (self.worker, self.robot.node):
            self._executor.remove_node(node)
            node.destroy_node()
        self._executor.shutdown()


@pytest.fixture(scope="module", autouse=True)
def ros() -> Iterator[None]:
    rclpy.init()
    yield
    rclpy.try_shutdown()


@pytest.fixture(scope="session")
def weights() -> Path:
    return Store().fetch("coco-ssd")


@pytest.fixture
def stage(weights: Path, request: pytest.FixtureRequest) -> Iterator[Stage]:
    made = Stage("p1", **{"max_rate_hz": 50.0, **getattr(request, "param", {})})
    assert made.worker.trigger_configure() == SUCCESS
    assert made.worker.trigger_activate() == SUCCESS
    yield made
    made.close()


def test_a_cat_is_told_with_bearing_range_and_place(stage: Stage):
    robot = stage.robot
    seen: list[DetectionSeen] = []

    def placed() -> bool:
        seen[:] = [payload(each, DetectionSeen) for each in robot.heard("mtor.detection.seen")]
        return any(each.sightings[0].x_m is not None for each in seen)

    stage.until(placed, show=jpeg(CAT))
    last = next(each for each in seen if each.sightings[0].x_m is not None)
    assert (last.frame_width, last.frame_height) == (320, 240)
    assert last.latency_s > 0
    (cat,) = last.sightings
    assert cat.label == "cat"
    assert cat.score > 0.9
    middle = cat.left + cat.width / 2
    focal = 160 / math.tan(1.3 / 2)
    assert cat.bearing_rad == pytest.approx(math.atan2(160 - middle, focal))
    assert cat.range_m == pytest.approx(2.0, abs=0.03)
    # The unit faces +y: ahead is y, to the left is -x.
    assert cat.x_m == pytest.approx(1 - cat.range_m * math.sin(cat.bearing_rad))
    assert cat.y_m == pytest.approx(2.14 + cat.range_m * math.cos(cat.bearing_rad))
    stage.until(lambda: robot.annotated, show=jpeg(CAT))
    picture = cv2.imdecode(np.frombuffer(robot.annotated[-1].data, np.uint8), 1)
    assert picture is not None
    assert picture.shape == (240, 320, 3)
    assert len(robot.annotated[-1].data) <= MAX_JPEG_BYTES


def test_a_blank_frame_makes_a_picture_but_no_event(stage: Stage):
    stage.until(lambda: stage.robot.annotated, show=jpeg(BLANK))
    assert stage.robot.heard("mtor.detection.seen") == []


@pytest.mark.parametrize("junk", [b"", b"junk", jpeg(CAT)[:40], bytes(1000)])
def test_broken_frames_are_counted_and_the_next_good_one_is_seen(stage: Stage, junk: bytes):
    stage.until(lambda: stage.worker.counts["broken"], show=junk)
    stage.until(lambda: stage.robot.heard("mtor.detection.seen"), show=jpeg(CAT))
    assert stage.worker.counts["failures"] == 0


def test_scans_and_poses_that_are_none_are_counted_and_dropped(stage: Stage):
    scans = stage.robot.node.create_publisher(LaserScan, "scan", SENSOR_QOS)
    poses = stage.robot.node.create_publisher(Odometry, "odom", SENSOR_QOS)
    scan, pose = LaserScan(angle_increment=math.nan), Odometry()
    pose.pose.pose.position.x = math.inf

    def both() -> bool:
        scans.publish(scan)
        poses.publish(pose)
        return stage.worker.counts["junk"] >= 4

    stage.until(both)
    stage.until(lambda: stage.robot.heard("mtor.detection.seen"), show=jpeg(CAT))
    assert stage.worker.counts["faults"] == 0


@pytest.mark.parametrize("stage", [{"max_rate_hz": 0.02}], indirect=True)
def test_frames_above_the_rate_are_skipped_and_counted(stage: Stage):
    stage.until(lambda: stage.worker.counts["skipped"] > 3, show=jpeg(BLANK))


@pytest.mark.parametrize("stage", [{"camera_timeout_s": 0.4}], indirect=True)
def test_a_silent_camera_is_told_and_so_is_its_return(stage: Stage):
    stage.until(lambda: "degraded" in stage.robot.states())
    reason = stage.robot.reasons()
    assert "no camera frames for 0.4 s" in reason
    assert "/p1/camera/image/compressed" in reason
    stage.until(lambda: "active" in stage.robot.states(), show=jpeg(BLANK))


def test_a_detector_that_fails_frame_after_frame_is_told_and_does_not_stop_the_worker(
    stage: Stage,
):
    stage.until(lambda: stage.worker.counts["frames"], show=jpeg(BLANK))
    broken = stage.worker._detector
    assert broken is not None
    broken.close()
    stage.until(lambda: "failed" in stage.robot.states(), show=jpeg(BLANK))
    assert stage.worker.counts["failures"] >= FAILURES_IN_A_ROW
    assert "the detector is closed" in stage.robot.reasons()
    assert stage.worker.trigger_deactivate() == SUCCESS
    assert stage.worker.trigger_cleanup() == SUCCESS
    assert stage.worker.trigger_configure() == SUCCESS
    assert stage.worker.trigger_activate() == SUCCESS
    stage.until(lambda: stage.robot.heard("mtor.detection.seen"), show=jpeg(CAT))


@pytest.mark.parametrize("harm", ["absent", "corrupt"])
def test_without_sound_weights_it_fails_with_the_reason_and_works_once_they_are_there(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harm: str
):
    monkeypatch.setenv("MTOR_CACHE", str(tmp_path))
    found = [weights, weights.with_name(f"{weights.name}.receipt.json")]
    places = [tmp_path / "models" / each.name for each in found]
    places[0].parent.mkdir()
    if harm == "corrupt":
        places[0].write_bytes(b"junk")
        places[1].write_bytes(found[1].read_bytes())
    stage = Stage("p2")
    try:
        assert stage.worker.trigger_configure() == TransitionCallbackReturn.FAILURE
        stage.until(lambda: "failed" in stage.robot.states())
        assert f"weights of coco-ssd are {harm}" in stage.robot.reasons()
        assert "mtor models fetch coco-ssd" in stage.robot.reasons()
        for source, place in zip(found, places, strict=True):
            place.write_bytes(source.read_bytes())
        assert stage.worker.trigger_configure() == SUCCESS
        assert stage.worker.trigger_activate() == SUCCESS
        stage.until(lambda: stage.robot.heard("mtor.detection.seen"), show=jpeg(CAT))
    finally:
        stage.close()
