"""Units that are real where this room is: reflex and gossip on ROS, ZeroMQ between the units.

Each unit's body is a node that rolls as `cmd_vel` says, sees nothing near, and wants to go on.
"""

from __future__ import annotations

import array
import math
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

import rclpy
from geometry_msgs.msg import Twist
from nav_msgs.msg import Odometry
from rclpy.experimental import EventsExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, LaserScan
from std_msgs.msg import String

from mtor_swarm.config import RealmConfig, SwarmConfig
from mtor_swarm.events import Event
from mtor_swarm.realm.bus import (
    ALL,
    COMMAND_QOS,
    CONTROL_QOS,
    EVENT_QOS,
    SENSOR_QOS,
    STATE_QOS,
    STOP_QOS,
    RealmBus,
)
from mtor_swarm.realm.worker import Worker
from mtor_swarm.swarm.identity import operator_signer
from mtor_swarm.workers.gossip import GossipWorker
from mtor_swarm.workers.reflex import ReflexWorker

from .crowd import PATIENCE_S, wait_until

SUCCESS = TransitionCallbackReturn.SUCCESS
SPEED_MPS = 0.3
T = TypeVar("T")


class Unit:
    """One unit: its workers, its body, and what its realm has heard."""

    def __init__(self, name: str, config: RealmConfig) -> None:
        self.name = name
        self.body = Node("body", namespace=f"/{name}")
        self.reflex = ReflexWorker(config=config)
        self.gossip = GossipWorker(config=config)
        self.events: list[Event] = []
        self.stops: list[str] = []
        self.commands: list[str] = []
        self.neighbours: list[str] = []
        self.speed = 0.0
        node = self.body
        self.bus = RealmBus(node)
        self.bus.subscribe((ALL,), self.events.append)
        for topic, heard, qos in (
            ("stop", self.stops, STOP_QOS),
            ("command", self.commands, COMMAND_QOS),
            ("neighbours", self.neighbours, EVENT_QOS),
        ):
            node.create_subscription(String, topic, lambda m, to=heard: to.append(m.data), qos)
        node.create_subscription(Twist, "cmd_vel", self._roll, CONTROL_QOS)
        self._odom = node.create_publisher(Odometry, "odom", SENSOR_QOS)
        self._scan = node.create_publisher(LaserScan, "scan", SENSOR_QOS)
        self._wanted = node.create_publisher(Twist, "wanted_vel", CONTROL_QOS)
        self.state = node.create_publisher(String, "state", STATE_QOS)
        self.picture = node.create_publisher(
            CompressedImage, "camera/annotated/compressed", SENSOR_QOS
        )
        node.create_timer(0.05, self._live)
        self.nodes = (self.body, self.reflex, self.gossip)

    @property
    def address(self) -> str:
        driver = self.gossip._driver
        assert driver is not None
        return driver.address

    def heard(self, kind: str) -> list[Event]:
        return [each for each in self.events if each.type == kind]

    def _roll(self, message: Twist) -> None:
        self.speed = message.linear.x

    def _live(self) -> None:
        odom, wanted = Odometry(), Twist()
        odom.twist.twist.linear.x = self.speed
        odom.pose.pose.position.x, odom.pose.pose.orientation.w = 1.0, 1.0
        wanted.linear.x = SPEED_MPS
        scan = LaserScan(angle_increment=math.tau / 90, range_min=0.05, range_max=12.0)
        scan.ranges = array.array("f", [math.inf] * 90)
        self._odom.publish(odom)
        self._scan.publish(scan)
        self._wanted.publish(wanted)


class Crew:
    """The units of one test, on one executor in a thread of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.units: list[Unit] = []
        self._ended = threading.Event()
        self._work: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = queue.SimpleQueue()
        rclpy.init()
        self.executor = EventsExecutor()
        self._thread = threading.Thread(target=self._spin)

    def __enter__(self) -> Crew:
        self._thread.start()
        return self

    def __exit__(self, *ended: object) -> None:
        self._ended.set()
        self._thread.join()
        for unit in self.units:
            for node in reversed(unit.nodes[1:]):
                node.close()
        self.executor.shutdown()
        for unit in self.units:
            for node in unit.nodes:
                node.destroy_node()
        rclpy.try_shutdown()

    def _spin(self) -> None:
        while not self._ended.is_set():
            self.executor.spin_once(timeout_sec=0.05)
            while not self._work.empty():
                done, work = self._work.get()
                try:
                    done.set_result(work())
                except BaseException as error:
                    done.set_exception(error)

    def do(self, work: Callable[[], T]) -> T:
        """Do it on the executor's thread, as ROS itself would."""
        done: Future[T] = Future()
        self._work.put((done, work))
        return done.result(PATIENCE_S)

    def through(self, worker: Worker, *steps: str) -> None:
        """Take a worker through transitions of its lifecycle."""
        for step in steps:
            assert self.do(getattr(worker, f"trigger_{step}")) == SUCCESS, step

    def add(self, name: str, seeds: Sequence[str] = (), keys: str = "") -> Unit:
        """A unit that works: driving, in the swarm, heard in its realm."""
        config = RealmConfig(
            unit=name,
            state_dir=str(self.folder / name),
            operators=[operator_signer().member_id],
            swarm=SwarmConfig(seeds=[*seeds, *(unit.address for unit in self.units)], keys=keys),
        )
        unit = self.do(lambda: self._made(name, config))
        for worker in (unit.reflex, unit.gossip):
            self.through(worker, "configure", "activate")
        wait_until(f"{name} moves", lambda: unit.speed > SPEED_MPS / 2)
        topics = (unit.gossip._stops, unit.gossip._commands)
        wait_until("reflex hears", lambda: all(t.get_subscription_count() >= 2 for t in topics))
        others = [each.name for each in self.units if each is not unit]
        wait_until("it knows the others", lambda: {*others} <= {*self.known(unit)})
        return unit

    def _made(self, name: str, config: RealmConfig) -> Unit:
        unit = Unit(name, config)
        self.units.append(unit)
        for node in unit.nodes:
            self.executor.add_node(node)
        return unit

    def known(self, unit: Unit) -> list[str]:
        """The units that this one's gossip sees alive."""
        members = list(unit.gossip._members.values())
        return [each.unit for each in members if each.state == "alive"]
