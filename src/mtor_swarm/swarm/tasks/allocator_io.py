"""What goes into the allocator and what it wants done: inputs and effects."""

from __future__ import annotations

import msgspec

from mtor_swarm.swarm.tasks.route import Mover
from mtor_swarm.swarm.tasks.task import Task


class _Value(msgspec.Struct, frozen=True):
    """A plain, immutable value."""


class Own(_Value, frozen=True):
    """What this unit is now; `able` False: it takes no task, as when it is held."""

    mover: Mover
    skills: tuple[str, ...] = ()
    able: bool = True


class Heard(_Value, frozen=True):
    """The newest fact under that key, as JSON; None: it was removed."""

    key: str
    raw: bytes | None


class Judged(_Value, frozen=True):
    """Whether another unit is alive, as gossip has it. Who was never judged has no say."""

    unit: str
    alive: bool


class Announce(_Value, frozen=True):
    """Somebody here wants these tasks done."""

    tasks: tuple[Task, ...]


class Cancel(_Value, frozen=True):
    """Somebody here wants a task not to be done."""

    task: str
    by: str = ""
    reason: str = ""


class Progressed(_Value, frozen=True):
    """So much (0 to 1) of the task that was begun is done."""

    task: str
    share: float


class Ended(_Value, frozen=True):
    """The task that was begun is done, or has failed."""

    task: str
    ok: bool
    result: str = ""


class Woke(_Value, frozen=True):
    """The time of a `Wake` has come."""


Input = Own | Heard | Judged | Announce | Cancel | Progressed | Ended | Woke


class Write(_Value, frozen=True):
    """Tell all: the fact under that key, as JSON; None: there is none any more."""

    key: str
    raw: bytes | None


class Wake(_Value, frozen=True):
    """Say `Woke` at that time; a later `Wake` replaces an earlier one."""

    at_s: float


class Begin(_Value, frozen=True):
    """Do this task now, together with these units (this one among them)."""

    task: Task
    units: tuple[str, ...]


class Stop(_Value, frozen=True):
    """Leave the task that was begun."""

    task: str
    reason: str


class Refused(_Value, frozen=True):
    """That cannot be announced or cancelled, and what to do."""

    task: str
    reason: str


class Say(_Value, frozen=True):
    """An event of the `mtor.task` types."""

    data: msgspec.Struct


Effect = Write | Wake | Begin | Stop | Refused | Say
