"""The stop latch: a file, so that neither a crash nor a restart lets a held unit go."""

from __future__ import annotations

from pathlib import Path

import msgspec

from mtor_swarm.errors import SwarmError
from mtor_swarm.realm.bus import STOP_QOS
from mtor_swarm.swarm.identity import write_safely

MAX_HOLDS = 4 * STOP_QOS.depth
"""Stops remembered by id, which `stop` may bring again: more than that topic keeps."""


class LatchFile(msgspec.Struct, frozen=True):
    """What the file says: whether the unit is held, by which command, and when that was issued."""

    latched: bool
    command: str = ""
    issued_s: float = 0.0
    """Wall time (Unix)."""
    holds: tuple[str, ...] = ()
    """The stops obeyed last, whether they still hold or not."""


class Latch:
    """Whether the unit is held. No file: it is not. A file that cannot be read: it is.

    `now` is what holds in this process, written or not. It is read once: what could not be
    written lasts as long as the process does.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "latch"
        self.reason = ""
        """Why it is shut if no command did it."""
        try:
            self.now = msgspec.json.decode(self._path.read_bytes(), type=LatchFile)
        except FileNotFoundError:
            self.now = LatchFile(False)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            self.now = LatchFile(True)
            self.reason = f"{self._path} cannot be read ({error}), so the unit is held: release it"

    def hold(self, command: str, issued_s: float) -> None:
        """Hold the unit; `write(now)` keeps it so."""
        holds = (*self.now.holds, command)[-MAX_HOLDS:]
        self.now = LatchFile(True, command, max(issued_s, self.now.issued_s), holds)
        self.reason = ""

    def released(self, command: str, issued_s: float) -> LatchFile:
        """What must be written before the unit is let go."""
        return LatchFile(False, command, issued_s, self.now.holds)

    def release(self, written: LatchFile) -> None:
        """Let the unit go."""
        self.now, self.reason = written, ""

    def write(self, file: LatchFile) -> None:
        """Keep it through a restart, SwarmError if that cannot be. From any one thread."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_safely(self._path, msgspec.json.encode(file))
        except OSError as error:
            raise SwarmError(
                f"{self._path}: cannot be written ({error.strerror}), so the latch would not "
                "survive a restart: free some space or make the folder writable"
            ) from None
