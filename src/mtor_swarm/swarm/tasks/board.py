"""The board: all that one member knows of tasks, and what follows from it for each of them.

Nothing is written about what follows: whoever has the same facts comes to the same. So there is no
state of a task that two members could hold different versions of.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Literal, NamedTuple, TypeVar

import msgspec

from mtor_swarm.swarm.tasks import task as t
from mtor_swarm.swarm.tasks.task import Cancelled, Report, Row, Task

MAX_TASKS = 1024
MAX_UNITS = 1024
MAX_REPORTS = 4096
MAX_FAILURES = 3
"""A task that so many units have failed at is not tried again."""
RETURN_S = 3.0
"""Bids from before a unit's death count for nothing for so long after its return: it may have
been started anew, and says so as soon as it hears anybody."""

State = Literal["waiting", "open", "awarded", "begun", "done", "cancelled", "failed", "late"]
OVER = frozenset({"done", "cancelled", "failed", "late"})
F = TypeVar("F", Task, Cancelled, Row, Report)


class Rank(NamedTuple):
    """Of the bids for a task the greatest hold: those who have begun, the higher, the name."""

    begun: bool
    bid: float
    unit: str


class Standing(msgspec.Struct, frozen=True):
    """How a task stands: its turn (of one that recurs), who has it, why it waits or ended.

    `ranks` are all bids of live units for it, the greatest first; `units` those that hold, or who
    did it, `failed` those that tried in vain. `share` is how far
    it is (0 to 1), `reason` of one that is done its result. `due_s` is when it may begin.
    """

    task: Task
    state: State
    turn: int = 0
    units: tuple[str, ...] = ()
    reason: str = ""
    due_s: float = 0.0
    ranks: tuple[Rank, ...] = ()
    failed: tuple[str, ...] = ()
    share: float = 0.0

    def suits(self, unit: str, row: Row) -> bool:
        """Whether that unit, with that row, can do it as far as is known."""
        return (
            row.able
            and unit not in self.failed
            and all(each in row.skills for each in self.task.needs)
        )

    @property
    def is_for_bids(self) -> bool:
        """Whether units bid for it."""
        return self.state in ("open", "awarded", "begun")


class _Away(msgspec.Struct):
    """A unit that was dead: the number of its row then, and until when that counts for nothing."""

    number: int
    until_s: float = math.inf


class Board:
    """One member's copy of the facts. `dropped` counts what was junk or found no room."""

    def __init__(self) -> None:
        self.tasks: dict[str, Task] = {}
        self.cancels: dict[str, Cancelled] = {}
        self.rows: dict[str, Row] = {}
        self.reports: dict[str, dict[str, Report]] = {}
        self.alive: set[str] = set()
        self.dropped: Counter[str] = Counter()
        self._away: dict[str, _Away] = {}
        self._order: tuple[list[Task], dict[str, str]] | None = None
        self._count = 0

    # --- what it is told

    def put(self, key: str, raw: bytes | None) -> None:
        """Take in the newest fact under a key; None: there is none any more."""
        kind, _, name = key.partition("/")
        if raw is None:
            self._remove(kind, name)
            return
        try:
            fact = t.decode(key, raw)
        except ValueError:
            self.dropped["junk"] += 1
            return
        if isinstance(fact, Task):
            self._keep(self.tasks, name, fact, MAX_TASKS)
            self._order = None
        elif isinstance(fact, Cancelled):
            self._keep(self.cancels, name, fact, MAX_TASKS)
        elif isinstance(fact, Row):
            self._keep(self.rows, name, fact, MAX_UNITS)
        else:
            task, _, unit = name.partition("/")
            held = self.reports.setdefault(task, {})
            before = len(held)
            self._keep(held, unit, fact, before + MAX_REPORTS - self._count)
            self._count += len(held) - before

    def _keep(self, facts: dict[str, F], name: str, fact: F, most: int) -> None:
        if name in facts or len(facts) < most:
            facts[name] = fact
        else:
            self.dropped["no room"] += 1

    def _remove(self, kind: str, name: str) -> None:
        if kind == "task":
            self.tasks.pop(name, None)
            self._order = None
        elif kind == "cancel":
            self.cancels.pop(name, None)
        elif kind == "row":
            self.rows.pop(name, None)
            self._away.pop(name, None)
        else:
            task, _, unit = name.partition("/")
            held = self.reports.get(task, {})
            self._count -= held.pop(unit, None) is not None
            if not held:
                self.reports.pop(task, None)

    def judge(self, unit: str, alive: bool, now: float) -> None:
        """Take in whether a unit is alive: the bids of one that is not are void at once."""
        if not alive:
            self.alive.discard(unit)
            if unit in self.rows:
                self._away[unit] = _Away(self.rows[unit].number)
        elif unit not in self.alive and len(self.alive) < MAX_UNITS:
            self.alive.add(unit)
            if unit in self._away:
                self._away[unit].until_s = now + RETURN_S

    # --- what follows from it

    def counting(self, now: float) -> dict[str, Row]:
        """The rows that count: of live units, and not from before their death."""
        rows = {}
        for unit in self.alive & self.rows.keys():
            row, away = self.rows[unit], self._away.get(unit)
            if away and row.number <= away.number and now < away.until_s:
                continue
            self._away.pop(unit, None)
            rows[unit] = row
        return rows

    def next_return_s(self, now: float) -> float:
        """When old bids of a unit that came back will count again; inf: none wait for that."""
        return min((a.until_s for a in self._away.values() if a.until_s > now), default=math.inf)

    def standings(self, now: float) -> dict[str, Standing]:
        """How each task stands."""
        rows = self.counting(now)
        bids: dict[tuple[str, int], list[Rank]] = {}
        for unit, row in rows.items():
            for bid in row.bids:
                ranks = bids.setdefault((bid.task, bid.turn), [])
                ranks.append(Rank(bid.begun, bid.bid, unit))
        if self._order is None:
            self._order = t.ordered(self.tasks.values(), ())
        found: dict[str, Standing] = {}
        for task in self._order[0]:
            found[task.id] = self._standing(task, found, rows, bids, now)
        for name, why in self._order[1].items():
            circle: State = "cancelled" if "circle" in why else "waiting"
            found[name] = Standing(self.tasks[name], circle, reason=why)
        return found

    def turn(self, task: Task) -> int:
        """Which turn of it is next or on: 0, or of one that recurs how often it was done."""
        reports = self.reports.get(task.id, {}).values()
        if not task.every_s:
            return 0
        return max((each.turn + (each.state == "done") for each in reports), default=0)

    def _standing(
        self,
        task: Task,
        found: dict[str, Standing],
        rows: dict[str, Row],
        bids: dict[tuple[str, int], list[Rank]],
        now: float,
    ) -> Standing:
        turn, reports = self.turn(task), self.reports.get(task.id, {})
        done = sorted((r.at_s, unit) for unit, r in reports.items() if r.state == "done")
        if done and not task.every_s:
            units = tuple(unit for _, unit in done)
            return Standing(task, "done", turn, units, reports[units[0]].result, share=1.0)
        if task.id in self.cancels:
            cancel = self.cancels[task.id]
            return Standing(task, "cancelled", turn, reason=f"by {cancel.by}: {cancel.reason}")
        for name in task.after:
            before = found[name]
            if before.state in OVER and before.state != "done":
                why = f"it waits for {name}, which is {before.state}"
                return Standing(task, "cancelled", turn, reason=why)
            if before.state != "done" and not before.turn:
                return Standing(task, "waiting", turn, reason=f"for {name}")
        failed = tuple(u for u, r in reports.items() if r.state == "failed" and r.turn == turn)
        if len(failed) >= MAX_FAILURES:
            return Standing(task, "failed", turn, failed, reports[failed[0]].result)
        due_s = done[-1][0] + task.every_s if done else 0.0
        if now < due_s:
            return Standing(task, "waiting", turn, reason="for its next turn", due_s=due_s)
        ranks = tuple(sorted(bids.get((task.id, turn), ()), reverse=True))
        held = ranks[: task.units]
        if not (held and held[0].begun) and task.until_s and now > task.until_s:
            return Standing(task, "late", turn, reason="nobody had begun it in time")
        state: State = "awarded" if len(held) == task.units else "open"
        if held and held[0].begun:
            state = "begun"
        units = tuple(each.unit for each in held)
        share = max((reports[each].share for each in units if each in reports), default=0.0)
        bidding = Standing(task, state, turn, units, "", due_s, ranks, failed, share)
        able = 0
        for unit, row in rows.items():
            able += bidding.suits(unit, row)
            if able >= task.units:
                return bidding
        why = f"{able} of {task.units} units here can do it"
        return msgspec.structs.replace(bidding, reason=why)
