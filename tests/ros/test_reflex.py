"""Reflex as a real node between real topics: what was wanted in, what the wheels get out."""

from __future__ import annotations

import array
import math
import os
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import msgspec
import pytest
from geometry_msgs.msg import Twist
from nav_msgs.msg import Odometry
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.node import Node
from sensor_msgs.msg import LaserScan
from std_msgs.msg import String

from mtor_swarm.config import RealmConfig
from mtor_swarm.events import (
    Command,
    CommandAcknowledged,
    Event,
    ReflexChanged,
    WorkerChanged,
    command_type,
    make,
    payload,
    to_json,
)
from mtor_swarm.realm.bus import (
    ALL,
    COMMAND_QOS,
    CONTROL_QOS,
    SENSOR_QOS,
    STATE_QOS,
    STOP_QOS,
    RealmBus,
)
from mtor_swarm.realm.gate import LONGEST_STEP_S
from mtor_swarm.workers.reflex import STILL_SAMPLES, ReflexWorker

from .realm_stage import BOUND_S, Stage

SUCCESS = TransitionCallbackReturn.SUCCESS


class Robot:
    """The unit's other half: a lidar, an odometry, wheels; decision's and gossip's topics too."""

    def __init__(self, stage: Stage, folder: Path) -> None:
        self.stage = stage
        self.folder = folder
        self.node = stage.add(Node("robot", namespace="/r1"))
        self.wanted = self.node.create_publisher(Twist, "wanted_vel", CONTROL_QOS)
        self.scan = self.node.create_publisher(LaserScan, "scan", SENSOR_QOS)
        self.odom = self.node.create_publisher(Odometry, "odom", SENSOR_QOS)
        self.stop = self.node.create_publisher(String, "stop", STOP_QOS)
        self.command = self.node.create_publisher(String, "command", COMMAND_QOS)
        self.wheels: list[Twist] = []
        self.node.create_subscription(Twist, "cmd_vel", self.wheels.append, CONTROL_QOS)
        self.events: list[Event] = []
        self.bus = RealmBus(self.node)
        self.bus.subscribe((ALL,), self.events.append)
        self.reflex = self.begin()

    def begin(self) -> ReflexWorker:
        """A reflex that works, met by everyone."""
        self.reflex = self.stage.add(
            ReflexWorker(config=RealmConfig(unit="r1", state_dir=str(self.folder)))
        )
        assert self.reflex.trigger_configure() == SUCCESS
        assert self.reflex.trigger_activate() == SUCCESS
        ours = (self.wanted, self.scan, self.odom, self.stop, self.command)
        self.stage.until(lambda: all(each.get_subscription_count() == 1 for each in ours))
        self.stage.until(lambda: self.node.count_publishers("/r1/cmd_vel") == 1)
        self.events.clear()
        self.stage.until(self._introduced)
        return self.reflex

    def _introduced(self) -> bool:
        self.reflex.say(WorkerChanged(worker="reflex", state="testing", was=""))
        return bool(self.events)

    def through(self, *steps: str) -> None:
        """Take reflex through transitions of its lifecycle."""
        for step in steps:
            assert getattr(self.reflex, f"trigger_{step}")() == SUCCESS, step

    def stays(self) -> None:
        """It is wanted to drive, and does not."""
        self.wheels.clear()
        for _ in range(20):
            self.see()
            self.want(0.4)
            self.stage.executor.spin_once(timeout_sec=0.05)
        assert self.speed == 0.0

    def end(self) -> None:
        """As a process that is gone: the node with all that it knew."""
        self.reflex.close()
        self.stage.executor.remove_node(self.reflex)
        self.stage.nodes.remove(self.reflex)
        self.reflex.destroy_node()

    def see(self, distance: float = math.inf) -> None:
        scan = LaserScan(angle_min=-math.pi, angle_increment=math.tau / 360)
        scan.range_min, scan.range_max = 0.05, 12.0
        scan.ranges = array.array("f", [distance] * 360)
        self.scan.publish(scan)

    def want(self, speed: float) -> None:
        twist = Twist()
        twist.linear.x = speed
        self.wanted.publish(twist)

    def roll(self, speed: float = 0.0, turn: float = 0.0) -> None:
        odom = Odometry()
        odom.twist.twist.linear.x, odom.twist.twist.angular.z = speed, turn
        self.odom.publish(odom)

    def order(self, verb: str, id: str, unit: str = "r1", issued_s: float = 0.0) -> None:
        command = Command(id=id, verb=verb, units=[unit], issuer="", issued_s=issued_s)  # type: ignore[arg-type]
        event = make(command, source="test", wall_s=0.0, type=command_type(verb))
        topic = self.stop if verb == "hold" else self.command
        topic.publish(String(data=to_json(event)))

    def until(self, condition: Callable[[], object], *doing: Callable[[], None]) -> None:
        """Do these again and again until that is so."""

        def again() -> object:
            for each in doing:
                each()
            return condition()

        self.stage.until(again)

    def acks(self, command: str) -> list[CommandAcknowledged]:
        acks = [
            payload(each, CommandAcknowledged)
            for each in self.events
            if each.type == "mtor.command.acknowledged"
        ]
        return [each for each in acks if each.command == command]

    def said(self, command: str) -> list[str]:
        return [each.status for each in self.acks(command)]

    def news(self) -> list[ReflexChanged]:
        return [payload(e, ReflexChanged) for e in self.events if e.type == "mtor.reflex.changed"]

    @property
    def speed(self) -> float:
        return self.wheels[-1].linear.x if self.wheels else 0.0

    def drive(self) -> None:
        """Get it to move."""
        self.until(lambda: self.speed > 0.3, self.see, lambda: self.want(0.4))


@pytest.fixture
def robot(tmp_path: Path) -> Iterator[Robot]:
    stage = Stage()
    yield Robot(stage, tmp_path)
    stage.close()


def test_what_is_wanted_reaches_the_wheels_and_ends_when_it_is_wanted_no_more(
    robot: Robot,
) -> None:
    robot.drive()
    robot.until(lambda: robot.speed == 0.0, robot.see)


def test_a_lidar_that_falls_silent_stops_the_unit_by_the_watch_alone(robot: Robot) -> None:
    robot.drive()
    robot.until(lambda: robot.speed == 0.0)


def test_something_near_stops_the_unit_and_is_told(robot: Robot) -> None:
    robot.drive()
    robot.until(
        lambda: any(each.blocked for each in robot.news()),
        lambda: robot.see(0.3),
        lambda: robot.want(0.4),
    )
    robot.until(lambda: robot.speed == 0.0)


def test_a_stop_is_confirmed_only_by_what_was_measured(robot: Robot) -> None:
    robot.drive()
    robot.order("hold", "c1")
    robot.until(lambda: robot.said("c1") == ["accepted"], lambda: robot.want(0.4))
    robot.until(lambda: robot.speed == 0.0, robot.see, lambda: robot.want(0.4))
    for _ in range(3 * STILL_SAMPLES):
        robot.roll(0.05)
        robot.roll(0.0, turn=0.5)
        robot.roll(math.nan)
        robot.stage.executor.spin_once(timeout_sec=0.05)
    assert robot.said("c1") == ["accepted"]
    robot.until(lambda: robot.said("c1") == ["accepted", "confirmed"], robot.roll)
    assert robot.news()[-1].latched


def test_a_stop_for_others_is_none_of_ours(robot: Robot) -> None:
    robot.order("hold", "c1", unit="r2")
    robot.order("hold", "c2")
    robot.until(lambda: robot.said("c2"))
    assert robot.said("c1") == []


def test_a_held_unit_stays_held_through_a_restart_until_a_release(robot: Robot) -> None:
    robot.order("hold", "c1")
    robot.until(lambda: robot.said("c1") == ["accepted"])
    robot.end()
    robot.begin()
    robot.until(lambda: "confirmed" in robot.said("c1"), robot.roll)
    robot.stays()
    robot.order("search", "c2")
    robot.order("release", "c3")
    robot.until(lambda: robot.said("c3") == ["accepted", "done"])
    assert robot.said("c2") == []
    robot.drive()
    robot.end()
    robot.begin()
    robot.drive()


def test_a_release_that_a_stop_has_overtaken_lets_nothing_go(robot: Robot) -> None:
    robot.order("hold", "c2", issued_s=2.0)
    robot.until(lambda: robot.said("c2") == ["accepted"])
    robot.order("release", "c1", issued_s=1.0)
    robot.until(lambda: robot.said("c1") == ["refused"])
    robot.order("release", "c3", issued_s=3.0)
    robot.until(lambda: robot.said("c3") == ["accepted", "done"])


def test_a_latch_file_that_is_none_holds_the_unit_and_says_so(robot: Robot) -> None:
    robot.end()
    (robot.folder / "latch").write_bytes(b"\xff{")
    robot.begin()
    states: list[ReflexChanged] = []  # whoever comes late has the last
    robot.node.create_subscription(
        String,
        "reflex/state",
        lambda m: states.append(msgspec.json.decode(m.data, type=ReflexChanged)),
        STATE_QOS,
    )
    robot.until(lambda: states)
    assert states[-1].latched
    assert "cannot be read" in states[-1].reason


def test_what_holds_is_not_told_again_when_a_worker_begins(robot: Robot) -> None:
    robot.order("hold", "c1")
    robot.until(lambda: robot.said("c1") == ["accepted"])
    began = WorkerChanged(worker="gossip", state="active", was="inactive")
    robot.bus.publish(make(began, source="/r1/orchestrator", wall_s=0.0, unit="r1"))
    robot.order("release", "c2")
    robot.until(lambda: robot.said("c2") == ["accepted", "done"])
    robot.until(lambda: robot.news() and not robot.news()[-1].latched)
    assert [each.latched for each in robot.news()].count(True) == 1


def test_a_latch_that_cannot_be_written_holds_and_will_not_let_go(robot: Robot) -> None:
    (robot.folder / "latch.new").mkdir()
    robot.order("hold", "c1")
    robot.until(lambda: robot.said("c1") == ["accepted"])
    assert "would not survive a restart" in robot.acks("c1")[0].reason
    robot.order("release", "c2")
    robot.until(lambda: robot.said("c2") == ["refused"])
    assert robot.news()[-1].latched
    robot.through("deactivate", "cleanup", "configure", "activate")
    robot.stays()


def test_a_disk_that_hangs_delays_no_brake_and_is_told(robot: Robot) -> None:
    robot.drive()
    os.mkfifo(robot.folder / "latch.new")  # to open it waits for who reads it
    robot.order("hold", "c1")
    robot.until(lambda: robot.speed == 0.0, robot.see, lambda: robot.want(0.4))
    robot.until(lambda: robot.said("c1") == ["accepted"])
    assert "may not survive a restart" in robot.acks("c1")[0].reason
    with (robot.folder / "latch.new").open("rb"):
        robot.until(robot.reflex._scribe.submit(int).done)


def test_a_release_that_waits_for_the_disk_undoes_no_stop_that_came_meanwhile(
    robot: Robot,
) -> None:
    disk = threading.Event()
    robot.reflex._scribe.submit(partial(disk.wait, BOUND_S))
    robot.order("release", "c1")
    robot.until(lambda: robot.reflex._writes)
    robot.order("hold", "c2")
    robot.until(lambda: robot.reflex._latch.now.latched)
    disk.set()
    robot.until(lambda: robot.said("c1") == ["refused"] and robot.said("c2") == ["accepted"])
    assert "came meanwhile" in robot.acks("c1")[0].reason
    robot.stays()
    robot.end()
    robot.begin()
    robot.stays()


def test_a_stop_that_finds_a_release_written_but_not_yet_obeyed_holds_the_unit(
    robot: Robot,
) -> None:
    robot.order("hold", "c1")
    robot.until(lambda: robot.said("c1") == ["accepted"])
    disk = threading.Event()
    robot.reflex._scribe.submit(partial(disk.wait, BOUND_S))
    robot.order("release", "c2")
    robot.until(lambda: robot.reflex._writes)
    robot.reflex._watch.cancel()  # so that the stop is the next to wake reflex
    disk.set()
    robot.reflex._writes[0].done.result(BOUND_S)
    robot.order("hold", "c3")
    robot.until(lambda: robot.said("c2") == ["refused"] and robot.said("c3") == ["accepted"])
    robot.stays()


def test_a_stop_while_reflex_is_inactive_or_not_configured_holds_the_unit(robot: Robot) -> None:
    robot.through("deactivate")
    robot.order("hold", "c1")
    robot.until(lambda: robot.said("c1") == ["accepted"])
    robot.until(lambda: robot.news() and robot.news()[-1].latched)
    robot.through("activate")
    robot.stays()
    robot.until(lambda: "confirmed" in robot.said("c1"), robot.roll)
    robot.order("release", "c2")
    robot.until(lambda: robot.said("c2") == ["accepted", "done"])
    robot.through("deactivate", "cleanup")
    robot.order("hold", "c3")
    robot.through("configure")
    robot.until(lambda: robot.said("c3") == ["accepted"])
    robot.through("activate")
    robot.stays()


def test_a_stop_that_was_released_is_kept_by_its_topic_and_holds_nobody_again(
    robot: Robot,
) -> None:
    robot.order("hold", "c1", issued_s=2.0)
    robot.order("release", "c2", issued_s=3.0)
    robot.until(lambda: robot.said("c2") == ["accepted", "done"])
    robot.through("deactivate", "cleanup", "configure", "activate")
    robot.drive()
    robot.order("hold", "c3", issued_s=1.0)  # by a clock that is slow: a stop is a stop
    robot.until(lambda: robot.said("c3") == ["accepted"])
    robot.end()
    robot.begin()
    robot.stays()


def test_a_unit_that_is_brought_up_again_begins_to_move_from_standing(robot: Robot) -> None:
    robot.drive()
    robot.through("deactivate")
    robot.until(lambda: robot.speed == 0.0)
    robot.wheels.clear()
    robot.through("activate")
    robot.until(lambda: robot.wheels)
    most = robot.reflex.config.reflex.max_acceleration_mps2 * LONGEST_STEP_S
    assert robot.wheels[0].linear.x <= most + 1e-6


def test_junk_on_its_topics_is_counted_and_outlived(robot: Robot) -> None:
    robot.stop.publish(String(data="{"))
    robot.command.publish(String(data='{"id": 1}'))
    robot.until(lambda: robot.reflex.counts["faults"] >= 2)
    robot.drive()


def test_a_unit_that_stands_still_needs_no_watch(robot: Robot) -> None:
    robot.drive()
    robot.until(lambda: robot.speed == 0.0)
    robot.until(robot.reflex._watch.is_canceled)
