"""All asks that wait, a queue a capability, and the limits to how many may."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from mtor_swarm.config import AsksConfig
from mtor_swarm.realm.ask_queue import AskQueue, Pending

MAX_WAITING_BYTES = 64 * 1024 * 1024
"""Payloads that wait, all together. Half of it is for the owner's own asks, whatever peers ask."""


class Waiting:
    """The queues of a realm, bounded together, and each caller's share of them."""

    def __init__(self, config: AsksConfig) -> None:
        self._config = config
        self._queues: dict[str, AskQueue] = {}
        self._callers: Counter[str] = Counter()
        self._count = 0
        self._bytes = 0

    def __len__(self) -> int:
        return self._count

    def queues(self) -> Iterable[AskQueue]:
        """Each iterates in the order in which its asks would be served."""
        return self._queues.values()

    def of(self, capability: str) -> Iterable[Pending]:
        """Those that wait for it, in that order."""
        return self._queues.get(capability, ())

    def count(self, capability: str) -> int:
        """How many wait for it."""
        queue = self._queues.get(capability)
        return 0 if queue is None else len(queue)

    def place(self, pending: Pending) -> int:
        """How many of its capability are served until it is, itself included."""
        return self._queues[pending.ask.capability].place(pending)

    def add(self, pending: Pending) -> None:
        """It waits from now on."""
        self._queues.setdefault(pending.ask.capability, AskQueue()).add(pending)
        self._tally(pending, 1)
        pending.waiting = True

    def remove(self, pending: Pending, *, served: bool = False) -> None:
        """It no longer waits; if `served`, its caller had its turn."""
        queue = self._queues[pending.ask.capability]
        queue.remove(pending, served=served)
        if not len(queue):
            del self._queues[pending.ask.capability]
        self._tally(pending, -1)
        pending.waiting = False

    def refusal(self, new: Pending) -> tuple[str, Pending | None]:
        """Why one more may not wait (empty: it may), and which has to make way for it."""
        caller, most = new.ask.caller, self._config.waiting_most
        if self._callers[caller] >= self._config.waiting_each:
            return f"{self._callers[caller]} asks of {caller} wait already", None
        room = MAX_WAITING_BYTES // 2 if new.ask.hops else MAX_WAITING_BYTES
        if self._bytes + len(new.ask.payload) > room:
            return f"{self._bytes >> 20} MiB of asks wait already", None
        if self._count < most:
            return "", None
        last = [queue.last() for queue in self.queues()]
        victim = max(last, key=lambda each: (each.level, *each.key))
        if victim.level > new.level:
            return "", victim
        return f"{self._count} asks wait already, none of them less urgent", None

    def _tally(self, pending: Pending, sign: int) -> None:
        self._count += sign
        self._bytes += sign * len(pending.ask.payload)
        self._callers[pending.ask.caller] += sign
        if not self._callers[pending.ask.caller]:
            del self._callers[pending.ask.caller]
