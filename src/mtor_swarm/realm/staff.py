"""Which workers a unit has beside the built-in ones, in which process, and how that changes live.

Pure, but for one file: what is added or removed by command holds, through restarts of any process,
until the unit is started anew; what is to stay stands in the config. So does each process know
what the others do: `read` is the config's workers, or those in the file if there is one.

A worker with more than one replica is NAME, NAME_2, NAME_3 …; these have processes of their own.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from mtor_swarm.config import RealmConfig, UnitName, WorkerConfig
from mtor_swarm.errors import CommandError, ConfigError
from mtor_swarm.events import Command
from mtor_swarm.realm.grammar import Draft

CORE = ("orchestrator", "reflex", "gossip", "decision")
"""What every unit has in its core; it comes and goes with that."""
BUILT_IN = (*CORE, "perception")
PROCESSES = ("core", "models")
"""Processes that every unit has. A worker may share `models`; the core keeps to itself."""
MOST = 64
FILE = "workers.json"

Workers = Mapping[str, WorkerConfig]
"""By name."""


class Change(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a command of the verb `worker` asks for; `config` is for add and replace."""

    do: Literal["add", "replace", "remove", "restart"]
    worker: UnitName
    config: WorkerConfig | None = None


def draft(change: Change, units: list[str], text: str = "") -> Draft:
    """The change as what somebody wants of these units, not yet signed."""
    return Draft(verb="worker", units=units, args=msgspec.to_builtins(change), text=text)


def change_of(command: Command) -> Change:
    """What the command asks for; CommandError if it is not understood."""
    try:
        return msgspec.convert(command.args, Change)
    except msgspec.ValidationError as error:
        raise CommandError(f"no change of a worker: {error}") from None


def changed(workers: Workers, change: Change, kinds: Collection[str]) -> dict[str, WorkerConfig]:
    """The workers after the change; CommandError says why it cannot be.

    `kinds` are those installed here. A restart changes nothing, but its worker must be there.
    """
    name, found = change.worker, dict(workers)
    if name in BUILT_IN:
        if change.do != "restart" or name in CORE:
            where = "the core's own: restart the unit" if name in CORE else "built in"
            raise CommandError(f"{name} is {where}, and can be neither added nor removed")
        return found
    if change.do != "add" and name not in found:
        raise CommandError(f"there is no worker {name}; there are {_list([*found, 'perception'])}")
    if change.do == "remove":
        del found[name]
    elif change.do != "restart":
        if change.do == "add" and name in found:
            raise CommandError(f"there is a worker {name} already: replace it, or name another")
        if change.config is None:
            raise CommandError(f"it does not say of what kind {name} is to be")
        found[name] = change.config
    try:
        return check(found, kinds, only=name)
    except ConfigError as error:
        raise CommandError(str(error)) from None


def check(workers: Workers, kinds: Collection[str], *, only: str = "") -> dict[str, WorkerConfig]:
    """The workers, if they can be; ConfigError names the one that cannot, and what to do.

    With `only`, the kind of that one alone is looked at: another's must not stand in its way.
    """
    if len(workers) > MOST:
        raise ConfigError(f"{len(workers)} workers; {MOST} at most")
    for name, each in workers.items():
        if name in BUILT_IN:
            raise ConfigError(f"worker {name}: that is a built-in one's name; give it another")
        if each.kind not in kinds and only in ("", name):
            raise ConfigError(
                f"worker {name}: no kind {each.kind} is installed; there are {_list(kinds)}"
            )
        if each.process == "core" or (not each.process and name in PROCESSES):
            raise ConfigError(f"worker {name}: the process {each.process or name} is not for it")
        if each.least > each.most:
            raise ConfigError(f"worker {name}: least {each.least} is over most {each.most}")
        for number in _others(each):
            if replica(name, number) in workers:
                raise ConfigError(
                    f"worker {replica(name, number)}: that is the name of {name}'s replica "
                    f"{number}; give it another"
                )
    return dict(workers)


def replica(name: str, number: int) -> str:
    """The name of a worker's replica, from 1."""
    return name if number == 1 else f"{name}_{number}"


def process_of(workers: Workers, name: str) -> str:
    """The process that holds this worker or replica; CommandError if there is no such worker."""
    for base, each in workers.items():
        if name == base:
            return each.process or name
        if name in {replica(base, number) for number in _others(each)}:
            return name
    raise CommandError(f"there is no worker {name}; there are {_list(workers)}")


def members(workers: Workers, process: str) -> dict[str, WorkerConfig]:
    """The workers that this process holds."""
    found = {name: each for name, each in workers.items() if (each.process or name) == process}
    for base, each in workers.items():
        for number in _others(each):
            if replica(base, number) == process:
                found[process] = each
    return found


def processes(workers: Workers) -> dict[str, WorkerConfig]:
    """The processes that their first replicas need, each with the worker whose limits it has."""
    found: dict[str, WorkerConfig] = {}
    for name, each in workers.items():
        found.setdefault(each.process or name, each)
    return {name: each for name, each in found.items() if name not in PROCESSES}


def read(config: RealmConfig, folder: Path) -> dict[str, WorkerConfig]:
    """The workers that the unit is to have now; `folder` is its state's (`paths.unit_state`)."""
    try:
        raw = (folder / FILE).read_bytes()
    except OSError:
        return dict(config.workers)
    try:
        return msgspec.json.decode(raw, type=dict[UnitName, WorkerConfig])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{folder / FILE}: {error}; remove it and start the unit anew") from None


def keep(workers: Workers, folder: Path) -> None:
    """Write down what the unit is to have from now on; OSError if that cannot be."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = folder / f"{FILE}.new"
    new.write_bytes(msgspec.json.encode(workers))
    os.replace(new, folder / FILE)


def forget(folder: Path) -> None:
    """The unit starts anew: from now on its config says which workers it has."""
    (folder / FILE).unlink(missing_ok=True)


def _others(worker: WorkerConfig) -> range:
    """The numbers of its replicas but the first; one is to spare, for what replaces another."""
    return range(2, worker.most + 2)


def _list(names: Collection[str]) -> str:
    return ", ".join(sorted(names)) or "none"
