"""Which workers should run, what is seen of them, and so what to do: a pure machine.

A worker is *absent* until its heartbeat is seen, *starting* while it is asked for its state and
configured, *inactive* while it is activated, then *active*. It is *failed* while it waits for its
next try, *silent* while its heartbeat is missing, *quarantined* after too many failures. Workers
are brought up in the order given; one that fails, is silent or never appears holds up no other.
Times are seconds of any steady clock.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec

from mtor_swarm.config import SupervisionConfig
from mtor_swarm.events import WorkerChanged

State = Literal["absent", "starting", "inactive", "active", "failed", "silent", "quarantined"]
Step = Literal["", "turn", "ask", "configure", "activate"]
"""What a worker is waited for: its turn, or the answer to a request."""

PATIENCE_S = 5.0
"""A worker that does not appear holds up those after it this long, and only at the beginning."""
ASK_S = 1.0
"""An unanswered question is asked again after this: its service may be found late."""
ASKS = 30
"""A worker that is alive but leaves so many questions unanswered has failed."""


class WorkerSeen(msgspec.Struct, frozen=True):
    """A heartbeat of this worker began; that of its process before may still count as well."""

    worker: str


class LivelinessLost(msgspec.Struct, frozen=True):
    """No heartbeat of this worker is left.

    `doubted` when the watcher itself was late of late: perhaps it starves, not the worker.
    """

    worker: str
    doubted: bool = False


class StateKnown(msgspec.Struct, frozen=True):
    """The worker's answer to Ask: the label of its lifecycle state."""

    worker: str
    turn: int
    label: str


class TransitionDone(msgspec.Struct, frozen=True):
    """The worker did what Configure or Activate of this turn asked."""

    worker: str
    turn: int


class TransitionFailed(msgspec.Struct, frozen=True):
    """The worker could not do it."""

    worker: str
    turn: int
    reason: str


class PerhapsUnheard(msgspec.Struct, frozen=True):
    """What was asked for in this turn was sent, but ROS sees nobody who would hear it.

    ROS may be wrong: while its graph forgets a dead process, it misses services that are there.
    """

    worker: str
    turn: int


class WorkerFailed(msgspec.Struct, frozen=True):
    """The worker's own word that it failed, and why; comes before or after TransitionFailed."""

    worker: str
    reason: str


class Tick(msgspec.Struct, frozen=True):
    """The time that SetTimer asked for has come."""


Input = (
    WorkerSeen
    | LivelinessLost
    | StateKnown
    | TransitionDone
    | TransitionFailed
    | PerhapsUnheard
    | WorkerFailed
    | Tick
)


class Ask(msgspec.Struct, frozen=True):
    """Ask the worker for its lifecycle state; answer with StateKnown of the same turn."""

    worker: str
    turn: int


class Configure(msgspec.Struct, frozen=True):
    """Have it configured; answer with TransitionDone or TransitionFailed of the same turn."""

    worker: str
    turn: int


class Activate(msgspec.Struct, frozen=True):
    """Have it activated; answer as for Configure."""

    worker: str
    turn: int


class Report(msgspec.Struct, frozen=True):
    """Tell the realm."""

    change: WorkerChanged


class SetTimer(msgspec.Struct, frozen=True):
    """Come back with Tick at this time; replaces the timer set before. None: no timer."""

    at_s: float | None


Action = Ask | Configure | Activate | Report | SetTimer


def delay_s(failures: int, config: SupervisionConfig, rng: random.Random) -> float:
    """Seconds until the next try after so many failures in a row: doubling, with 20 % of jitter.

    Jitter, so that what fell together does not rise together (Brooker, "Exponential backoff and
    jitter", 2015).
    """
    doublings = min(max(failures - 1, 0), 30)  # 2.0 ** more than this overflows nobody's patience
    whole = min(config.restart_first_s * 2.0**doublings, config.restart_most_s)
    return whole * rng.uniform(0.8, 1.0)


class _Record:
    """What is known of one worker."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.state: State = "absent"
        self.step: Step = ""
        self.turn = 0  # raised when answers to what was asked before no longer count
        self.asks = 0
        self.alive = False
        self.due_s: float | None = None
        self.failures: list[float] = []
        self.cause = ""
        self.plan = ""


_LABELS: dict[str, tuple[State, Step]] = {
    "unconfigured": ("starting", "configure"),
    "inactive": ("inactive", "activate"),
    "active": ("active", ""),
}
"""A worker's own answer: which state that is here, and what is to be done next."""

_REQUESTS: dict[Step, type[Configure] | type[Activate]] = {
    "configure": Configure,
    "activate": Activate,
}
_BRINGING_UP = ("starting", "inactive")


class Supervisor:
    """The machine: `handle(input, now) -> actions`. Never reads a clock; chance is handed in."""

    def __init__(
        self, workers: Sequence[str], config: SupervisionConfig, *, rng: random.Random, now: float
    ) -> None:
        """Watch over `workers`, to be brought up in this order, from `now` on."""
        self._config = config
        self._rng = rng
        self._patient_until = now + PATIENCE_S
        self._records = {name: _Record(name) for name in workers}
        self._actions: list[Action] = []
        self._timer: float | None = None
        self._table: dict[type[Input], Callable[[_Record, Any, float], None]] = {
            WorkerSeen: self._seen,
            LivelinessLost: self._lost,
            StateKnown: self._known,
            TransitionDone: self._done,
            TransitionFailed: self._refused,
            PerhapsUnheard: self._doubted,
            WorkerFailed: self._said,
        }

    def handle(self, event: Input, now: float) -> list[Action]:
        """What to do about it, in this order. Workers unknown here are no concern of ours."""
        self._actions = []
        if isinstance(event, Tick):
            self._timer = None  # it is spent; one that came a hair too early is set again
        elif event.worker in self._records:
            self._table[event.__class__](self._records[event.worker], event, now)
        for record in self._records.values():
            if record.due_s is not None and record.due_s <= now:
                self._expire(record, now)
        self._take_turns(now)
        self._set_timer(now)
        return self._actions

    def states(self) -> dict[str, tuple[State, str]]:
        """Each worker's state, and why it is in it."""
        return {each.name: (each.state, _reason(each)) for each in self._records.values()}

    # What is seen and heard of a worker.

    def _seen(self, record: _Record, _: WorkerSeen, now: float) -> None:
        record.alive = True
        if record.state in ("absent", "silent"):
            self._begin(record)
        elif record.state in ("starting", "inactive", "active") and record.step != "turn":
            self._ask(record, now)  # it may be a new process, which knows nothing of its past

    def _lost(self, record: _Record, event: LivelinessLost, now: float) -> None:
        record.alive = False
        lease_s = self._config.heartbeat_lease_s
        if record.state == "active" and event.doubted:
            # Who doubts itself gives more time (Lifeguard, arXiv 1707.00788): one more lease,
            # within which only a heartbeat counts, not an answer from before.
            record.turn += 1
            record.step, record.due_s = "", now + lease_s
        elif record.state == "active":
            self._fall_silent(record, f"no heartbeat for {lease_s:g} s: blocked or dead", now)
        elif record.step in ("turn", "ask"):
            self._wait(record, "silent", f"no heartbeat for {lease_s:g} s")
        # A worker that loads or starts blocks its own heartbeat: the deadline watches over that.

    def _known(self, record: _Record, event: StateKnown, now: float) -> None:
        if event.turn != record.turn:
            return
        if event.label not in _LABELS:
            self._fail(record, f"is {event.label}, from where nothing can be done", now)
            return
        state, step = _LABELS[event.label]
        if record.state == "active" and state != "active":
            self._count(record, now)
            if self._quarantined(record, "came back as a new process too often", now):
                return
        self._advance(record, state, step, now)

    def _done(self, record: _Record, event: TransitionDone, now: float) -> None:
        if event.turn == record.turn and record.step == "configure":
            self._advance(record, "inactive", "activate", now)
        elif event.turn == record.turn and record.step == "activate":
            self._advance(record, "active", "", now)

    def _refused(self, record: _Record, event: TransitionFailed, now: float) -> None:
        if event.turn == record.turn:
            self._fail(record, event.reason, now)

    def _doubted(self, record: _Record, event: PerhapsUnheard, now: float) -> None:
        if event.turn == record.turn and record.step in _REQUESTS:
            record.step = "ask"  # soon, whether it was heard
            record.due_s = now + ASK_S

    def _said(self, record: _Record, event: WorkerFailed, now: float) -> None:
        if record.step in _REQUESTS or record.step == "ask":
            self._fail(record, event.reason, now)
        elif record.state in ("failed", "quarantined") and record.cause != event.reason:
            record.cause = event.reason
            self._report(record, record.state)

    def _expire(self, record: _Record, now: float) -> None:
        if record.step == "ask" and record.asks < ASKS:
            self._ask(record, now, again=True)
        elif record.step == "ask":
            self._fail(record, f"is alive, but left {ASKS} questions unanswered", now)
        elif not record.alive and record.state == "active":
            lease_s = self._config.heartbeat_lease_s
            self._fall_silent(record, f"no heartbeat for {2 * lease_s:g} s: blocked or dead", now)
        elif not record.alive:
            self._wait(record, "silent", "no heartbeat: its process is blocked or dead")
        elif record.step:
            limit_s = self._config.configure_timeout_s
            self._fail(record, f"did not {record.step} within {limit_s:g} s", now)
        else:
            if record.state == "quarantined":
                record.failures.clear()
            self._begin(record)

    # What is done about it.

    def _take_turns(self, now: float) -> None:
        for record in self._records.values():
            if record.step == "turn":
                self._ask(record, now)
            if record.state in _BRINGING_UP:
                return
            if record.state == "absent" and now < self._patient_until:
                return

    def _begin(self, record: _Record) -> None:
        self._wait(record, "starting", "", step="turn")

    def _ask(self, record: _Record, now: float, *, again: bool = False) -> None:
        if not again:
            record.asks = 0
            record.turn += 1
        record.step = "ask"
        record.asks += 1
        record.due_s = now + ASK_S
        self._actions.append(Ask(record.name, record.turn))

    def _advance(self, record: _Record, state: State, step: Step, now: float) -> None:
        self._wait(record, state, "", step=step)
        if step:
            record.due_s = now + self._config.configure_timeout_s
            self._actions.append(_REQUESTS[step](record.name, record.turn))

    def _fail(self, record: _Record, cause: str, now: float) -> None:
        self._count(record, now)
        if not self._quarantined(record, cause, now):
            wait_s = delay_s(len(record.failures), self._config, self._rng)
            self._wait(record, "failed", cause, plan=f"next try in {wait_s:.1f} s")
            record.due_s = now + wait_s

    def _fall_silent(self, record: _Record, cause: str, now: float) -> None:
        self._count(record, now)
        if not self._quarantined(record, cause, now):
            self._wait(record, "silent", cause)

    def _count(self, record: _Record, now: float) -> None:
        since = now - self._config.window_s
        record.failures = [each for each in record.failures if each > since] + [now]

    def _quarantined(self, record: _Record, cause: str, now: float) -> bool:
        """Whether it failed too often, and so is in quarantine from now on."""
        failures = len(record.failures)
        if failures < self._config.failures_in_window:
            return False
        plan = (
            f"{failures} failures in {self._config.window_s:g} s; "
            f"next try in {self._config.quarantine_s:g} s"
        )
        self._wait(record, "quarantined", cause, plan=plan)
        record.due_s = now + self._config.quarantine_s
        return True

    def _wait(
        self, record: _Record, state: State, cause: str, *, plan: str = "", step: Step = ""
    ) -> None:
        """Into `state`: what was asked before no longer counts."""
        was, told = record.state, _reason(record)
        record.turn += 1
        record.due_s = None
        record.state, record.step = state, step
        record.cause, record.plan = cause, plan
        if (state, _reason(record)) != (was, told):
            self._report(record, was)

    def _report(self, record: _Record, was: State) -> None:
        change = WorkerChanged(
            worker=record.name, state=record.state, was=was, reason=_reason(record)
        )
        self._actions.append(Report(change))

    def _set_timer(self, now: float) -> None:
        due = [each.due_s for each in self._records.values() if each.due_s is not None]
        if now < self._patient_until and any(
            each.step == "turn" for each in self._records.values()
        ):
            due.append(self._patient_until)
        at_s = min(due, default=None)
        if at_s != self._timer:
            self._timer = at_s
            self._actions.append(SetTimer(at_s))


def _reason(record: _Record) -> str:
    return f"{record.cause} ({record.plan})" if record.plan else record.cause
