"""The worker that looks through the camera and tells the realm what it sees, and where.

The model runs in a thread of its own, always on the latest frame, so that the node stays awake.
It also looks at pictures that others send (capability `detect`): the camera's go first.
"""

from __future__ import annotations

import array
import math
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
from nav_msgs.msg import Odometry
from sensor_msgs.msg import CompressedImage, LaserScan
from std_msgs.msg import Header

from mtor_swarm.config import PerceptionConfig, RealmConfig
from mtor_swarm.errors import AskError, ModelError
from mtor_swarm.events import DetectionSeen, Pose, WorkerChanged, is_finite
from mtor_swarm.models.annotate import annotated_jpeg
from mtor_swarm.models.batching import Batcher
from mtor_swarm.models.geometry import Camera, Scan, Surroundings
from mtor_swarm.models.latest import Latest
from mtor_swarm.models.pictures import MAX_PICTURE_BYTES, decoded
from mtor_swarm.models.resources import Need
from mtor_swarm.models.store import Store
from mtor_swarm.models.ultralytics_detector import UltralyticsDetector
from mtor_swarm.ports import Detection, Detector, Picture
from mtor_swarm.realm.answering import Question
from mtor_swarm.realm.bus import SENSOR_QOS
from mtor_swarm.realm.capability import Capability, Reply
from mtor_swarm.realm.worker import Worker
from mtor_swarm.workers import claims

MAX_RAYS = 65536
FAILURES_IN_A_ROW = 10
"""So many frames on which the detector raised: it has failed, and says so."""
MOST_SIGHTINGS = 64
"""The best of a frame are told: an event is bounded."""
A_PASS = 1
"""Pictures in one pass of the detector: on a CPU two at a time take longer than one by one."""


class _Frame(msgspec.Struct, frozen=True):
    """A compressed picture: its message, when it was taken (stamp) and came (monotonic)."""

    message: CompressedImage
    taken_s: float
    came_s: float


class PerceptionWorker(Worker):
    """Camera, scan and odometry in; `mtor.detection.seen` and an annotated picture out.

    Asked to `detect` with a JPEG or PNG, it answers `{"width", "height", "detections"}`: each with
    label, score and box (left, top, width, height) in pixels of that picture, best first.

    `counts`: `frames` looked at, `skipped` (a later one came first), `broken` (not a picture),
    `junk` (scans and poses that are none), `failures` (the detector raised), `asked` (pictures
    looked at for others).
    """

    clocked = False

    capabilities = (Capability("detect", concurrency=2),)

    def __init__(self, *, config: RealmConfig) -> None:
        super().__init__(name="perception", config=config)
        self._detector: Detector | None = None
        self._batcher: Batcher[Picture, list[Detection]] | None = None
        self._latest: Latest[_Frame] | None = None
        self._around = Surroundings()
        self._lock = threading.Lock()  # of `_around`: written by the node, read by the thread
        self._condition = "active"
        self._failures = 0
        self._frame_came_s = 0.0
        self._annotated = self.create_publisher(
            CompressedImage, "camera/annotated/compressed", SENSOR_QOS
        )

    def load(self) -> None:
        """Load the detector from verified weights; ModelError says what to do about them."""
        settings = self.config.perception
        weights = Store(self.config.models).path(settings.model)
        grant = claims.claim(self, _need(settings, weights))
        detector = self._detector = UltralyticsDetector(
            weights,
            confidence=settings.confidence,
            labels=settings.labels,
            threads=grant.threads,
            device=grant.device,
        )
        self._batcher = Batcher(
            lambda pictures: [detector.detect(each) for each in pictures],
            most=A_PASS,
            name="detector",
        )
        self.hear(CompressedImage, "camera/image/compressed", self._frame, SENSOR_QOS)
        self.hear(LaserScan, "scan", self._scan, SENSOR_QOS)
        self.hear(Odometry, "odom", self._odometry, SENSOR_QOS)
        self.every(settings.camera_timeout_s / 4, self._check_camera, steady=True)

    def start(self) -> None:
        """Begin to look."""
        self._condition, self._failures = "active", 0
        self._frame_came_s = time.monotonic()
        self._latest = Latest(
            self._look, max_rate_hz=self.config.perception.max_rate_hz, name="perception"
        )

    def stop(self) -> None:
        """Finish the frame in hand."""
        if self._latest is None:
            return
        latest, self._latest = self._latest, None
        if not latest.stop():
            raise ModelError("the detector does not come back from its last frame")

    def unload(self) -> None:
        """Let go of the model."""
        batcher, self._batcher = self._batcher, None
        if batcher is not None and not batcher.stop():
            raise ModelError("the detector does not come back from its last picture")
        if self._detector is not None:
            self._detector.close()
            self._detector = None
        claims.release(self)

    # On a thread of an ask's own.

    def answer(self, ask: Question, tell: Callable[[bytes | str], None]) -> Reply:
        """What is seen in an ask's picture."""
        picture = decoded(ask.payload)
        if picture is None:
            raise AskError(
                f"detect: {len(ask.payload)} bytes of {ask.kind} that are no picture: send a JPEG "
                f"or PNG of at most {MAX_PICTURE_BYTES >> 20} MiB"
            )
        if self._batcher is None:
            raise ModelError("the detector is not loaded")
        (detections,) = self._batcher.results([picture], ask.left_s)
        self.counts["asked"] += 1
        height, width = picture.shape[:2]
        return {
            "width": width,
            "height": height,
            "detections": [msgspec.to_builtins(each) for each in detections[:MOST_SIGHTINGS]],
        }

    # On the node's executor.

    def _frame(self, message: CompressedImage) -> None:
        self._frame_came_s = time.monotonic()
        if self._latest is not None:
            frame = _Frame(message, _seconds(message.header), self._frame_came_s)
            self._latest.offer(frame)
            self.counts["skipped"] = self._latest.skipped

    def _scan(self, message: LaserScan) -> None:
        numbers = (message.angle_min, message.angle_increment)
        if not is_finite(*numbers) or len(message.ranges) > MAX_RAYS:
            self.counts["junk"] += 1
            return
        scan = Scan.of(
            _seconds(message.header),
            np.frombuffer(message.ranges, np.float32),
            first_rad=message.angle_min,
            step_rad=message.angle_increment,
            nearest_m=message.range_min,
            farthest_m=message.range_max,
        )
        with self._lock:
            self._around.add_scan(scan)

    def _odometry(self, message: Odometry) -> None:
        at, turned = message.pose.pose.position, message.pose.pose.orientation
        yaw = math.atan2(
            2 * (turned.w * turned.z + turned.x * turned.y),
            1 - 2 * (turned.y * turned.y + turned.z * turned.z),
        )
        if not is_finite(at.x, at.y, yaw):
            self.counts["junk"] += 1
            return
        with self._lock:
            self._around.add_pose(_seconds(message.header), Pose(at.x, at.y, yaw))

    def _check_camera(self) -> None:
        silent_s = time.monotonic() - self._frame_came_s
        limit_s = self.config.perception.camera_timeout_s
        if silent_s > limit_s:
            topic = self.resolve_topic_name("camera/image/compressed")
            self._become(
                "degraded",
                f"no camera frames for {limit_s:g} s: check the camera and the topic {topic}",
            )
        elif self._condition == "degraded":
            self._become("active", "camera frames are back")

    # In the model's thread.

    def _look(self, frame: _Frame) -> None:
        """One frame from JPEG to event; whatever goes wrong costs this frame alone."""
        picture = decoded(frame.message.data)
        if picture is None:
            self.counts["broken"] += 1
            return
        try:
            self._report(picture, frame)
        except Exception as error:  # the model's libraries raise anything
            self._stumbled(error)
            return
        self.counts["frames"] += 1
        self._failures = 0
        if self._condition == "failed":
            self._become("active", "the detector works again")

    def _report(self, picture: Picture, frame: _Frame) -> None:
        assert self._batcher is not None
        height, width = picture.shape[:2]
        settings = self.config.perception
        detections = self._batcher.submit(picture, urgent=True).result()[:MOST_SIGHTINGS]
        if detections:
            camera = Camera(width, settings.horizontal_fov_rad, settings.camera_x_m)
            with self._lock:
                sightings = [self._around.sight(d, camera, frame.taken_s) for d in detections]
            self.say(
                DetectionSeen(
                    frame_width=width,
                    frame_height=height,
                    latency_s=time.monotonic() - frame.came_s,
                    sightings=sightings,
                )
            )
        annotated = CompressedImage(header=frame.message.header, format="jpeg")
        annotated.data = array.array("B", annotated_jpeg(picture, detections))
        self._annotated.publish(annotated)

    def _stumbled(self, error: Exception) -> None:
        self.counts["failures"] += 1
        self._failures += 1
        self.fault("detector", error)
        if self._failures >= FAILURES_IN_A_ROW:
            self._become("failed", f"the detector failed {self._failures} times in a row: {error}")

    # From either.

    def _become(self, condition: str, reason: str) -> None:
        """Tell the realm how this worker is, when that has changed."""
        with self._lock:
            was, self._condition = self._condition, condition
        if was == condition:
            return
        self.get_logger().warning(f"{condition}: {reason}")
        self.say(WorkerChanged(worker="perception", state=condition, was=was, reason=reason))


def _need(settings: PerceptionConfig, weights: Path) -> Need:
    """What the detector wants; ModelError if it is a GPU for weights that know none."""
    if weights.suffix != ".onnx":
        return Need(threads=settings.threads, device=settings.device)
    if settings.device == "gpu":
        raise ModelError(
            f"{settings.model}: ONNX weights run on the CPU here: set perception.device to auto, "
            "or use .pt weights"
        )
    return Need(threads=settings.threads, device="cpu")


def _seconds(header: Header) -> float:
    seconds: float = header.stamp.sec + header.stamp.nanosec * 1e-9
    return seconds
