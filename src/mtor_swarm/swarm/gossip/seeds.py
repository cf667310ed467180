"""Where a member looks for others: seeds, given or discovered, and members held for dead."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mtor_swarm.swarm.gossip import effects as fx
from mtor_swarm.swarm.gossip import wire

if TYPE_CHECKING:
    from mtor_swarm.swarm.gossip.machine import Machine

JOIN_S = 0.3
MAX_DISCOVERED = 64
"""Seeds that were discovered, not given, and are kept: the latest."""


class Seeds:
    """What a machine does to meet others."""

    def __init__(self, machine: Machine, given: list[str]) -> None:
        self.m = machine
        self.given = list(given)
        self.found: list[str] = []

    @property
    def all(self) -> list[str]:
        """Every address to try, but for our own."""
        return [each for each in self.given + self.found if each != self.mine]

    @property
    def mine(self) -> str:
        """Where we listen ourselves; empty before the start."""
        return self.m.fact.address if self.m.fact else ""

    def join(self, now: float) -> None:
        """Greet the seeds until someone is there."""
        assert self.m.fact is not None
        if self.m.members.live():
            return
        for seed in self.all:
            self._greet(seed)
        if self.all:
            self.m.out.add(fx.SetTimer("join", now + JOIN_S))

    def discovered(self, item: fx.Discovered, now: float) -> None:
        """One more seed, in place of the oldest of its kind if there are many."""
        if item.address in self.given + self.found:
            return
        self.found.append(item.address)
        if len(self.found) > MAX_DISCOVERED:
            del self.found[0]
            self.m.out.count("seeds forgotten")
        if self.mine in ("", item.address):
            return
        if not self.m.members.live():
            self.join(now)
        elif not self.m.members.at(item.address):
            self._greet(item.address)

    def retry(self, now: float) -> None:
        """Try one dead member and one seed, so that a swarm split whole finds itself again."""
        self.m.out.add(fx.SetTimer("retry", now + self.m.config.dead_retry_s))
        dead = self.m.members.dead()
        if dead:
            lost = self.m.rng.choice(dead)
            self.m.send(lost, wire.Spread([self.m.my_fact()], []))
            self.m.prober.retry(lost)
        seeds = [each for each in self.all if not self.m.members.at(each)]
        if seeds:
            self._greet(self.m.rng.choice(seeds))

    def _greet(self, address: str) -> None:
        """Say to whoever listens there who we are, and ask who is there."""
        greeting = wire.Spread([self.m.my_fact()], [], True)
        self.m.out.add(fx.Send(address, greeting, reliable=True))
