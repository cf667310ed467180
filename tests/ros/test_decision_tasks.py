"""A decision whose mission shares out tasks: facts in, facts out, over real topics."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator

import pytest
import rclpy
from nav_msgs.msg import Odometry
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from std_msgs.msg import String

from mtor_swarm.config import RealmConfig
from mtor_swarm.realm.bus import EVENT_QOS, SENSOR_QOS
from mtor_swarm.swarm.tasks import task as t
from mtor_swarm.swarm.tasks.task import Row, Task
from mtor_swarm.workers.decision import DecisionWorker

BOUND_S = 60.0


class World:
    """A decision in a warehouse, and a node that stands for the rest of its realm."""

    def __init__(self) -> None:
        self.told: dict[str, t.Fact] = {}
        self.worker = DecisionWorker(config=RealmConfig(unit="r1", mission="warehouse"))
        self.rest = Node("rest", namespace="/r1")
        self.rest.create_subscription(String, "tasks/told", self._hear, EVENT_QOS)
        self.heard = self.rest.create_publisher(String, "tasks/heard", EVENT_QOS)
        self._odom = self.rest.create_publisher(Odometry, "odom", SENSOR_QOS)
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.worker)
        self.executor.add_node(self.rest)

    def _hear(self, message: String) -> None:
        for key, text in json.loads(message.data):
            self.told[key] = t.decode(key, text.encode())

    def until(self, met: Callable[[], object], feed: Callable[[], object]) -> None:
        end = time.monotonic() + BOUND_S
        while not met():
            assert time.monotonic() < end, "not met in time"
            odom = Odometry()
            odom.header.frame_id = "map"
            odom.pose.pose.orientation.w = 1.0
            self._odom.publish(odom)
            feed()
            for _ in range(8):
                self.executor.spin_once(timeout_sec=0.005)


@pytest.fixture
def world() -> Iterator[World]:
    rclpy.init()
    made = World()
    made.worker.trigger_configure()
    made.worker.trigger_activate()
    yield made
    made.executor.shutdown()
    made.worker.close()
    made.worker.destroy_node()
    made.rest.destroy_node()
    rclpy.try_shutdown()


def test_it_bids_for_a_task_that_it_hears_of_and_junk_is_counted(world: World) -> None:
    task = t.encode(Task(id="far", places=[(3.0, 0.0), (0.0, 0.0)])).decode()
    facts = String(data=json.dumps([["task/far", task], ["task/gone", None]]))

    def bids() -> bool:
        row = world.told.get("row/r1")
        return isinstance(row, Row) and any(each.task == "far" for each in row.bids)

    world.until(bids, lambda: world.heard.publish(facts))
    junk = String(data="[1]")
    world.until(lambda: world.worker.counts["junk"], lambda: world.heard.publish(junk))
