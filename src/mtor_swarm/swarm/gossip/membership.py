"""Who is in the swarm: SWIM's states, merged the same way whatever the order of the news.

Das, Gupta, Motivala: "SWIM" (DSN 2002); Dadgar, Phillips, Currey: "Lifeguard" (arXiv 1707.00788).
A member vouches for itself with signed facts; others may only doubt it. News of the higher boot
wins; within a boot who left has left; else the higher (incarnation, rank) wins, ranks being
alive < suspect < dead.
"""

from __future__ import annotations

import hashlib
import math
from typing import Literal

import msgspec

from mtor_swarm.config import GossipConfig
from mtor_swarm.swarm.gossip.wire import Doubt, Fact

State = Literal["alive", "suspect", "dead", "left"]
STATES: tuple[State, ...] = ("alive", "suspect", "dead", "left")
ALIVE, SUSPECT, DEAD, LEFT = range(4)
CONFIRMATIONS = 3
"""Independent witnesses after the first that bring a suspicion down to its least time."""
REFUSALS = 2
"""Witnesses of a closed port that are proof of a dead process."""
MAX_MEMBERS = 8192


class MemberInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A member as this one sees it. `started_s` is its own wall clock (Unix) at its start."""

    id: str
    unit: str
    role: str
    address: str
    boot: int
    incarnation: int
    state: State
    started_s: float


Age = tuple[int, bool, int, int]
"""How news on one member compares: boot, left, incarnation, rank."""


def age(boot: int, incarnation: int, rank: int) -> Age:
    """The age of news on a member; of two, the higher one holds."""
    return (boot, rank == LEFT, incarnation, rank)


def age_of(fact: Fact) -> Age:
    """The age of what a member says of itself."""
    return age(fact.boot, fact.incarnation, LEFT if fact.left else ALIVE)


class View:
    """What is known of one other member."""

    def __init__(self, fact: Fact, now: float) -> None:
        self.fact = fact
        self.incarnation = fact.incarnation
        self.rank = LEFT if fact.left else ALIVE
        self.since = now
        self.witnesses: set[str] = set()
        self.refusers: set[str] = set()

    @property
    def key(self) -> Age:
        """The order of news."""
        return age(self.fact.boot, self.incarnation, self.rank)

    def info(self, member: str) -> MemberInfo:
        """The view as others may read it."""
        fact = self.fact
        return MemberInfo(
            id=member,
            unit=fact.unit,
            role=fact.role,
            address=fact.address,
            boot=fact.boot,
            incarnation=self.incarnation,
            state=STATES[self.rank],
            started_s=fact.started_s,
        )


class Membership:
    """The views of all other members. Changes pile up in `changed` until they are taken."""

    def __init__(self, me: str, config: GossipConfig) -> None:
        self.me = me
        self.config = config
        self.views: dict[str, View] = {}
        self.changed: list[tuple[MemberInfo, str]] = []
        self.refused = 0

    def learn_fact(self, member: str, fact: Fact, now: float) -> bool:
        """A genuine fact of another member; whether it is news."""
        view = self.views.get(member)
        if view is None:
            if len(self.views) >= MAX_MEMBERS and not self._forget_one():
                self.refused += 1
                return False
            self.views[member] = view = View(fact, now)
            self.changed.append((view.info(member), ""))
            return True
        if age_of(fact) <= view.key:
            return False
        was, boot = STATES[view.rank], view.fact.boot
        self.views[member] = view = View(fact, now)
        if was != STATES[view.rank] or fact.boot != boot:
            self.changed.append((view.info(member), was))
        return True

    def learn_doubt(self, doubt: Doubt, now: float) -> bool:
        """Someone's doubt about another member; whether it is news (a new witness is)."""
        view = self.views.get(doubt.member)
        if view is None or doubt.boot != view.fact.boot or view.rank == LEFT:
            return False
        rank = DEAD if doubt.dead else SUSPECT
        key = age(doubt.boot, doubt.incarnation, rank)
        if key < view.key:
            return False
        news = key > view.key
        if doubt.incarnation > view.incarnation:
            view.witnesses, view.refusers = set(), set()
        if news:
            self._move(doubt.member, view, doubt.incarnation, rank, now)
        if view.rank != SUSPECT:
            return news
        news = news or doubt.witness not in view.witnesses
        view.witnesses.add(doubt.witness)
        if doubt.refused and doubt.witness not in view.refusers:
            news = True
            view.refusers.add(doubt.witness)
        return news

    def _move(self, member: str, view: View, incarnation: int, rank: int, now: float) -> None:
        was = STATES[view.rank]
        view.incarnation, view.rank = incarnation, rank
        view.since = now
        if STATES[view.rank] != was:
            self.changed.append((view.info(member), was))

    def deadline(self, member: str, slowness: float = 1.0) -> float:
        """When the suspicion of that member ends in its death: sooner with each witness.

        Lifeguard: max - (max - min) log(C + 1) / log(K + 1), C confirmations of K wanted.
        `slowness` stretches it for a member that doubts itself.
        """
        view = self.views[member]
        least, most = (
            self.config.suspect_min_s,
            max(self.config.suspect_min_s, self.config.suspect_max_s),
        )
        others = sum(1 for each in self.views.values() if each.rank == ALIVE)
        wanted = min(CONFIRMATIONS, others)
        had = min(len(view.witnesses) - 1, wanted)
        share = math.log(had + 1) / math.log(wanted + 1) if wanted else 1.0
        return view.since + (most - (most - least) * share) * slowness

    def is_proven_dead(self, member: str) -> bool:
        """Whether enough witnesses found the suspect's port closed."""
        view = self.views[member]
        others = sum(1 for each in self.views.values() if each.rank == ALIVE)
        return view.rank == SUSPECT and len(view.refusers) >= min(REFUSALS, others + 1)

    def doubt_of(self, member: str, witness: str) -> Doubt | None:
        """The doubt that stands against a member, as something to send on."""
        view = self.views[member]
        if view.rank not in (SUSPECT, DEAD):
            return None
        return Doubt(member, view.fact.boot, view.incarnation, view.rank == DEAD, witness)

    def ids(self, *ranks: int) -> list[str]:
        """The members whose rank is among these, sorted."""
        return sorted(each for each, view in self.views.items() if view.rank in ranks)

    def live(self) -> list[str]:
        """Who is alive as far as we know: the suspects too."""
        return self.ids(ALIVE, SUSPECT)

    def at(self, address: str) -> str | None:
        """The live member that listens there."""
        for member, view in self.views.items():
            if view.fact.address == address and view.rank < DEAD:
                return member
        return None

    def digest(self, mine: Fact) -> bytes:
        """A hash of all that is known; equal hashes mean that there is nothing to tell."""
        keys = {each: view.key for each, view in self.views.items()}
        keys[self.me] = age_of(mine)
        text = repr(sorted(keys.items())).encode()
        return hashlib.blake2b(text, digest_size=8).digest()

    def _forget_one(self) -> bool:
        gone = self.ids(DEAD, LEFT)
        if gone:
            del self.views[min(gone, key=lambda each: self.views[each].since)]
        return bool(gone)
