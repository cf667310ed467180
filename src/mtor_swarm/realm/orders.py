"""An order: one text, from the moment it is typed until everyone it means has answered.

Pure: keys, clocks and what is known of the units are handed in. Whoever watches the swarm learns
of its units one after the other, and a stop waits for none of them: it goes to those who are
known, and under the same id and time to each who is found later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from mtor_swarm.errors import CommandError
from mtor_swarm.events import Command, CommandAcknowledged
from mtor_swarm.ports import Issuer
from mtor_swarm.realm.commands import Acknowledgements, Row, issue
from mtor_swarm.realm.grammar import Draft, parse

Units = Mapping[str, Mapping[str, Any]]
"""The units as a snapshot of `ports.Swarm` has them."""

SETTLE_S = 3.0
"""How long a stop is sent to units that are found after it was typed."""
ABSENCE = {
    "suspect": "it answers nobody just now",
    "dead": "it is lost: the swarm believes it dead",
    "left": "it has left the swarm",
}


def understood(text: str, units: Units) -> Draft:
    """What the text asks of whom; CommandError if it is not understood.

    "All" are those who have not left. The lost are among them: they may hear, and if they do not
    they are named. Who has left is addressed by name only.
    """
    order = in_order(units)
    try:
        return parse(text, [name for name in order if units[name]["member_state"] != "left"])
    except CommandError:
        return parse(text, order)


def in_order(names: Iterable[str]) -> list[str]:
    """The names as people count: r2 before r10."""
    return sorted(names, key=lambda each: (len(each), each))


class Order:
    """What is asked of whom, and what each of them says to it."""

    def __init__(
        self,
        text: str,
        signer: Issuer,
        id: str,
        timeout_s: float,
        understand: Callable[[str, Units], Draft] = understood,
    ) -> None:
        """`understand(text, units)` tells what is asked of whom, or raises CommandError."""
        self.id = id
        self.text = text
        self.verb = ""
        self.issued_s = 0.0
        self._signer = signer
        self._understand = understand
        self._timeout_s = timeout_s
        self._parts: list[Acknowledgements] = []
        self._asked: set[str] = set()

    def address(
        self, units: Units, wall_s: float, now: float, *, settled: bool = True
    ) -> Command | None:
        """What is to be sent now to those who are meant and were not asked yet, if anything.

        Until the swarm has `settled` only a stop is sent, and what is not understood may be once
        more units are known; then CommandError says why it is not. `wall_s` is Unix time, `now`
        monotonic.
        """
        try:
            draft = self._understand(self.text, units)
        except CommandError:
            if settled and not self._parts:
                raise
            return None
        late = bool(self._parts) or not settled
        found = [unit for unit in draft.units if unit not in self._asked]
        if not found or (late and draft.verb != "hold"):
            return None
        self.verb, self.issued_s = draft.verb, self.issued_s or wall_s
        asked = msgspec.structs.replace(draft, units=found)
        command = issue(asked, self._signer, self.issued_s, self.id)
        self._parts.append(Acknowledgements(command, now, self._timeout_s))
        self._asked.update(found)
        return command

    def take(self, unit: str, ack: CommandAcknowledged) -> bool:
        """One unit's word; False if it is about something else or says nothing new."""
        return any(part.take(unit, ack) for part in self._parts)

    @property
    def fulfilled(self) -> bool:
        """Whether everyone who was asked did it."""
        return bool(self._parts) and all(part.fulfilled for part in self._parts)

    @property
    def finished(self) -> bool:
        """Whether nobody who was asked has anything left to say."""
        return bool(self._parts) and all(part.finished for part in self._parts)

    def rows(self, units: Units, now: float) -> list[Row]:
        """Where everyone who was asked stands, and why the absent say nothing."""
        rows = {row.unit: row for part in self._parts for row in part.rows(now)}
        for name, row in rows.items():
            why = ABSENCE.get(units[name]["member_state"], "") if name in units else ""
            if why and row.status in ("asked", "silent"):
                rows[name] = msgspec.structs.replace(row, reason=why)
        return [rows[name] for name in in_order(rows)]
