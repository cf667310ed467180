"""Which replicas of each configured worker are to run: pure.

A worker NAME runs as NAME, NAME_2 and so on (`staff.replica`). Beside its most there is one number
to spare, so that a replacement can be up before what it replaces goes.
"""

from __future__ import annotations

from mtor_swarm.realm import staff
from mtor_swarm.realm.errands import Wanted
from mtor_swarm.realm.staff import PROCESSES, Workers


class Replicas:
    """The desired set, as it changes: by commands, by load, by replacements."""

    def __init__(self, workers: Workers) -> None:
        self.workers: Workers = {}
        self._numbers: dict[str, list[int]] = {}  # the oldest first
        self.take(workers)

    def take(self, workers: Workers) -> None:
        """These are the configured workers from now on."""
        self.workers = dict(workers)
        self._numbers = {name: self._numbers.get(name, []) for name in workers}
        for name in workers:
            self._fill(name)

    def scale(self, name: str, count: int) -> None:
        """So many of it are to run, within what its config allows: the youngest go first."""
        worker = self.workers[name]
        count = min(max(count, worker.least), worker.most)
        while len(self._numbers[name]) < count:
            self._numbers[name].append(self._free(name))
        del self._numbers[name][count:]

    def begin_swap(self, name: str) -> tuple[str, list[str]]:
        """One more of it, to replace the others, which are named."""
        olds = self.of(name)
        number = self._free(name)
        self._numbers[name].append(number)
        return staff.replica(name, number), olds

    def drop(self, name: str, instance: str) -> None:
        """One of them is to run no more; others take its place if there are too few then."""
        self._numbers[name] = [
            each for each in self._numbers[name] if staff.replica(name, each) != instance
        ]
        self._fill(name)

    def of(self, name: str) -> list[str]:
        """The replicas of one worker."""
        return [staff.replica(name, each) for each in self._numbers[name]]

    def all(self) -> dict[str, str]:
        """Every replica that is to run, and the worker it is of."""
        return {each: name for name in self.workers for each in self.of(name)}

    def process_of(self, instance: str) -> str | None:
        """The process that holds this worker; None if that is the core."""
        if instance in staff.CORE:
            return None
        if instance in staff.BUILT_IN:
            return PROCESSES[1]
        name = self.all().get(instance)
        if name is None:
            return None
        return (self.workers[name].process if instance == name else "") or instance

    def wanted(self) -> list[Wanted]:
        """The processes that they need, beside those that every unit has."""
        found: dict[str, Wanted] = {}
        for instance, name in self.all().items():
            process = self.process_of(instance) or instance
            worker = self.workers[name]
            if process not in PROCESSES:
                found.setdefault(
                    process,
                    Wanted(process=process, nice=worker.nice, memory_mib=worker.memory_mib),
                )
        return list(found.values())

    def _fill(self, name: str) -> None:
        while len(self._numbers[name]) < self.workers[name].least:
            self._numbers[name].append(self._free(name))

    def _free(self, name: str) -> int:
        used = self._numbers[name]
        return next(each for each in range(1, len(used) + 2) if each not in used)
