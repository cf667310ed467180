"""The stop latch: a file, so that neither a crash nor a restart lets a held unit go."""

from __future__ import annotations

from pathlib import Path

import msgspec

from mtor_swarm.errors import SwarmError
from mtor_swarm.swarm.identity import write_safely


class _File(msgspec.Struct, frozen=True):
    """What the file says: whether the unit is held, by which command, and when that was issued."""

    latched: bool
    command: str = ""
    issued_s: float = 0.0


class Latch:
    """Whether the unit is held. No file: it is not. A file that cannot be read: it is."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "latch"
        self.reason = ""
        """Why it is shut if no command did it."""
        try:
            self._now = msgspec.json.decode(self._path.read_bytes(), type=_File)
        except FileNotFoundError:
            self._now = _File(False)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            self._now = _File(True)
            self.reason = f"{self._path} cannot be read ({error}), so the unit is held: release it"

    @property
    def latched(self) -> bool:
        """Whether the unit is held."""
        return self._now.latched

    @property
    def command(self) -> str:
        """The id of the command that set it so."""
        return self._now.command

    @property
    def issued_s(self) -> float:
        """When that command was issued: wall time (Unix)."""
        return self._now.issued_s

    def set(self, latched: bool, command: str, issued_s: float = 0.0) -> None:
        """Hold the unit, or let it go. SwarmError if that cannot be kept: then held it is."""
        wanted = _File(latched, command, issued_s)
        if latched:
            self._now, self.reason = wanted, ""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_safely(self._path, msgspec.json.encode(wanted))
        except OSError as error:
            raise SwarmError(
                f"{self._path}: cannot be written ({error.strerror}), so the latch would not "
                "survive a restart: free some space or make the folder writable"
            ) from None
        self._now, self.reason = wanted, ""
