"""Who is linked with whom: few symmetric links a member, at any size of the swarm.

Leitao, Pereira, Rodrigues: "HyParView" (DSN 2007). The table of members is its passive view. A
link is asked for and granted, and what one end drops the other drops. A full member still grants a
link to one that is poorer by two, and drops another for it: so everyone gets links, and numbers
even out. While all members are known each also links with those next to it in the circle of ids,
so that the links connect the swarm whatever chance does, and halves that meet grow together.
"""

from __future__ import annotations

import random
from bisect import insort
from collections.abc import Callable
from typing import Literal

from mtor_swarm.config import GossipConfig
from mtor_swarm.swarm.gossip.effects import Outbox, Send, SetTimer
from mtor_swarm.swarm.gossip.membership import Membership
from mtor_swarm.swarm.gossip.wire import Fact, Frame, Neighbour, Spread

ANSWER_S = 0.5
"""So long is waited for a link that was asked for; then another member is asked."""
MOST_DOUBLED = 7
"""One that does not answer is left alone for longer each time, up to 64 s: it may be far."""
AFFIRM_S, AFFIRMED_S = 10.0, 5.0
"""One link is asked for anew so often, and answered by then: one that one end knows of ends."""


class Overlay:
    """The links of one member: `active`, sorted ids.

    What changed piles up in `changes`, and in `silent` who did not answer, until they are taken.
    """

    def __init__(
        self,
        members: Membership,
        config: GossipConfig,
        rng: random.Random,
        out: Outbox,
        mine: Callable[[], Fact],
    ) -> None:
        self.members = members
        self.most = config.neighbours
        self.rng = rng
        self.out = out
        self.mine = mine
        self.active: list[str] = []
        self.changes: list[tuple[str, bool]] = []
        self.silent: list[str] = []
        self._asked: dict[str, float] = {}
        self._refused: dict[str, float] = {}
        self._silences: dict[str, int] = {}
        members.linked, members.asked = self.active, self._asked

    @property
    def stirred(self) -> bool:
        """Whether there is anything to take."""
        return bool(self.changes or self.silent)

    def tend(self, now: float) -> None:
        """Ask for the links that are lacking."""
        for member in [each for each, until in self._asked.items() if until <= now]:
            self._silences[member] = min(self._silences.get(member, 0) + 1, MOST_DOUBLED)
            self.silent.append(member)
            self.lost(member, now)
        self._refused = {each: until for each, until in self._refused.items() if until > now}
        for member in sorted(self._ring() - self._met()):
            self._ask(member, 0, now + ANSWER_S)
        lacking = self.most - 1 - len({*self.active, *self._asked})
        if lacking > 0:
            met = self._met()
            pool = [each for each in self.members.trusted() if each not in met]
            for member in self.rng.sample(pool, min(lacking, len(pool))):
                self._ask(member, len(self.active), now + ANSWER_S)
        waiting = [*self._asked.values(), *self._refused.values()]
        if waiting:
            self.out.add(SetTimer("overlay", min(waiting)))

    def received(self, sender: str, frame: Neighbour, now: float) -> None:
        """Another member on the link between us."""
        self._silences.pop(sender, None)
        if not self.members.is_live(sender):
            self.out.count("links of strangers")
        elif frame.word == "ask":
            self._asked_for(sender, frame.links, now)
        elif frame.word == "yes":
            if sender in self._asked:
                self._link(sender, now)
            elif sender not in self.active:
                self._say(sender, "no")  # too late: we dropped it meanwhile, or gave up
        else:
            self.lost(sender, now)
        self.tend(now)

    def lost(self, member: str, now: float) -> None:
        """There is no link to that member, and for a while it is not asked for one."""
        self._asked.pop(member, None)
        self._refused[member] = now + ANSWER_S * 2 ** self._silences.get(member, 0)
        if member in self.active:
            self.active.remove(member)
            self.changes.append((member, False))

    def forgotten(self, member: str, now: float) -> None:
        """That member is not known any more."""
        self._silences.pop(member, None)
        self.lost(member, now)

    def affirm(self, now: float) -> None:
        """Ask for one of our links again; it ends if there is no answer."""
        if self.active:
            member = self.rng.choice(self.active)
            self._ask(member, len(self.active), now + AFFIRMED_S)

    def _asked_for(self, sender: str, links: int, now: float) -> None:
        full = len(self.active) >= self.most
        if sender in self.active or not full or links + 1 < len(self.active):
            self._link(sender, now)
            self._say(sender, "yes")
        else:
            self._say(sender, "no")

    def _link(self, member: str, now: float) -> None:
        self._asked.pop(member, None)
        if member in self.active:
            return
        insort(self.active, member)
        self.changes.append((member, True))
        if len(self.active) > self.most:
            kept = self._ring() | {member}
            dropped = self.rng.choice([each for each in self.active if each not in kept])
            self._say(dropped, "no")
            self.lost(dropped, now)

    def _ring(self) -> set[str]:
        return self.members.ring() if self.members.whole else set()

    def _met(self) -> set[str]:
        """Who needs not be asked now."""
        return {*self.active, *self._asked, *self._refused}

    def _ask(self, member: str, links: int, until: float) -> None:
        self._asked[member] = until
        self._say(member, "ask", links)

    def _say(self, member: str, word: Literal["ask", "yes", "no"], links: int = 0) -> None:
        """Say who we are first: one that does not know us, or no more, could not take it."""
        if word != "no" and not (self.members.whole and member in self.active):
            self._send(member, Spread([self.mine()], []))
        digest = b"" if word == "no" else self.members.digest(self.mine())
        self._send(member, Neighbour(word, links, digest))

    def _send(self, member: str, frame: Frame) -> None:
        view = self.members.views.get(member)
        if view is not None:
            self.out.add(Send(view.fact.address, frame, 1, confirmed=True))
