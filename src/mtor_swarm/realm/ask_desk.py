"""Asks over ROS in the orchestrator: topics in and out around the machine of `asks`."""

from __future__ import annotations

import re
import threading
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import Any

from msgspec.structs import replace
from rclpy.event_handler import PublisherEventCallbacks
from rclpy.node import Node
from std_msgs.msg import UInt8MultiArray

from mtor_swarm.config import RealmConfig, WorkerConfig
from mtor_swarm.errors import AskError
from mtor_swarm.realm.ask_effects import (
    Borrow,
    Drained,
    Effect,
    Input,
    NotComing,
    Scale,
    SetTimer,
    Staff,
    Tick,
    ToCaller,
    ToWorker,
    Unborrow,
    Unlent,
    Worked,
    WorkerActive,
    WorkerDraining,
    WorkerGone,
)
from mtor_swarm.realm.ask_topics import from_message, to_message
from mtor_swarm.realm.ask_wire import Answer, Ask, Cancel, Offer, Part, Said, Status
from mtor_swarm.realm.asks import Asks
from mtor_swarm.realm.bus import ASK_QOS, OFFER_QOS, UNSENT
from mtor_swarm.realm.worker import STEADY

MAX_WORKERS = 2048
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
"""A worker's, as ROS has names of nodes."""
WARN_EVERY = 100
"""Junk is warned of at its first piece, then once in so many."""
Tell = Callable[[Answer | Part | Status], None]


class AskDesk:
    """Where a realm's asks come in, and from where they are handed out.

    The orchestrator tells it which workers are up; all else comes by topics. `counts` has the
    machine's counts, `junk` and `unsent`. All happens on the node's executor; a borrower may tell
    from any thread.
    """

    def __init__(
        self, node: Node, config: RealmConfig, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.borrower: Callable[[Ask, Tell], bool | None] | None = None
        """Asks a peer, and tells what comes of it; False: none will, None: none has room just now.
        It must not block."""
        self.unborrow: Callable[[Cancel], None] | None = None
        """Nobody waits any more for what was borrowed."""
        self.on_worked: Callable[[Worked], None] | None = None
        """How a worker fared with an ask, for its health."""
        self.on_change: Callable[[], None] | None = None
        """`offers` may say something else now."""
        self.on_scale: Callable[[str, int, str], object] | None = None
        """That configured worker should have so many replicas, because; False: it cannot."""
        self._node = node
        self._clock = clock
        self._asks = Asks(config.asks, config.unit, now=clock())
        self.counts: Counter[str] = self._asks.counts
        self._lock = threading.Lock()  # for those who look from other threads
        self._inputs: deque[Input] = deque()
        self._timer: Any = None
        self._up: set[str] = set()
        self._workers: dict[str, Any] = {}
        self._heard: set[str] = set()
        self._drained: dict[str, Callable[[], None]] = {}
        self._offering: set[str] = set()
        self._ready: dict[str, Callable[[], None]] = {}
        self._answers = node.create_publisher(UInt8MultiArray, "answers", ASK_QOS)
        for topic, qos, kinds in (
            ("worked", ASK_QOS, (Part, Answer)),
            ("offers", OFFER_QOS, (Offer,)),
            ("asks", ASK_QOS, (Ask, Cancel)),
        ):
            node.create_subscription(UInt8MultiArray, topic, self._reader(topic, kinds), qos)

    # What the orchestrator says and asks.

    def worker_expected(self, worker: str) -> None:
        """It will come: its topic is made at once, so that it is found soon."""
        self._line(worker)

    def worker_active(self, worker: str) -> None:
        """It is active: asks may go to it."""
        self._up.add(worker)
        self._line(worker)
        if worker in self._heard:
            self._feed(WorkerActive(worker))
            self._tell_ready(worker)

    def offering(self, worker: str) -> bool:
        """Whether it has said what it can be asked."""
        return worker in self._offering

    def when_ready(self, worker: str, then: Callable[[], None]) -> None:
        """Call `then` as soon as asks can go to it: it is active, offers something, and hears."""
        self._ready[worker] = then
        self._tell_ready(worker)

    def _tell_ready(self, worker: str) -> None:
        if worker in self._ready and worker in self._up & self._heard & self._offering:
            self._ready.pop(worker)()

    def worker_gone(self, worker: str, reason: str, *, forget: bool = False) -> None:
        """It is active no more, dead or not: what it had goes to others; again if it was told."""
        self._up.discard(worker)
        self._drained.pop(worker, None)
        self._feed(WorkerGone(worker, reason, forget))
        if forget:
            self._ready.pop(worker, None)
            self._offering.discard(worker)

    def staff(self, workers: Mapping[str, WorkerConfig]) -> None:
        """These are the configured workers from now on: who may have replicas, or sleep."""
        self._feed(Staff(dict(workers)))

    def drain(self, worker: str, then: Callable[[], None]) -> None:
        """Give it no more asks, and call `then` when it has none: it can be stopped."""
        self._up.discard(worker)
        self._drained[worker] = then
        self._feed(WorkerDraining(worker))

    def expected_wait_s(self, capability: str) -> float | None:
        """How long one more ask would wait; None if nobody here is at work on such."""
        with self._lock:
            return self._asks.wait_s(capability, self._clock())

    def offers(self) -> dict[str, float]:
        """What peers may ask for now, and how long they would wait, in seconds."""
        with self._lock:
            return self._asks.lent(self._clock())

    def measures(self) -> dict[str, float]:
        """What `/diagnostics` and the metrics should show: numbers of asks, now and so far."""
        return {**self._asks.measures(), **{f"asks {k}": v for k, v in self.counts.items()}}

    # What comes in.

    def _reader(
        self, topic: str, kinds: tuple[type[Any], ...]
    ) -> Callable[[UInt8MultiArray], None]:
        def read(message: UInt8MultiArray) -> None:
            try:
                said = from_message(message)
                if not isinstance(said, kinds):
                    raise AskError(f"{type(said).__name__} does not belong there")
                if isinstance(said, Offer):
                    self._line(said.worker)
            except AskError as error:
                self._count("junk", f"junk on {self._node.get_namespace()}/{topic}: {error}")
                return
            self._feed(said)  # the kinds of these topics are all inputs
            if isinstance(said, Offer):
                self._offering.add(said.worker)
                self._tell_ready(said.worker)

        return read

    def _line(self, worker: str) -> None:
        """Make the topic to that worker; it is given asks once it hears them."""
        if worker in self._workers:
            return
        if len(self._workers) >= MAX_WORKERS or not NAME.fullmatch(worker):
            raise AskError(f"no worker has this name, or too many have others: {worker}")

        def matched(info: Any) -> None:
            if info.current_count and worker not in self._heard:
                self._heard.add(worker)
                if worker in self._up:
                    self._feed(WorkerActive(worker))
                    self._tell_ready(worker)
            elif not info.current_count:
                self._heard.discard(worker)
                self._feed(WorkerGone(worker, "it hears no asks any more"))

        self._workers[worker] = self._node.create_publisher(
            UInt8MultiArray,
            f"{worker}/asks",
            ASK_QOS,
            event_callbacks=PublisherEventCallbacks(matched=matched),
        )

    def _feed(self, event: Input) -> None:
        """Hand it to the machine and do what follows, to the end, before the next is looked at."""
        self._inputs.append(event)
        if len(self._inputs) > 1:  # it came of an effect that is being done just now
            return
        while self._inputs:
            try:
                with self._lock:
                    effects = self._asks.handle(self._inputs[0], self._clock())
                for effect in effects:
                    self._do(effect)
            except Exception:  # a defect of ours: told, and what comes next is still heard
                self._count("defects", traceback.format_exc())
            self._inputs.popleft()
        if self.on_change is not None:
            self.on_change()

    # What goes out.

    def _do(self, effect: Effect) -> None:
        if isinstance(effect, ToWorker):
            self._send(self._workers[effect.worker], effect.said)
        elif isinstance(effect, ToCaller):
            self._send(self._answers, effect.said)
        elif isinstance(effect, Borrow):
            self._borrow(effect.ask)
        elif isinstance(effect, Unborrow):
            if self.unborrow is not None:
                self.unborrow(effect.cancel)
        elif isinstance(effect, Worked):
            if self.on_worked is not None:
                self.on_worked(effect)
        elif isinstance(effect, Scale):
            wanted = (effect.worker, effect.count, effect.reason)
            if self.on_scale is None or self.on_scale(*wanted) is False:
                self._feed(NotComing(effect.worker))
        elif isinstance(effect, Drained):
            self._drained.pop(effect.worker, lambda: None)()
        else:
            self._set_timer(effect)

    def _borrow(self, ask: Ask) -> None:
        turn = ask.turn

        def tell(said: Answer | Part | Status) -> None:
            turned = said if isinstance(said, Status) else replace(said, turn=turn)
            executor = self._node.executor
            if executor is not None:
                executor.create_task(self._feed, turned)

        lent = self.borrower(ask, tell) if self.borrower is not None else False
        if not lent:
            self._feed(Unlent(ask.askid, turn, full=lent is None))

    def _send(self, publisher: Any, said: Said) -> None:
        try:
            publisher.publish(to_message(said))
        except (AskError, *UNSENT) as error:
            self._count("unsent", f"{type(said).__name__} not sent: {error}")

    def _set_timer(self, effect: SetTimer) -> None:
        self._end_timer()
        wait_s = max(0.001, effect.at_s - self._clock())
        self._timer = self._node.create_timer(wait_s, self._on_timer, clock=STEADY)

    def _on_timer(self) -> None:
        self._end_timer()  # it is meant once
        self._feed(Tick())

    def _end_timer(self) -> None:
        if self._timer is not None:
            self._node.destroy_timer(self._timer)
            self._timer = None

    def _count(self, what: str, warning: str) -> None:
        self.counts[what] += 1
        if self.counts[what] % WARN_EVERY == 1:
            self._node.get_logger().warning(f"{warning} ({self.counts[what]} so far)")
