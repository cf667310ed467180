"""What events about tasks say; `events.py` has the others, and the registry of all."""

from __future__ import annotations

import msgspec


class TaskAnnounced(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody wants a piece of work done; `places` are in the shared frame `map` (m)."""

    task: str
    kind: str
    by: str
    places: list[tuple[float, float]] = []
    units: int = 1


class TaskBid(msgspec.Struct, frozen=True, kw_only=True):
    """The unit bids for a task: what it expects to add to the swarm's score by it."""

    task: str
    bid: float


class TaskAwarded(msgspec.Struct, frozen=True, kw_only=True):
    """The units agree who does a task."""

    task: str
    units: list[str]


class TaskProgressed(msgspec.Struct, frozen=True, kw_only=True):
    """A unit has done that share (0 to 1) of a task."""

    task: str
    share: float


class TaskDone(msgspec.Struct, frozen=True, kw_only=True):
    """A unit has ended a task: `ok` or not, with what came of it."""

    task: str
    ok: bool
    result: str = ""


class TaskCancelled(msgspec.Struct, frozen=True, kw_only=True):
    """A task is over without being done: cancelled by somebody, late, failed, or impossible."""

    task: str
    by: str = ""
    reason: str = ""


class TaskDuplicated(msgspec.Struct, frozen=True, kw_only=True):
    """More units than were asked for did a task, as when they could not hear each other."""

    task: str
    units: list[str]


SWARM: dict[str, type[msgspec.Struct]] = {
    "mtor.task.announced": TaskAnnounced,
    "mtor.task.awarded": TaskAwarded,
    "mtor.task.progressed": TaskProgressed,
    "mtor.task.done": TaskDone,
    "mtor.task.cancelled": TaskCancelled,
    "mtor.task.duplicated": TaskDuplicated,
}
"""Those that go to all members."""
