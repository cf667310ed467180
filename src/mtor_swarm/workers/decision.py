"""The decision worker: the mission machine of this unit, on the topics of its realm.

Each pose wakes it: it publishes `wanted_vel`, which only reflex may turn into motion, and `state`,
which gossip carries to the others.
"""

from __future__ import annotations

import math
import random

import msgspec
import numpy as np
from geometry_msgs.msg import Twist
from nav_msgs.msg import Odometry
from sensor_msgs.msg import LaserScan
from std_msgs.msg import String

from mtor_swarm import config as settings
from mtor_swarm import events
from mtor_swarm.config import MissionConfig, RealmConfig
from mtor_swarm.errors import EventError
from mtor_swarm.events import (
    Command,
    DetectionSeen,
    Event,
    MemberChanged,
    Pose,
    ReflexChanged,
    TargetLost,
    TargetSeen,
    UnitState,
)
from mtor_swarm.realm.bus import COMMAND_QOS, CONTROL_QOS, EVENT_QOS, SENSOR_QOS, STATE_QOS
from mtor_swarm.realm.worker import Worker
from mtor_swarm.workers.mission_io import (
    Drive,
    Fact,
    Given,
    Latched,
    Odom,
    Say,
    Scan,
    Show,
    Sightings,
)
from mtor_swarm.workers.missions import Machine, make, mission_path

MAX_RAYS = 4096


class DecisionWorker(Worker):
    """Decides what this unit does. `counts` has the `junk` that arrived on its topics."""

    def __init__(self, *, config: RealmConfig) -> None:
        super().__init__(name="decision", config=config)
        self._wanted = self.create_publisher(Twist, "wanted_vel", CONTROL_QOS)
        self._state = self.create_publisher(String, "state", STATE_QOS)
        self._told = self.create_publisher(String, "tasks/told", EVENT_QOS)
        self._mission: Machine | None = None

    def load(self) -> None:
        """Read the mission and listen to what it is woken by."""
        mission = settings.load(mission_path(self.config.mission), MissionConfig)
        unit = self.config.unit
        self._mission = make(mission, unit, random.Random(f"{unit} {mission.name}"))
        self.hear(Odometry, "odom", self._odom, SENSOR_QOS)
        self.hear(LaserScan, "scan", self._scan, SENSOR_QOS)
        self.hear(String, "neighbours", self._neighbour, EVENT_QOS)
        self.hear(String, "command", self._command, COMMAND_QOS)
        self.hear(String, "tasks/heard", self._facts, EVENT_QOS)
        self.on("mtor.detection.seen", self._detection)
        self.on("mtor.target.seen", self._seen)
        self.on("mtor.target.lost", self._lost)
        self.on("mtor.member.changed", self._member)
        self.hear(String, "reflex/state", self._reflex, STATE_QOS, always=True)

    def stop(self) -> None:
        """Leave no velocity behind that reflex would follow a moment longer."""
        self._wanted.publish(Twist())

    def unload(self) -> None:
        """Forget what was known; a new load begins the mission anew."""
        self._mission = None

    def _take(self, given: Given) -> None:
        assert self._mission is not None, "handlers run only after load"
        now = self.get_clock().now().nanoseconds / 1e9
        for effect in self._mission.handle(given, now):
            if isinstance(effect, Drive):
                twist = Twist()
                twist.linear.x, twist.angular.z = effect.speed_mps, effect.turn_rps
                self._wanted.publish(twist)
            elif isinstance(effect, Show):
                self._state.publish(String(data=msgspec.json.encode(effect.state).decode()))
            elif isinstance(effect, Say):
                self.say(effect.data)
            elif isinstance(effect, Fact):
                text = effect.raw.decode() if effect.raw is not None else None
                told = msgspec.json.encode([(effect.key, text)]).decode()
                self._told.publish(String(data=told))

    def _odom(self, message: Odometry) -> None:
        at, q = message.pose.pose.position, message.pose.pose.orientation
        yaw = math.atan2(2 * (q.w * q.z + q.x * q.y), 1 - 2 * (q.y * q.y + q.z * q.z))
        speed, turn = message.twist.twist.linear.x, message.twist.twist.angular.z
        if not events.is_finite(at.x, at.y, yaw, speed, turn):
            self.counts["junk"] += 1
            return
        self._take(Odom(Pose(at.x, at.y, yaw), speed, turn))

    def _scan(self, message: LaserScan) -> None:
        step, first = message.angle_increment, message.angle_min
        count = len(message.ranges)
        if not 0 < count <= MAX_RAYS or not events.is_finite(step, first) or step == 0:
            self.counts["junk"] += 1
            return
        ranges = np.asarray(message.ranges, dtype=np.float64)
        real = (ranges >= message.range_min) & (ranges <= message.range_max)
        self._take(Scan(np.where(real, ranges, np.inf), first, step))

    def _neighbour(self, message: String) -> None:
        try:
            state = msgspec.json.decode(message.data, type=UnitState)
        except (msgspec.DecodeError, UnicodeError):
            self.counts["junk"] += 1
            return
        self._take(state)

    def _facts(self, message: String) -> None:
        try:
            facts = msgspec.json.decode(message.data, type=list[tuple[str, str | None]])
        except (msgspec.DecodeError, UnicodeError):
            self.counts["junk"] += 1
            return
        for key, text in facts:
            self._take(Fact(key, text.encode() if text is not None else None))

    def _command(self, message: String) -> None:
        try:
            event = events.from_json(message.data)
            command = events.payload(event, Command)
        except EventError:
            self.counts["junk"] += 1
            return
        self._take(command)

    def _detection(self, event: Event) -> None:
        self._take(Sightings(events.payload(event, DetectionSeen).sightings))

    def _seen(self, event: Event) -> None:
        self._take(events.payload(event, TargetSeen))

    def _lost(self, event: Event) -> None:
        self._take(events.payload(event, TargetLost))

    def _member(self, event: Event) -> None:
        self._take(events.payload(event, MemberChanged))

    def _reflex(self, message: String) -> None:
        self._take(Latched(msgspec.json.decode(message.data, type=ReflexChanged).latched))
