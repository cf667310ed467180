"""Where people's commands are signed and followed until every unit named has answered."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from typing import Any

import msgspec

from mtor_swarm.errors import SwarmError
from mtor_swarm.events import CommandAcknowledged, command_type, event_to_dict, make
from mtor_swarm.ports import Issuer, Swarm
from mtor_swarm.realm.orders import SETTLE_S, Order, Units
from mtor_swarm.swarm.picture import speaker

MAX_FOLLOWED = 16
"""Commands whose answers are followed; the oldest is let go of."""
SILENT_AFTER_S = 5.0
GRACE_S = 0.05
"""A timer may fire a little early; whoever is silent is asked for a little late."""
LOOK_AGAIN_S = 0.25


class Desk:
    """Understands, signs and publishes commands; tells each change of who has answered what."""

    def __init__(self, swarm: Swarm, operator: Issuer, tell: Callable[[str, Any], None]) -> None:
        self._swarm = swarm
        self._operator = operator
        self._tell = tell
        self._followed: dict[str, Order] = {}

    def issue(self, text: str) -> dict[str, Any]:
        """Issue what the text says; where it stands, as `recent` has it.

        A stop is sent on to units that are found within the next seconds. Raises CommandError if
        it is not understood, SwarmError if it cannot be sent.
        """
        order = Order(text, self._operator, uuid.uuid4().hex, SILENT_AFTER_S)
        self._send(order)
        while len(self._followed) >= MAX_FOLLOWED:
            del self._followed[next(iter(self._followed))]
        self._followed[order.id] = order
        self._told(order)
        if order.verb == "hold":
            self._look_again(order, time.monotonic() + SETTLE_S)
        return self._progress(order)

    def hear(self, event: dict[str, Any]) -> None:
        """An event of the swarm: if it acknowledges a command of ours, tell how that stands."""
        if event["type"] != "mtor.command.acknowledged":
            return
        try:
            ack = msgspec.convert(event.get("data"), CommandAcknowledged)
        except msgspec.ValidationError:
            return  # a malformed answer is no answer: its unit will be named as silent
        order = self._followed.get(ack.command)
        if order and order.take(speaker(event, self._units()), ack):
            self._told(order)

    def recent(self) -> list[dict[str, Any]]:
        """The last commands and where every addressee stands, oldest first."""
        return [self._progress(each) for each in self._followed.values()]

    def _units(self) -> Units:
        units: Units = self._swarm.snapshot()["units"]
        return units

    def _send(self, order: Order) -> bool:
        """Send it to those who were not asked yet; whether there were any."""
        command = order.address(self._units(), time.time(), time.monotonic())
        if command is None:
            return False
        name = command_type(command.verb)
        event = make(command, source="/gateway", wall_s=time.time(), type=name)
        self._swarm.publish(event)
        self._tell("events", [event_to_dict(event)])
        asyncio.get_running_loop().call_later(SILENT_AFTER_S + GRACE_S, self._told, order)
        return True

    def _look_again(self, order: Order, until: float) -> None:
        try:
            if self._send(order):
                self._told(order)
        except SwarmError:
            return  # we have left the swarm, and so are ending
        if time.monotonic() < until and order.id in self._followed:
            asyncio.get_running_loop().call_later(LOOK_AGAIN_S, self._look_again, order, until)

    def _told(self, order: Order) -> None:
        self._tell("command", self._progress(order))

    def _progress(self, order: Order) -> dict[str, Any]:
        return {
            "id": order.id,
            "text": order.text,
            "verb": order.verb,
            "issued_s": order.issued_s,
            "fulfilled": order.fulfilled,
            "finished": order.finished,
            "rows": msgspec.to_builtins(order.rows(self._units(), time.monotonic())),
        }
