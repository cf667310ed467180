"""Seeds that failed, kept in a file: the next run of the same scenario plays them first."""

from __future__ import annotations

from pathlib import Path

import msgspec

from mtor_swarm.errors import ConfigError, SwarmError

MAX_KEPT = 200


class Failure(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that it takes to see a failure again, but for the code."""

    scenario: str
    members: int
    loss: float | None = None
    known: int | None = None
    seed: int


def read(path: Path) -> list[Failure]:
    """The failures in that file, none if it is not there; ConfigError if it is spoilt."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[Failure])
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: no file of failed seeds: {error}; remove it") from None


def write(path: Path, kept: list[Failure]) -> None:
    """Keep these, the newest if they are too many."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [msgspec.json.encode(each).decode() for each in kept[-MAX_KEPT:]]
        path.write_text("[\n" + ",\n".join(lines) + "\n]\n" if lines else "[]\n", encoding="utf-8")
    except OSError as error:
        raise SwarmError(f"{path}: cannot be written: {error.strerror}") from None
