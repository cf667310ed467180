"""What supervision is told, and what it wants done: the inputs and actions of its machine."""

from __future__ import annotations

from typing import Literal

import msgspec

from mtor_swarm.events import WorkerChanged

State = Literal[
    "absent", "starting", "inactive", "active", "degraded", "failed", "silent", "quarantined"
]
Fault = Literal[
    "", "crash", "hang", "memory", "load", "slow", "errors", "flood", "twice", "config"
]
"""What is wrong with a worker, in one word: its process died, its heartbeat stopped, it held too
much memory, it could not be brought up, it works slower than it used to, its work fails, it says
more than the realm can hear, two have its name, or a person must put its set-up right."""


class WorkerAdded(msgspec.Struct, frozen=True):
    """From now on this worker is wanted; its process has been asked for."""

    worker: str


class WorkerRemoved(msgspec.Struct, frozen=True):
    """It is wanted no more."""

    worker: str


class RestartWanted(msgspec.Struct, frozen=True):
    """A person wants it to begin anew, whatever it failed at before."""

    worker: str


class WorkerSeen(msgspec.Struct, frozen=True):
    """A heartbeat of this worker began; that of its process before may still count as well.

    `count` is how many of this name are there.
    """

    worker: str
    count: int = 1


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


class ProcessEnded(msgspec.Struct, frozen=True):
    """Its process is gone: why, in one word, which is empty if we ended it, and in full."""

    worker: str
    fault: Fault
    reason: str


class Worked(msgspec.Struct, frozen=True):
    """It did a piece of real work, or could not: how long that took, and whether it was late.

    Without `seconds` it is a fault that says nothing of how fast it works. The pace of each `sort`
    of work is looked at by itself.
    """

    worker: str
    ok: bool
    seconds: float | None = None
    late: bool = False
    sort: str = ""


class Flooded(msgspec.Struct, frozen=True):
    """It says so many events a second that others can no longer be heard."""

    worker: str
    events_s: float


class Tick(msgspec.Struct, frozen=True):
    """The time that SetTimer asked for has come."""


Input = (
    WorkerAdded
    | WorkerRemoved
    | RestartWanted
    | WorkerSeen
    | LivelinessLost
    | StateKnown
    | TransitionDone
    | TransitionFailed
    | PerhapsUnheard
    | WorkerFailed
    | ProcessEnded
    | Worked
    | Flooded
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


class Start(msgspec.Struct, frozen=True):
    """Have its process started, if it does not run."""

    worker: str


class Kill(msgspec.Struct, frozen=True):
    """Have its process ended; answer with ProcessEnded. `hangs`: it may not hear a request."""

    worker: str
    hangs: bool = False


class Report(msgspec.Struct, frozen=True):
    """Tell the realm."""

    change: WorkerChanged


class SetTimer(msgspec.Struct, frozen=True):
    """Come back with Tick at this time; replaces the timer set before. None: no timer."""

    at_s: float | None


Action = Ask | Configure | Activate | Start | Kill | Report | SetTimer
