"""SWIM's probe: ping one member a period, then through others, then suspect it.

Lifeguard's local health: one whose own loop is late, or whose probes fail, doubts itself first and
gives the others more time.
"""

from __future__ import annotations

import math
import random

from mtor_swarm.config import GossipConfig
from mtor_swarm.swarm.gossip.effects import Outbox, Send, SetTimer
from mtor_swarm.swarm.gossip.overlay import Overlay
from mtor_swarm.swarm.gossip.wire import Ack, Ping, PingRequest, Spread

MAX_HEALTH = 8
MAX_RELAYS = 1024
INDIRECT_STEP, RELIABLE_STEP, LAST_STEP = 4, 8, 12
"""One that does not answer is pinged again in steps of a quarter of the wait for an ack.

After the first wait others are asked to ping it too, after the second the ping goes by the link
and not by datagram, after the third it is silent: a few lost datagrams cast no doubt.
"""
FAR_FIRST_S, FAR_TIMES, FAR_MOST_S = 4.0, 16.0, 3600.0
"""One that refuted a doubt of ours lives where we do not hear it, as by radio: others watch it.

It is left alone for so long at first, so many times as long after each such doubt, and half as
long after each answer. When someone is gone, who may have been the one that heard it, it is looked
at again after the first time.
"""
STALL_S = 0.25
"""A timer that fires this much too late: our own loop was held up."""


class Prober:
    """Which member is probed next, and which probes are out."""

    def __init__(
        self, overlay: Overlay, config: GossipConfig, rng: random.Random, out: Outbox
    ) -> None:
        self.overlay = overlay
        self.members = overlay.members
        self.config = config
        self.rng = rng
        self.out = out
        self.health = 0
        self._order: list[str] = []
        self._is_odd = False
        self._waiting: dict[int, str] = {}
        self._spoke: set[str] = set()
        self._relays: dict[int, tuple[str, str, int]] = {}
        self._far: dict[str, tuple[float, float]] = {}

    @property
    def slowness(self) -> float:
        """How much more time everything gets because we doubt ourselves: 1 is none."""
        return 1.0 + self.health

    def starved(self) -> None:
        """Our own loop was held up: nothing that timed out meanwhile is proof of anything."""
        self.doubted()
        self._waiting.clear()

    def doubted(self) -> None:
        """Others doubt us: so may we."""
        self.health = min(MAX_HEALTH, self.health + 1)

    def next(self, now: float) -> None:
        """Probe the next member; sets its own next timer.

        Every other one is who comes after us in the circle of ids, so that nobody goes unprobed
        for longer than two periods; the rest of a shuffled round comes in between.
        """
        self.out.add(SetTimer("probe", now + self.config.probe_period_s * self.slowness))
        self._is_odd = not self._is_odd
        if self._is_odd and self.members.whole and self.members.live():
            after = self.members.successor()
            if self._watches(after, now):
                self.check(after, now)
                return
        while self._order and not self._watches(self._order[-1], now):
            self._order.pop()
        if not self._order:
            self._order = [each for each in self._pool() if self._watches(each, now)]
            self.rng.shuffle(self._order)
        if self._order:
            self.check(self._order.pop(), now)

    def check(self, member: str, now: float) -> None:
        """Probe that member at once."""
        if member in self._waiting.values() or not self._watches(member, now):
            return
        number = self._new_number()
        self._spoke.discard(member)
        self._waiting[number] = member
        self._ping(member, number)
        self._again(number, 1, now)

    def again(self, number: int, step: int, now: float) -> str | None:
        """No ack yet: ask again, and others to ask. The member if all steps were in vain."""
        member = self._waiting.get(number)
        if member is None or not self.members.is_live(member):
            self._waiting.pop(number, None)
            return None
        if step == LAST_STEP:
            del self._waiting[number]
            if member not in self._spoke:
                return member
            self.refuted(member, now)
            return None
        if step <= RELIABLE_STEP:
            self._ping(member, number, reliable=step == RELIABLE_STEP)
        if step == INDIRECT_STEP:
            trusted = set(self.members.trusted()) - {member}
            helpers = [each for each in self._pool() if each in trusted]
            for helper in self.rng.sample(helpers, min(self.config.indirect_probes, len(helpers))):
                self._send(helper, PingRequest(number, member))
        self._again(number, step + 1, now)
        return None

    def _again(self, number: int, step: int, now: float) -> None:
        wait = self.config.probe_timeout_s / INDIRECT_STEP * self.slowness
        self.out.add(SetTimer(f"again {number} {step}", now + wait))

    def acked(self, sender: str, ack: Ack, now: float) -> None:
        """An ack: of a probe of ours, or of one that we relay."""
        if self._waiting.get(ack.number) == (ack.member or sender):
            del self._waiting[ack.number]
            if not ack.member:
                self.heard(sender, now)
            self.health = max(0, self.health - 1)
        elif ack.number in self._relays and self._relays[ack.number][0] == sender:
            member, asker, number = self._relays.pop(ack.number)
            self._send(asker, Ack(number, member))

    def spoke(self, member: str, now: float) -> None:
        """That member says anew that it lives: if it does not answer us even so, it is far."""
        until, wait = self._far.get(member, (math.inf, 0.0))
        if member in self._waiting.values():
            self._spoke.add(member)
        elif until <= now + FAR_FIRST_S:
            self._leave_alone(member, wait, now)

    def lost(self, now: float) -> None:
        """Someone is gone, and with it perhaps who heard those that we left to others."""
        soon = now + FAR_FIRST_S
        self._far = {each: (min(until, soon), wait) for each, (until, wait) in self._far.items()}

    def refuted(self, member: str, now: float) -> None:
        """That member, which we found silent, lives: it is the way between us that is bad."""
        if len(self._far) > len(self.members.views):
            known = self.members.views.keys() & self._far
            self._far = {each: self._far[each] for each in known}
        _, wait = self._far.get(member, (0.0, FAR_FIRST_S / FAR_TIMES))
        self._leave_alone(member, min(FAR_MOST_S, wait * FAR_TIMES), now)

    def heard(self, member: str, now: float) -> None:
        """That member itself answered us or our doubt: it is left alone half as long."""
        if member in self._far:
            self._leave_alone(member, self._far[member][1] / 2, now)

    def _leave_alone(self, member: str, wait: float, now: float) -> None:
        if wait < FAR_FIRST_S:
            del self._far[member]
        else:
            self._far[member] = (now + wait, wait)

    def _watches(self, member: str, now: float) -> bool:
        until, _ = self._far.get(member, (0.0, 0.0))
        return self.members.is_live(member) and now >= until

    def retry(self, member: str) -> None:
        """Ping one that is held for dead: if it lives it refutes."""
        self._ping(member, self._new_number())

    def relay(self, asker: str, request: PingRequest, now: float) -> None:
        """Probe a member on behalf of another."""
        if len(self._relays) >= MAX_RELAYS:
            self._relays.pop(next(iter(self._relays)))
            self.out.count("relays dropped")
        number = self._new_number()
        self._relays[number] = (request.member, asker, request.number)
        self._ping(request.member, number)

    def _new_number(self) -> int:
        """One that only those can know who were asked."""
        return self.rng.getrandbits(32)

    def _ping(self, member: str, number: int, reliable: bool = False) -> None:
        """One that is doubted gets the doubt too, to refute it (Lifeguard's buddy)."""
        view = self.members.views.get(member)
        if view is not None:
            if not self.members.whole and (reliable or member not in self.overlay.active):
                told = Spread([self.overlay.mine()], [])  # one that has forgotten us cannot answer
                self.out.add(Send(view.fact.address, told, 1, reliable=True))
            ping = Ping(number, next(iter(view.doubts.values()), None))
            self.out.add(Send(view.fact.address, ping, 1, reliable))

    def _pool(self) -> list[str]:
        """Whom we watch: everyone, or of a swarm too large for that those that we link with."""
        return self.members.live() if self.members.whole else self.overlay.active

    def _send(self, member: str, frame: Ack | PingRequest) -> None:
        view = self.members.views.get(member)
        if view is not None:
            self.out.add(Send(view.fact.address, frame, 1))
