"""Which workers should run, what is seen of them, and so what to do: a pure machine.

A worker is *absent* until its heartbeat is seen, *starting* while it is asked for its state and
configured, *inactive* while it is activated, then *active*, or *degraded* if it works badly. It is
*failed* while it waits for its next try, *silent* while its heartbeat is missing, *quarantined*
after too many failures. Those that the unit is born with are brought up in the order given, those
added later at once; one that fails, is silent or never appears holds up no other.
Times are seconds of any steady clock.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from mtor_swarm.config import SupervisionConfig
from mtor_swarm.events import WorkerChanged
from mtor_swarm.realm.health import FAILING
from mtor_swarm.realm.record import Record, Step
from mtor_swarm.realm.restarts import Budget, delay_s
from mtor_swarm.realm.supervision_io import (
    Action,
    Activate,
    Ask,
    Configure,
    Fault,
    Flooded,
    Input,
    Kill,
    LivelinessLost,
    PerhapsUnheard,
    ProcessEnded,
    Report,
    RestartWanted,
    SetTimer,
    Start,
    State,
    StateKnown,
    Tick,
    TransitionDone,
    TransitionFailed,
    Worked,
    WorkerAdded,
    WorkerFailed,
    WorkerRemoved,
    WorkerSeen,
)

PATIENCE_S = 5.0
"""A worker that does not appear holds up those after it this long, and only at the beginning."""
ASK_S = 0.25
"""An unanswered question is asked again after this: its service may be found late."""
ASKS = 120
"""A worker that is alive but leaves so many questions unanswered has failed."""
KILL_S = 5.0
"""A process that was to end, and of whose end nothing is heard, is looked at again after this."""
USED_UP = "the realm's restarts are used up"


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
        self._budget = Budget(config)
        self._records = {name: Record(name, config, built_in=True) for name in workers}
        self._actions: list[Action] = []
        self._timer: float | None = None
        self._table: dict[type[Input], Callable[[Record, Any, float], None]] = {
            RestartWanted: self._wanted,
            WorkerSeen: self._seen,
            LivelinessLost: self._lost,
            StateKnown: self._known,
            TransitionDone: self._done,
            TransitionFailed: self._refused,
            PerhapsUnheard: self._doubted,
            WorkerFailed: self._said,
            ProcessEnded: self._ended,
            Worked: self._worked,
            Flooded: self._flooded,
        }

    def handle(self, event: Input, now: float) -> list[Action]:
        """What to do about it, in this order. Workers unknown here are no concern of ours."""
        self._actions = []
        if isinstance(event, Tick):
            self._timer = None  # it is spent; one that came a hair too early is set again
        elif isinstance(event, WorkerAdded):
            self._add(event.worker, now)
        elif isinstance(event, WorkerRemoved):
            self._remove(event.worker)
        elif event.worker in self._records:
            record = self._records[event.worker]
            self._table[event.__class__](record, event, now)
            self._look(record, now)
        for record in self._records.values():
            if record.due_s is not None and record.due_s <= now:
                self._expire(record, now)
            if record.look_s is not None and record.look_s <= now:
                self._look(record, now)
        self._take_turns(now)
        self._set_timer(now)
        return self._actions

    def states(self) -> dict[str, tuple[State, str]]:
        """Each worker's state, and why it is in it."""
        return {each.name: (each.shown[0], each.shown[2]) for each in self._records.values()}

    def health(self, worker: str, now: float) -> float:
        """The score of a worker's work: 1 if all of it is well, 0 at worst."""
        return self._records[worker].health.score(now)

    # Who is wanted.

    def _add(self, name: str, now: float) -> None:
        if name not in self._records:
            record = self._records[name] = Record(name, self._config, built_in=False)
            record.due_s = now + self._config.configure_timeout_s

    def _remove(self, name: str) -> None:
        record = self._records.pop(name, None)
        if record is not None:
            change = WorkerChanged(worker=name, state="removed", was=record.shown[0])
            self._actions.append(Report(change))

    def _wanted(self, record: Record, _: RestartWanted, now: float) -> None:
        record.failures.forget()
        self._wait(record, "failed", "", "a restart was asked for")
        if record.gone:
            self._start(record, now)
        else:
            self._kill(record, now)

    # What is seen and heard of a worker.

    def _seen(self, record: Record, event: WorkerSeen, now: float) -> None:
        record.alive, record.gone, record.killed = True, False, False
        record.counted(event.count, now + 2 * self._config.heartbeat_lease_s)
        if record.state in ("absent", "silent"):
            self._begin(record)
        elif record.state in ("starting", "inactive", "active") and record.step != "turn":
            self._ask(record, now)  # it may be a new process, which knows nothing of its past

    def _lost(self, record: Record, event: LivelinessLost, now: float) -> None:
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
            self._be_silent(record, f"no heartbeat for {lease_s:g} s", now)
        # A worker that loads or starts blocks its own heartbeat: the deadline watches over that.

    def _known(self, record: Record, event: StateKnown, now: float) -> None:
        if event.turn != record.turn:
            return
        if event.label not in _LABELS:
            self._fail(record, "load", f"is {event.label}, from where nothing can be done", now)
            return
        state, step = _LABELS[event.label]
        if record.state == "active" and state != "active":
            self._count(record, now)
            if record.failures.too_many:
                self._quarantine(record, "crash", "came back as a new process too often", now)
                return
        self._advance(record, state, step, now)

    def _done(self, record: Record, event: TransitionDone, now: float) -> None:
        if event.turn == record.turn and record.step == "configure":
            self._advance(record, "inactive", "activate", now)
        elif event.turn == record.turn and record.step == "activate":
            self._advance(record, "active", "", now)

    def _refused(self, record: Record, event: TransitionFailed, now: float) -> None:
        if event.turn == record.turn:
            self._fail(record, "load", event.reason, now)

    def _doubted(self, record: Record, event: PerhapsUnheard, now: float) -> None:
        if event.turn == record.turn and record.step in _REQUESTS:
            record.step = "ask"  # soon, whether it was heard
            record.due_s = now + ASK_S

    def _said(self, record: Record, event: WorkerFailed, now: float) -> None:
        if record.step in _REQUESTS or record.step == "ask":
            self._fail(record, "load", event.reason, now)
        elif record.state not in ("failed", "quarantined") or record.fault != "load":
            return
        elif record.cause != event.reason:
            record.cause = event.reason
            self._report(record, record.state)

    def _ended(self, record: Record, event: ProcessEnded, now: float) -> None:
        record.alive, record.gone = False, True
        known = record.killed or record.state == "silent" or not event.fault
        record.killed = False
        if event.fault == "config":
            self._quarantine(record, "config", event.reason, now)
        elif known and record.state != "quarantined":
            self._retry(record, record.fault, record.cause or event.reason, now)
        elif not known and record.state != "quarantined":
            self._fail(record, event.fault, event.reason, now)

    def _worked(self, record: Record, event: Worked, now: float) -> None:
        record.health.worked(event.ok, event.seconds, event.late, now, event.sort)
        failed = record.health.failed_in_a_row
        if record.state == "active" and failed >= FAILING:
            self._fail(record, "errors", f"its last {failed} asks all failed", now)
            self._kill(record, now)

    def _flooded(self, record: Record, event: Flooded, now: float) -> None:
        if record.state == "active":
            reason = f"floods the realm with {event.events_s:.0f} events a second"
            self._fail(record, "flood", reason, now)
            self._kill(record, now)

    def _look(self, record: Record, now: float) -> None:
        was = record.shown[0]
        if record.looked_at(now):
            self._report(record, was)

    def _expire(self, record: Record, now: float) -> None:
        if record.step == "ask" and record.asks < ASKS:
            self._ask(record, now, again=True)
        elif record.step == "ask":
            self._fail(record, "hang", f"is alive, but left {ASKS} questions unanswered", now)
            self._kill(record, now, hangs=True)
        elif record.state == "silent":
            self._kill(record, now, hangs=True)
        elif record.state == "absent":
            limit_s = self._config.configure_timeout_s
            self._fail(record, "load", f"did not appear within {limit_s:g} s", now)
            self._kill(record, now, hangs=True)
        elif not record.alive and record.state == "active":
            lease_s = self._config.heartbeat_lease_s
            self._fall_silent(record, f"no heartbeat for {2 * lease_s:g} s: blocked or dead", now)
        elif record.step and record.alive:
            limit_s = self._config.configure_timeout_s
            self._fail(record, "load", f"did not {record.step} within {limit_s:g} s", now)
        elif record.step:
            self._be_silent(record, "no heartbeat: its process is blocked or dead", now)
        else:
            self._try_again(record, now)

    # What is done about it.

    def _take_turns(self, now: float) -> None:
        for record in self._records.values():
            if record.step == "turn":
                self._ask(record, now)
            hoped_for = record.state == "absent" and now < self._patient_until
            if record.built_in and (hoped_for or record.state in _BRINGING_UP):
                return

    def _begin(self, record: Record) -> None:
        self._wait(record, "starting", "", "", step="turn")

    def _ask(self, record: Record, now: float, *, again: bool = False) -> None:
        if not again:
            record.asks = 0
            record.turn += 1
        record.step = "ask"
        record.asks += 1
        record.due_s = now + ASK_S
        self._actions.append(Ask(record.name, record.turn))

    def _advance(self, record: Record, state: State, step: Step, now: float) -> None:
        self._wait(record, state, "", "", step=step)
        if step:
            record.due_s = now + self._config.configure_timeout_s
            self._actions.append(_REQUESTS[step](record.name, record.turn))

    def _try_again(self, record: Record, now: float) -> None:
        if not self._budget.take(now, needed=record.built_in):
            again_s = self._budget.again_s
            plan = f"{USED_UP}; next try in {again_s - now:.1f} s"
            self._wait(record, record.state, record.fault, record.cause, plan=plan)
            record.due_s = again_s
            return
        if record.state == "quarantined":
            record.failures.forget()
        if record.gone:
            self._start(record, now)
        elif record.alive:
            self._begin(record)
        else:
            self._be_silent(record, "no heartbeat: its process is blocked or dead", now)

    def _start(self, record: Record, now: float) -> None:
        self._wait(record, "absent", "", "its process starts")
        record.gone = False
        record.due_s = now + self._config.configure_timeout_s
        self._actions.append(Start(record.name))

    def _kill(self, record: Record, now: float, *, hangs: bool = False) -> None:
        record.killed = True
        if record.state == "failed":  # its end may never be told: nobody's hand, or no process
            record.due_s = max(record.due_s or 0.0, now + KILL_S)
        elif record.state == "silent":
            record.due_s = None
        self._actions.append(Kill(record.name, hangs))

    def _fail(self, record: Record, fault: Fault, cause: str, now: float) -> None:
        self._count(record, now)
        self._retry(record, fault, cause, now)

    def _retry(self, record: Record, fault: Fault, cause: str, now: float) -> None:
        if record.failures.too_many:
            self._quarantine(record, fault, cause, now)
            return
        wait_s = delay_s(len(record.failures), self._config, self._rng)
        self._wait(record, "failed", fault, cause, plan=f"next try in {wait_s:.1f} s")
        record.due_s = now + wait_s

    def _fall_silent(self, record: Record, cause: str, now: float) -> None:
        self._count(record, now)
        if record.failures.too_many:
            self._quarantine(record, "hang", cause, now)
            self._kill(record, now, hangs=True)
        else:
            self._be_silent(record, cause, now)

    def _be_silent(self, record: Record, cause: str, now: float) -> None:
        """One lease more to come back by itself; then its process is ended, if it can be."""
        self._wait(record, "silent", "hang", cause)
        record.due_s = now + self._config.heartbeat_lease_s

    def _count(self, record: Record, now: float) -> None:
        record.failures.add(now)
        record.health.stumbled(now)

    def _quarantine(self, record: Record, fault: Fault, cause: str, now: float) -> None:
        """It failed too often, or in a way that only a person can mend."""
        failures, quarantine_s = len(record.failures), self._config.quarantine_s
        plan = f"next try in {quarantine_s:g} s"
        if record.failures.too_many:
            plan = f"{failures} failures in {self._config.window_s:g} s; {plan}"
        self._wait(record, "quarantined", fault, cause, plan=plan)
        record.due_s = now + quarantine_s

    def _wait(
        self,
        record: Record,
        state: State,
        fault: Fault,
        cause: str,
        *,
        plan: str = "",
        step: Step = "",
    ) -> None:
        """Into `state`: what was asked before no longer counts."""
        was = record.shown
        record.turn += 1
        record.due_s = None
        record.state, record.step = state, step
        record.fault, record.cause, record.plan = fault, cause, plan
        if state != "active":
            record.ill = ("", "")
        if record.shown != was:
            self._report(record, was[0])

    def _report(self, record: Record, was: State) -> None:
        state, fault, reason = record.shown
        change = WorkerChanged(
            worker=record.name, state=state, was=was, reason=reason, fault=fault
        )
        self._actions.append(Report(change))

    def _set_timer(self, now: float) -> None:
        records = self._records.values()
        due = [at for each in records for at in (each.due_s, each.look_s) if at is not None]
        if now < self._patient_until and any(each.step == "turn" for each in records):
            due.append(self._patient_until)
        at_s = min(due, default=None)
        if at_s != self._timer:
            self._timer = at_s
            self._actions.append(SetTimer(at_s))
