"""Reflex: the only one who writes `cmd_vel`. Works when every other worker is dead.

Everything that moves the wheels passes `realm/gate.py` here. A stop latches, active or not, and
the latch is a file, written by a thread of its own: the wheels brake meanwhile, however long the
disk takes. *Confirmed* is said only of what the odometry measured after the stop.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from concurrent.futures import Future, wait
from functools import partial
from typing import Any, NamedTuple

import msgspec
from geometry_msgs.msg import Twist
from nav_msgs.msg import Odometry
from sensor_msgs.msg import LaserScan
from std_msgs.msg import String

from mtor_swarm.config import RealmConfig
from mtor_swarm.errors import SwarmError
from mtor_swarm.events import (
    Command,
    CommandAcknowledged,
    ReflexChanged,
    from_json,
    payload,
)
from mtor_swarm.paths import unit_state
from mtor_swarm.realm.bus import COMMAND_QOS, CONTROL_QOS, SENSOR_QOS, STATE_QOS, STOP_QOS
from mtor_swarm.realm.gate import LATCHED, Gate, Scan, Velocity, Verdict
from mtor_swarm.realm.worker import STEADY, Worker
from mtor_swarm.workers.latch import Latch, LatchFile
from mtor_swarm.workers.scribe import Scribe

WATCH_S = 0.05
"""While the unit moves, or a stop is not confirmed, the gate is stepped at least this often."""
STILL_SAMPLES = SENSOR_QOS.depth + 3
"""Slow odometry samples in a row that confirm a stop: so many may have waited since before it."""
TELL_S = 1.0
"""What blocks the way is told at most this often; the latch at once."""
MAX_PENDING = 32
WRITE_S = 1.0
"""A latch not written after this is told: the unit is held, but perhaps not after a restart."""


class _Write(NamedTuple):
    """What the disk is still busy with: acknowledged when it is done."""

    command: Command
    was: LatchFile
    file: LatchFile
    done: Future[None]
    since_s: float


class ReflexWorker(Worker):
    """The last gate before the wheels of one unit.

    `counts` has latches `unwritten`, and stops `unconfirmed` because too many waited for it.
    """

    alone = True
    clocked = False

    def __init__(self, *, config: RealmConfig) -> None:
        super().__init__(name="reflex", config=config)
        self._wheels = self.create_publisher(Twist, "cmd_vel", CONTROL_QOS)
        self._shown = self.create_publisher(String, "reflex/state", STATE_QOS)
        self._watch: Any = None
        self._latch = Latch(unit_state(config.state_dir, config.unit))
        self._scribe = Scribe("latch", MAX_PENDING)
        self._writes: list[_Write] = []
        self._pending: OrderedDict[str, int] = OrderedDict()
        self._told: ReflexChanged | None = None
        self._told_s = self._sent_s = -math.inf
        self._sent: Velocity | None = None
        self._speed_mps = math.inf

    def load(self) -> None:
        self._gate = Gate(self.config.reflex)
        watch = self._guarded("the watch", self._step)
        self._watch = self.create_timer(WATCH_S, lambda: watch(), clock=STEADY)  # noqa: PLW0108
        self._watch.cancel()
        self.hear(String, "stop", self._on_stop, STOP_QOS, always=True)
        self.hear(String, "command", self._on_command, COMMAND_QOS)
        self.hear(Odometry, "odom", self._on_odom, SENSOR_QOS)
        self.hear(LaserScan, "scan", self._on_scan, SENSOR_QOS)
        self.hear(Twist, "wanted_vel", self._on_wanted, CONTROL_QOS)

    def start(self) -> None:
        self._sent = None
        if self._latch.now.latched and self._latch.now.command:
            self._pending[self._latch.now.command] = 0  # we may have died before it was confirmed
        self._step()

    def stop(self) -> None:
        self._watch.cancel()
        self._stand()

    def unload(self) -> None:
        if self._watch is not None:
            self.destroy_timer(self._watch)
            self._watch = None
        self._pending.clear()

    def _on_wanted(self, message: Twist) -> None:
        self._gate.want(Velocity(message.linear.x, message.angular.z), time.monotonic())
        self._step()

    def _on_scan(self, message: LaserScan) -> None:
        self._gate.scan(
            Scan(
                message.ranges,
                message.angle_min,
                message.angle_increment,
                message.range_min,
                message.range_max,
            ),
            time.monotonic(),
        )
        self._step()

    def _on_odom(self, message: Odometry) -> None:
        twist = message.twist.twist
        self._gate.measure(Velocity(twist.linear.x, twist.angular.z))
        # A unit that spins on the spot does not stand: its hull moves.
        rim_mps = twist.angular.z * self.config.reflex.hull_radius_m
        self._speed_mps = math.hypot(twist.linear.x, twist.linear.y, rim_mps)
        self._confirm()
        self._step()

    def _on_stop(self, message: String) -> None:
        command = self._addressed(message)
        if command is None or command.id in self._latch.now.holds:
            return  # `stop` keeps the last: what was obeyed once may have been released since
        self._latch.hold(command.id, command.issued_s)
        proceed = self._step if self.active else self._stand
        proceed()  # first the brake, then the disk
        self._write(command, self._latch.now)
        proceed()

    def _on_command(self, message: String) -> None:
        command = self._addressed(message)
        if command is None or command.verb != "release":
            return
        now = self._latch.now
        if now.latched and command.issued_s < now.issued_s:
            # The two travel apart: a release that was overtaken must not undo a newer stop.
            self._acknowledge(command, "refused", "older than the stop that holds: release again")
            return
        self._write(command, self._latch.released(command.id, command.issued_s))
        self._step()

    def _stand(self) -> None:
        """The wheels stand, and nothing more is to be watched: there is time for the disk."""
        now = time.monotonic()
        self._gate.stand(now)
        self._send(Velocity(), now)
        wait([each.done for each in self._writes], WRITE_S)
        self._settle(math.inf)
        self._report(Verdict(Velocity()), now)

    def _write(self, command: Command, file: LatchFile) -> None:
        """Have the latch written; `_settle` does what follows."""
        done = self._scribe.submit(partial(self._latch.write, file))
        self._writes.append(_Write(command, self._latch.now, file, done, time.monotonic()))

    def _settle(self, now: float) -> None:
        """Acknowledge what is written, or could not be; a stop no later than `WRITE_S` anyway."""
        for each in tuple(self._writes):
            error: BaseException | None = None
            if each.done.done():
                error = each.done.exception()
            elif each.file.latched and now - each.since_s > WRITE_S:
                error = SwarmError(
                    f"the latch is not written after {WRITE_S:g} s and may not survive a restart: "
                    "look at the disk"
                )
            else:
                continue
            self._writes.remove(each)
            if error is not None:
                self.counts["unwritten"] += 1
                self.get_logger().error(f"{each.command.verb} {each.command.id}: {error}")
            if each.file.latched:
                self._held(each.command, error)
            else:
                self._released(each, error)

    def _held(self, command: Command, error: BaseException | None) -> None:
        """Held it is, for as long as this process lives, written or not."""
        self._acknowledge(command, "accepted", "" if error is None else str(error))
        self._pending[command.id] = 0
        while len(self._pending) > MAX_PENDING:
            self._pending.popitem(last=False)
            self.counts["unconfirmed"] += 1

    def _released(self, write: _Write, error: BaseException | None) -> None:
        if error is not None:
            self._acknowledge(write.command, "refused", str(error))
        elif self._latch.now.latched and self._latch.now is not write.was:
            self._acknowledge(write.command, "refused", "a stop came meanwhile: release again")
        else:
            self._latch.release(write.file)
            self._pending.clear()
            self._acknowledge(write.command, "accepted")
            self._acknowledge(write.command, "done")

    def _addressed(self, message: String) -> Command | None:
        """The command in a message that gossip has checked, if it is for this unit."""
        command = payload(from_json(message.data), Command)
        return command if self.config.unit in command.units else None

    def _confirm(self) -> None:
        """Count one measurement towards every stop that is not confirmed yet."""
        if not self._speed_mps < self.config.reflex.confirmed_speed_mps:
            self._pending = OrderedDict.fromkeys(self._pending, 0)
            return
        for command in list(self._pending):
            self._pending[command] += 1
            if self._pending[command] >= STILL_SAMPLES:
                del self._pending[command]
                self.say(
                    CommandAcknowledged(
                        command=command, status="confirmed", speed_mps=self._speed_mps
                    )
                )

    def _acknowledge(self, command: Command, status: Any, reason: str = "") -> None:
        self.say(CommandAcknowledged(command=command.id, status=status, reason=reason))

    def _step(self) -> None:
        """Pass the gate, tell the wheels, and watch on only if there is something to watch."""
        now = time.monotonic()
        self._settle(now)
        self._gate.latched = self._latch.now.latched
        verdict = self._gate.step(now)
        rolling = self._gate.moving or self.config.reflex.confirmed_speed_mps <= (
            self._speed_mps if self._speed_mps < math.inf else 0.0
        )
        if verdict.velocity != self._sent or (rolling and now - self._sent_s >= WATCH_S):
            self._send(verdict.velocity, now)
        self._report(verdict, now)
        if self._gate.moving or self._pending or self._writes:
            if self._watch.is_canceled():
                self._watch.reset()
        else:
            self._watch.cancel()

    def _send(self, velocity: Velocity, now: float) -> None:
        message = Twist()
        message.linear.x, message.angular.z = velocity.v_mps, velocity.w_rps
        self._wheels.publish(message)
        self._sent, self._sent_s = velocity, now

    def _report(self, verdict: Verdict, now: float) -> None:
        latched = self._latch.now.latched
        reason = (self._latch.reason or LATCHED) if latched else verdict.reason
        news = ReflexChanged(latched=latched, blocked=verdict.blocked, reason=reason)
        if news == self._told:
            return
        urgent = self._told is None or self._told.latched != latched
        if urgent or now - self._told_s >= TELL_S:
            self._told, self._told_s = news, now
            self.say(news)
            self._shown.publish(String(data=msgspec.json.encode(news).decode()))
