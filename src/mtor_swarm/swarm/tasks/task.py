"""A task and what members write about it: who bids, how far it is, that it is cancelled.

All are facts under keys, in a table that every member has a copy of and in which the newest of
each key holds. A member writes only what is its own to say, so that no two write to one key:

| key | value | written by |
|---|---|---|
| `task/ID` | Task | who announces it, once |
| `cancel/ID` | Cancelled | anyone |
| `row/UNIT` | Row: what the unit bids for | the unit |
| `work/ID/UNIT` | Report: how far the unit is | the unit |

Times are Unix seconds of the writer's clock; places are in metres in the shared frame `map`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from mtor_swarm.events import is_finite

MAX_BYTES = 1024
"""Of one fact as JSON."""
MAX_BUNDLE = 8
"""Tasks that one unit bids for at a time."""
FARTHEST_M = 100_000.0
KINDS = ("goto", "patrol", "search", "inspect", "deliver", "escort", "hold")

Kind = Literal["goto", "patrol", "search", "inspect", "deliver", "escort", "hold"]
TaskId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.-]{1,32}$")]
Skill = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.-]{1,24}$")]
Name = Annotated[str, Meta(min_length=1, max_length=64)]
Stage = Literal["begun", "done", "failed", "stopped"]
Share = Annotated[float, Meta(ge=0, le=1)]


class _Fact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A plain, immutable value."""


class Task(_Fact, frozen=True, kw_only=True):
    """A piece of work. It begins at the first of `places` and ends at the last; none: anywhere.

    `reward` is what it is worth when done at once, and so its priority; `dwell_s` the time it
    takes besides driving. Whoever does it has all of the skills `needs`; `units` do it together.
    It waits until those in `after` are done, is of no use once it is later than `until_s` (0: it
    always is), and comes again `every_s` after it was done (0: never).
    """

    id: TaskId
    kind: Kind = "goto"
    places: Annotated[list[tuple[float, float]], Meta(max_length=16)] = []
    dwell_s: Annotated[float, Meta(ge=0, le=86_400)] = 0.0
    reward: Annotated[float, Meta(gt=0, le=1000)] = 1.0
    needs: Annotated[list[Skill], Meta(max_length=8)] = []
    units: Annotated[int, Meta(ge=1, le=64)] = 1
    after: Annotated[list[TaskId], Meta(max_length=8)] = []
    until_s: Annotated[float, Meta(ge=0)] = 0.0
    every_s: Annotated[float, Meta(ge=0)] = 0.0
    announced_s: float = 0.0
    by: Annotated[str, Meta(max_length=64)] = ""
    args: dict[str, Any] = {}


class Cancelled(_Fact, frozen=True, kw_only=True):
    """That nobody is to do the task any more."""

    by: Annotated[str, Meta(max_length=64)] = ""
    reason: Annotated[str, Meta(max_length=200)] = ""


class Bid(msgspec.Struct, frozen=True, array_like=True):
    """What a unit expects to add to the swarm's score by a task (`turn`: of one that recurs)."""

    task: TaskId
    turn: int
    bid: float
    begun: bool = False


class Row(_Fact, frozen=True, kw_only=True):
    """One unit's word on what it bids for. `number` grows, from one life to the next as well."""

    number: int
    bids: Annotated[list[Bid], Meta(max_length=MAX_BUNDLE)] = []
    skills: Annotated[list[Skill], Meta(max_length=12)] = []
    able: bool = True


class Report(_Fact, frozen=True, kw_only=True):
    """How far one unit is with a task's `turn`."""

    turn: int = 0
    state: Stage = "begun"
    share: Share = 0.0
    at_s: float = 0.0
    result: Annotated[str, Meta(max_length=400)] = ""


Fact = Task | Cancelled | Row | Report
_KINDS: dict[str, type[Fact]] = {
    "task": Task,
    "cancel": Cancelled,
    "row": Row,
    "work": Report,
}


def task_key(task: str) -> str:
    """Where a task stands."""
    return f"task/{task}"


def cancel_key(task: str) -> str:
    """Where it stands that a task is cancelled."""
    return f"cancel/{task}"


def row_key(unit: str) -> str:
    """Where a unit's bids stand."""
    return f"row/{unit}"


def work_key(task: str, unit: str) -> str:
    """Where it stands how far a unit is with a task."""
    return f"work/{task}/{unit}"


def decode(key: str, raw: bytes) -> Fact:
    """The fact under a key; ValueError says what is wrong with it."""
    kind, _, rest = key.partition("/")
    if kind not in _KINDS or not rest or (kind == "work") != ("/" in rest):
        raise ValueError(f"{key!r} is no key of a task")
    if len(raw) > MAX_BYTES:
        raise ValueError(f"{key}: {len(raw)} bytes, {MAX_BYTES} at most")
    try:
        fact = msgspec.json.decode(raw, type=_KINDS[kind])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{key}: {error}") from None
    if isinstance(fact, Task):
        if fact.id != rest:
            raise ValueError(f"{key}: it says that it is {fact.id}")
        wrong = fault(fact)
        if wrong:
            raise ValueError(wrong)
    return fact


def encode(fact: Fact) -> bytes:
    """The fact as JSON."""
    return msgspec.json.encode(fact)


def fault(task: Task) -> str:
    """What is wrong with a task that somebody made, in words for who did; empty if nothing is."""
    name = f"task {task.id}"
    for x_m, y_m in task.places:
        if not is_finite(x_m, y_m) or max(abs(x_m), abs(y_m)) > FARTHEST_M:
            return f"{name}: ({x_m:g}, {y_m:g}) is nowhere: say metres in the frame map"
    if not is_finite(task.dwell_s, task.reward, task.until_s, task.every_s, task.announced_s):
        return f"{name}: dwell_s, reward, until_s and every_s must be finite numbers"
    if task.id in task.after:
        return f"{name} would have to wait for itself: take it out of after"
    try:
        checked = encode(task)
        msgspec.json.decode(checked, type=Task)
    except msgspec.ValidationError as error:
        return f"{name}: {error}"
    except (TypeError, ValueError, RecursionError, OverflowError) as error:
        return f"{name}: args are not JSON: {error}"
    if len(checked) > MAX_BYTES:
        return f"{name}: {len(checked)} bytes of JSON, {MAX_BYTES} at most: put less into args"
    return ""


def ordered(tasks: Iterable[Task], known: Collection[str]) -> tuple[list[Task], dict[str, str]]:
    """The tasks with each behind those that it waits for, and why others cannot begin.

    `known` are tasks beside these (Kahn: "Topological sorting of large networks", 1962).
    """
    left = {each.id: each for each in tasks}
    behind: dict[str, list[str]] = {}
    lacks: dict[str, int] = {}
    for each in left.values():
        needed = {a for a in each.after if a not in known}
        lacks[each.id] = len(needed)
        for a in needed:
            behind.setdefault(a, []).append(each.id)
    ready = [name for name, count in lacks.items() if not count]
    for name in ready:  # it grows while it is gone through
        for one in behind.get(name, []):
            lacks[one] -= 1
            if not lacks[one]:
                ready.append(one)
    placed = [left.pop(name) for name in ready]
    there = {*known, *ready}
    return placed, {name: _why(name, left, there) for name in left}


def _why(start: str, left: dict[str, Task], there: Collection[str]) -> str:
    """Follow what each waits for, to a task that nobody knows or round a circle."""
    way: dict[str, None] = {start: None}
    name = start
    while True:
        task = left[name]
        strange = [each for each in task.after if each not in left and each not in there]
        if strange:
            return f"task {start} waits for {strange[0]}, which nobody has announced"
        name = next(each for each in task.after if each in left)
        if name in way:
            names = list(way)
            circle = " → ".join([*names[names.index(name) :], name])
            return f"task {start} can never begin: {circle} is a circle"
        way[name] = None
