"""Where people's commands are signed and followed until every unit named has answered."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from typing import Any

import msgspec

from mtor_swarm.events import Command, CommandAcknowledged, command_type, make
from mtor_swarm.ports import Issuer, Swarm
from mtor_swarm.realm.commands import Acknowledgements, issue, parse

MAX_FOLLOWED = 16
"""Commands whose answers are followed; the oldest is let go of."""
SILENT_AFTER_S = 5.0
GRACE_S = 0.05
"""A timer may fire a little early; whoever is silent is asked for a little late."""


class _Followed(msgspec.Struct, frozen=True):
    command: Command
    acknowledgements: Acknowledgements


class Desk:
    """Understands, signs and publishes commands; tells each change of who has answered what."""

    def __init__(
        self, swarm: Swarm, operator: Issuer, tell: Callable[[str, dict[str, Any]], None]
    ) -> None:
        self._swarm = swarm
        self._operator = operator
        self._tell = tell
        self._followed: dict[str, _Followed] = {}

    def issue(self, text: str) -> dict[str, Any]:
        """Issue what the text says; where it stands, as `recent` has it.

        Units that are lost are addressed too: they may hear, and if not they are shown silent.
        Raises CommandError if it is not understood, SwarmError if it cannot be sent.
        """
        units = self._swarm.snapshot()["units"]
        known = [name for name in sorted(units) if units[name]["member_state"] != "left"]
        draft = parse(text, known)
        now_s = time.time()
        command = issue(draft, self._operator, now_s, uuid.uuid4().hex)
        followed = _Followed(command, Acknowledgements(command, time.monotonic(), SILENT_AFTER_S))
        while len(self._followed) >= MAX_FOLLOWED:
            del self._followed[next(iter(self._followed))]
        self._followed[command.id] = followed
        event = make(command, source="/gateway", wall_s=now_s, type=command_type(command.verb))
        try:
            self._swarm.publish(event)
        except Exception:
            del self._followed[command.id]
            raise
        self._told(followed)
        asyncio.get_running_loop().call_later(SILENT_AFTER_S + GRACE_S, self._told, followed)
        return _progress(followed)

    def hear(self, event: dict[str, Any]) -> None:
        """An event of the swarm: if it acknowledges a command of ours, tell how that stands."""
        if event["type"] != "mtor.command.acknowledged":
            return
        try:
            ack = msgspec.convert(event.get("data"), CommandAcknowledged)
        except msgspec.ValidationError:
            return  # a malformed answer is no answer: its unit will be named as silent
        followed = self._followed.get(ack.command)
        unit = self._speaker(event)
        if followed and unit and followed.acknowledgements.take(unit, ack):
            self._told(followed)

    def recent(self) -> list[dict[str, Any]]:
        """The last commands and where every addressee stands, oldest first."""
        return [_progress(each) for each in self._followed.values()]

    def _speaker(self, event: dict[str, Any]) -> str:
        """The unit that said it, by the member that signed it: nobody answers for another."""
        member = self._swarm.snapshot()["members"].get(event.get("origin"))
        return str(member["unit"]) if member else ""

    def _told(self, followed: _Followed) -> None:
        self._tell("command", _progress(followed))


def _progress(followed: _Followed) -> dict[str, Any]:
    command, acknowledgements = followed.command, followed.acknowledgements
    return {
        "id": command.id,
        "text": command.text,
        "verb": command.verb,
        "issued_s": command.issued_s,
        "fulfilled": acknowledgements.fulfilled,
        "finished": acknowledgements.finished,
        "rows": msgspec.to_builtins(acknowledgements.rows(time.monotonic())),
    }
