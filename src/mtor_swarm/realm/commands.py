"""Commands: text → draft → signed → checked → acknowledged, for every unit by name.

Pure: keys and the clock are handed in. A command is obeyed from `CLOCK_TOLERANCE_S` before it was
issued until `valid_s` and the tolerance after, stops too: one older than that has been overtaken
by events, and a refusal that names the clocks tells its issuer so. Within that time each command
is obeyed once; a restart forgets nothing if `ReplayGuard.entries` are kept.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal

import msgspec

from mtor_swarm.errors import CommandError
from mtor_swarm.events import Command, CommandAcknowledged, fingerprint, is_finite
from mtor_swarm.ports import Issuer, Verifier
from mtor_swarm.realm.grammar import Draft, parse

__all__ = [
    "Acknowledgements",
    "Draft",
    "ReplayGuard",
    "Row",
    "check",
    "issue",
    "parse",
]

CLOCK_TOLERANCE_S = 5.0
"""How far the clocks of issuer and addressee may be apart."""
MAX_VALID_S = 300.0
MAX_UNITS = 4096

Status = Literal["asked", "accepted", "refused", "confirmed", "done", "silent"]

_canonical = msgspec.msgpack.Encoder(order="deterministic")


def issue(draft: Draft, signer: Issuer, now_s: float, id: str, valid_s: float = 10.0) -> Command:
    """The draft as a command, signed; `now_s` is wall time (Unix)."""
    command = Command(
        id=id,
        verb=draft.verb,
        units=draft.units,
        issuer=fingerprint(signer.public_key),
        issued_s=now_s,
        valid_s=valid_s,
        args=draft.args,
        text=draft.text,
        key=signer.public_key.hex(),
        certificate=signer.certificate.hex(),
    )
    return msgspec.structs.replace(command, signature=signer.sign(_signed(command)).hex())


def check(
    command: Command, unit: str, operators: Collection[str], verifier: Verifier, now_s: float
) -> bool:
    """Whether this unit is to obey; False if it is not addressed.

    CommandError says why it may not: the issuer, the signature or the time is wrong.
    """
    if unit not in command.units:
        return False
    if len(command.units) > MAX_UNITS:
        raise CommandError(f"it names {len(command.units)} units; {MAX_UNITS} at most")
    _check_issuer(command, operators, verifier)
    if not is_finite(command.issued_s, command.valid_s) or not 0 < command.valid_s <= MAX_VALID_S:
        raise CommandError(f"it must be valid for more than 0 s and at most {MAX_VALID_S:g} s")
    age_s = now_s - command.issued_s
    if age_s > command.valid_s + CLOCK_TOLERANCE_S:
        raise CommandError(
            f"it is {age_s:.0f} s old and was valid for {command.valid_s:g} s: issue it again, "
            "and compare the clocks if it is new"
        )
    if age_s < -CLOCK_TOLERANCE_S:
        raise CommandError(f"it was issued {-age_s:.0f} s in the future: compare the clocks")
    return True


def _check_issuer(command: Command, operators: Collection[str], verifier: Verifier) -> None:
    if command.issuer not in operators:
        raise CommandError(
            f"its issuer {command.issuer[:64]} is not among this unit's operators: add it to "
            "`operators` in the unit's config"
        )
    try:
        key, signature = bytes.fromhex(command.key), bytes.fromhex(command.signature)
    except ValueError:
        raise CommandError("its key or signature is not hexadecimal") from None
    if fingerprint(key) != command.issuer:
        raise CommandError("its key is not its issuer's")
    if not verifier.verify(key, _signed(command), signature):
        raise CommandError("its signature is wrong: it was changed on the way, or forged")


def _signed(command: Command) -> bytes:
    """What the signature is over: all of the command but the signature."""
    bare = msgspec.structs.replace(command, signature="")
    return b"mtor command 1\n" + _canonical.encode(bare)


class ReplayGuard:
    """Lets each command pass once. Bounded: `dropped` counts what found no room.

    A full guard refuses, but for a hold: a stop that is obeyed twice harms nobody.
    """

    def __init__(self, most: int = 1024, entries: Mapping[str, float] | None = None) -> None:
        self.dropped = 0
        self._most = most
        self._entries = dict(entries or {})

    @property
    def entries(self) -> dict[str, float]:
        """Command ids and the wall time until which each must be remembered."""
        return dict(self._entries)

    def admit(self, command: Command, now_s: float) -> bool:
        """Whether this command, already checked, is new; from now on it is not."""
        if command.id in self._entries:
            return False
        self._entries = {known: until for known, until in self._entries.items() if until >= now_s}
        if len(self._entries) >= self._most:
            self.dropped += 1
            return command.verb == "hold"
        until = command.issued_s + command.valid_s + CLOCK_TOLERANCE_S
        self._entries[command.id] = until
        return True


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """Where one addressee stands with a command."""

    unit: str
    status: Status
    reason: str = ""
    speed_mps: float | None = None
    fulfilled: bool = False


_REACHED = {"asked": 0, "accepted": 1, "refused": 2, "confirmed": 2, "done": 3}
_FULFILLED = {
    "hold": ("confirmed", "done"),
    "release": ("done",),
    "search": ("accepted", "done"),
    "return": ("accepted", "done"),
    "worker": ("done",),
}
"""A hold counts once it is measured; what takes its time counts once it is taken on."""


class Acknowledgements:
    """Who of a command's addressees has said what. Who never answers is silent, by name."""

    def __init__(self, command: Command, now: float, timeout_s: float = 5.0) -> None:
        self._command = command
        self._until = now + timeout_s
        self._rows = {unit: Row(unit=unit, status="asked") for unit in command.units}

    def take(self, unit: str, ack: CommandAcknowledged) -> bool:
        """One addressee's word; False if it is about something else or says nothing new."""
        row = self._rows.get(unit)
        if row is None or ack.command != self._command.id:
            return False
        if _REACHED[ack.status] <= _REACHED[row.status]:
            return False
        warned = row.reason if ack.status == "confirmed" else ""  # it holds while the hold does
        self._rows[unit] = Row(
            unit=unit,
            status=ack.status,
            reason=ack.reason or warned,
            speed_mps=ack.speed_mps,
            fulfilled=ack.status in _FULFILLED[self._command.verb],
        )
        return True

    @property
    def fulfilled(self) -> bool:
        """Whether every addressee did what was asked."""
        return all(row.fulfilled for row in self._rows.values())

    @property
    def finished(self) -> bool:
        """Whether no addressee has anything left to say."""
        return all(row.fulfilled or row.status == "refused" for row in self._rows.values())

    def rows(self, now: float) -> list[Row]:
        """Where every addressee stands, in the command's order."""
        late = now >= self._until
        return [
            msgspec.structs.replace(row, status="silent")
            if late and row.status == "asked"
            else row
            for row in self._rows.values()
        ]
