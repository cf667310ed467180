"""The simulator's topics as any ROS node hears them."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import rclpy
from geometry_msgs.msg import Twist
from nav_msgs.msg import Odometry
from rclpy.experimental import EventsExecutor
from rclpy.node import Node
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage, Imu, LaserScan

from mtor_swarm.realm.bus import CONTROL_QOS, SENSOR_QOS
from mtor_swarm.sim import compose, resources
from mtor_swarm.sim.engine import Engine
from mtor_swarm.sim.reading import read_text
from mtor_swarm.sim.ros import CLOCK_QOS, RosSide

BOUND_S = 60.0
STEP = 10


class Scene:
    """A simulation of two units, stepped by hand, and a node that listens."""

    def __init__(self) -> None:
        field = resources.world_path("field")
        text = compose.compose(field, ["r1", "r2"], 1)
        self.engine = Engine(read_text(text.encode(), str(field)), seed=1)
        self.ros = RosSide(self.engine, camera_hz=20.0, ray_cast=True)
        self.ros.start()
        self.node = Node("listener", enable_rosout=False, start_parameter_services=False)
        self.executor = EventsExecutor()
        self.executor.add_node(self.node)

    def hear(self, kind: Any, topic: str, qos: Any = SENSOR_QOS) -> list[Any]:
        heard: list[Any] = []
        self.node.create_subscription(kind, topic, heard.append, qos)
        return heard

    def until(self, condition: Callable[[], Any]) -> None:
        end = time.monotonic() + BOUND_S
        while not condition():
            assert time.monotonic() < end, "it did not come to pass"
            self.ros.step(STEP)
            self.executor.spin_once(timeout_sec=0.01)

    def close(self) -> None:
        self.executor.shutdown()
        self.node.destroy_node()
        self.ros.close()


@pytest.fixture
def scene() -> Iterator[Scene]:
    made = Scene()
    yield made
    made.close()
    assert not rclpy.ok()


def test_every_unit_has_its_topics_in_the_standard_messages(scene: Scene) -> None:
    odom = scene.hear(Odometry, "/r2/odom")
    scan = scene.hear(LaserScan, "/r2/scan")
    imu = scene.hear(Imu, "/r2/imu")
    clock = scene.hear(Clock, "/clock", CLOCK_QOS)
    pictures = scene.hear(CompressedImage, "/r2/camera/image/compressed")
    scene.until(lambda: odom and scan and imu and clock and pictures)

    truth = scene.engine.pose("r2")
    assert (odom[-1].header.frame_id, odom[-1].child_frame_id) == ("map", "r2/base_link")
    at = odom[-1].pose.pose
    assert (at.position.x, at.position.y) == pytest.approx((truth.x_m, truth.y_m), abs=0.1)
    yaw = 2 * math.atan2(at.orientation.z, at.orientation.w)
    assert math.remainder(yaw - truth.yaw_rad, math.tau) == pytest.approx(0, abs=0.05)
    assert odom[-1].pose.covariance[0] == pytest.approx(1e-4)

    assert len(scan[-1].ranges) == 360
    assert (scan[-1].range_max, scan[-1].header.frame_id) == (8.0, "r2/base_link/lidar")
    last = scan[-1].angle_min + 359 * scan[-1].angle_increment
    assert last == pytest.approx(scan[-1].angle_max, abs=1e-4)
    assert imu[-1].linear_acceleration.z == pytest.approx(9.8, abs=0.5)
    assert clock[-1].clock.sec + clock[-1].clock.nanosec * 1e-9 <= scene.engine.time_s + 1e-6
    assert pictures[-1].format == "jpeg"
    assert bytes(pictures[-1].data[:2]) == b"\xff\xd8"


def test_sensors_keep_their_rates_in_simulated_time(scene: Scene) -> None:
    odom = scene.hear(Odometry, "/r1/odom")
    scan = scene.hear(LaserScan, "/r1/scan")
    scene.until(lambda: len(odom) > 20 and len(scan) > 10)

    def gaps(messages: list[Any]) -> set[int]:
        stamps = [m.header.stamp.sec * 1000 + m.header.stamp.nanosec // 1000000 for m in messages]
        return {after - before for before, after in itertools.pairwise(stamps)}

    assert {gap % 50 for gap in gaps(odom)} == {0}  # best effort: one may be lost
    assert {gap % 100 for gap in gaps(scan)} == {0}


def turn_r1(scene: Scene) -> None:
    """Command r1 to turn until it does."""
    wheel = scene.node.create_publisher(Twist, "/r1/cmd_vel", CONTROL_QOS)
    twist = Twist()
    twist.angular.z = 1.0

    def turns() -> bool:
        wheel.publish(twist)
        return scene.engine.velocity("r1")[1] > 0.9

    scene.until(turns)


def test_cmd_vel_drives_its_unit_and_no_other(scene: Scene) -> None:
    turn_r1(scene)
    assert abs(scene.engine.velocity("r2")[1]) < 0.01


def test_a_unit_whose_driver_died_stands_still(scene: Scene) -> None:
    turn_r1(scene)
    scene.until(lambda: abs(scene.engine.velocity("r1")[1]) < 0.01)


def test_a_command_that_is_not_finite_is_counted_and_changes_nothing(scene: Scene) -> None:
    wheel = scene.node.create_publisher(Twist, "/r1/cmd_vel", CONTROL_QOS)
    twist = Twist()
    twist.linear.x = math.nan

    def counted() -> bool:
        wheel.publish(twist)
        return scene.ros.counts["junk"] > 0

    scene.until(counted)
    assert scene.engine.velocity("r1")[0] == pytest.approx(0, abs=1e-3)


def test_nothing_of_the_ground_truth_is_on_ros(scene: Scene) -> None:
    ours = scene.node.get_publisher_names_and_types_by_node("simulator", "/")
    rest = {name.split("/", 2)[-1] for name, _ in ours} - {"parameter_events"}
    assert rest == {"clock", "odom", "scan", "imu", "camera/image/compressed"}
