"""A caller's side of asks: a question out, its one final answer as a future.

It asks again when it hears nothing, at doubled intervals: an orchestrator that was not there yet,
or died and came back, hears of it then. Who heard of it already works on, and answers once.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace
from rclpy.event_handler import PublisherEventCallbacks
from rclpy.node import Node
from std_msgs.msg import UInt8MultiArray

from mtor_swarm.errors import AskError, explain
from mtor_swarm.realm.alarms import Alarm, Alarms
from mtor_swarm.realm.ask_topics import askid_in, from_message, to_message
from mtor_swarm.realm.ask_wire import Answer, Ask, Cancel, Part, Said, Status
from mtor_swarm.realm.bus import ASK_QOS, UNSENT

MAX_OPEN = 1024
"""Asks of one client that have no answer yet."""
AGAIN_S = 0.5
"""After so long without a word it asks again; then after twice as long, and so on."""
GRACE_S = 2.0
"""After its time an ask waits so long for the orchestrator to say that it is over."""


class Asking(Future[Answer]):
    """The answer that will be: always an Answer, never an exception. `askid` is for `cancel`."""

    def __init__(self, askid: str) -> None:
        super().__init__()
        self.askid = askid


@dataclass(eq=False)
class _Open:
    """An ask without an answer yet."""

    ask: Ask
    deadline_s: float
    future: Asking
    on_part: Callable[[Part], None] | None
    on_status: Callable[[Status], None] | None
    again_s: float
    alarm: Alarm | None = None
    cancel: Cancel | None = None
    """Its caller gave it up, and the orchestrator may not have heard."""


class AskClient:
    """Asks the realm's workers, through its orchestrator. From any thread.

    `on_part` and `on_status` run on the node's executor; what is added to a future is called there
    as well, or on the thread that ends what is overdue. `counts` has what was asked, `again`,
    answered, `overdue` (ended here), `junk` and `unsent`.
    """

    def __init__(self, node: Node, source: str) -> None:
        """`source` says who asks: each caller has its fair share."""
        self.counts: Counter[str] = Counter()
        self._node = node
        self._source = source
        self._open: dict[str, _Open] = {}
        self._alarms = Alarms()
        self._change = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._asks = node.create_publisher(
            UInt8MultiArray,
            "asks",
            ASK_QOS,
            event_callbacks=PublisherEventCallbacks(matched=self._on_matched),
        )
        node.create_subscription(UInt8MultiArray, "answers", self._on_message, ASK_QOS)

    def ask(
        self,
        capability: str,
        payload: bytes = b"",
        *,
        kind: str = "application/json",
        priority: int = 2,
        timeout_s: float = 30.0,
        options: Mapping[str, str] | None = None,
        stream: bool = False,
        on_part: Callable[[Part], None] | None = None,
        on_status: Callable[[Status], None] | None = None,
    ) -> Asking:
        """Ask; AskError if it cannot even be sent."""
        ask = Ask(
            askid=uuid.uuid4().hex,
            capability=capability,
            payload=payload,
            kind=kind,
            caller=self._source,
            priority=priority,
            timeout_s=timeout_s,
            options=dict(options or {}),
            stream=stream or on_part is not None or on_status is not None,
        )
        return self.put(ask, on_part=on_part, on_status=on_status)

    def put(
        self,
        ask: Ask,
        *,
        on_part: Callable[[Part], None] | None = None,
        on_status: Callable[[Status], None] | None = None,
    ) -> Asking:
        """Ask what somebody else asks (a peer, a person): all is as in the Ask."""
        message = to_message(ask)
        from_message(message)  # what the orchestrator could not read is better told here
        end_s, future = time.monotonic() + ask.timeout_s, Asking(ask.askid)
        one = _Open(ask, end_s, future, on_part, on_status, AGAIN_S)
        with self._change:
            if self._closed:
                raise AskError(f"{self._source} has ended")
            if ask.askid in self._open:
                raise AskError(f"{ask.askid} is asked already: give each ask an id of its own")
            if len(self._open) >= MAX_OPEN:
                raise AskError(f"{self._source} has {len(self._open)} asks open: wait for answers")
            self.counts["asked"] += 1
            self._open[ask.askid] = one
            self._later(one)
        self._publish(message)
        return one.future

    def cancel(self, askid: str, reason: str = "cancelled") -> None:
        """The answer is no longer wanted: the future ends soon, whether an orchestrator hears."""
        cancel = Cancel(askid=askid, reason=reason)
        with self._change:
            one = self._open.get(askid)
            if one is not None and one.cancel is None:
                one.cancel = cancel
                self._alarms.cancel(one.alarm)
                one.alarm = self._alarms.set(time.monotonic() + AGAIN_S, self._looker(one))
                self._change.notify()
        self._publish(to_message(cancel))

    def close(self) -> None:
        """End all that is open: the node is being taken down."""
        with self._change:
            self._closed = True
            left = list(self._open)
            self._change.notify()
        for askid in left:
            self._end(_silence(askid, f"{self._source} ended"))
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    # What comes back.

    def _on_message(self, message: UInt8MultiArray) -> None:
        one = self._open.get(askid_in(message))
        if one is None:  # somebody else's, most of the time
            return
        try:
            said = from_message(message)
        except AskError:
            self.counts["junk"] += 1
            return
        if isinstance(said, Answer):
            self._end(said)
        elif isinstance(said, Part) and one.on_part is not None:
            self._call(one.on_part, said)
        elif isinstance(said, Status) and one.on_status is not None:
            self._call(one.on_status, said)

    def _on_matched(self, info: Any) -> None:
        """An orchestrator came: it hears at once of what another one, or none, was asked."""
        if info.current_count_change > 0:
            with self._change:
                for one in self._open.values():
                    self._alarms.cancel(one.alarm)
                    one.again_s = AGAIN_S / 2  # it is doubled when it has been asked again
                    one.alarm = self._alarms.set(0.0, self._looker(one))
                self._change.notify()

    def _call(self, callback: Callable[[Any], None], said: Said) -> None:
        try:
            callback(said)
        except Exception as error:  # the answer must still come, whatever this one did
            self.counts["faults"] += 1
            self._node.get_logger().error(f"a callback for an ask raised {explain(error)}")

    def _end(self, answer: Answer) -> None:
        with self._change:
            one = self._open.pop(answer.askid, None)
            if one is None:
                return
            self._alarms.cancel(one.alarm)
            self.counts["answered"] += 1
        if one.future.set_running_or_notify_cancel():
            one.future.set_result(answer)

    # What is done when nothing comes.

    def _later(self, one: _Open) -> None:
        """Look after it again in a while. The lock is held."""
        end_s = one.deadline_s + GRACE_S
        at_s = min(time.monotonic() + one.again_s, end_s)
        if one.deadline_s <= at_s < end_s:  # the orchestrator itself ends it about then
            at_s = end_s
        one.alarm = self._alarms.set(at_s, self._looker(one))
        if self._thread is None:
            name = f"asks of {self._source}"
            self._thread = threading.Thread(target=self._watch, name=name, daemon=True)
            self._thread.start()
        elif self._alarms.next_s == at_s:
            self._change.notify()

    def _looker(self, one: _Open) -> Callable[[float], None]:
        return lambda now: self._look(one, now)

    def _look(self, one: _Open, now: float) -> None:
        left_s = one.deadline_s - now
        if left_s <= 0:
            self.counts["overdue"] += 1
            reason = (
                f"the orchestrator did not answer within {one.ask.timeout_s:g} s: is it alive?"
            )
            self._end(_silence(one.ask.askid, reason))
            return
        if one.cancel is not None:  # it may be lost; what began anew must not be asked
            self._publish(to_message(one.cancel))
            self._end(Answer(askid=one.ask.askid, ok=False, reason=one.cancel.reason))
            return
        with self._change:
            if one.ask.askid not in self._open:
                return
            one.again_s *= 2
            self._later(one)
            self.counts["again"] += 1
        self._publish(to_message(replace(one.ask, timeout_s=left_s)))

    def _watch(self) -> None:
        while True:
            with self._change:
                next_s = self._alarms.next_s
                now = time.monotonic()
                if self._closed:
                    return
                due = self._alarms.pop(now)
                if due is None:
                    self._change.wait(None if next_s is None else next_s - now)
            if due is not None:
                due(now)

    def _publish(self, message: UInt8MultiArray) -> None:
        try:
            self._asks.publish(message)
        except UNSENT:  # it is asked again
            self.counts["unsent"] += 1


def _silence(askid: str, reason: str) -> Answer:
    return Answer(askid=askid, ok=False, reason=reason, retryable=True)
