"""The smoke alarm: what it sees, when it rings, and that it does so on real ROS."""

from __future__ import annotations

import array
import math
import threading
import uuid

import cv2
import numpy as np
import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import CompressedImage
from skimage import data

from mtor_swarm.config import RealmConfig
from mtor_swarm.errors import AskError
from mtor_swarm.realm.answering import Question
from mtor_swarm.realm.bus import SENSOR_QOS, RealmBus
from smoke_alarm.smoke import Watch, share
from smoke_alarm.worker import SmokeAlarm

ROOM = np.ascontiguousarray(data.rocket()[..., ::-1])
TURNS = 2000
"""So often the executor is turned, for 30 ms each, before a test gives up."""


def smoky(picture: np.ndarray, density: float, seed: int = 1) -> np.ndarray:
    """The picture behind smoke: a cloud of several sizes, thicker above."""
    height, width = picture.shape[:2]
    chance = np.random.default_rng(seed)
    cloud = np.zeros((height, width))
    for size in (4, 8, 16, 32):
        cloud += cv2.resize(chance.random((size, size)), (width, height)) / size
    cloud = (cloud - cloud.min()) / (cloud.max() - cloud.min())
    thick = np.clip(cloud * np.linspace(1.2, 0.4, height)[:, None] * density, 0, 0.97)[..., None]
    return (picture * (1 - thick) + 170 * thick).astype(np.uint8)


def jpeg(picture: np.ndarray) -> bytes:
    return cv2.imencode(".jpg", picture)[1].tobytes()


def question(payload: bytes) -> Question:
    return Question(
        askid=uuid.uuid4().hex,
        capability="smoke",
        payload=payload,
        caller="a test",
        cancelled=threading.Event(),
        deadline_s=math.inf,
    )


def test_the_thicker_the_smoke_the_larger_its_share():
    shares = [share(smoky(ROOM, density)) for density in (0.0, 0.5, 0.8, 1.2)]
    assert shares == sorted(shares)
    assert shares[0] < 0.05 < 0.3 < shares[-1]


def test_it_rings_once_when_the_share_stays_above_the_usual_and_again_after_it_fell():
    watch = Watch()
    shares = [0.1, 0.1, 0.5, 0.1, 0.5, 0.5, 0.5, 0.5, 0.1, 0.5, 0.5]
    rang = [watch.look(each, rise=0.2, pictures=2) for each in shares]
    assert [i for i, each in enumerate(rang) if each] == [5, 10]


def test_a_pale_wall_that_is_always_there_becomes_usual():
    watch = Watch()
    assert not any(watch.look(0.1 + 0.002 * i, rise=0.2, pictures=1) for i in range(300))


@pytest.fixture
def realm():
    """An executor with the alarm, a camera and an ear."""
    rclpy.init()
    executor = SingleThreadedExecutor()
    alarm = SmokeAlarm(name="smoke", config=RealmConfig(unit="r1"))
    camera = rclpy.create_node("camera", namespace="/r1")
    for node in (alarm, camera):
        executor.add_node(node)
    yield executor, alarm, camera
    executor.shutdown()
    alarm.destroy_node()
    camera.destroy_node()
    rclpy.shutdown()


def test_smoke_before_the_camera_is_told_to_the_swarm(realm):
    executor, alarm, camera = realm
    alarm.set_parameters([rclpy.Parameter("every_s", value=0.0)])
    heard = []
    RealmBus(camera).subscribe(("smoke.seen",), heard.append)
    pictures = camera.create_publisher(CompressedImage, "camera/image/compressed", SENSOR_QOS)
    alarm.trigger_configure()
    alarm.trigger_activate()
    clear, thick = (array.array("B", jpeg(each)) for each in (ROOM, smoky(ROOM, 1.2)))
    pictures.publish(CompressedImage(data=array.array("B", b"no picture")))
    for _ in range(TURNS):
        # At first it sees what is usual; then there is smoke, for as long as it takes.
        first = alarm._watch.usual is None
        pictures.publish(CompressedImage(data=clear if first else thick))
        executor.spin_once(timeout_sec=0.03)
        if heard:
            break
    (event,) = heard
    assert (event.unit, event.source, event.scope) == ("r1", "/r1/smoke", "swarm")
    assert event.data["share"] > event.data["usual"] + alarm.value("rise")


def test_it_tells_whoever_asks_how_much_smoke_there_is_in_a_picture(realm):
    _, alarm, _ = realm
    assert alarm.answer(question(jpeg(smoky(ROOM, 1.2))), print)["share"] > 0.3
    for junk in (b"", b"no picture"):
        with pytest.raises(AskError, match="no picture: send a JPEG"):
            alarm.answer(question(junk), print)
