"""The main job: six units search, with the viewer on.

Baselines of the same run: a bare ZeroMQ hop between two processes for events, a bare rclpy node's
start for the first move, the detector called by itself for the rate of detections.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import rclpy
import zmq
from rclpy.experimental.events_executor import EventsExecutor
from sensor_msgs.msg import CompressedImage

from benchmarks.ears import Ears
from benchmarks.form import Figure
from mtor_swarm.cli.stage import Stage
from mtor_swarm.realm.bus import SENSOR_QOS

UNITS = 6
RUN_S = 60.0
STEADY_S = 15.0
"""Simulated: from here on every unit looks through its camera."""
ECHO = """
import sys, zmq
socket = zmq.Context().socket(zmq.DEALER)
socket.connect(f"tcp://127.0.0.1:{sys.argv[1]}")
socket.send(b"ready")
for _ in range(int(sys.argv[2])):
    socket.send(socket.recv())
"""


def run(quick: bool) -> list[Figure]:
    """Measure with one seed, or with three."""
    runs = [_measure(seed) for seed in ([7] if quick else [1, 2, 3])]

    def median(key: str) -> float:
        return statistics.median(each[key] for each in runs)

    latency = np.concatenate([each["latency_s"] for each in runs]) * 1e3
    hop = np.concatenate([each["hop_s"] for each in runs]) * 1e3
    return [
        Figure(name="real-time factor", value=round(median("rtf"), 2), goal=1.0, better="more"),
        Figure(
            name="detections per unit",
            value=median("detections_hz"),
            unit="Hz",
            goal=2.0,
            better="more",
            baseline=_detector_alone_hz(),
        ),
        Figure(name="memory, all processes", value=median("pss_mib"), unit="MiB", goal=4096),
        Figure(
            name="start to first move",
            value=median("first_move_s"),
            unit="s",
            goal=20,
            baseline=_bare_node_s(),
        ),
        Figure(
            name="event to the others, p50",
            value=float(np.percentile(latency, 50)),
            unit="ms",
            baseline=float(np.percentile(hop, 50)),
        ),
        Figure(
            name="event to the others, p99",
            value=float(np.percentile(latency, 99)),
            unit="ms",
            goal=20,
            baseline=float(np.percentile(hop, 99)),
        ),
        Figure(name="end to nothing left", value=median("end_s"), unit="s", goal=5),
        Figure(name="processes left behind", value=median("left"), goal=0),
    ]


class Frames:
    """Counts the annotated frames of every unit."""

    def __init__(self, units: list[str]) -> None:
        rclpy.init()
        self.seen: Counter[str] = Counter()
        self._node = rclpy.create_node("eyes", start_parameter_services=False, enable_rosout=False)
        for unit in units:
            self._node.create_subscription(
                CompressedImage,
                f"/{unit}/camera/annotated/compressed",
                lambda _, u=unit: self.seen.update([u]),
                SENSOR_QOS,
            )
        self._executor = EventsExecutor()
        self._executor.add_node(self._node)
        self._stop = False
        self._thread = threading.Thread(target=self._spin)
        self._thread.start()

    def close(self) -> None:
        self._stop = True
        self._thread.join()
        self._node.destroy_node()
        rclpy.shutdown()

    def _spin(self) -> None:
        while not self._stop:
            self._executor.spin_once(timeout_sec=0.2)


def _measure(seed: int) -> dict[str, Any]:
    stage = Stage(
        units=UNITS,
        seed=seed,
        world=None,
        target=True,
        viewer_port=8099,
        base_port=7501,
        kill="",
        folder=None,
    )
    found: dict[str, Any] = {}
    before = _family()
    ears: Ears | None = None
    counted: Frames | None = None
    try:
        stage.start(lambda _line: None)
        ears, counted = Ears(stage.units), Frames(stage.units)
        _until(stage, STEADY_S)
        started, frames = time.monotonic(), Counter(counted.seen)
        ears.forget()  # what was said while units still joined measures the joining
        found["hop_s"] = _hops()
        _until(stage, RUN_S)
        took_s = time.monotonic() - started
        seen = [(counted.seen[unit] - frames[unit]) / took_s for unit in stage.units]
        found["detections_hz"] = min(seen)
        found["latency_s"] = np.asarray(ears.latency_s())
        found["pss_mib"] = sum(_pss(p) for p in _family() - before - {ears.process}) / 2**20
    finally:
        report = stage.report()
        for each in (ears, counted):
            if each is not None:
                each.close()
        family = _family() - before
        begin = time.monotonic()
        stage.stop()
        found["end_s"] = time.monotonic() - begin
        found["left"] = sum(1 for p in family if p.is_running())
    found["rtf"] = report["engine"]["rtf"]
    found["first_move_s"] = report["marks_s"]["first_move_wall"]
    return found


def _until(stage: Stage, sim_s: float) -> None:
    while stage.mission_s() < sim_s:
        stage.wait(0.5)
        stage.check()


def _family() -> set[psutil.Process]:
    return set(psutil.Process().children(recursive=True))


def _pss(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except psutil.NoSuchProcess:
        return 0


def _hops(count: int = 300) -> np.ndarray[Any, np.dtype[np.float64]]:
    """One-way times (s) of a bare ZeroMQ message to another process, the swarm running beside."""
    socket = zmq.Context.instance().socket(zmq.DEALER)
    port = socket.bind_to_random_port("tcp://127.0.0.1")
    echo = subprocess.Popen([sys.executable, "-c", ECHO, str(port), str(count)])
    socket.recv()
    times = []
    for _ in range(count):
        begin = time.perf_counter()
        socket.send(b"x" * 300)
        socket.recv()
        times.append((time.perf_counter() - begin) / 2)
        time.sleep(0.02)
    echo.wait(60)
    socket.close(linger=0)
    return np.asarray(times)


def _bare_node_s() -> float:
    begin = time.perf_counter()
    code = "import rclpy; rclpy.init(); rclpy.create_node('bare')"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
    return time.perf_counter() - begin


def _detector_alone_hz() -> float:
    """How often a second the detector alone goes through a frame, a sixth of it for each unit."""
    from skimage import data

    from mtor_swarm.models.store import Store
    from mtor_swarm.models.ultralytics_detector import UltralyticsDetector

    detector = UltralyticsDetector(Path(Store().path("coco-ssd")), confidence=0.4, labels=[])
    frame = np.ascontiguousarray(data.chelsea()[:240, :320, ::-1])
    detector.detect(frame)
    begin = time.perf_counter()
    for _ in range(30):
        detector.detect(frame)
    return 30 / (time.perf_counter() - begin) / UNITS
