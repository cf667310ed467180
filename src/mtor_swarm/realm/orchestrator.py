"""The node that drives supervision: ROS's lifecycle services out, DDS liveliness in.

It brings a unit's workers up in order, notices those that die or hang, and tries again. It keeps
no state that a restart would miss: a worker that is active already is found so, and left alone.
Fast DDS tells of a heartbeat that began earlier only to a new participant, so a process has one
orchestrator a unit for as long as it lives.
"""

from __future__ import annotations

import math
import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from std_msgs.msg import String

from mtor_swarm import events
from mtor_swarm.config import RealmConfig
from mtor_swarm.errors import EventError
from mtor_swarm.events import Event, WorkerChanged
from mtor_swarm.realm import logs
from mtor_swarm.realm import supervision_io as sv
from mtor_swarm.realm.bus import DIAGNOSTICS_QOS, STATE_QOS, RealmBus, heartbeat_qos
from mtor_swarm.realm.supervision import Supervisor
from mtor_swarm.realm.worker import LEAN, STEADY, lean_parameters

WORKERS = ("reflex", "gossip", "decision", "perception")
"""In the order in which they are brought up: what keeps a robot from harm comes first."""
_LEVELS: dict[str, bytes] = {
    "active": DiagnosticStatus.OK,
    "degraded": DiagnosticStatus.WARN,
    "starting": DiagnosticStatus.WARN,
    "inactive": DiagnosticStatus.WARN,
    "absent": DiagnosticStatus.STALE,
    "silent": DiagnosticStatus.STALE,
    "failed": DiagnosticStatus.ERROR,
    "quarantined": DiagnosticStatus.ERROR,
}
LATE_BEATS = 2.0
"""The orchestrator's own loop is late when its beat takes so many times its period."""
_CHANGED = "mtor.worker.changed"


class Orchestrator(Node):  # type: ignore[misc]  # rclpy has no types
    """Keeps the workers of one unit running; says so in events and on `/diagnostics`."""

    def __init__(
        self,
        *,
        config: RealmConfig,
        workers: Sequence[str] = WORKERS,
        rng: random.Random | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(
            "orchestrator",
            namespace=f"/{config.unit}",
            parameter_overrides=lean_parameters(False),  # health goes by real time
            **LEAN,
        )
        self.config = config
        self._steady = clock
        self._source = f"/{config.unit}/orchestrator"
        self._timer: Any = None
        self._inputs: deque[sv.Input] = deque()
        self._pending: dict[str, list[tuple[int, Any, Any]]] = {each: [] for each in workers}
        self._supervisor = Supervisor(
            workers, config.supervision, rng=rng or random.Random(), now=clock()
        )
        self._own_words: dict[str, tuple[str, str]] = {}
        self._bus = RealmBus(self)
        self._bus.subscribe((_CHANGED,), self._on_changed)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", DIAGNOSTICS_QOS)
        self._states = self.create_publisher(String, "workers", STATE_QOS)
        self._change = {
            each: self.create_client(ChangeState, f"{each}/change_state") for each in workers
        }
        self._get = {each: self.create_client(GetState, f"{each}/get_state") for each in workers}
        for each in workers:
            self._watch(each)
        self._beat_s, self._late_s = clock(), -math.inf
        self._lease_s = config.supervision.heartbeat_lease_s
        self.create_timer(self._lease_s / 3, self._on_beat, clock=STEADY)

    def get_logger(self) -> Any:
        """The node's logger; it writes JSON if `MTOR_LOG` says so (`logs`)."""
        return logs.logger(super().get_logger())

    def states(self) -> dict[str, tuple[str, str]]:
        """Each worker's state, and why it is in it; of an active one, its own word counts."""
        return {
            worker: self._own_words.get(worker, known) if known[0] == "active" else known
            for worker, known in self._supervisor.states().items()
        }

    # What comes in.

    def _watch(self, worker: str) -> None:
        def on_liveliness(info: Any) -> None:
            lost = info.alive_count == 0
            self._feed(
                sv.LivelinessLost(worker, self._was_late()) if lost else sv.WorkerSeen(worker)
            )

        self.create_subscription(
            String,
            f"{worker}/heartbeat",
            lambda _: None,  # nothing is ever sent: only the writer's liveliness counts
            heartbeat_qos(self.config.supervision.heartbeat_lease_s),
            event_callbacks=SubscriptionEventCallbacks(liveliness=on_liveliness),
        )

    def _on_beat(self) -> None:
        self._was_late()
        self._beat_s = self._steady()

    def _was_late(self) -> bool:
        """Whether this loop stood still within the last lease: others may have, with it."""
        now = self._steady()
        if now - self._beat_s > LATE_BEATS * self._lease_s / 3:
            self._late_s = now
        return now - self._late_s < self._lease_s

    def _on_changed(self, event: Event) -> None:
        if event.unit != self.config.unit:  # gossip brings what other units' workers do
            return
        try:
            change = events.payload(event, WorkerChanged)
        except EventError as error:
            self.get_logger().warning(str(error))
            return
        if change.state == "failed":
            self._feed(sv.WorkerFailed(change.worker, change.reason))
        if change.worker in self._change and change.state != change.was:  # else it is a fault
            self._own_words.pop(change.worker, None)
            if change.state in ("degraded", "failed"):
                self._own_words[change.worker] = (change.state, change.reason)
            self._show()

    def _feed(self, event: sv.Input) -> None:
        """Hand it to supervision and do what follows, to the end, before the next is looked at."""
        self._inputs.append(event)
        if len(self._inputs) > 1:  # it came of an action that is being done just now
            return
        while self._inputs:
            for action in self._supervisor.handle(self._inputs[0], self._steady()):
                self._do(action)
            self._inputs.popleft()

    # What goes out.

    def _do(self, action: sv.Action) -> None:
        if isinstance(action, sv.Ask):
            self._call(self._get[action.worker], GetState.Request(), action, self._on_state)
        elif isinstance(action, sv.Configure):
            self._transition(action, Transition.TRANSITION_CONFIGURE)
        elif isinstance(action, sv.Activate):
            self._transition(action, Transition.TRANSITION_ACTIVATE)
        elif isinstance(action, sv.Report):
            self._report(action.change)
        elif isinstance(action, sv.SetTimer):
            self._set_timer(action.at_s)

    def _transition(self, action: sv.Configure | sv.Activate, number: int) -> None:
        request = ChangeState.Request()
        request.transition.id = number
        self._call(self._change[action.worker], request, action, self._on_transition)

    def _call(
        self,
        client: Any,
        request: Any,
        action: sv.Ask | sv.Configure | sv.Activate,
        answered: Callable[[str, int, Any], None],
    ) -> None:
        worker, turn = action.worker, action.turn
        for old in [each for each in self._pending[worker] if each[0] < turn]:
            self._pending[worker].remove(old)
            old[1].remove_pending_request(old[2])
        if not client.service_is_ready():
            self._feed(sv.PerhapsUnheard(worker, turn))
        future = client.call_async(request)
        self._pending[worker].append((turn, client, future))

        def done(future: Any) -> None:
            self._pending[worker] = [e for e in self._pending[worker] if e[2] is not future]
            if not future.cancelled() and future.exception() is None:
                answered(worker, turn, future.result())

        future.add_done_callback(done)

    def _on_state(self, worker: str, turn: int, answer: Any) -> None:
        self._feed(sv.StateKnown(worker, turn, answer.current_state.label))

    def _on_transition(self, worker: str, turn: int, answer: Any) -> None:
        if answer.success:
            self._feed(sv.TransitionDone(worker, turn))
        else:
            self._feed(sv.TransitionFailed(worker, turn, "failed; its log says why"))

    def _report(self, change: WorkerChanged) -> None:
        log = self.get_logger()
        text = f"{change.worker}: {change.was} → {change.state}" + (
            f": {change.reason}" if change.reason else ""
        )
        # One call a severity: rclpy wants each place in the code to keep to its own.
        if change.state in ("failed", "silent", "quarantined"):
            log.warning(text)
        else:
            log.info(text)
        if change.state == "inactive":  # it begins anew
            self._own_words.pop(change.worker, None)
        self._bus.publish(
            events.make(change, source=self._source, wall_s=time.time(), unit=self.config.unit)
        )
        self._show()

    def _show(self) -> None:
        """All states: to people, and to workers, the latest for those that come late as well."""
        known = self.states().items()
        states = {worker: state for worker, (state, _) in known if state != "absent"}
        self._states.publish(String(data=msgspec.json.encode(states).decode()))
        message = DiagnosticArray()
        message.header.stamp = self.get_clock().now().to_msg()
        message.status = [
            DiagnosticStatus(
                level=_LEVELS[state],
                name=f"{self.config.unit}: {worker}",
                message=reason or state,
                hardware_id=self.config.unit,
                values=[KeyValue(key="state", value=state)],
            )
            for worker, (state, reason) in self.states().items()
        ]
        self._diagnostics.publish(message)

    def _set_timer(self, at_s: float | None) -> None:
        if self._timer is not None:
            self.destroy_timer(self._timer)
            self._timer = None
        if at_s is not None:
            wait_s = max(0.001, at_s - self._steady())
            self._timer = self.create_timer(wait_s, self._on_timer, clock=STEADY)

    def _on_timer(self) -> None:
        self._set_timer(None)  # it is meant once
        self._feed(sv.Tick())
