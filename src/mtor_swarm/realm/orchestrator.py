"""The node that drives supervision: ROS's lifecycle services out, DDS liveliness in.

It brings a unit's workers up in order, notices those that die or hang, and tries again. It keeps
no state that a restart would miss: a worker that is active already is found so, and left alone.
Fast DDS tells of a heartbeat that began earlier only to a new participant, so a process has one
orchestrator a unit for as long as it lives, which watches a worker before its process starts.
"""

from __future__ import annotations

import math
import random
import time
import traceback
from collections import deque
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from typing import Any

import msgspec
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node
from std_msgs.msg import String, UInt8MultiArray

from mtor_swarm import events
from mtor_swarm.config import RealmConfig
from mtor_swarm.errors import SwarmError
from mtor_swarm.events import CapabilityChanged, Event, WorkerChanged
from mtor_swarm.realm import ask_effects, logs
from mtor_swarm.realm import supervision_io as sv
from mtor_swarm.realm.ask_desk import AskDesk
from mtor_swarm.realm.ask_topics import from_message
from mtor_swarm.realm.ask_wire import Offer
from mtor_swarm.realm.available import Available
from mtor_swarm.realm.bus import ALL, DIAGNOSTICS_QOS, OFFER_QOS, STATE_QOS, RealmBus
from mtor_swarm.realm.diagnostics import Reporter
from mtor_swarm.realm.flood import Flood
from mtor_swarm.realm.rollcall import Row
from mtor_swarm.realm.roster import Roster
from mtor_swarm.realm.supervision import Supervisor
from mtor_swarm.realm.watch import Watch
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
    "removed": DiagnosticStatus.STALE,
}
LATE_BEATS = 2.0
"""The orchestrator's own loop is late when its beat takes so many times its period."""
_CHANGED = "mtor.worker.changed"
_UP = ("active", "degraded")


class Orchestrator(Node):  # type: ignore[misc]  # rclpy has no types
    """Keeps the workers of one unit running; says so in events and on `/diagnostics`."""

    def __init__(
        self,
        *,
        config: RealmConfig,
        workers: Sequence[str] = WORKERS,
        kinds: Callable[[], Collection[str]] = tuple,
        rng: random.Random | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`workers` are born with the unit; of what `kinds` tells, more are added by command."""
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
        self._supervisor = Supervisor(
            workers, config.supervision, rng=rng or random.Random(), now=clock()
        )
        self._own_words: dict[str, tuple[str, str]] = {}
        self._faults: dict[str, str] = {}
        self._available = Available()
        self._flood = Flood()
        self._bus = RealmBus(self)
        self._bus.subscribe((ALL,), self._on_event)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", DIAGNOSTICS_QOS)
        self._states = self.create_publisher(String, "workers", STATE_QOS)
        self._lease_s = config.supervision.heartbeat_lease_s
        self._beat_s, self._late_s = clock(), -math.inf
        self._watches = {each: self._watch(each) for each in workers}
        self.desk = AskDesk(self, config, clock=clock)
        self.desk.on_worked = self._on_worked
        self._reporter = Reporter(self, config.unit, "asks", self.desk.measures)
        self.create_subscription(UInt8MultiArray, "offers", self._on_offer, OFFER_QOS)
        self.roster = Roster(
            self, config, self.desk, kinds=kinds, feed=self._feed, say=self._publish
        )
        self.create_timer(self._lease_s / 3, self._on_beat, clock=STEADY)

    def destroy_node(self) -> None:
        """Let go of the runner too."""
        self.roster.close()
        super().destroy_node()

    def get_logger(self) -> Any:
        """The node's logger; it writes JSON if `MTOR_LOG` says so (`logs`)."""
        return logs.logger(super().get_logger())

    def states(self) -> dict[str, tuple[str, str]]:
        """Each worker's state, and why it is in it; of an active one, its own word counts."""
        return {
            worker: self._own_words.get(worker, known) if known[0] == "active" else known
            for worker, known in self._supervisor.states().items()
        }

    def roll(self) -> Future[list[Row]]:
        """Who works here, and how; from any thread. Cancelled if nobody turns this node."""
        rows: Future[list[Row]] = Future()
        executor = self.executor
        if executor is None:
            rows.cancel()
        else:
            executor.create_task(lambda: rows.set_result(self._rows()))
        return rows

    def _rows(self) -> list[Row]:
        now, found, replicas = self._steady(), self.states().items(), self.roster.replicas
        unloaded = [
            Row(worker=name, state="unloaded", kind=each.kind, process=each.process or name)
            for name, each in replicas.workers.items()
            if not replicas.of(name)
        ]
        return unloaded + [
            Row(
                worker=worker,
                state=state,
                kind=self.roster.kind_of(worker),
                fault=self._faults.get(worker, ""),
                reason=reason,
                health=self._supervisor.health(worker, now),
                answers=self._available.of(worker),
                process=replicas.process_of(worker) or "core",
            )
            for worker, (state, reason) in found
        ]

    # What comes in.

    def _watch(self, worker: str) -> Watch:
        return Watch(self, worker, lease_s=self._lease_s, feed=self._feed, was_late=self._was_late)

    def _on_beat(self) -> None:
        self._was_late()
        self._beat_s = self._steady()
        self._reporter.beat()

    def _was_late(self) -> bool:
        """Whether this loop stood still within the last lease: others may have, with it."""
        now = self._steady()
        if now - self._beat_s > LATE_BEATS * self._lease_s / 3:
            self._late_s = now
        return now - self._late_s < self._lease_s

    def _on_event(self, event: Event) -> None:
        if event.unit != self.config.unit:  # gossip brings what other units' workers do
            return
        worker, now = event.source.rpartition("/")[2], self._steady()
        too_many = self._flood.heard(worker, now)
        if too_many:
            self._feed(sv.Flooded(worker, too_many))
        if event.type == _CHANGED:
            self._on_changed(event)
        elif event.type == "mtor.detection.seen":
            seconds = event.data.get("latency_s")
            if isinstance(seconds, float):
                self._feed(sv.Worked(worker, True, seconds, sort="camera"))

    def _on_changed(self, event: Event) -> None:
        try:
            change = events.payload(event, WorkerChanged)
        except SwarmError as error:
            self.get_logger().warning(str(error))
            return
        if change.state == "failed":
            self._feed(sv.WorkerFailed(change.worker, change.reason))
        if change.state == change.was:  # it is a fault
            self._feed(sv.Worked(change.worker, False))
        elif change.worker in self._supervisor.states():
            self._own_words.pop(change.worker, None)
            if change.state in ("degraded", "failed"):
                self._own_words[change.worker] = (change.state, change.reason)
            self._show()

    def _on_worked(self, worked: ask_effects.Worked) -> None:
        ok = worked.outcome in ("answered", "late")
        late = worked.outcome in ("late", "stuck")
        self._feed(sv.Worked(worked.worker, ok, worked.seconds, late, worked.capability))

    def _on_offer(self, message: UInt8MultiArray) -> None:
        try:
            offer = from_message(message)
        except SwarmError:
            return  # the desk hears it too, and counts it
        if isinstance(offer, Offer):
            self._tell(self._available.offered(offer.capability, offer.worker))

    def _feed(self, event: sv.Input) -> None:
        """Hand it to supervision and do what follows, to the end, before the next is looked at."""
        self._inputs.append(event)
        if len(self._inputs) > 1:  # it came of an action that is being done just now
            return
        while self._inputs:
            try:
                self._supervise(self._inputs[0])
            except Exception:  # a defect of ours: told, and what comes next is still heard
                self.get_logger().error(traceback.format_exc())
            self._inputs.popleft()

    def _supervise(self, event: sv.Input) -> None:
        if isinstance(event, sv.WorkerAdded) and event.worker not in self._watches:
            self._watches[event.worker] = self._watch(event.worker)
        for action in self._supervisor.handle(event, self._steady()):
            self._do(action)

    # What goes out.

    def _do(self, action: sv.Action) -> None:
        if isinstance(action, sv.Report):
            self._report(action.change)
        elif isinstance(action, sv.SetTimer):
            self._set_timer(action.at_s)
        elif isinstance(action, sv.Start):
            self.roster.start(action.worker)
        elif isinstance(action, sv.Kill):
            self.roster.end(action.worker, hangs=action.hangs)
        else:
            self._watches[action.worker].do(action)

    def _report(self, change: WorkerChanged) -> None:
        self._faults[change.worker] = change.fault
        log = self.get_logger()
        text = f"{change.worker}: {change.was} → {change.state}" + (
            f": {change.reason}" if change.reason else ""
        )
        # One call a severity: rclpy wants each place in the code to keep to its own.
        if change.state in ("degraded", "failed", "silent", "quarantined"):
            log.warning(text)
        else:
            log.info(text)
        if change.state in ("inactive", "removed"):  # it begins anew
            self._own_words.pop(change.worker, None)
        self._publish(change)
        self._hand_on(change)
        self._show(change.worker if change.state == "removed" else "")

    def _hand_on(self, change: WorkerChanged) -> None:
        """The desk gives asks to those who are up; what can be asked may be another now."""
        if change.state in _UP and change.worker not in self.roster.leaving:
            self.desk.worker_active(change.worker)
        elif change.was in _UP and change.state not in _UP:
            self.desk.worker_gone(change.worker, change.reason or change.state)
        up = [worker for worker, (state, _) in self._supervisor.states().items() if state in _UP]
        reason = f"{change.worker}: {change.reason or change.state}"
        self._tell(self._available.up(up, reason))
        if change.state == "removed":
            self._faults.pop(change.worker, None)
            self._tell(self._available.forget(change.worker, reason))
        self.roster.changed(change)

    def _tell(self, news: Sequence[CapabilityChanged]) -> None:
        for each in news:
            words = f"can be asked by {', '.join(each.workers)}" if each.available else "is lost"
            self.get_logger().info(f"{each.capability} {words}{each.reason and ': '}{each.reason}")
            self._publish(each)

    def _publish(self, data: msgspec.Struct) -> None:
        self._bus.publish(
            events.make(data, source=self._source, wall_s=time.time(), unit=self.config.unit)
        )

    def _show(self, removed: str = "") -> None:
        """All states: to people, and to workers, the latest for those that come late as well.

        One that was removed is told once, so that nobody shows for ever what it was.
        """
        known = self.states().items()
        states = {worker: state for worker, (state, _) in known if state != "absent"}
        self._states.publish(String(data=msgspec.json.encode(states).decode()))
        now, message = self._steady(), DiagnosticArray()
        message.header.stamp = self.get_clock().now().to_msg()
        message.status = [
            self._status(worker, state, reason, self._supervisor.health(worker, now))
            for worker, (state, reason) in known
        ]
        if removed:
            message.status.append(self._status(removed, "removed", "", 0.0))
        self._diagnostics.publish(message)

    def _status(self, worker: str, state: str, reason: str, health: float) -> DiagnosticStatus:
        return DiagnosticStatus(
            level=_LEVELS[state],
            name=f"{self.config.unit}: {worker}",
            message=reason or state,
            hardware_id=self.config.unit,
            values=[
                KeyValue(key="state", value=state),
                KeyValue(key="health", value=f"{health:.2f}"),
            ],
        )

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
