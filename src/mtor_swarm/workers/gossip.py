"""Gossip: where a realm's bus and the swarm meet.

Four threads: the swarm's own, which checks what arrives and never waits; one that carries what
it hands over to ROS, stops first; one that writes down what was obeyed; and that of its own
executor, which hands the realm's events out. Asks have `lending`.
"""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

import msgspec
from nav_msgs.msg import Odometry
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import String

from mtor_swarm import events
from mtor_swarm.config import RealmConfig
from mtor_swarm.errors import CommandError, SwarmError
from mtor_swarm.events import (
    COMMAND,
    STOP,
    Command,
    CommandAcknowledged,
    Event,
    MemberChanged,
    Pose,
    ReflexChanged,
    Scope,
    UnitState,
    WorkerChanged,
    payload,
)
from mtor_swarm.paths import unit_state
from mtor_swarm.realm.answering import Question
from mtor_swarm.realm.ask_client import AskClient
from mtor_swarm.realm.ask_desk import AskDesk
from mtor_swarm.realm.ask_wire import BETWEEN_REALMS
from mtor_swarm.realm.bus import ALL, COMMAND_QOS, EVENT_QOS, SENSOR_QOS, STATE_QOS, STOP_QOS
from mtor_swarm.realm.capability import Capability, Reply
from mtor_swarm.realm.commands import check
from mtor_swarm.realm.rollcall import KIND, RollCall
from mtor_swarm.realm.worker import Worker
from mtor_swarm.swarm.certificates import Authority
from mtor_swarm.swarm.driver import SwarmDriver
from mtor_swarm.swarm.exchange import Tell
from mtor_swarm.swarm.gossip.membership import MemberInfo
from mtor_swarm.swarm.identity import Ed25519Verifier, Identity
from mtor_swarm.workers.beacon import Beacon
from mtor_swarm.workers.inbox import Inbox
from mtor_swarm.workers.issuers import issuers
from mtor_swarm.workers.lending import Loans
from mtor_swarm.workers.obeyed import Obeyed
from mtor_swarm.workers.task_facts import TaskFacts

MAX_INBOX = 1024
COMMANDS = ("mtor.stop.issued", "mtor.command.issued")
REFUSALS_EVERY_S = 0.2
"""Refused commands are answered and logged at most this often; each one is counted."""
GONE = ("dead", "left")


class GossipWorker(Worker):
    """Makes this unit a member of the swarm.

    `fatal` is set, and the process asked to end (SIGTERM), when another unit has this one's name
    and had it first. `counts` has `not_sent` (events that the swarm did not take), `impostors`
    (what came in this unit's name, or a beacon in another's), `refused` and `replayed` commands,
    and `junk`. The beacon's `dropped` is what found no room on its way to ROS.
    """

    alone = True
    """News waits for no worker that thinks."""
    clocked = False
    capabilities = (Capability("announce", lend=False),)

    def __init__(self, *, config: RealmConfig) -> None:
        super().__init__(name="gossip", config=config)
        self.fatal: SwarmError | None = None
        self.roll_call: RollCall | None = None
        self._stops = self.create_publisher(String, "stop", STOP_QOS)
        self._commands = self.create_publisher(String, "command", COMMAND_QOS)
        self._neighbours = self.create_publisher(String, "neighbours", EVENT_QOS)
        self._folder = unit_state(config.state_dir, config.unit)
        self._driver: SwarmDriver | None = None
        self._authority: Authority | None = None
        self._identity: Identity | None = None
        self._carrier: threading.Thread | None = None
        self._obeyed = Obeyed(self._folder, self.get_logger().warning)
        self._verifier = Ed25519Verifier()
        self._showing = threading.Lock()
        self._members: dict[str, MemberInfo] = {}
        self._beacons: dict[str, String] = {}
        self._refused_s = 0.0
        self._picture = b""
        self._inbox: Inbox[Callable[[], None]] = Inbox(MAX_INBOX)
        client = AskClient(self, self.source)
        self._tasks = TaskFacts(self, self._hand_over, self._members)
        self._loans = Loans(config.unit, client, self._hand_over, self._count)

    def join(self, desk: AskDesk) -> None:
        """Borrow and lend for the realm whose asks come together at this desk."""
        self._loans.join(desk, lambda: self._hand_over(events.BULK, self._show, key="offers"))

    # --- the lifecycle

    def load(self) -> None:
        self._beacon = Beacon(self.config.unit)
        self.on(ALL, self._on_realm_event)
        self.hear(Odometry, "odom", self._on_odom, SENSOR_QOS)
        self.hear(String, "state", self._on_state, STATE_QOS, always=True)
        self.hear(String, "workers", self._on_workers, STATE_QOS, always=True)
        self.hear(String, "reflex/state", self._on_reflex, STATE_QOS, always=True)
        self._tasks.load()
        self.hear(CompressedImage, "camera/annotated/compressed", self._on_picture, SENSOR_QOS)

    def start(self) -> None:
        # Each start is a boot of its own: who has left the swarm stays away until the next.
        self._identity = Identity.open(self._folder, self.config.swarm.keys)
        self._members.clear()
        self._beacons.clear()
        self._inbox = Inbox(MAX_INBOX)
        try:
            driver = SwarmDriver(
                self.config.swarm,
                self._identity,
                unit=self.config.unit,
                on_event=self._on_swarm_event,
                on_member=self._on_member,
                on_beacon=self._on_beacon,
                on_ask=self._on_ask,
                on_conflict=self._on_conflict,
                on_shared=self._tasks.changed,
                log=self.get_logger().warning,
            )
            self._authority = driver.authority
            driver.start()
        except SwarmError:
            self._let_go()
            raise
        self._driver = driver
        self._loans.start(driver)
        self._tasks.start(driver)
        self._carrier = threading.Thread(target=self._carry, name="carrier", daemon=True)
        self._carrier.start()
        self.get_logger().info(f"{self.config.unit} is in the swarm at {driver.address}")
        self._show()

    def stop(self) -> None:
        driver, self._driver = self._driver, None
        self._loans.stop()
        self._tasks.start(None)
        if driver is not None:
            driver.stop()
        if self._carrier is not None:
            self._inbox.close()
            self._carrier.join()
            self._carrier = None
        self._obeyed.close()
        self._let_go()

    def unload(self) -> None:
        self._picture = b""

    def answer(self, ask: Question, tell: Callable[[bytes | str], None]) -> Reply:
        return self._tasks.announce(ask)

    def measures(self) -> dict[str, int]:
        return self._driver.counters() if self._driver else {}

    def say(self, data: msgspec.Struct, *, type: str = "", scope: Scope = "realm") -> Event:
        """As every worker's; what is for the swarm goes there too, since no bus hears itself."""
        event = super().say(data, type=type, scope=scope)
        self._spread(event)
        return event

    def _let_go(self) -> None:
        if self._identity is not None:
            self._identity.close()
            self._identity = None

    # --- from the realm to the swarm, on the executor's thread

    def _on_realm_event(self, event: Event) -> None:
        if event.unit != self.config.unit or event.origin:
            return
        self._spread(event)
        if event.type == "mtor.worker.changed":
            change = payload(event, WorkerChanged)
            if change.worker == "decision" and change.state == "active" != change.was:
                self._hand_over(events.BULK, self._introduce)

    def _spread(self, event: Event) -> None:
        driver = self._driver
        if driver is None or events.scope_of(event) != "swarm":
            return
        try:
            driver.publish(event)
        except SwarmError as error:
            self._count("not_sent", f"{event.type} did not reach the swarm: {error}")

    def _on_odom(self, message: Odometry) -> None:
        place, q = message.pose.pose.position, message.pose.pose.orientation
        yaw = math.atan2(2 * (q.w * q.z + q.x * q.y), 1 - 2 * (q.y * q.y + q.z * q.z))
        twist = message.twist.twist
        pose, speed, turn = Pose(place.x, place.y, yaw), twist.linear.x, twist.angular.z
        if events.is_finite(place.x, place.y, yaw, speed, turn):
            self._show(lambda: self._beacon.moved(pose, speed, turn))
        else:
            self._count("junk", "odom holds what is not a number: look at the odometry")

    def _on_state(self, message: String) -> None:
        state = msgspec.json.decode(message.data, type=UnitState)
        self._show(lambda: self._beacon.decided(state))

    def _on_workers(self, message: String) -> None:
        workers = msgspec.json.decode(message.data, type=dict[str, str])
        self._show(lambda: self._beacon.worked(workers))

    def _on_reflex(self, message: String) -> None:
        reflex = msgspec.json.decode(message.data, type=ReflexChanged)
        self._show(lambda: self._beacon.reflexed(reflex))

    def _on_picture(self, message: CompressedImage) -> None:
        self._picture = bytes(message.data)

    def _show(self, change: Callable[[], None] = lambda: None) -> None:
        """Hand the swarm this unit's state if it is news; the swarm keeps to its own pace."""
        with self._showing:
            change()
            driver = self._driver
            if driver is None:
                return
            members = list(self._members.values())
            heard = [e.unit for e in members if e.state == "alive" and e.role == "unit"]
            self._beacon.heard(heard, sum(tuple(self._inbox.dropped.values())))
            self._beacon.lends(self._loans.offers)
            state = self._beacon.news(time.monotonic())
            if state is not None:
                driver.beacon(state)

    # --- from the swarm to the realm, on the swarm's thread

    def _on_swarm_event(self, event: Event) -> None:
        info = self._members.get(event.origin)
        other = info is not None and (info.role, info.unit) != ("unit", event.unit)
        if event.unit == self.config.unit or (event.unit and other):
            self._count("impostors", f"{event.type} of {event.unit[:64]} from {event.origin}")
            return
        known = events.TYPES.get(event.type)
        if event.origin and known is not None and known.scope == "realm":
            self._count("impostors", f"{event.type} from {event.origin} is for realms alone")
            return
        if event.type in COMMANDS:
            self._check(event)
        self._hand_over(
            max(events.priority_of(event.type), COMMAND), lambda: self.bus.publish(event)
        )

    def _check(self, event: Event) -> None:
        """See whether a command is for this unit, and may be."""
        try:
            command = payload(event, Command)
        except SwarmError as error:
            self._count("junk", str(error))
            return
        try:
            stop = event.type == "mtor.stop.issued"
            if event.type != events.command_type(command.verb):
                raise CommandError(f"{event.type} cannot carry {command.verb}")
            may = issuers(command, self._authority, self.config.operators)
            mine = check(command, self.config.unit, may, self._verifier, time.time())
            if mine:
                self._hand_over(STOP if stop else COMMAND, lambda: self._obey(event, command))
        except CommandError as error:
            self._refuse(command, str(error))

    def _refuse(self, command: Command, reason: str) -> None:
        self._count("refused", f"refused {command.verb} {command.id[:64]}: {reason}")
        now = time.monotonic()
        if self.config.unit in command.units and now - self._refused_s >= REFUSALS_EVERY_S:
            self._refused_s = now
            said = CommandAcknowledged(command=command.id[:64], status="refused", reason=reason)
            self._hand_over(events.NOTICE, lambda: self._tell_all(said))

    def _on_beacon(self, member: str, state: UnitState) -> None:
        info = self._members.get(member)
        if info is None or info.unit != state.unit or state.unit == self.config.unit:
            self._count("impostors", f"a beacon of {state.unit[:64]} from {member}: dropped")
            return
        text = String(data=msgspec.json.encode(state).decode())
        self._beacons[member] = text
        self._loans.heard(member, state.unit, state.offers)
        self._hand_over(events.BULK, lambda: self._neighbours.publish(text), key=member)

    def _on_member(self, info: MemberInfo, was: str) -> None:
        if info.state in GONE:
            self._loans.gone(info.id)
        if info.role == "unit" or info.state not in GONE:
            self._members[info.id] = info
        else:
            self._members.pop(info.id, None)  # each `mtor say` is an observer, and never back
        if self._counts(info):
            changed = MemberChanged(member=info.id, unit=info.unit, state=info.state, was=was)
            self._hand_over(events.NOTICE, lambda: self._member_changed(changed))

    def _counts(self, info: MemberInfo) -> bool:
        """Observers are nobody's neighbours, and of two with a name one lives on."""
        others = [each for each in tuple(self._members.values()) if each.id != info.id]
        twin = any(each.unit == info.unit and each.state not in GONE for each in others)
        return info.role == "unit" and not (info.state in GONE and twin)

    def _on_ask(self, member: str, kind: str, payload: bytes, tell: Tell) -> bytes | Future[bytes]:
        if kind == BETWEEN_REALMS:
            return self._loans.asked(member, self._members.get(member), payload, tell)
        if kind == KIND:
            return self._called(member, payload)
        if kind != "thumbnail":
            raise SwarmError(f"{self.config.unit} answers no ask of kind {kind[:64]!r}")
        if not self._picture:
            raise SwarmError(
                f"{self.config.unit} has no picture yet: is its camera there, and perception up?"
            )
        return self._picture

    def _called(self, member: str, payload: bytes) -> Future[bytes]:
        driver = self._driver
        why = driver.may_ask(member) if driver else "it leaves the swarm"
        if why or self.roll_call is None:
            unit = self.config.unit
            raise SwarmError(f"{unit} tells nothing of its workers: {why or 'it keeps no roll'}")
        return self.roll_call.asked(payload)

    def _on_conflict(self, unit: str, other: MemberInfo, later: bool) -> None:
        where = f"{other.id} at {other.address}"
        if self._identity is not None and other.id == self._identity.member_id:
            self.get_logger().warning(
                f"somebody at {other.address} has this unit's key and boot {other.boot}, so that "
                "others hear only one of the two: revoke the key, or if it is this unit's own "
                f"past, write a number above that into {self._folder}/boot and start it anew"
            )
        elif not later:
            self.get_logger().warning(f"another unit calls itself {unit} ({where}): it must go")
        else:
            self.fatal = SwarmError(
                f"another unit is called {unit} already ({where}): give this one a name of its "
                "own (`unit` in its config), or stop the other"
            )
            os.kill(os.getpid(), signal.SIGTERM)

    # --- on the carrier's thread

    def _hand_over(self, priority: int, work: Callable[[], None], key: str = "") -> None:
        self._inbox.put(priority, work, key)

    def _carry(self) -> None:
        while (work := self._inbox.take()) is not None:
            try:
                work()
            except Exception as error:  # ROS may shut down under us; the rest is a defect
                self.fault("the carrier", error)

    def _obey(self, event: Event, command: Command) -> None:
        if not self._obeyed.admit(command, time.time()):
            self._count("replayed", f"{command.verb} {command.id} was obeyed before: dropped")
            return
        topic = self._stops if event.type == "mtor.stop.issued" else self._commands
        topic.publish(String(data=events.to_json(event)))
        self._obeyed.keep(self.fault)

    def _introduce(self) -> None:
        """Tell a decision that begins who is there, and of the gone where they were last."""
        for member, text in tuple(self._beacons.items()):
            info = self._members.get(member)
            if info is not None and self._counts(info):
                self._neighbours.publish(text)
                self.say(
                    MemberChanged(member=member, unit=info.unit, state=info.state, was=info.state)
                )
        self._tasks.introduce()

    def _tell_all(self, said: msgspec.Struct) -> None:
        self.say(said)

    def _member_changed(self, changed: MemberChanged) -> None:
        self.say(changed)
        self._show()

    def _count(self, what: str, line: str) -> None:
        """Count what went wrong; the first of each kind is logged, then one in a hundred."""
        self.counts[what] += 1
        if self.counts[what] % 100 == 1:
            self.get_logger().warning(f"{line} ({self.counts[what]} so far)")
