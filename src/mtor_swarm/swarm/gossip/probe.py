"""SWIM's probe: ping one member a period, then through others, then suspect it.

Lifeguard's local health: one whose own loop is late, or whose probes fail, doubts itself first and
gives the others more time.
"""

from __future__ import annotations

import random

from mtor_swarm.config import GossipConfig
from mtor_swarm.swarm.gossip.effects import Outbox, Send, SetTimer
from mtor_swarm.swarm.gossip.membership import ALIVE, SUSPECT, Membership
from mtor_swarm.swarm.gossip.wire import Ack, Ping, PingRequest

MAX_HEALTH = 8
MAX_RELAYS = 1024
STALL_S = 0.25
"""A timer that fires this much too late: our own loop was held up."""


class Prober:
    """Which member is probed next, and which probes are out."""

    def __init__(
        self, members: Membership, config: GossipConfig, rng: random.Random, out: Outbox
    ) -> None:
        self.members = members
        self.config = config
        self.rng = rng
        self.out = out
        self.health = 0
        self._order: list[str] = []
        self._number = 0
        self._waiting: dict[int, str] = {}
        self._relays: dict[int, tuple[str, int]] = {}

    @property
    def slowness(self) -> float:
        """How much more time everything gets because we doubt ourselves: 1 is none."""
        return 1.0 + self.health

    def starved(self) -> None:
        """Our own loop was held up: nothing that timed out meanwhile is proof of anything."""
        self.health = min(MAX_HEALTH, self.health + 1)
        self._waiting.clear()

    def next(self, now: float) -> None:
        """Probe the next member of a shuffled round; sets its own next timer."""
        self.out.add(SetTimer("probe", now + self.config.probe_period_s * self.slowness))
        while self._order and not self._is_live(self._order[-1]):
            self._order.pop()
        if not self._order:
            self._order = self.members.live()
            self.rng.shuffle(self._order)
        if self._order:
            self.check(self._order.pop(), now)

    def check(self, member: str, now: float) -> None:
        """Probe that member at once."""
        if member in self._waiting.values():
            return
        self._number += 1
        self._waiting[self._number] = member
        self._ping(member, self._number)
        wait = self.config.probe_timeout_s * self.slowness
        self.out.add(SetTimer(f"indirect {self._number}", now + wait))

    def indirect(self, number: int, now: float, again: bool = False) -> None:
        """No ack yet: ask once more, and others to ask; then, `again`, once more ourselves."""
        member = self._waiting.get(number)
        if member is None or not self._is_live(member):
            self._waiting.pop(number, None)
            return
        self._ping(member, number)
        if again:
            wait = self.config.probe_timeout_s * self.slowness
            self.out.add(SetTimer(f"failed {number}", now + wait))
            return
        helpers = [each for each in self.members.ids(ALIVE) if each != member]
        for helper in self.rng.sample(helpers, min(self.config.indirect_probes, len(helpers))):
            self._send(helper, PingRequest(number, member))
        wait = self.config.probe_timeout_s * self.slowness
        self.out.add(SetTimer(f"again {number}", now + wait))

    def failed(self, number: int) -> str | None:
        """Still no ack: the member to suspect, if it is a live one."""
        member = self._waiting.pop(number, None)
        if member is None or not self._is_live(member):
            return None
        return member

    def acked(self, ack: Ack) -> None:
        """An ack: of a probe of ours, or of one that we relay."""
        if self._waiting.get(ack.number) == ack.member:
            del self._waiting[ack.number]
            self.health = max(0, self.health - 1)
        elif ack.number in self._relays:
            asker, number = self._relays.pop(ack.number)
            self._send(asker, Ack(number, ack.member))

    def relay(self, asker: str, request: PingRequest) -> None:
        """Probe a member on behalf of another."""
        if len(self._relays) >= MAX_RELAYS:
            self._relays.pop(next(iter(self._relays)))
            self.out.count("relays dropped")
        self._number += 1
        self._relays[self._number] = (asker, request.number)
        self._ping(request.member, self._number)

    def _ping(self, member: str, number: int) -> None:
        view = self.members.views.get(member)
        doubted = view.incarnation if view and view.rank == SUSPECT else -1
        self._send(member, Ping(number, doubted))

    def _is_live(self, member: str) -> bool:
        view = self.members.views.get(member)
        return view is not None and view.rank <= SUSPECT

    def _send(self, member: str, frame: Ping | Ack | PingRequest) -> None:
        view = self.members.views.get(member)
        if view is not None:
            self.out.add(Send(view.fact.address, frame, 1))
