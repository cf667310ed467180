"""The gossip of one member as a machine: `handle(input, now)` gives effects, nothing else.

The driver owns sockets and clocks; the same machine runs in simulations with virtual time.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import msgspec

from mtor_swarm.config import GossipConfig
from mtor_swarm.events import fingerprint
from mtor_swarm.ports import Signer, Verifier
from mtor_swarm.swarm.gossip import effects as fx
from mtor_swarm.swarm.gossip import wire
from mtor_swarm.swarm.gossip.asks import Asks
from mtor_swarm.swarm.gossip.dissemination import neighbours
from mtor_swarm.swarm.gossip.membership import SUSPECT, Membership, age_of
from mtor_swarm.swarm.gossip.news import News
from mtor_swarm.swarm.gossip.probe import STALL_S, Prober
from mtor_swarm.swarm.gossip.seeds import Seeds
from mtor_swarm.swarm.gossip.shared import Shared

RETELLS, RETOLD = 3, 3
"""News on a member is told again in so many probe periods, to so many members."""


class Machine:
    """One member. `wall_s - now` is fixed at the start: wall time here never jumps."""

    def __init__(
        self,
        config: GossipConfig,
        signer: Signer,
        verifier: Verifier,
        rng: random.Random,
        *,
        boot: int,
        unit: str,
        role: wire.Role,
        wall_offset_s: float,
        seeds: list[str],
        link: bytes = bytes(32),
        certificate: bytes = b"",
    ) -> None:
        self.config = config
        self.signer = signer
        self.verifier = verifier
        self.rng = rng
        self.boot = boot
        self.unit = unit
        self.role = role
        self.link = link
        self.certificate = certificate
        self.port = 0
        self.wall_offset_s = wall_offset_s
        self.member_id = fingerprint(signer.public_key)
        self.out = fx.Outbox()
        self.members = Membership(self.member_id, config)
        self.prober = Prober(self.members, config, rng, self.out)
        self.asks = Asks(self.members, self.out)
        self.fact: wire.Fact | None = None
        self.news = News(self)
        self.shared = Shared(self)
        self.seeds = Seeds(self, seeds)
        self.near: list[str] = []
        self._retell: dict[str, int] = {}
        self._due: dict[str, float] = {}
        self._conflicts: set[str] = set()
        self._handlers: dict[type, Callable[[Any, float], None]] = {
            fx.Started: self._started,
            fx.Received: self._received,
            fx.Fired: self._fired,
            fx.LinkLost: self._link_lost,
            fx.Published: lambda it, now: self.news.publish(it.event, now),
            fx.StateChanged: lambda it, now: self.news.state_changed(it.state, now),
            fx.SharedWritten: self.shared.write,
            fx.SharedCarried: self.shared.carry,
            fx.Discovered: self.seeds.discovered,
            fx.Asking: self._ask,
            fx.Replying: self._reply,
            fx.Leaving: self._leave,
        }

    def handle(self, item: fx.Input, now: float) -> list[fx.Effect]:
        """What is to be done about this input, most urgent sends first."""
        self._handlers[type(item)](item, now)
        self._tell_changes(now)
        done = self.out.drain()
        for each in done:
            if isinstance(each, fx.SetTimer):
                self._due[each.key] = each.at
        done.sort(key=lambda each: each.priority if isinstance(each, fx.Send) else -1)
        return done

    # --- life

    def _started(self, item: fx.Started, now: float) -> None:
        self.port = item.port
        self._say(item.address, 1, now + self.wall_offset_s)
        self.seeds.join(now)
        period = self.config.probe_period_s
        self.out.add(fx.SetTimer("probe", now + period * self.rng.random()))
        self.out.add(fx.SetTimer("digest", now + self.config.digest_busy_s))
        self.out.add(fx.SetTimer("retry", now + self.config.dead_retry_s))

    def _say(self, address: str, incarnation: int, started_s: float, left: bool = False) -> None:
        """Sign what we say of ourselves."""
        self.fact = wire.sign(
            wire.Fact(
                self.signer.public_key,
                b"",
                boot=self.boot,
                incarnation=incarnation,
                address=address,
                unit=self.unit,
                role=self.role,
                started_s=max(0.0, started_s),
                link=self.link,
                port=self.port,
                certificate=self.certificate,
                left=left,
            ),
            self.signer,
        )

    def _leave(self, item: fx.Leaving, now: float) -> None:
        if self.fact is None:
            return
        fact = self.fact
        self._say(fact.address, fact.incarnation + 1, fact.started_s, left=True)
        for member in self.members.live():
            self.send(member, wire.Spread([self.fact], []), 0)

    def is_due_by(self, key: str, at: float) -> bool:
        """Whether that timer will fire by then anyhow."""
        return self._due.get(key, at + 1) <= at

    # --- frames

    def _received(self, item: fx.Received, now: float) -> None:
        if self.fact is None or self.fact.left or item.sender == self.member_id:
            return
        frame, sender = item.frame, item.sender
        if isinstance(frame, wire.Ping):
            if frame.doubted >= self.fact.incarnation:
                self._refute(frame.doubted)
            if frame.doubted >= 0:
                self.send(sender, wire.Spread([self.fact], []), 1)
            self.send(sender, wire.Ack(frame.number, self.member_id), 1)
        elif isinstance(frame, wire.Ack):
            self.prober.acked(frame)
        elif isinstance(frame, wire.PingRequest):
            self.prober.relay(sender, frame)
        elif isinstance(frame, wire.Spread):
            self._spread(sender, frame, now)
        elif isinstance(frame, wire.Ask):
            self.out.add(fx.Asked(sender, frame.askid, frame.kind, frame.payload))
        elif isinstance(frame, wire.Answer):
            self.asks.answered(sender, frame)
        elif isinstance(frame, wire.SharedFrame):
            self.shared.received(sender, frame, now)
        else:
            self.news.received(sender, frame, now)

    def _spread(self, sender: str, frame: wire.Spread, now: float) -> None:
        """News on members: what is new to us goes on to our neighbours."""
        facts = [each for each in frame.facts if self._learn(each, now)]
        doubts = [each for each in frame.doubts if self._doubt(each, now)]
        for member in [e.origin for e in facts] + [e.member for e in doubts]:
            self._retell[member] = RETELLS
        if facts or doubts:
            self._tell_near(wire.Spread(facts, doubts), but=sender)
        if frame.pull:
            self.send(sender, self._all_known(), 1)

    def _retell_news(self) -> None:
        """Tell what changed lately to a few more, for those that the first wave missed."""
        if not self._retell:
            return
        known = [each for each in self._retell if each in self.members.views]
        doubts = [self.members.doubt_of(each, self.member_id) for each in known]
        frame = wire.Spread(
            [self.members.views[each].fact for each in known],
            [each for each in doubts if each is not None and each.dead],
        )
        self._retell = {each: n - 1 for each, n in self._retell.items() if n > 1}
        live = self.members.live()
        for member in self.rng.sample(live, min(RETOLD, len(live))):
            self.send(member, frame, 2)

    def _learn(self, fact: wire.Fact, now: float) -> bool:
        member = fact.origin
        if member == self.member_id:
            return False
        view = self.members.views.get(member)
        if view and age_of(fact) <= view.key:
            return False
        if not wire.is_genuine(fact, self.verifier):
            self.out.count("forged")
            return False
        news = self.members.learn_fact(member, fact, now)
        if news:
            self.out.add(fx.Reach(fact.address, member, fact.boot, fact.link, fact.port))
        return news

    def _doubt(self, doubt: wire.Doubt, now: float) -> bool:
        assert self.fact is not None
        if doubt.member == self.member_id:
            if doubt.boot == self.boot and doubt.incarnation >= self.fact.incarnation:
                self._refute(doubt.incarnation)
            return False
        news = self.members.learn_doubt(doubt, now)
        if news:
            self._watch(doubt.member, now)
        return news

    def _refute(self, incarnation: int) -> None:
        """We are doubted: say with a higher incarnation that we live."""
        assert self.fact is not None
        if incarnation > 2**61:
            self.out.count("absurd")
            return
        self.prober.health = min(8, self.prober.health + 1)
        self._say(self.fact.address, incarnation + 1, self.fact.started_s)
        self._tell_near(wire.Spread([self.fact], []))

    def _all_known(self) -> wire.Spread:
        assert self.fact is not None
        views = self.members.views
        doubts = [self.members.doubt_of(each, self.member_id) for each in views]
        told = [each for each in doubts if each is not None and each.dead]
        return wire.Spread([self.fact] + [each.fact for each in views.values()], told)

    # --- suspicion

    def _suspect(self, member: str, now: float, refused: bool = False) -> None:
        """We ourselves found it silent, or its port closed."""
        view = self.members.views[member]
        doubt = wire.Doubt(
            member, view.fact.boot, view.incarnation, False, self.member_id, refused
        )
        if self._doubt(doubt, now):
            self._tell_near(wire.Spread([], [doubt]))

    def _watch(self, member: str, now: float) -> None:
        view = self.members.views[member]
        if view.rank != SUSPECT:
            return
        if self.members.is_proven_dead(member):
            self._bury(member, now)
        else:
            at = self.members.deadline(member, self.prober.slowness)
            self.out.add(fx.SetTimer(f"suspect {member}", max(at, now)))
            self.prober.check(member, now)

    def _bury(self, member: str, now: float) -> None:
        view = self.members.views[member]
        doubt = wire.Doubt(member, view.fact.boot, view.incarnation, True, self.member_id)
        self.members.learn_doubt(doubt, now)
        self._tell_near(wire.Spread([], [doubt]))

    def _link_lost(self, item: fx.LinkLost, now: float) -> None:
        member = self.members.at(item.address)
        if member is None:
            return
        if item.refused:
            self._suspect(member, now, refused=True)
        else:
            self.prober.check(member, now)

    # --- timers

    def _fired(self, item: fx.Fired, now: float) -> None:
        if self.fact is None or self.fact.left:
            return
        late = now - self._due.pop(item.key, now)
        if late > STALL_S:
            self.prober.starved()
            self.out.count("stalls")
        name, _, rest = item.key.partition(" ")
        if name == "probe":
            self.prober.next(now)
            self._retell_news()
        elif name == "indirect":
            self.prober.indirect(int(rest), now)
        elif name == "again":
            self.prober.indirect(int(rest), now, again=True)
        elif name == "failed":
            silent = self.prober.failed(int(rest))
            if silent is not None:
                self._suspect(silent, now)
                self.prober.check(silent, now)
        elif name == "suspect":
            self._suspicion_over(rest, now, late)
        elif name == "join":
            self.seeds.join(now)
        elif name == "retry":
            self.seeds.retry(now)
        elif name == "ask":
            self.asks.expired(int(rest))
        elif name == "state":
            self.shared.fired(rest, now)
        else:
            self.news.fired(name, now)

    def _suspicion_over(self, member: str, now: float, late: float) -> None:
        view = self.members.views.get(member)
        if view is None or view.rank != SUSPECT:
            return
        at = self.members.deadline(member, self.prober.slowness)
        if late > STALL_S:
            at = now + self.config.suspect_min_s
        if now < at:
            self.out.add(fx.SetTimer(f"suspect {member}", at))
        else:
            self._bury(member, now)

    def all_known_pull(self) -> wire.Spread:
        return msgspec.structs.replace(self._all_known(), pull=True)

    # --- to others

    def _tell_changes(self, now: float) -> None:
        changed, self.members.changed = self.members.changed, []
        if not changed or self.fact is None:
            return
        self.near = neighbours(
            self.member_id,
            self.members.live(),
            self.config.neighbours,
            self.near,
            self.rng,
        )
        for info, was in changed:
            self.out.add(fx.MemberSeen(info, was))
            if info.state in ("dead", "left"):
                self.asks.lost(info.id)
                self._conflicts.discard(info.id)
            elif was in ("", "dead", "left"):
                self.out.add(fx.SetTimer("digest", now + 0.02))
                self.shared.met(now)
                self._see_conflict(info.id)

    def _see_conflict(self, member: str) -> None:
        assert self.fact is not None
        view = self.members.views.get(member)
        if view is None:  # forgotten at once, for want of room
            return
        info = view.info(member)
        same = info.unit == self.unit and info.role == self.role == "unit"
        if same and member not in self._conflicts:
            self._conflicts.add(member)
            later = (self.fact.started_s, self.member_id) > (info.started_s, member)
            self.out.add(fx.Conflict(info, later))

    def _tell_near(self, frame: wire.Spread, but: str = "") -> None:
        for member in self.near:
            if member != but:
                self.send(member, frame, 1)

    def send(self, member: str, frame: wire.Frame, priority: int = 2) -> None:
        view = self.members.views.get(member)
        if view is not None:
            self.out.add(fx.Send(view.fact.address, frame, priority))

    def _ask(self, item: fx.Asking, now: float) -> None:
        """Say who we are first: one that has not heard of us yet could not answer."""
        assert self.fact is not None
        self.send(item.member, wire.Spread([self.fact], []))
        self.asks.ask(item, now)

    def _reply(self, item: fx.Replying, now: float) -> None:
        self.send(item.member, wire.Answer(item.askid, item.ok, item.payload))
