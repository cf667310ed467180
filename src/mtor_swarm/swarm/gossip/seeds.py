"""Where a member looks for others: seeds, given or discovered, and members held for dead."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mtor_swarm.swarm.gossip import effects as fx
from mtor_swarm.swarm.gossip import wire
from mtor_swarm.swarm.gossip.membership import DEAD

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
            self.m.out.add(fx.Send(seed, wire.Spread([self.m.fact], [], True)))
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
        elif self.m.members.at(item.address) is None:
            self.m.out.add(fx.Send(item.address, self.m.all_known_pull()))

    def retry(self, now: float) -> None:
        """Try one dead member and one seed, so that a swarm split whole finds itself again."""
        members = self.m.members
        self.m.out.add(fx.SetTimer("retry", now + self.m.config.dead_retry_s))
        known = {self.mine, *(members.views[each].fact.address for each in members.live())}
        lost = [members.views[each].fact.address for each in members.ids(DEAD)]
        for addresses in (lost, self.all):
            places = [each for each in addresses if each not in known]
            if places:
                self.m.out.add(fx.Send(self.m.rng.choice(places), self.m.all_known_pull()))
