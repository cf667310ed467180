"""Who is served next: by urgency, then in turn between callers, then by deadline.

One queue a capability. The owner's own asks come before those of peers (`Ask.hops`), urgent ones
before others (`Ask.priority`); within one such level each caller that waits is served once a
round, whoever asks most; of one caller's asks the one with the earliest deadline goes first
(earliest deadline first: Liu and Layland, JACM 20 (1), 1973).
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass, field

from mtor_swarm.realm.alarms import Alarm
from mtor_swarm.realm.ask_wire import Ask, Status, Step

PRIORITIES = 4
LEVELS = 2 * PRIORITIES


@dataclass(slots=True, eq=False)
class Pending:
    """One ask, from its arrival until its final answer; times as the machine is told them."""

    ask: Ask
    number: int
    asked_s: float
    deadline_s: float
    status: Status = field(init=False)
    alarm: Alarm | None = None
    waiting: bool = False
    turn: int = 0
    """Of its last try, which runs unless it waits."""
    next_part: int = 0
    tries: int = 0
    failed: set[str] = field(default_factory=set)
    """Workers that tried and could not."""
    may_borrow: bool = True
    reason: str = ""
    """Why its last try failed."""
    steps: list[Step] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.status = Status(askid=self.ask.askid, state="queued")

    @property
    def level(self) -> int:
        """How urgent, 0 the most."""
        return self.ask.priority + PRIORITIES * self.ask.hops

    @property
    def key(self) -> tuple[float, int]:
        """Its order among its caller's."""
        return (self.deadline_s, self.number)


class AskQueue:
    """The asks that wait for one capability."""

    def __init__(self) -> None:
        self._levels: list[dict[str, list[tuple[float, int, Pending]]]] = [
            {} for _ in range(LEVELS)
        ]
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Pending]:
        """All that wait, in the order in which they would be served."""
        for level in self._levels:
            rounds = max(map(len, level.values()), default=0)
            for turn in range(rounds):
                for theirs in level.values():
                    if turn < len(theirs):
                        yield theirs[turn][2]

    def add(self, pending: Pending) -> None:
        """One more; a caller that had none waiting comes last in this round."""
        theirs = self._levels[pending.level].setdefault(pending.ask.caller, [])
        insort(theirs, (*pending.key, pending))
        self._count += 1

    def remove(self, pending: Pending, *, served: bool = False) -> None:
        """It no longer waits; if `served`, its caller had its turn."""
        level, caller = self._levels[pending.level], pending.ask.caller
        theirs = level[caller]
        del theirs[bisect_left(theirs, pending.key)]
        self._count -= 1
        if served or not theirs:
            del level[caller]
        if served and theirs:
            level[caller] = theirs

    def last(self) -> Pending:
        """The one to do without: of the least urgent level, the latest deadline."""
        level = next(each for each in reversed(self._levels) if each)
        return max((theirs[-1][2] for theirs in level.values()), key=lambda each: each.key)

    def place(self, pending: Pending) -> int:
        """How many are served until it is, itself included, if none comes or goes."""
        before = sum(
            len(each) for level in self._levels[: pending.level] for each in level.values()
        )
        level, caller = self._levels[pending.level], pending.ask.caller
        index = bisect_left(level[caller], pending.key)
        ahead = True
        for name, theirs in level.items():
            ahead = ahead and name != caller
            before += min(len(theirs), index + ahead) if name != caller else index
        return before + 1
