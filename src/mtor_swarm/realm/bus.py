"""A realm's events as callbacks, and the QoS of every topic, named by purpose."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable

from rclpy.duration import Duration
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, LivelinessPolicy, QoSProfile, ReliabilityPolicy
from std_msgs.msg import String

from mtor_swarm.errors import EventError
from mtor_swarm.events import Event, from_json, to_json
from mtor_swarm.realm import logs

SENSOR_QOS = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
"""Measurements: a late one is worthless, so none is sent twice."""
EVENT_QOS = QoSProfile(depth=256, reliability=ReliabilityPolicy.RELIABLE)
"""Facts: each arrives once, in the order of its sender."""
COMMAND_QOS = QoSProfile(depth=32, reliability=ReliabilityPolicy.RELIABLE)
"""Commands: never in one queue with detections."""
ASK_QOS = QoSProfile(depth=2048, reliability=ReliabilityPolicy.RELIABLE)
"""Asks and answers: room for what all callers have on their way together."""
OFFER_QOS = QoSProfile(
    depth=256,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
"""What workers can be asked: known as well to an orchestrator that comes late."""
STOP_QOS = QoSProfile(
    depth=32,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
"""Stops: kept for a reflex that was not there, which tells by their ids those it obeyed before."""
DIAGNOSTICS_QOS = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
"""What tools show of a robot's health (REP 107)."""
CONTROL_QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
"""Velocities: only the newest counts."""
STATE_QOS = QoSProfile(
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
"""The latest state, for those who come late as well."""

ALL = "*"
"""Subscribed to in place of a type: every event, of unknown types too."""
MAX_OWN = 1024
"""Own events still under way that are told apart from others' when they come back."""
WARN_EVERY = 100
"""Junk is warned of at its first piece, then once in so many."""

UNSENT = (EventError, rclpy_implementation.RCLError, rclpy_implementation.InvalidHandle)
"""Why a publish may fail: too large, refused by ROS, or the node is being taken down."""


def heartbeat_qos(lease_s: float) -> QoSProfile:
    """HEARTBEAT_QOS for a lease in seconds: its writer must assert itself by hand, or is dead.

    By hand (MANUAL_BY_TOPIC), because DDS's own threads go on in a process whose code hangs.
    """
    return QoSProfile(
        depth=1,
        reliability=ReliabilityPolicy.RELIABLE,
        liveliness=LivelinessPolicy.MANUAL_BY_TOPIC,
        liveliness_lease_duration=Duration(seconds=lease_s),
    )


class RealmBus:
    """`ports.Bus` over the relative topic `events` of a node's namespace.

    Callbacks run on the node's executor. `publish` may be called from any thread. A bus does not
    hear its own events; the other buses of the realm do, those of its own process included.
    `counts` has what was `published`, `unsent` (could not be), `junk` (arrived, was no event) and
    `faults` (callbacks that raised).
    """

    def __init__(
        self, node: Node, *, on_fault: Callable[[str, Exception], None] | None = None
    ) -> None:
        """`on_fault(culprit, error)` is told of each callback that raised; else it is logged."""
        self.counts: Counter[str] = Counter()
        self._node = node
        self._on_fault = on_fault or self._log_fault
        self._callbacks: dict[str, dict[object, Callable[[Event], None]]] = {}
        self._own: dict[str, None] = {}  # in order of publication, so that the oldest goes first
        self._lock = threading.Lock()
        self._publisher = node.create_publisher(String, "events", EVENT_QOS)
        self._subscription: object | None = None

    def publish(self, event: Event) -> None:
        """Hand the event to the realm. Never blocks or raises: what cannot be sent is counted."""
        if self._subscription is not None:  # else it comes back to nobody
            with self._lock:
                self._own[event.id] = None
                if len(self._own) > MAX_OWN:
                    del self._own[next(iter(self._own))]
        try:
            self._publisher.publish(String(data=to_json(event)))
        except UNSENT as error:
            self._count("unsent", f"event {event.type} not sent: {error}")
        else:
            self.counts["published"] += 1

    def subscribe(
        self, types: Iterable[str], callback: Callable[[Event], None]
    ) -> Callable[[], None]:
        """Call back for each event of these types (`ALL`: of any); returns what ends it."""
        if self._subscription is None:  # those who only speak need not decode what others say
            self._subscription = self._node.create_subscription(
                String, "events", self._arrived, EVENT_QOS
            )
        kinds = set(types)
        key = object()  # the same callback may be subscribed twice, and each ends alone
        for each in kinds:
            self._callbacks.setdefault(each, {})[key] = callback

        def end() -> None:
            for each in kinds:
                self._callbacks[each].pop(key, None)

        return end

    def _arrived(self, message: String) -> None:
        try:
            event = from_json(message.data)
        except EventError as error:
            self._count("junk", f"junk on {self._node.get_namespace()}/events: {error}")
            return
        with self._lock:
            if event.id in self._own:
                del self._own[event.id]
                return
        with logs.About(event=event.id):
            for kind in (event.type, ALL):
                for callback in tuple(self._callbacks.get(kind, {}).values()):
                    self._call(callback, event)

    def _call(self, callback: Callable[[Event], None], event: Event) -> None:
        try:
            callback(event)
        except Exception as error:  # the others must still hear it, whatever this one did
            self.counts["faults"] += 1
            self._on_fault(f"event {event.type}", error)

    def _log_fault(self, culprit: str, error: Exception) -> None:
        self._node.get_logger().error(
            f"a callback for {culprit} raised {error.__class__.__name__}: {error}"
        )

    def _count(self, what: str, warning: str) -> None:
        self.counts[what] += 1
        if self.counts[what] % WARN_EVERY == 1:
            self._node.get_logger().warning(f"{warning} ({self.counts[what]} so far)")
