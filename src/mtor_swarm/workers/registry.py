"""The kinds of workers that are installed here, and workers made of them.

A package adds a kind by an entry point in the group `mtor_swarm.workers`, whose name is the kind
and whose object is a subclass of `Worker` that is made with `name` and `config`::

    entry_points={"mtor_swarm.workers": ["smoke_alarm = smoke_alarm:SmokeAlarm"]}
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from mtor_swarm.config import RealmConfig
from mtor_swarm.errors import ConfigError, explain
from mtor_swarm.paths import unit_state
from mtor_swarm.realm import parameters, staff
from mtor_swarm.realm.worker import Worker

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "mtor_swarm.workers"


class Unmade(Worker):
    """Stands where a worker could not be made, so that its load says why, as others' loads do."""

    def __init__(self, *, name: str, config: RealmConfig, error: Exception) -> None:
        bare = msgspec.structs.replace(config, workers={})  # it has none of those parameters
        super().__init__(name=name, config=bare)
        self._error = error

    def load(self) -> None:
        """Fail."""
        raise self._error


def kinds() -> list[str]:
    """The names of all kinds that are installed; imports none of them."""
    return sorted({each.name for each in _entry_points()})


def check(workers: staff.Workers) -> None:
    """Whether all of them can be made here; ConfigError names the first that cannot.

    Imports their packages. Whether they load, only loading tells.
    """
    staff.check(workers, kinds())
    for name, each in workers.items():
        cls = _class(each.kind, _entry_points(name=each.kind))
        parameters.check(cls.parameters, each.parameters, f"worker {name}")


def made(name: str, kind: str, config: RealmConfig) -> Worker:
    """A worker of this kind; an `Unmade` one if that cannot be, whatever its package raises."""
    try:
        return _class(kind, _entry_points(name=kind))(name=name, config=config)
    except Exception as error:  # a third party's import and constructor may raise anything
        return Unmade(name=name, config=config, error=error)


def members(config: RealmConfig, process: str, *, needed: bool = False) -> list[Worker]:
    """The workers that this process of the unit holds now; ConfigError if `needed` and none."""
    workers = staff.read(config, unit_state(config.state_dir, config.unit))
    found = staff.members(workers, process)
    if needed and not found:
        known = ", ".join(staff.processes(workers)) or "none"
        raise ConfigError(f"{config.unit} has no process {process} of workers; it has {known}")
    config = msgspec.structs.replace(config, workers=found)
    return [made(name, each.kind, config) for name, each in found.items()]


def _entry_points(name: str | None = None) -> Iterable[EntryPoint]:
    from importlib.metadata import entry_points  # 2 MiB, which a core without such workers saves

    found = entry_points(group=GROUP)
    return found if name is None else found.select(name=name)


def _class(kind: str, found: Iterable[EntryPoint]) -> type[Worker]:
    """What the entry points of a kind agree on; ConfigError if that is no worker."""
    points = {each.value: each for each in found}
    if not points:
        known = ", ".join(kinds()) or "none"
        raise ConfigError(
            f"no kind {kind} of workers is installed; there are {known}: install the package that "
            f"has it, or name another kind"
        )
    if len(points) > 1:
        owners = " and ".join(f"{_owner(each)} ({each.value})" for each in points.values())
        raise ConfigError(f"two packages have a kind {kind}: {owners}; remove one")
    (point,) = points.values()
    try:
        cls = point.load()
    except Exception as error:
        raise ConfigError(f"kind {kind} of {_owner(point)}: {explain(error)}") from error
    if not (isinstance(cls, type) and issubclass(cls, Worker)):
        raise ConfigError(f"kind {kind} of {_owner(point)}: {point.value} is no Worker")
    return cls


def _owner(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else "an unknown package"
