"""The decision worker as a real lifecycle node, heard and spoken to over real topics."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
import rclpy
from geometry_msgs.msg import Twist
from nav_msgs.msg import Odometry
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import LaserScan
from std_msgs.msg import String

from mtor_swarm import config, events
from mtor_swarm.config import MissionConfig, RealmConfig
from mtor_swarm.errors import ConfigError
from mtor_swarm.events import (
    Command,
    CommandAcknowledged,
    DetectionSeen,
    MemberChanged,
    Pose,
    ReflexChanged,
    Sighting,
    TargetSeen,
    UnitState,
)
from mtor_swarm.realm.bus import (
    ALL,
    COMMAND_QOS,
    CONTROL_QOS,
    EVENT_QOS,
    SENSOR_QOS,
    STATE_QOS,
    RealmBus,
)
from mtor_swarm.workers.decision import DecisionWorker
from mtor_swarm.workers.missions import mission_path

BOUND_S = 60.0


class World:
    """A unit's decision worker, and a node that stands for all else of its realm."""

    def __init__(self, unit: str) -> None:
        self.unit = unit
        self.worker = DecisionWorker(config=RealmConfig(unit=unit))
        self.rest = Node("rest", namespace=f"/{unit}")
        self.bus = RealmBus(self.rest)
        self.said: list[events.Event] = []
        self.wanted: list[Twist] = []
        self.states: list[UnitState] = []
        self.bus.subscribe((ALL,), self.said.append)
        self.rest.create_subscription(Twist, "wanted_vel", self.wanted.append, CONTROL_QOS)
        self.rest.create_subscription(String, "state", self._state, STATE_QOS)
        self._odom = self.rest.create_publisher(Odometry, "odom", SENSOR_QOS)
        self._scan = self.rest.create_publisher(LaserScan, "scan", SENSOR_QOS)
        self.neighbours = self.rest.create_publisher(String, "neighbours", EVENT_QOS)
        self.commands = self.rest.create_publisher(String, "command", COMMAND_QOS)
        self._reflex = self.rest.create_publisher(String, "reflex/state", STATE_QOS)
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.worker)
        self.executor.add_node(self.rest)
        self.x_m = 0.0

    def _state(self, message: String) -> None:
        self.states.append(msgspec.json.decode(message.data, type=UnitState))

    def until(self, met: Callable[[], object], feed: Callable[[], object] | None = None) -> None:
        """Feed poses and scans, and `feed`, until the condition is met."""
        end = time.monotonic() + BOUND_S
        while not met():
            assert time.monotonic() < end, "not met in time"
            self.move(self.x_m)
            if feed:
                feed()
            for _ in range(8):
                self.executor.spin_once(timeout_sec=0.005)

    def move(self, x_m: float) -> None:
        odom = Odometry()
        odom.header.frame_id = "map"
        odom.pose.pose.position.x = x_m
        odom.pose.pose.orientation.w = 1.0
        self._odom.publish(odom)
        scan = LaserScan(angle_min=-math.pi, angle_increment=math.pi / 45, range_max=8.0)
        scan.ranges = [math.inf] * 89 + [math.nan]
        self._scan.publish(scan)

    def tell(self, data: msgspec.Struct, unit: str) -> None:
        self.bus.publish(events.make(data, source="/test", wall_s=time.time(), unit=unit))

    def reflex(self, latched: bool) -> None:
        state = msgspec.json.encode(ReflexChanged(latched=latched)).decode()
        self._reflex.publish(String(data=state))

    def close(self) -> None:
        self.executor.shutdown()
        self.worker.close()
        self.worker.destroy_node()
        self.rest.destroy_node()


@pytest.fixture
def world() -> Iterator[World]:
    rclpy.init()
    made = World("r1")
    made.worker.trigger_configure()
    made.worker.trigger_activate()
    assert made.worker.active
    yield made
    made.close()
    rclpy.try_shutdown()


def acknowledged(world: World) -> list[str]:
    found = [e for e in world.said if e.type == "mtor.command.acknowledged"]
    return [events.payload(e, CommandAcknowledged).status for e in found]


def order(verb: str) -> String:
    data = Command(id=f"c-{verb}", verb=verb, units=["r1"], issuer="i", issued_s=0.0)  # type: ignore[arg-type]
    made = events.make(data, source="/test", wall_s=0.0, type=events.command_type(verb))
    return String(data=events.to_json(made))


def test_poses_wake_it_and_it_tells_its_velocity_and_state(world: World) -> None:
    world.until(lambda: world.wanted and world.states)
    assert world.states[-1].unit == "r1"
    assert world.states[-1].doing == "searching"


def test_detections_become_an_announcement_and_news_of_others_move_it(world: World) -> None:
    seen = DetectionSeen(
        frame_width=320,
        frame_height=240,
        latency_s=0.0,
        sightings=[
            Sighting(
                label="cat", score=0.9, left=0, top=0, width=9, height=9,
                bearing_rad=0.0, range_m=1.7, x_m=1.7, y_m=0.0,
            )
        ],
    )  # fmt: skip
    world.until(
        lambda: any(e.type == "mtor.target.seen" for e in world.said),
        lambda: world.tell(seen, "r1"),
    )
    event = next(e for e in world.said if e.type == "mtor.target.seen")
    # what is seen is its near surface, what is announced its centre
    radius_m = config.load(mission_path("search"), MissionConfig).target_radius_m
    assert events.payload(event, TargetSeen).x_m == pytest.approx(1.7 + radius_m, abs=0.05)
    world.until(lambda: world.states[-1].doing in {"approaching", "surrounding"})


def test_neighbours_nearer_to_the_target_leave_it_to_guard_until_one_dies(world: World) -> None:
    news = TargetSeen(
        label="cat", score=0.9, x_m=4.0, y_m=0.0, seen_from_x_m=3.0, seen_from_y_m=0.0
    )
    dead: list[str] = []

    def company() -> None:
        for name in {"r2", "r3", "r4"} - set(dead):
            state = UnitState(unit=name, pose=Pose(3.0, 1.0, 0.0), doing="searching")
            text = msgspec.json.encode(state).decode()
            world.neighbours.publish(String(data=text))
        world.tell(news, "r2")

    def doing() -> str:
        return world.states[-1].doing if world.states else ""

    world.until(lambda: doing() == "guarding", company)
    dead.append("r3")
    gone = MemberChanged(member="m3", unit="r3", state="dead")

    def bury() -> None:
        company()
        world.tell(gone, "r1")

    world.until(lambda: doing() == "approaching", bury)


def test_its_own_latch_stands_it_still_and_another_s_does_not(world: World) -> None:
    world.until(lambda: world.states)
    world.until(lambda: world.states[-1].latched, lambda: world.reflex(True))
    assert world.states[-1].doing == "holding"
    world.until(lambda: not world.states[-1].latched, lambda: world.reflex(False))
    count = len(world.states)
    world.until(
        lambda: len(world.states) > count, lambda: world.tell(ReflexChanged(latched=True), "r2")
    )
    assert not world.states[-1].latched


def test_a_latch_that_shut_before_it_began_is_known(world: World) -> None:
    world.reflex(True)
    world.worker.trigger_deactivate()
    world.worker.trigger_cleanup()
    world.states.clear()
    world.worker.trigger_configure()
    world.until(lambda: world.worker._mission and world.worker._mission._latched)
    world.worker.trigger_activate()
    world.until(lambda: world.states)
    assert world.states[-1].doing == "holding"


def test_return_is_acknowledged_twice(world: World) -> None:
    world.until(lambda: world.states)
    world.x_m = 2.0
    world.until(lambda: world.states[-1].pose and world.states[-1].pose.x_m > 1.0)
    world.until(lambda: "accepted" in acknowledged(world), sending(world, order("return")))
    world.until(lambda: world.states[-1].doing == "returning")
    assert "done" not in acknowledged(world)
    world.x_m = 0.0
    world.until(lambda: "done" in acknowledged(world))


def sending(world: World, message: String) -> Callable[[], None]:
    """Publish the message once the worker is matched: volatile topics lose what comes before."""
    sent: list[bool] = []

    def send() -> None:
        if not sent and world.commands.get_subscription_count():
            sent.append(True)
            world.commands.publish(message)

    return send


def test_junk_on_any_topic_is_counted_and_harms_nothing(world: World) -> None:
    def junk() -> None:
        world.neighbours.publish(String(data="{not json"))
        world.commands.publish(String(data="[]"))
        broken = Odometry()
        broken.pose.pose.position.x = math.nan
        world._odom.publish(broken)
        world._scan.publish(LaserScan())

    world.until(lambda: world.worker.counts["junk"] >= 8, junk)
    count = len(world.wanted)
    world.until(lambda: len(world.wanted) > count)
    assert world.worker.counts["faults"] == 0


def test_the_shipped_mission_is_found_by_name_and_reads() -> None:
    mission = config.load(mission_path("search"), MissionConfig)
    assert mission.target == "cat"


def test_a_mission_of_one_s_own_is_found_by_its_path(tmp_path: Path) -> None:
    own = tmp_path / "mine.yaml"
    own.write_text("name: mine\ntarget: cup\n")
    assert config.load(mission_path(str(own)), MissionConfig).target == "cup"


def test_an_unknown_mission_is_named_together_with_those_that_there_are() -> None:
    with pytest.raises(ConfigError, match=r"`serach` is not one shipped here .*search"):
        mission_path("serach")
