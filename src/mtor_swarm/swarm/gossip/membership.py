"""Who is in the swarm: a bounded table of SWIM's states, merged whatever the order of the news.

Das, Gupta, Motivala: "SWIM" (DSN 2002); Dadgar, Phillips, Currey: "Lifeguard" (arXiv 1707.00788).
A member vouches for itself with signed facts, and nobody else may raise its numbers. Others may
only doubt the very fact that we hold, each with its signature. The fact of the higher boot holds;
within a boot who left has left; else the higher incarnation, with which a doubted one refutes.
"""

from __future__ import annotations

import functools
import hashlib
import math
import random
from bisect import bisect_left, insort
from collections.abc import Collection
from typing import Literal

import msgspec

from mtor_swarm.config import GossipConfig
from mtor_swarm.swarm.gossip.wire import Doubt, Fact

State = Literal["alive", "suspect", "dead", "left"]
STATES: tuple[State, ...] = ("alive", "suspect", "dead", "left")
ALIVE, SUSPECT, DEAD, LEFT = range(4)
CONFIRMATIONS = 3
"""Independent witnesses after the first that bring a suspicion down to its least time."""
MAX_DOUBTS = 32
"""Of one fact: one that only some hear may be doubted by all others."""
PROOF = 2
"""Witnesses that are sure of a death (its port is closed, its time is over) are proof of it."""


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


Told = tuple[str, int, int, int]
"""How new what is known of a member is, as peers tell it: its id, boot, incarnation, rank."""
Age = tuple[int, bool, int, bool]
"""How news on one member compares: boot, left, incarnation, dead."""
NOTHING: Age = (0, False, 0, False)


def age(boot: int, incarnation: int, rank: int) -> Age:
    """The age of news on a member; of two, the higher one holds."""
    return (boot, rank == LEFT, incarnation, rank == DEAD)


def age_of(fact: Fact) -> Age:
    """The age of what a member says of itself."""
    return age(fact.boot, fact.incarnation, LEFT if fact.left else ALIVE)


def is_gone(what: Age) -> bool:
    """Whether that news is of one that is dead or has left."""
    return what[1] or what[3]


class View:
    """What is known of one other member; `doubts` of its fact, by witness."""

    __slots__ = ("age", "doubts", "fact", "heard", "rank", "reminded", "since", "told")

    def __init__(self, fact: Fact, now: float) -> None:
        self.fact = fact
        self.doubts: dict[str, Doubt] = {}
        self.heard = self.reminded = -math.inf
        self.turn(LEFT if fact.left else ALIVE, now)

    def turn(self, rank: int, now: float) -> None:
        """From now on it is that; `age` has the order of news, and a suspicion is none."""
        fact = self.fact
        self.rank, self.since = rank, now
        self.age = age(fact.boot, fact.incarnation, rank)
        self.told: Told = (fact.origin, *fact.about, rank if rank >= DEAD else ALIVE)

    @property
    def is_heard(self) -> bool:
        """Whether we heard it ourselves since it was doubted."""
        return self.heard > self.since

    def info(self, member: str) -> MemberInfo:
        """The view as others may read it."""
        fact = self.fact
        return MemberInfo(
            id=member,
            unit=fact.unit,
            role=fact.role,
            address=fact.address,
            boot=fact.boot,
            incarnation=fact.incarnation,
            state=STATES[self.rank],
            started_s=fact.started_s,
        )


class Membership:
    """The views of other members. Changes pile up in `changed` and `forgotten` until taken.

    The table is `whole` until a live member found no room in it; from then on it is a sample of
    the swarm. Those that are `linked`, or `asked` for a link, keep their place.
    """

    def __init__(self, me: str, config: GossipConfig, rng: random.Random) -> None:
        self.me = me
        self.config = config
        self.rng = rng
        self.views: dict[str, View] = {}
        self.told: set[Told] = set()
        """What peers are told of each of these."""
        self.whole = True
        self.linked: Collection[str] = ()
        self.asked: Collection[str] = ()
        self.changed: list[tuple[MemberInfo, str]] = []
        self.forgotten: list[str] = []
        self.refused = 0
        self._live: list[str] = []
        self._suspects: set[str] = set()
        self._sum = 0

    def learn_fact(self, member: str, fact: Fact, now: float) -> bool:
        """A genuine fact of another member; whether it is news."""
        old = self.views.get(member)
        if old is None:
            if len(self.views) >= self.config.members_known and not self._make_room():
                self.refused += 1
                return False
            self._place(member, View(fact, now))
            self.changed.append((self.views[member].info(member), ""))
            return True
        if age_of(fact) <= old.age:
            return False
        view = View(fact, now)
        self._place(member, view)
        if old.rank != view.rank or old.fact.boot != fact.boot:
            self.changed.append((view.info(member), STATES[old.rank]))
        return True

    def tells(self, doubt: Doubt, witness: str) -> bool:
        """Whether a doubt would be news: of the very fact that we hold, by a live member."""
        view = self.views.get(doubt.member)
        if view is None or view.rank >= DEAD or witness == doubt.member:
            return False
        if not self.is_watched(doubt.member):
            return False
        if doubt.about != view.fact.about:
            return False
        if witness != self.me and not self.is_live(witness):
            return False
        had = view.doubts.get(witness)
        if had is None:
            most = MAX_DOUBTS - 1 if doubt.sure else CONFIRMATIONS
            return len(view.doubts) <= most
        return doubt.sure and not had.sure

    def learn_doubt(self, doubt: Doubt, witness: str, now: float) -> None:
        """A genuine doubt that `tells` something: suspicion, or death if that is proven now."""
        view = self.views[doubt.member]
        view.doubts[witness] = doubt
        sure = sum(each.sure for each in view.doubts.values())
        if sure >= min(PROOF, len(self._live)) and not view.is_heard:
            self.bury(doubt.member, now)
        elif view.rank == ALIVE:
            self._move(doubt.member, view, SUSPECT, now)

    def bury(self, member: str, now: float) -> None:
        """It is dead, as far as we know."""
        self._move(member, self.views[member], DEAD, now)

    def deadline(self, member: str, slowness: float = 1.0) -> float:
        """When the suspicion of that member ends in its death: sooner with each witness.

        Lifeguard: max - (max - min) log(C + 1) / log(K + 1), C confirmations of K wanted.
        `slowness` stretches it for a member that doubts itself.
        """
        view = self.views[member]
        least = self.config.suspect_min_s
        most = max(least, self.config.suspect_max_s)
        wanted = min(CONFIRMATIONS, len(self._live) - len(self._suspects))
        had = min(len(view.doubts) - 1, wanted)
        share = math.log(had + 1) / math.log(wanted + 1) if wanted else 1.0
        return view.since + (most - (most - least) * share) * slowness

    def live(self) -> list[str]:
        """Who is alive as far as we know, the suspects too: sorted, and not to be changed."""
        return self._live

    def trusted(self) -> list[str]:
        """The live members that are not suspect, sorted."""
        return [each for each in self._live if each not in self._suspects]

    def dead(self) -> list[str]:
        """The members that are held for dead, sorted."""
        return sorted(each for each, view in self.views.items() if view.rank == DEAD)

    def lost(self) -> list[str]:
        """The units that are dead or have left, the latest last."""
        views = self.views
        gone = [e for e, v in views.items() if v.rank >= DEAD and v.fact.role == "unit"]
        return sorted(gone, key=lambda each: (views[each].since, each))

    def is_live(self, member: str) -> bool:
        """Whether that member is known and alive, or at least not proven dead."""
        view = self.views.get(member)
        return view is not None and view.rank <= SUSPECT

    def is_watched(self, member: str) -> bool:
        """Whether silence of that member says anything: one that may not know us cannot answer."""
        return self.whole or member in self.linked

    def at(self, address: str) -> list[str]:
        """The live members that say that they listen there."""
        return [each for each in self._live if self.views[each].fact.address == address]

    def successor(self, back: int = 0) -> str:
        """Who comes after us in the circle of live members, by id, or so many before that."""
        return self._live[(bisect_left(self._live, self.me) - back) % len(self._live)]

    def ring(self) -> set[str]:
        """Who comes before and after us in that circle, if anyone."""
        return {self.successor(1), self.successor()} if self._live else set()

    def digest(self, mine: Fact) -> bytes:
        """A hash of who is live; equal hashes mean the same, an empty one says nothing."""
        if not self.whole:
            return b""
        return (self._sum ^ _hash(self.me, *mine.about)).to_bytes(8, "big")

    def expire(self, now: float) -> None:
        """Forget who has been gone for long."""
        for member, view in list(self.views.items()):
            if view.rank >= DEAD and now - view.since >= self.config.forget_s:
                self.forget(member)

    def forget(self, member: str) -> None:
        """Know nothing of that member any more."""
        self._unplace(member)
        self.told.discard(self.views.pop(member).told)
        self.forgotten.append(member)

    def _place(self, member: str, view: View) -> None:
        self._unplace(member)
        old = self.views.get(member)
        if old is not None:
            self.told.discard(old.told)
        self.told.add(view.told)
        self.views[member] = view
        if view.rank == ALIVE:
            insort(self._live, member)
            self._sum ^= _hash(member, *view.fact.about)

    def _unplace(self, member: str) -> None:
        view = self.views.get(member)
        if view is not None and view.rank <= SUSPECT:
            del self._live[bisect_left(self._live, member)]
            self._suspects.discard(member)
            self._sum ^= _hash(member, *view.fact.about)

    def _move(self, member: str, view: View, rank: int, now: float) -> None:
        was = STATES[view.rank]
        if rank == SUSPECT:
            self._suspects.add(member)
        else:
            self._unplace(member)
        self.told.discard(view.told)
        view.turn(rank, now)
        self.told.add(view.told)
        self.changed.append((view.info(member), was))

    def _make_room(self) -> bool:
        """Forget who is gone longest, or else anyone who is not linked."""
        gone = [each for each, view in self.views.items() if view.rank >= DEAD]
        if gone:
            self.forget(min(gone, key=lambda each: self.views[each].since))
            return True
        self.whole = False
        kept = {*self.linked, *self.asked}
        others = [each for each in self._live if each not in kept]
        if others:
            self.forget(self.rng.choice(others))
        return bool(others)


@functools.lru_cache(maxsize=8192)
def _hash(member: str, boot: int, incarnation: int) -> int:
    text = f"{member} {boot} {incarnation}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")
