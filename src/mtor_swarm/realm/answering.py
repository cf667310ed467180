"""A worker's side of asks: what it offers, and its answers, on threads of their own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace
from std_msgs.msg import UInt8MultiArray

from mtor_swarm.errors import AskError, explain
from mtor_swarm.realm import logs
from mtor_swarm.realm.ask_topics import from_message, to_message
from mtor_swarm.realm.ask_wire import MAX_STEPS, Answer, Ask, Cancel, Offer, Part, Said, Step
from mtor_swarm.realm.bus import ASK_QOS, OFFER_QOS, UNSENT

if TYPE_CHECKING:
    from mtor_swarm.realm.worker import Worker

BUSY_S = 0.5
"""When to come back, if more is asked than was offered."""


class Question(Ask, frozen=True, kw_only=True):
    """An ask as a worker's `answer` has it."""

    cancelled: threading.Event
    """Set when nobody waits for the answer any more: better stop."""
    deadline_s: float
    """On the monotonic clock: until then the answer counts."""

    @property
    def left_s(self) -> float:
        """The time that is left to answer, in seconds."""
        return max(0.0, self.deadline_s - time.monotonic())


class Answering:
    """Runs `worker.answer(ask, tell)`, at most `Capability.concurrency` of each at a time.

    Threads are made as asks need them, and kept: models may hold something for each. They are
    daemons, so that an answer that never comes does not keep a process from its end.
    """

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._name = worker.get_name()
        self._rooms: dict[str, _Room] = {}
        self._jobs: dict[str, _Job] = {}
        self._lock = threading.Lock()
        self._offers: Any = None
        self._worked: Any = None
        self.offer()

    def offer(self) -> None:
        """Say what the worker can be asked, from now on; again when that has changed."""
        worker = self._worker
        if self._offers is None and worker.capabilities:
            self._worked = worker.create_publisher(UInt8MultiArray, "worked", ASK_QOS)
            self._offers = worker.create_publisher(UInt8MultiArray, "offers", OFFER_QOS)
            worker.create_subscription(
                UInt8MultiArray, f"{self._name}/asks", self._on_message, ASK_QOS
            )
        for each in worker.capabilities:
            room = self._rooms.setdefault(each.name, _Room(f"{self._name} {each.name}"))
            room.most = each.concurrency
            self._send(
                self._offers,
                Offer(
                    worker=self._name,
                    capability=each.name,
                    concurrency=each.concurrency,
                    lend=each.lend,
                ),
            )

    def stop(self, reason: str) -> None:
        """Give all asks back, to be answered elsewhere; what still runs is told to stop."""
        with self._lock:
            jobs = list(self._jobs.values())
        for job in jobs:
            job.question.cancelled.set()
            self._end(job, _failure(job.question, reason))

    def close(self) -> None:
        """Stop, and let the threads end as soon as their answers do."""
        self.stop(f"{self._name} ends")
        for room in self._rooms.values():
            room.close()

    # On the worker's executor.

    def _on_message(self, message: UInt8MultiArray) -> None:
        try:
            said = from_message(message)
        except AskError as error:
            self._worker.fault(f"topic {self._name}/asks", error)
            return
        with self._lock:  # else the answer could go out between the look and the new turn
            job = self._jobs.get(getattr(said, "askid", ""))
            if isinstance(said, Ask) and job is not None:
                job.turn = said.turn  # it works on it already: that answer will be the answer
        if isinstance(said, Cancel) and job is not None:
            job.question.cancelled.set()
        elif isinstance(said, Ask) and job is None:
            self._on_ask(said)

    def _on_ask(self, ask: Ask) -> None:
        fields = {each: getattr(ask, each) for each in ask.__struct_fields__}
        until_s = time.monotonic() + ask.timeout_s
        question = Question(**fields, cancelled=threading.Event(), deadline_s=until_s)
        job = _Job(question)
        room = self._rooms.get(ask.capability)
        if room is None:
            self._publish(job, _failure(ask, f"it does not answer {ask.capability}"))
        elif not self._worker.active:
            self._publish(job, _failure(ask, "it is not active"))
        elif room.busy >= room.most:
            busy = _failure(ask, f"it has {room.busy} asks already")
            self._publish(job, replace(busy, retry_s=BUSY_S))
        else:
            with self._lock:
                self._jobs[ask.askid] = job
            run = logs.within(lambda: self._answer(job), ask=ask.askid)
            room.put(run, lambda answer: self._end(job, answer))

    # On a thread of an ask's own.

    def _answer(self, job: _Job) -> Answer:
        question = job.question

        def tell(payload: bytes | str) -> None:
            if question.cancelled.is_set():
                raise AskError("cancelled")
            if question.stream:
                raw, kind = _payload(payload)
                part = Part(
                    askid=question.askid, seq=job.seq, payload=raw, kind=kind, turn=job.turn
                )
                job.seq += 1
                self._send(self._worked, part)

        try:
            if question.cancelled.is_set() or not question.left_s:
                return _failure(question, "its time was over before it began", retryable=False)
            return _to_answer(question, self._worker.answer(question, tell))
        except AskError as error:
            return _failure(question, str(error), retryable=False)
        except BaseException as error:  # another worker may do better; nothing ends the thread
            self._worker.fault(f"ask {question.askid} ({question.capability})", error)
            return _failure(question, explain(error))

    def _end(self, job: _Job, answer: Answer) -> None:
        with self._lock:
            mine = self._jobs.pop(job.question.askid, None) is job
        if mine:  # else it was given back already
            self._publish(job, answer)

    def _publish(self, job: _Job, answer: Answer) -> None:
        try:
            answer = self._signed(job, answer)
            from_message(to_message(answer))  # what nobody could read is no answer
        except Exception as error:  # a worker may have put anything into its Answer
            answer = self._signed(job, _failure(job.question, explain(error)))
        self._worker.counts["answers" if answer.ok else "failed_answers"] += 1
        self._send(self._worked, answer)

    def _signed(self, job: _Job, answer: Answer) -> Answer:
        took_s = time.monotonic() - job.began_s
        steps = [*answer.steps[: MAX_STEPS - 1], Step("worked", self._worker.source, took_s)]
        return replace(
            answer, askid=job.question.askid, turn=job.turn, worker=self._name, steps=steps
        )

    def _send(self, publisher: Any, said: Said) -> None:
        try:
            publisher.publish(to_message(said))
        except (AskError, *UNSENT) as error:
            self._worker.fault(type(said).__name__, error)


class _Job:
    """An ask that is worked on."""

    def __init__(self, question: Question) -> None:
        self.question = question
        self.turn = question.turn
        self.seq = 0
        self.began_s = time.monotonic()


class _Room:
    """The threads for one capability: made when needed, then kept."""

    def __init__(self, name: str) -> None:
        self.most = 1
        self.busy = 0
        """How many asks are in work; lowered before an answer is sent, for the next may follow."""
        self._name = name
        self._work: SimpleQueue[tuple[Callable[[], Answer], Callable[[Answer], None]] | None]
        self._work = SimpleQueue()
        self._threads = 0
        self._lock = threading.Lock()

    def put(self, run: Callable[[], Answer], end: Callable[[Answer], None]) -> None:
        """Call `end(run())` on a thread; no more than `most` at a time may be given."""
        with self._lock:
            self.busy += 1
            more = self.busy > self._threads
            self._threads += more
        if more:
            name = f"{self._name} {self._threads}"
            threading.Thread(target=self._turn, name=name, daemon=True).start()
        self._work.put((run, end))

    def close(self) -> None:
        """Its threads end, each after what it does."""
        for _ in range(self._threads):
            self._work.put(None)

    def _turn(self) -> None:
        while (work := self._work.get()) is not None:
            run, end = work
            answer = run()
            with self._lock:
                self.busy -= 1
            end(answer)


def _failure(ask: Ask, reason: str, *, retryable: bool = True) -> Answer:
    return Answer(askid=ask.askid, ok=False, reason=reason[:1024], retryable=retryable)


def _to_answer(question: Question, reply: Any) -> Answer:
    """What `answer` returned, as an Answer; TypeError if it is nothing of the kind."""
    if isinstance(reply, Answer):
        return reply
    raw, kind = _payload(reply)
    return Answer(askid=question.askid, ok=True, payload=raw, kind=kind)


def _payload(reply: Any) -> tuple[bytes, str]:
    """The bytes of a `Reply` that is no Answer, and their media type (RFC 6838)."""
    if isinstance(reply, tuple) and [type(each) for each in reply] == [str, bytes]:
        return reply[1], reply[0]
    if isinstance(reply, bytes):
        return reply, "application/octet-stream"
    if isinstance(reply, str):
        return reply.encode(), "text/plain"
    if isinstance(reply, dict | list):
        return msgspec.json.encode(reply), "application/json"
    found = type(reply).__name__
    raise TypeError(f"an answer is bytes, str, dict, list or (kind, bytes), no {found}")
