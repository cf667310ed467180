"""What the machine of asks is told, and what it wants done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from mtor_swarm.config import WorkerConfig
from mtor_swarm.realm.alarms import Alarms
from mtor_swarm.realm.ask_wire import Answer, Ask, Cancel, Offer, Part, Status

Outcome = Literal["answered", "failed", "late", "stuck"]


# What comes in, besides Ask and Cancel from callers, Part and Answer from workers and lenders,
# Status from lenders, and Offer from workers.


@dataclass(frozen=True)
class WorkerActive:
    """It can be given asks from now on."""

    worker: str


@dataclass(frozen=True)
class WorkerDraining:
    """It is given no more, and ends what it has: `Drained` follows."""

    worker: str


@dataclass(frozen=True)
class WorkerGone:
    """It died, hangs or was stopped: what it had goes to others. `forget`: it will not be back."""

    worker: str
    reason: str
    forget: bool = False


@dataclass(frozen=True)
class Unlent:
    """No peer takes it. `full`: some would, but have no room just now."""

    askid: str
    turn: int
    full: bool = False


@dataclass(frozen=True)
class Staff:
    """These are the configured workers, by name: who may have replicas, or sleep."""

    workers: Mapping[str, WorkerConfig]


@dataclass(frozen=True)
class NotComing:
    """What `Scale` wanted of this worker cannot be."""

    worker: str


@dataclass(frozen=True)
class Tick:
    """The time that `SetTimer` named has come."""


Input = (
    Ask
    | Cancel
    | Part
    | Answer
    | Status
    | Offer
    | WorkerActive
    | WorkerDraining
    | WorkerGone
    | Unlent
    | Staff
    | NotComing
    | Tick
)


# What goes out.


@dataclass(frozen=True)
class ToWorker:
    """Send this to that worker."""

    worker: str
    said: Ask | Cancel


@dataclass(frozen=True)
class ToCaller:
    """Send this to whoever asked."""

    said: Status | Part | Answer


@dataclass(frozen=True)
class Borrow:
    """Ask a peer; `Unlent` if none will, else Status, Part and Answer with the ask's turn."""

    ask: Ask


@dataclass(frozen=True)
class Unborrow:
    """The peer need not go on."""

    cancel: Cancel


@dataclass(frozen=True)
class Worked:
    """How a worker fared with an ask: for its health."""

    worker: str
    capability: str
    outcome: Outcome
    seconds: float
    reason: str = ""


@dataclass(frozen=True)
class Drained:
    """That worker has no ask any more."""

    worker: str


@dataclass(frozen=True)
class Scale:
    """That configured worker should have so many replicas."""

    worker: str
    count: int
    reason: str


@dataclass(frozen=True)
class SetTimer:
    """Tick at this time; it replaces the timer before it."""

    at_s: float


Effect = ToWorker | ToCaller | Borrow | Unborrow | Worked | Drained | Scale | SetTimer


@dataclass(slots=True)
class Outbox:
    """What the machine's parts share: the time, what is to be done now, and what later."""

    now: float = 0.0
    effects: list[Effect] = field(default_factory=list)
    alarms: Alarms = field(default_factory=Alarms)
    counts: Counter[str] = field(default_factory=Counter)
    _last: int = 0

    def number(self) -> int:
        """A number that was not given before."""
        self._last += 1
        return self._last
