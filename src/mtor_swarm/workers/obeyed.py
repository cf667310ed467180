"""The commands that were obeyed: a file, so that none is obeyed again after a restart."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, wait
from pathlib import Path

import msgspec

from mtor_swarm.events import Command
from mtor_swarm.realm.commands import ReplayGuard
from mtor_swarm.swarm.identity import write_safely
from mtor_swarm.workers.scribe import Scribe

WRITE_S = 1.0
"""For so long the end waits for the disk."""


class Obeyed:
    """A `ReplayGuard` that lasts. Read once: a file that cannot be written lags behind it."""

    def __init__(self, folder: Path, warn: Callable[[str], object]) -> None:
        self._folder = folder
        self._scribe = Scribe("obeyed", 2)  # one that is done, and one that waits
        self.kept: Future[None] = Future()
        """The last writing."""
        self.kept.set_result(None)
        self._guard = ReplayGuard(entries=self._read(warn))

    def admit(self, command: Command, wall_s: float) -> bool:
        """Whether it was not obeyed before."""
        return self._guard.admit(command, wall_s)

    def keep(self, fault: Callable[[str, Exception], None]) -> None:
        """Write down what was admitted: on a thread of its own, for no stop waits for a disk."""
        if self.kept.done() or self.kept.running():  # else one that waits will write this too
            self.kept = self._scribe.submit(lambda: self._write(fault))

    def close(self) -> None:
        """Let what is being written end, if the disk does not hang."""
        wait([self.kept], WRITE_S)

    def _write(self, fault: Callable[[str, Exception], None]) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_safely(self._folder / "obeyed", msgspec.json.encode(self._guard.entries))
        except OSError as error:
            fault("the replay guard's file", error)

    def _read(self, warn: Callable[[str], object]) -> dict[str, float]:
        path = self._folder / "obeyed"
        try:
            return msgspec.json.decode(path.read_bytes(), type=dict[str, float])
        except FileNotFoundError:
            return {}
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            warn(f"{path}: {error}; commands of before are forgotten")
            return {}
