"""What members say of themselves and of each other: learned, passed on, compared, refuted.

A fact goes to the neighbours at once and its age to a few others a little later; whoever lacks it
asks. So news floods, what the flood missed is found, and nobody is sent twice what is long.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from mtor_swarm.swarm.gossip import effects as fx
from mtor_swarm.swarm.gossip import wire
from mtor_swarm.swarm.gossip.membership import (
    ALIVE,
    DEAD,
    NOTHING,
    SUSPECT,
    Age,
    Told,
    View,
    age,
    age_of,
    is_gone,
)

if TYPE_CHECKING:
    from mtor_swarm.swarm.gossip.machine import Machine

RETELLS, RETOLD = 3, 3
"""The age of news on a member is told in so many probe periods, to so many members."""
COMPARE_S, COMPARE_EACH_S = 0.03, 0.0005
"""Who found others' tables different compares again so soon; the second for each live member.

So that tables that are long, and differ for seconds as when a swarm parts, do not fill the links.
"""
COMPARES = 10
"""And that often, while nothing is learned: then tables differ for good, and the usual pace does.

Such as where one refuses a certificate that others admit, or hears one that others do not.
"""
GATHER_S = 0.02
"""News that comes thick is gathered for this long, so that much of it goes on in one frame."""
HURRIED = 4
"""So many doubts in that time go on at once: with two of them everybody knows of a death."""
LOST = 64
"""Units that are gone, the latest, told to one that asks: it shows whom the swarm has lost."""
SAMPLE = 16
"""Members told to one that asks, where all are too many."""


class Hearsay:
    """What a machine does about news on members."""

    def __init__(self, machine: Machine) -> None:
        self.m = machine
        self.members = machine.members
        self.out = machine.out
        self._fresh: dict[str, str] = {}
        self._retell: dict[str, int] = {}
        self._twin = (0, 0)
        self._next_at = 0.0
        self._doubts: list[tuple[wire.Doubt, str]] = []
        self._gather_until = 0.0
        self._hurried = 0
        self._compared = (b"", 0)
        self._compares_at = 0.0

    def digest(self) -> bytes:
        """A hash of whom we hold for live; empty where that is a sample."""
        return self.members.digest(self.m.my_fact())

    # --- frames

    def spread(self, sender: str, frame: wire.Spread, now: float) -> None:
        """News on members: what is new to us goes on to our neighbours."""
        doubted = {each.member for each in frame.doubts}
        for fact in frame.facts:
            member = fact.origin
            view = self.members.views.get(member)
            had = view is not None and view.rank <= SUSPECT and view.fact == fact
            news = not had and self.learn(member, fact, now)
            if member == sender:
                self.m.prober.heard(member, now)
            if had:
                continue
            if news:
                self._pass_on(member, sender, now)
            elif member == sender and self._is_elsewhere(member, fact):
                self._tell_twin(member, fact, now)
            elif member not in doubted and self._knows_better(member, fact):
                self.tell(sender, [member])
        fresh = [each for each in frame.doubts if self.doubted(sender, each, now)]
        if fresh and self.members.whole:
            self._pass_doubts(fresh, sender, now)
        if frame.pull:
            self.tell(sender, self._some())

    def known(self, sender: str, frame: wire.Known, now: float) -> None:
        """A peer's ages: tell it what is newer here, and ask for what is newer there."""
        if not self.members.whole:
            return
        same = self.members.told
        other = [each for each in frame.ages if each not in same]
        theirs = {each: age(boot, inc, rank) for each, boot, inc, rank in other}
        newer = [each for each, what in theirs.items() if self._age(each) > what]
        if frame.whole:
            told = {each[0] for each in frame.ages}
            newer += [each for each in self._all() if each not in told and each != sender]
        self.tell(sender, newer)
        older = [
            each
            for each, what in theirs.items()
            if self._age(each) < what and (self._age(each) > NOTHING or not is_gone(what))
        ]
        if older:
            self.m.send(sender, self._known(older), 1)
        if newer or older:
            mine, (last, times) = self.digest(), self._compared
            self._compared = (mine, times + 1 if mine == last else 1)
            if self._compared[1] <= COMPARES:
                self.compare_soon(now)

    def compare_soon(self, now: float) -> None:
        """Compare digests with others before long: more may differ."""
        at = now + self._pace()
        if not self.m.is_due_by("digest", at):
            self.out.add(fx.SetTimer("digest", at))

    def _pace(self) -> float:
        return max(COMPARE_S, COMPARE_EACH_S * len(self.members.live()))

    def compare(self, sender: str, digest: bytes, now: float) -> None:
        """A peer's digest: if it is not ours, say how new all that we know is.

        Not to several at once, who would all send the same.
        """
        mine = self.digest()
        if mine and digest and mine != digest:
            if now >= self._compares_at:
                self._compares_at = now + self._pace() / 2
                self.m.send(sender, self._known(self._all(), whole=True), 1)
        elif mine and not digest:  # there are more than it can hold: learn of some
            self.swap(sender)

    def remind(self, sender: str, view: View, now: float) -> None:
        """One that we hold for dead speaks: let it refute."""
        if now - view.reminded >= self.m.config.probe_timeout_s:
            view.reminded = now
            self.tell(sender, [sender])

    # --- facts

    def learn(self, member: str, fact: wire.Fact, now: float) -> bool:
        """A fact; whether it is genuine news."""
        view = self.members.views.get(member)
        if member == self.m.member_id:
            self._see_twin(fact)
            return False
        if view and age_of(fact) <= view.age:
            return False
        if not wire.is_genuine(fact, self.m.verifier):
            self.out.count("forged")
            return False
        why = self.m.authority.admit(fact, now + self.m.wall_offset_s) if self.m.authority else ""
        if why:
            self.out.count(why)
            return False
        if view and fact.boot == view.fact.boot:
            if self.m.member_id in view.doubts:
                self.m.prober.refuted(member, now)
            else:
                self.m.prober.spoke(member, now)
        news = self.members.learn_fact(member, fact, now)
        if news:
            self.out.add(fx.Reach(fact.address, member, fact.boot, fact.link, fact.port))
        return news

    def _is_elsewhere(self, member: str, fact: wire.Fact) -> bool:
        """Whether one that speaks with that member's key is not where we reach that member."""
        view = self.members.views.get(member)
        return view is not None and fact.address != view.fact.address and not fact.left

    def _tell_twin(self, member: str, fact: wire.Fact, now: float) -> None:
        """Two have one key. Who is not reached under it is told so, or would never know."""
        view = self.members.views[member]
        if now - view.reminded < self.m.config.probe_timeout_s:
            return
        if not wire.is_genuine(fact, self.m.verifier):
            self.out.count("forged")
            return
        view.reminded = now
        self.out.count("two with one key")
        self.out.add(fx.Send(fact.address, wire.Spread([view.fact], []), reliable=True))

    def _see_twin(self, fact: wire.Fact) -> None:
        """What is said in our name and with our key, and not by us: of the two one is not heard.

        A copy of our keys runs elsewhere; or our boot count went back, as from a backup.
        """
        mine = self.m.my_fact()
        moved = fact.boot == mine.boot and fact.address != mine.address
        if (moved or fact.about > mine.about) and wire.is_genuine(fact, self.m.verifier):
            self.out.count("another with our key")
            if fact.about != self._twin:
                self._twin = fact.about
                self.out.add(fx.Conflict(View(fact, 0.0).info(self.m.member_id), False))

    def _knows_better(self, member: str, fact: wire.Fact) -> bool:
        """Whether we have something newer to say than that fact."""
        view = self.members.views.get(member)
        if view is None or age_of(fact) >= view.age:
            return False
        return fact != view.fact or bool(view.doubts)

    def _pass_on(self, member: str, sender: str, now: float) -> None:
        if not self.members.whole:
            return
        self._retell[member] = RETELLS
        self._fresh[member] = sender
        if now >= self._next_at:
            self.flush(now)
        else:
            self.out.add(fx.SetTimer("flush", self._next_at))

    def flush(self, now: float) -> None:
        """Pass on the facts that were gathered, to each neighbour what it did not tell us."""
        fresh, self._fresh = self._fresh, {}
        self._next_at = now + GATHER_S
        for member in self.m.overlay.active:
            self.tell(member, [each for each, teller in fresh.items() if teller != member])

    def retell(self) -> None:
        """Say how new the latest news is, for those that the first wave missed."""
        if not self._retell:
            return
        frame = self._known(list(self._retell))
        self._retell = {each: n - 1 for each, n in self._retell.items() if n > 1}
        live = self.members.live()
        for member in self.m.rng.sample(live, min(RETOLD, len(live))):
            self.m.send(member, frame)

    # --- doubts

    def doubted(self, sender: str, doubt: wire.Doubt, now: float) -> bool:
        """Someone's doubt; whether it is genuine news. One about us is refuted."""
        if doubt.member == self.m.member_id:
            self._refute(sender, doubt, now)
            return False
        view = self.members.views.get(doubt.member)
        witness = doubt.origin
        if view is not None and view.doubts.get(witness) == doubt:
            return False
        if view is None or doubt.about > view.fact.about:
            if self.members.whole:
                self.m.send(sender, self._known([doubt.member]), 1)
            return False
        if not self.members.tells(doubt, witness):
            return False
        if not wire.is_genuine(doubt, self.m.verifier):
            self.out.count("forged")
            return False
        self.learn_doubt(doubt, witness, now)
        return True

    def learn_doubt(self, doubt: wire.Doubt, witness: str, now: float) -> None:
        """A genuine doubt that is news, and what follows from it."""
        self.members.learn_doubt(doubt, witness, now)
        if self.members.views[doubt.member].rank == DEAD:
            self._retell[doubt.member] = RETELLS
        else:
            self.m.watch(doubt.member, now)

    def say_doubt(self, member: str, sure: bool, now: float) -> None:
        """Doubt a member ourselves."""
        doubt = self._doubt(member, sure)
        if self.members.tells(doubt, self.m.member_id):
            doubt = wire.sign(doubt, self.m.signer)
            self.learn_doubt(doubt, self.m.member_id, now)
            self._pass_doubts([doubt], "", now)

    def _pass_doubts(self, doubts: list[wire.Doubt], sender: str, now: float) -> None:
        if now >= self._gather_until:
            self._gather_until, self._hurried = now + GATHER_S, 0
        self._hurried += 1
        if self._hurried <= HURRIED:
            self.tell_near(wire.Spread([], doubts), but=sender)
            return
        if not self._doubts:
            self.out.add(fx.SetTimer("doubts", self._gather_until))
        self._doubts += [(each, sender) for each in doubts]

    def flush_doubts(self, now: float) -> None:
        """Pass on the doubts that were gathered; while they come as thick, gather on."""
        fresh, self._doubts = self._doubts, []
        self._gather_until = now + GATHER_S
        for member in self.m.overlay.active:
            told = [each for each, teller in fresh if teller != member]
            for first in range(0, len(told), wire.MAX_TOLD):
                self.m.send(member, wire.Spread([], told[first : first + wire.MAX_TOLD]), 1)

    def _doubt(self, member: str, sure: bool) -> wire.Doubt:
        """Our doubt of what we hold of that member, not yet signed."""
        boot, incarnation = self.members.views[member].fact.about
        key = self.m.signer.public_key
        return wire.Doubt(key, b"", member=member, boot=boot, incarnation=incarnation, sure=sure)

    def _vouch(self, member: str, view: View) -> None:
        """Nobody believes witnesses of a death that are gone themselves: be one ourselves."""
        if not any(each == self.m.member_id or self.members.is_live(each) for each in view.doubts):
            view.doubts[self.m.member_id] = wire.sign(self._doubt(member, True), self.m.signer)

    def _refute(self, sender: str, doubt: wire.Doubt, now: float) -> None:
        """We are doubted: say with a higher incarnation that we live."""
        fact = self.m.my_fact()
        if doubt.boot != self.m.boot or doubt.incarnation > fact.incarnation:
            self.out.count("doubts of what we never said")
            return
        if doubt.incarnation == fact.incarnation:
            if not wire.is_genuine(doubt, self.m.verifier):
                self.out.count("forged")
                return
            self.m.prober.doubted()
            self.m.say(fact.address, fact.incarnation + 1, fact.started_s)
            self._retell[self.m.member_id] = RETELLS
            self.tell_near(wire.Spread([self.m.my_fact()], []), but=sender)
        self.m.send(sender, wire.Spread([self.m.my_fact()], []), 1)

    # --- to others

    def tell(self, to: str, members: Iterable[str]) -> None:
        """Tell a member what we hold of those, with the proof of their death if they are dead."""
        facts: list[wire.Fact] = []
        doubts: list[wire.Doubt] = []
        for member in members:
            view = self.members.views.get(member)
            if member == self.m.member_id:
                facts.append(self.m.my_fact())
            elif view is not None:
                facts.append(view.fact)
                if view.rank == DEAD:
                    self._vouch(member, view)
                    doubts += view.doubts.values()
            if max(len(facts), len(doubts)) > wire.MAX_TOLD // 2:
                self.m.send(to, wire.Spread(facts, doubts), 1)
                facts, doubts = [], []
        if facts:
            self.m.send(to, wire.Spread(facts, doubts), 1)

    def tell_near(self, frame: wire.Spread, but: str = "") -> None:
        """Send it to all that we are linked with, but for one."""
        for member in self.m.overlay.active:
            if member != but:
                self.m.send(member, frame, 1)

    def swap(self, member: str) -> None:
        """Exchange a sample of who is known with another member."""
        live = self.members.live()
        sample = self.m.rng.sample(live, min(SAMPLE // 2, len(live)))
        facts = [self.members.views[each].fact for each in sample]
        self.m.send(member, wire.Spread([self.m.my_fact(), *facts], [], True))

    def _all(self) -> list[str]:
        return [self.m.member_id, *self.members.live()]

    def _some(self) -> list[str]:
        """All and the lost, or where they are too many a few, and ourselves."""
        if self.members.whole:
            return self._all() + self.members.lost()[-LOST:]
        live = self.members.live()
        return [self.m.member_id, *self.m.rng.sample(live, min(SAMPLE, len(live)))]

    def _age(self, member: str) -> Age:
        if member == self.m.member_id:
            return age_of(self.m.my_fact())
        view = self.members.views.get(member)
        return view.age if view else NOTHING

    def _known(self, members: list[str], whole: bool = False) -> wire.Known:
        return wire.Known([self._told(each) for each in members[: wire.MAX_ITEMS]], whole)

    def _told(self, member: str) -> Told:
        view = self.members.views.get(member)
        if view is not None:
            return view.told
        return (member, *(self.m.my_fact().about if member == self.m.member_id else (0, 0)), ALIVE)
