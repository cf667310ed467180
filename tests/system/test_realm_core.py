"""A core's real process: what hangs in it, and who must not mind."""

from __future__ import annotations

import array
import math
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from geometry_msgs.msg import Twist
from rclpy.node import Node
from sensor_msgs.msg import LaserScan
from std_msgs.msg import String

from mtor_swarm import config as configs
from mtor_swarm.config import RealmConfig, SupervisionConfig
from mtor_swarm.events import Command, make, to_json
from mtor_swarm.realm.bus import CONTROL_QOS, EVENT_QOS, SENSOR_QOS, STOP_QOS
from mtor_swarm.realm.orchestrator import Orchestrator
from tests.ros.realm_stage import Stage

PROGRAMS = str(Path(__file__).with_name("realm_programs.py"))


class Robot:
    """A body that sees nothing near and is wanted to drive; the core of it is a process."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "realm.yaml"
        self.stage = Stage()
        self.node = self.stage.add(Node("robot", namespace="/r1"))
        self.wanted = self.node.create_publisher(Twist, "wanted_vel", CONTROL_QOS)
        self.scan = self.node.create_publisher(LaserScan, "scan", SENSOR_QOS)
        self.stop = self.node.create_publisher(String, "stop", STOP_QOS)
        self.block = self.node.create_publisher(String, "block", EVENT_QOS)
        self.speed = 0.0
        self.node.create_subscription(Twist, "cmd_vel", self._roll, CONTROL_QOS)
        self.config = RealmConfig(unit="r1", state_dir=str(folder))
        self.process: subprocess.Popen[str] | None = None

    def _roll(self, message: Twist) -> None:
        self.speed = message.linear.x

    def begin(self, lease_s: float) -> subprocess.Popen[str]:
        """A core whose loops may stand still for four times `lease_s`; it works, and drives."""
        supervision = SupervisionConfig(heartbeat_lease_s=lease_s)
        config = RealmConfig(unit="r1", state_dir=self.config.state_dir, supervision=supervision)
        self.file.write_text(configs.dump(config))
        workers = ("reflex", "decision")
        conductor = self.stage.add(
            Orchestrator(config=config, workers=workers, rng=random.Random(1))
        )
        self.process = subprocess.Popen(
            [sys.executable, PROGRAMS, "core", "--config", str(self.file)],
            stderr=subprocess.PIPE,
            text=True,
        )
        self.stage.until(lambda: all(s == "active" for s, _ in conductor.states().values()))
        self.stage.until(lambda: self.block.get_subscription_count() == 1)
        self.drive()
        return self.process

    def want(self) -> None:
        scan = LaserScan(angle_increment=math.tau / 90, range_min=0.05, range_max=12.0)
        scan.ranges = array.array("f", [math.inf] * 90)
        twist = Twist()
        twist.linear.x = 0.4
        self.scan.publish(scan)
        self.wanted.publish(twist)

    def drive(self) -> None:
        self.stage.until(lambda: self.want() or self.speed > 0.3)

    def hold(self) -> None:
        command = Command(id="c1", verb="hold", units=["r1"], issuer="", issued_s=0.0)
        event = make(command, source="test", wall_s=0.0, type="mtor.stop.issued")
        self.stop.publish(String(data=to_json(event)))

    def close(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
        self.stage.close()


@pytest.fixture
def robot(tmp_path: Path) -> Iterator[Robot]:
    robot = Robot(tmp_path)
    yield robot
    robot.close()


def test_a_stop_brakes_while_another_worker_of_the_process_hangs(robot: Robot) -> None:
    process = robot.begin(lease_s=12.0)
    robot.block.publish(String(data=""))
    robot.stage.until(robot.block.wait_for_all_acked)
    robot.drive()
    robot.hold()
    robot.stage.until(lambda: robot.want() or robot.speed == 0.0)
    assert process.poll() is None


def test_a_worker_that_hangs_ends_the_process_though_reflex_turns(robot: Robot) -> None:
    process = robot.begin(lease_s=1.5)
    robot.block.publish(String(data=""))
    robot.stage.until(lambda: robot.want() or process.poll() is not None)
    assert process.returncode == 70
