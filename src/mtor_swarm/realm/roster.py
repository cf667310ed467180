"""Who is to run beside the built-in workers: obeys commands about that, and has it done.

What is wanted stands in `replicas`; the runner (`errands`) starts and ends processes, the desk
of asks empties the hands of those that go. A replacement is up before what it replaces goes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from rclpy.node import Node
from std_msgs.msg import String

from mtor_swarm import events
from mtor_swarm.config import RealmConfig, WorkerConfig
from mtor_swarm.errors import CommandError, SwarmError
from mtor_swarm.events import Command, CommandAcknowledged, WorkerChanged
from mtor_swarm.paths import unit_state
from mtor_swarm.realm import staff
from mtor_swarm.realm import supervision_io as sv
from mtor_swarm.realm.ask_desk import AskDesk
from mtor_swarm.realm.bus import COMMAND_QOS
from mtor_swarm.realm.errands import End, Ended, RunnerLink, Seen, Start, Want
from mtor_swarm.realm.replicas import Replicas
from mtor_swarm.realm.staff import Change
from mtor_swarm.realm.watch import UNTOLD
from mtor_swarm.realm.worker import STEADY

DRAIN_S = 30.0
"""A worker that is to go may finish its asks within this; the rest go to others."""
READY_S = 10.0
"""So long a worker that is active may take to hear asks."""
OFFER_S = 4.0
"""And so long until it is known that it offers nothing: DDS repairs what was lost every 3 s."""
MAX_PENDING = 64
MAX_NAMES = 512
"""Of workers that came and went, as long as the unit runs."""
FIXED = (
    "the workers of this unit are fixed, since it was not started by `mtor up`: "
    "write it into the unit's config and start it anew"
)


@dataclass
class _Pending:
    """What a command waits for: that this worker is up, or has failed."""

    worker: str
    up: Callable[[], None]
    failed: Callable[[str], None]
    replaces: Collection[str] = ()


class Roster:
    """Keeps the desired set, and the processes that it needs."""

    def __init__(
        self,
        node: Node,
        config: RealmConfig,
        desk: AskDesk,
        *,
        kinds: Callable[[], Collection[str]],
        feed: Callable[[sv.Input], None],
        say: Callable[[CommandAcknowledged], None],
    ) -> None:
        """`kinds` tells which are installed here now. `feed` hands supervision an input."""
        self._node = node
        self._unit = config.unit
        self._desk = desk
        self._kinds = kinds
        self._feed = feed
        self._say = say
        self._folder = unit_state(config.state_dir, config.unit)
        self._workers = self._read(config)
        self.replicas = Replicas(self._workers)
        desk.staff(self._workers)
        desk.on_scale = self.scale
        self._there: set[str] = set()
        self._names: set[str] = set()  # each has ties in ROS that stay (`Watch`)
        self.leaving: set[str] = set()
        """Those that finish their asks and are given no more."""
        self._swapping: set[str] = set()
        self._pending: list[_Pending] = []
        self._link = RunnerLink.inherited(self._on_ended)
        node.create_subscription(String, "command", self._on_command, COMMAND_QOS)
        self._once(0.001, self._reconcile)  # once somebody turns the node, and hears what follows

    def start(self, worker: str) -> None:
        """Have its process started, if that is not there."""
        process = self.replicas.process_of(worker)
        if self._link is not None and process is not None:
            self._link.send(Start(process=process))

    def end(self, worker: str, *, hangs: bool) -> None:
        """Have its process ended; one in the core cannot be, and ends itself if it hangs."""
        process = self.replicas.process_of(worker)
        if self._link is not None and process is not None:
            self._link.send(End(process=process, hangs=hangs))

    def kind_of(self, worker: str) -> str:
        """Of what kind it is; empty for one that the unit is born with."""
        known = self.replicas.workers.get(self.replicas.all().get(worker, ""))
        return known.kind if known else ""

    def scale(self, worker: str, count: int, reason: str = "") -> bool:
        """Have so many replicas of it run, within what its config allows; False: not now."""
        known = self.replicas.workers.get(worker)
        if self._link is None or known is None or worker in self._swapping:
            return False
        self._node.get_logger().info(f"{worker}: {count} of it are to run: {reason}")
        count = min(max(count, known.least), known.most)
        running = self.replicas.of(worker)
        for instance in running[count:]:
            if instance not in self.leaving:
                self._drain(instance, lambda each=instance: self._drop(worker, each))  # type: ignore[misc]
        if count > len(running):
            self.replicas.scale(worker, count)
            self._reconcile()
        return True

    def changed(self, change: WorkerChanged) -> None:
        """A worker's state is another now: perhaps a command waited for that."""
        waited = [each for each in self._pending if each.worker == change.worker]
        if change.state in ("active", "degraded"):
            for each in waited:
                self._pending.remove(each)
                self._when_ready(each)
        elif change.fault and change.state in ("failed", "quarantined"):
            if UNTOLD in change.reason and change.state == "failed":
                return  # it says in a moment why, or fails again
            for each in waited:
                self._pending.remove(each)
                each.failed(change.reason)

    def look(self, process: str, lines: int) -> Future[Seen]:
        """Which processes run, and the last lines of one; cancelled if there is no runner."""
        if self._link is not None:
            return self._link.look(process, lines)
        nobody: Future[Seen] = Future()
        nobody.cancel()
        return nobody

    def close(self) -> None:
        """Ask nothing more of the runner."""
        if self._link is not None:
            self._link.close()

    # Processes.

    def _read(self, config: RealmConfig) -> dict[str, WorkerConfig]:
        try:
            return staff.read(config, self._folder)
        except SwarmError as error:
            self._node.get_logger().error(f"{error}; the config's workers run meanwhile")
            return dict(config.workers)

    def _reconcile(self) -> None:
        """Watch whom we want, no longer whom we do not, and tell the runner."""
        wanted = self.replicas.all()
        for instance in self._there - set(wanted):
            self._desk.worker_gone(instance, "it was removed", forget=True)
            self._feed(sv.WorkerRemoved(instance))
        for instance in wanted:
            if instance not in self._there:
                self._desk.worker_expected(instance)
                self._feed(sv.WorkerAdded(instance))
        self._there = set(wanted)
        self._names |= self._there
        if self._link is not None:
            self._link.send(Want(processes=self.replicas.wanted()))

    def _on_ended(self, ended: Ended) -> None:
        """On the link's thread."""
        executor = self._node.executor
        if executor is not None:
            executor.create_task(self._ended, ended)

    def _ended(self, ended: Ended) -> None:
        for worker in (*self.replicas.all(), *staff.BUILT_IN):
            if self.replicas.process_of(worker) == ended.process:
                self._feed(sv.ProcessEnded(worker, ended.fault, ended.reason))

    # Commands.

    def _on_command(self, message: String) -> None:
        try:
            command = events.payload(events.from_json(message.data), Command)
        except SwarmError as error:
            self._node.get_logger().warning(str(error))
            return
        if command.verb != "worker":
            return
        try:
            self._obey(command.id, staff.change_of(command))
        except CommandError as error:
            self._acknowledge(command.id, "refused", str(error))

    def _obey(self, id: str, change: Change) -> None:
        if self._link is None:
            raise CommandError(FIXED)
        if len(self._pending) >= MAX_PENDING:
            raise CommandError("too many changes are under way: wait for those, or restart it")
        old, name = self._workers, change.worker
        if len(self._names) >= MAX_NAMES and change.do == "add":
            raise CommandError(f"{MAX_NAMES} names were used for workers: start the unit anew")
        if name in self._swapping:
            raise CommandError(f"{name} is being replaced just now: wait for that")
        if name in self.replicas.workers and name not in old:
            raise CommandError(f"{name} finishes its asks to be removed just now: wait for that")
        new = staff.changed(old, change, self._kinds())
        if new != old:
            self._keep(new)
        self._acknowledge(id, "accepted")
        if change.do == "remove":
            self._remove(id, name)
        elif change.do == "restart":
            self._restart(id, name)
        elif change.do == "add":
            self._add(id, name)
        elif new[name].process or old[name].process or not self.replicas.of(name):
            self._move(id, name)
        else:
            self._swap(id, name, old[name])

    def _keep(self, workers: dict[str, WorkerConfig]) -> None:
        try:
            staff.keep(workers, self._folder)
        except OSError as error:
            raise CommandError(f"{self._folder}: cannot be written: {error.strerror}") from None
        self._workers = workers

    def _acknowledge(self, id: str, status: Any, reason: str = "") -> None:
        self._say(CommandAcknowledged(command=id, status=status, reason=reason))

    def _add(self, id: str, name: str) -> None:
        self._take()
        process = self.replicas.process_of(name)
        neighbours = [e for e in self._there if e != name and self._shares(e, process)]
        if neighbours or process == "models":
            self.end(name, hangs=False)  # it reads whom it holds when it starts
        self._await(id, self.replicas.of(name))

    def _restart(self, id: str, name: str) -> None:
        workers = self.replicas.of(name) if name in self._workers else [name]
        self._await(id, workers)
        for each in workers:
            self._feed(sv.RestartWanted(each))

    def _move(self, id: str, name: str) -> None:
        """Another in its place, in a process that others may share: it must go first."""
        self._take()
        self._restart(id, name)

    def _remove(self, id: str, name: str) -> None:
        instances = self.replicas.of(name)
        left = set(instances)

        def gone(instance: str) -> None:
            left.discard(instance)
            if not left and name not in self._workers:
                process = self.replicas.process_of(name)
                self._take()
                if process == "models" or any(self._shares(e, process) for e in self._there):
                    self._link_end(process)
            if not left:
                self._acknowledge(id, "done")

        if not instances:
            self._take()
            self._acknowledge(id, "done")
        for each in instances:
            self._drain(each, lambda each=each: gone(each))  # type: ignore[misc]

    def _swap(self, id: str, name: str, old: WorkerConfig) -> None:
        """Another in its place, up before the old ones go: no ask finds nobody."""
        new, olds = self.replicas.begin_swap(name)
        self._swapping.add(name)
        self._take()
        left = set(olds)

        def gone(instance: str) -> None:
            left.discard(instance)
            self._drop(name, instance)
            if not left:
                self._swapping.discard(name)
                self._acknowledge(id, "done", f"{new} took over")

        def up() -> None:
            for each in olds:
                self._drain(each, lambda each=each: gone(each))  # type: ignore[misc]

        def failed(reason: str) -> None:
            self._swapping.discard(name)
            if name in self._workers:
                self._keep({**self._workers, name: old})
                self.replicas.drop(name, new)
                self._take()
            self._acknowledge(id, "refused", f"{reason}; {', '.join(olds)} goes on")

        self._pending.append(_Pending(new, up, failed, olds))

    def _await(self, id: str, workers: list[str]) -> None:
        """Acknowledge the command when all of them are up, or one has failed."""
        left = set(workers)
        mine: list[_Pending] = []

        def up(worker: str) -> None:
            left.discard(worker)
            if not left:
                self._acknowledge(id, "done")

        def failed(reason: str) -> None:
            self._pending = [each for each in self._pending if each not in mine]
            self._acknowledge(id, "refused", f"it is there, but failed: {reason}")

        if not workers:
            self._acknowledge(id, "done", "it is loaded when it is first asked")
        for each in workers:
            mine.append(_Pending(each, lambda each=each: up(each), failed))  # type: ignore[misc]
        self._pending += mine

    def _take(self) -> None:
        self.replicas.take(self._workers)
        self._desk.staff(self._workers)
        self._reconcile()

    def _drop(self, name: str, instance: str) -> None:
        if name in self.replicas.workers:
            self.replicas.drop(name, instance)
        self._reconcile()

    def _shares(self, worker: str, process: str | None) -> bool:
        return process is not None and self.replicas.process_of(worker) == process

    def _link_end(self, process: str | None) -> None:
        if self._link is not None and process is not None:
            self._link.send(End(process=process))

    def _when_ready(self, pending: _Pending) -> None:
        """Go on once asks can go to it; one that offers nothing is not waited for for long."""
        waits = [True]

        def go_on() -> None:
            if waits:
                waits.clear()
                cancel()
                pending.up()

        offers = any(self._desk.offering(each) for each in (pending.worker, *pending.replaces))
        cancel = self._once(READY_S if offers else OFFER_S, go_on)
        self._desk.when_ready(pending.worker, go_on)

    def _drain(self, instance: str, then: Callable[[], None]) -> None:
        """No more asks for it, and `then`, once, when its hands are empty or time is up."""
        self.leaving.add(instance)
        waits = [True]

        def gone() -> None:
            if waits:
                waits.clear()
                cancel()
                self.leaving.discard(instance)
                then()

        cancel = self._once(DRAIN_S, gone)
        self._desk.drain(instance, gone)

    def _once(self, seconds: float, call: Callable[[], None]) -> Callable[[], None]:
        """Call once after so long; returns what prevents it."""
        timers: list[Any] = []

        def cancel() -> None:
            while timers:
                self._node.destroy_timer(timers.pop())

        def fire() -> None:
            cancel()
            call()

        timers.append(self._node.create_timer(seconds, fire, clock=STEADY))
        return cancel
