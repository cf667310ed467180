"""What units answer, asked for once however many pages show it."""

from __future__ import annotations

import asyncio
import time

from mtor_swarm.ports import Swarm

KEEP_S = 1.0
ASK_TIMEOUT_S = 2.0
MAX_KEPT = 64


class Answers:
    """Units' answers to one kind of ask, at most `KEEP_S` old. A refusal is kept just as long."""

    def __init__(self, swarm: Swarm, kind: str) -> None:
        self._swarm = swarm
        self._kind = kind
        self._kept: dict[str, tuple[float, asyncio.Future[bytes]]] = {}

    async def get(self, unit: str) -> bytes:
        """The unit's answer; SwarmError says why there is none."""
        until_s, asked = self._kept.get(unit, (0.0, None))
        if asked is None or (asked.done() and time.monotonic() >= until_s):
            self._kept.pop(unit, None)
            while len(self._kept) >= MAX_KEPT:
                del self._kept[next(iter(self._kept))]
            asked = asyncio.wrap_future(self._swarm.ask(unit, self._kind, b"", ASK_TIMEOUT_S))
            self._kept[unit] = (time.monotonic() + KEEP_S, asked)
        # Shielded: a page that leaves must not take the answer away from the others.
        return await asyncio.shield(asked)
