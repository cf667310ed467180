"""The machine of one unit that agrees with the others who does which task, without a leader.

It is told of facts (`task.py`) and of who is alive, and writes facts of its own; whatever carries
them need only bring the newest of each key to all, sooner or later: the shared states of gossip
do, and in simulations `flood.py`. What comes in at once is answered once, `SETTLE_S` later, so
that ten thousand facts cost little more than ten.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec

from mtor_swarm import task_events as events
from mtor_swarm.swarm.tasks import task as t
from mtor_swarm.swarm.tasks.allocator_io import (
    Announce,
    Begin,
    Cancel,
    Effect,
    Ended,
    Heard,
    Input,
    Judged,
    Own,
    Progressed,
    Refused,
    Say,
    Stop,
    Wake,
    Woke,
    Write,
)
from mtor_swarm.swarm.tasks.board import MAX_TASKS, OVER, Board, Standing
from mtor_swarm.swarm.tasks.bundle import Bundle
from mtor_swarm.swarm.tasks.task import MAX_BUNDLE, Cancelled, Fact, Report, Row, Task

SETTLE_S = 0.02
AGREE_S = 0.5
"""A unit begins what it has been first at for so long, so that nobody sets out on a guess."""
PROGRESS_S = 1.0
"""Least time between two reports of progress."""
KEEP_S = 600.0
"""A task that is over is remembered for so long, or until there are too many."""
MAX_OPEN = MAX_TASKS // 2
"""Tasks that are not over; no more are announced here. What others announce has twice the room."""


class Allocator:
    """One unit's part in sharing out tasks. Times are Unix seconds; `bidder` False: only looks on.

    `standings` is how each task stood when it was last thought about.
    """

    def __init__(self, unit: str, *, bundle: int = MAX_BUNDLE, bidder: bool = True) -> None:
        self.unit = unit
        self.board = Board()
        self.standings: dict[str, Standing] = {}
        self._bundle = Bundle(unit, bundle)
        self._bidder = bidder
        self._own: Own | None = None
        self._number = 0
        self._row: bytes | None = None
        self._out: list[Effect] = []
        self._wake_s = math.inf
        self._since: dict[str, tuple[tuple[str, ...], float]] = {}
        self._awarded: dict[str, set[str]] = {}
        self._known: set[tuple[str, int]] = set()
        self._over: dict[str, float] = {}
        self._told: dict[str, int] = {}
        self._reported_s = -math.inf
        self._reassert = True
        self._stirred = False

    @property
    def doing(self) -> str:
        """The task that this unit has begun; empty: none."""
        begun = self._bundle.begun
        return begun.task if begun else ""

    @property
    def way(self) -> list[str]:
        """The tasks that this unit means to do, in order."""
        return list(self._bundle.way)

    def handle(self, given: Input, now: float) -> list[Effect]:
        """Take in one input; what is to be done about it."""
        self._stirred = not isinstance(given, (Own, Progressed, Woke))
        match given:
            case Heard(key, raw):
                self._heard(key, raw)
            case Judged(unit, alive):
                self._judged(unit, alive, now)
            case Own():
                self._is(given, now)
            case Announce(tasks):
                self._announce(tasks, now)
            case Cancel():
                self._cancel(given)
            case Progressed(task, share):
                self._progressed(task, share, now)
            case Ended():
                self._ended(given, now)
            case _:  # Woke
                self._wake_s = math.inf
                self._decide(now)
        if self._stirred:
            self._wake(now + SETTLE_S)
        out, self._out = self._out, []
        return out

    def _wake(self, at_s: float) -> None:
        if at_s < self._wake_s:
            self._wake_s = at_s
            self._out.append(Wake(at_s))

    def _write(self, key: str, fact: Fact | None) -> None:
        raw = t.encode(fact) if fact is not None else None
        self.board.put(key, raw)
        self._out.append(Write(key, raw))

    # --- what comes in

    def _is(self, own: Own, now: float) -> None:
        """A new pose alone is no reason to think: bids stay as they were made."""
        was, self._own = self._own, own
        if was is None or (was.able, was.skills) != (own.able, own.skills):
            self.board.judge(self.unit, self._bidder, now)
            self._stirred = self._reassert = True

    def _heard(self, key: str, raw: bytes | None) -> None:
        if key == t.row_key(self.unit):  # our own word, of an earlier life or come back to us
            self._reassert |= raw != self._row
            return
        kind, _, name = key.partition("/")
        task, _, unit = name.partition("/")
        said = kind == "work" and unit == self.unit and unit in self.board.reports.get(task, ())
        if not said:  # else we have said it ourselves, and maybe more since
            self.board.put(key, raw)

    def _judged(self, unit: str, alive: bool, now: float) -> None:
        if unit == self.unit or (unit in self.board.alive) == alive:
            return
        self.board.judge(unit, alive, now)
        self._known.clear()  # all is thought over anew: there is one more, or one less
        self._reassert |= alive  # it may have held us for dead

    def _announce(self, tasks: tuple[Task, ...], now: float) -> None:
        is_open = sum(
            name not in self.standings or self.standings[name].state not in OVER
            for name in self.board.tasks
        )
        room = max(0, MAX_OPEN - is_open)
        for each in tasks[room:]:
            why = f"task {each.id}: {MAX_OPEN} tasks are open, which is all: wait or cancel some"
            self._out.append(Refused(each.id, why))
        good: list[Task] = []
        for each in tasks[:room]:
            why = t.fault(each)
            if each.id in self.board.tasks or any(each.id == one.id for one in good):
                why = f"task {each.id} is announced already: give another id"
            if why:
                self._out.append(Refused(each.id, why))
            else:
                good.append(each)
        placed, wrong = t.ordered(good, self.board.tasks)
        self._out += [Refused(name, why) for name, why in wrong.items()]
        for each in placed:
            made = msgspec.structs.replace(each, announced_s=now, by=each.by or self.unit)
            self._write(t.task_key(made.id), made)
            self._say(
                events.TaskAnnounced(
                    task=made.id, kind=made.kind, by=made.by, places=made.places, units=made.units
                )
            )

    def _cancel(self, given: Cancel) -> None:
        standing = self.standings.get(given.task)
        if given.task not in self.board.tasks:
            self._out.append(Refused(given.task, f"no task {given.task} is known here"))
        elif standing and standing.state in OVER:
            self._out.append(Refused(given.task, f"task {given.task} is {standing.state}"))
        else:
            by = given.by or self.unit
            self._write(t.cancel_key(given.task), Cancelled(by=by, reason=given.reason))
            self._say(events.TaskCancelled(task=given.task, by=by, reason=given.reason))

    def _progressed(self, task: str, share: float, now: float) -> None:
        if task == self.doing and now >= self._reported_s + PROGRESS_S and 0 <= share <= 1:
            self._report(task, "begun", now, share=share)
            self._say(events.TaskProgressed(task=task, share=share))

    def _ended(self, given: Ended, now: float) -> None:
        if given.task == self.doing:
            state: t.Stage = "done" if given.ok else "failed"
            self._report(given.task, state, now, float(given.ok), given.result)
            self._say(events.TaskDone(task=given.task, ok=given.ok, result=given.result))
            self._bundle.drop(given.task)

    def _report(
        self, task: str, state: t.Stage, now: float, share: float = 0.0, result: str = ""
    ) -> None:
        self._reported_s = now
        turn = self.board.turn(self.board.tasks[task]) if task in self.board.tasks else 0
        report = Report(turn=turn, state=state, share=share, at_s=now, result=result[:400])
        self._write(t.work_key(task, self.unit), report)

    def _say(self, data: msgspec.Struct) -> None:
        self._out.append(Say(data))

    # --- what follows

    def _decide(self, now: float) -> None:
        """Think over which tasks are ours, tell the others, begin or leave."""
        before, self.standings = self.standings, self.board.standings(now)
        if self._own is not None and self._bidder:
            self._bid(self._own, now)
            self._begin(self._own, now)
        self._notice(before, now)
        self._sweep(now)
        self._wake(self._next_s(now))

    def _bid(self, own: Own, now: float) -> None:
        """Leave what is lost, take in what we would get, and write our row if it changed."""
        old, begun = list(self._bundle.bids), self._bundle.begun
        row = Row(number=self._number, bids=old, skills=list(own.skills), able=own.able)
        rows = {**self.board.counting(now), self.unit: row}
        fresh = {(n, s.turn) for n, s in self.standings.items() if s.is_for_bids}
        if fresh - self._known:
            self._bundle.clear()
        self._known = fresh
        if own.able:
            self._bundle.release(self.standings, rows)
            self._bundle.build(self.standings, rows, own.mover, now)
        else:
            self._bundle = Bundle(self.unit, self._bundle.most)
        if begun and self._bundle.begun is None:
            self._leave(begun.task, now)
        bids = self._bundle.bids
        if bids != old or self._reassert:
            self._reassert = False
            self._number = max(self._number + 1, int(now * 1000))
            self._write_row(own)
            for each in bids:
                if each not in old:
                    self._say(events.TaskBid(task=each.task, bid=each.bid))
            self.standings = self.board.standings(now)

    def _write_row(self, own: Own) -> None:
        bids, skills = self._bundle.bids, list(own.skills)
        row = Row(number=self._number, bids=bids, skills=skills, able=own.able)
        self._row = t.encode(row)
        self._write(t.row_key(self.unit), row)

    def _leave(self, task: str, now: float) -> None:
        standing = self.standings.get(task)
        if standing is None:
            reason = "it is forgotten"
        elif standing.state in OVER:
            reason = f"it is {standing.state}" + (
                f": {standing.reason}" if standing.reason else ""
            )
        elif self._own is not None and not self._own.able:
            reason = "this unit takes no tasks now"
        else:
            reason = f"{', '.join(standing.units)} will do it"
        self._out.append(Stop(task, reason))
        self._duplicated(task)
        self._report(task, "stopped", now, result=reason)

    def _begin(self, own: Own, now: float) -> None:
        """Begin the first task on our way that all have agreed on for long enough."""
        mine = {}
        for name in self._bundle.way:
            standing = self.standings[name]
            if standing.state in ("awarded", "begun") and self.unit in standing.units:
                since = self._since.get(name, ((), now))
                same = set(since[0]) == set(standing.units)
                mine[name] = since if same else (standing.units, now)
        self._since = mine
        agreed = [name for name, (_, since_s) in mine.items() if now >= since_s + AGREE_S]
        self._tell_awards(agreed)
        if self._bundle.begun is None and agreed:
            name = agreed[0]
            self._bundle.begin(name)
            self._number += 1
            self._write_row(own)
            self._report(name, "begun", now)
            self._out.append(Begin(self.standings[name].task, mine[name][0]))
            self.standings = self.board.standings(now)

    def _tell_awards(self, agreed: list[str]) -> None:
        """Of the units that have a task the first by name says so."""
        told = {name: self._awarded[name] for name in agreed if name in self._awarded}
        for name in agreed:
            units = self._since[name][0]
            whole = len(units) == self.standings[name].task.units
            if whole and self.unit == min(units) and told.get(name) != set(units):
                told[name] = set(units)
                self._say(events.TaskAwarded(task=name, units=sorted(units)))
        self._awarded = told

    def _duplicated(self, task: str) -> None:
        """Say it if more units than asked for do, or did, a task that we have begun."""
        reports = self.board.reports.get(task, {})
        mine = reports.get(self.unit)
        if mine is None or task not in self.board.tasks or self._told.get(task) == mine.turn:
            return
        units = [
            unit
            for unit, each in reports.items()
            if each.turn == mine.turn and (each.state == "done" or self._is_at(unit, task))
        ]
        if len(units) > self.board.tasks[task].units:
            self._told[task] = mine.turn
            self._say(events.TaskDuplicated(task=task, units=sorted(units)))

    def _is_at(self, unit: str, task: str) -> bool:
        """Whether a unit that lives says that it is doing the task."""
        row = self.board.rows.get(unit) if unit in self.board.alive else None
        return row is not None and any(each.begun and each.task == task for each in row.bids)

    def _notice(self, before: Mapping[str, Standing], now: float) -> None:
        """Say what came to an end, and what was done twice."""
        speaks = self._speaks(now)
        for name, each in self.standings.items():
            if each.state not in OVER:
                continue
            self._over.setdefault(name, now)
            was_open = name in before and before[name].state not in OVER
            if speaks and was_open and each.state != "done" and name not in self.board.cancels:
                reason = f"{each.state}: {each.reason}" if each.reason else each.state
                self._say(events.TaskCancelled(task=name, by=self.unit, reason=reason))
        for name, reports in self.board.reports.items():
            mine = reports.get(self.unit)
            if mine and mine.state == "done":
                first = min((r.at_s, u) for u, r in reports.items() if r.state == "done")
                if first[1] != self.unit:
                    self._duplicated(name)

    def _speaks(self, now: float) -> bool:
        """Whether it is for this unit to say what all know: one speaks for those it hears."""
        return min(self.board.counting(now), default="") == self.unit

    def _sweep(self, now: float) -> None:
        """Forget what is over for long, or at once where there is little room."""
        for name in [each for each in self._over if each not in self.standings]:
            del self._over[name]
            self._told.pop(name, None)
        if not self._speaks(now):
            return
        full = len(self.board.tasks) > MAX_TASKS * 3 // 4
        needed = {a for s in self.standings.values() if s.state not in OVER for a in s.task.after}
        for name, since_s in self._over.items():
            if name not in needed and (full or now >= since_s + KEEP_S):
                self._write(t.task_key(name), None)
                if name in self.board.cancels:
                    self._write(t.cancel_key(name), None)
                for unit in list(self.board.reports.get(name, ())):
                    self._write(t.work_key(name, unit), None)

    def _next_s(self, now: float) -> float:
        """When to think again though nothing comes in."""
        times = [self.board.next_return_s(now)]
        times += [since_s + AGREE_S for _, since_s in self._since.values()]
        times += [each + KEEP_S for each in self._over.values()]
        for each in self.standings.values():
            if each.state not in OVER:
                times += [each.due_s, each.task.until_s + 1e-3]
        return min((each for each in times if each > now), default=math.inf)
