"""The gossip of one member as a machine: `handle(input, now)` gives effects, nothing else.

The driver owns sockets and clocks; the same machine runs in simulations with virtual time.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, get_args

from mtor_swarm.config import GossipConfig
from mtor_swarm.events import fingerprint
from mtor_swarm.ports import Signer, Verifier
from mtor_swarm.swarm.certificates import Authority
from mtor_swarm.swarm.gossip import effects as fx
from mtor_swarm.swarm.gossip import wire
from mtor_swarm.swarm.gossip.asks import Asks
from mtor_swarm.swarm.gossip.hearsay import Hearsay
from mtor_swarm.swarm.gossip.membership import ALIVE, DEAD, SUSPECT, MemberInfo, Membership
from mtor_swarm.swarm.gossip.news import News
from mtor_swarm.swarm.gossip.overlay import AFFIRM_S, Overlay
from mtor_swarm.swarm.gossip.probe import STALL_S, Prober
from mtor_swarm.swarm.gossip.seeds import Seeds
from mtor_swarm.swarm.gossip.shared import Shared

NEWCOMER_S = 10.0
"""One that finds its unit's name taken so soon after its start is the one that must go."""
FRESH_S = 0.3
"""A port found closed so soon after its member's news is looked at again."""
CHECKERS = 16
"""About so many members check a suspect at once, however many there are."""


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
        authority: Authority | None = None,
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
        self.authority = authority
        self.port = 0
        self.wall_offset_s = wall_offset_s
        self.member_id = fingerprint(signer.public_key)
        self.out = fx.Outbox()
        self.members = Membership(self.member_id, config, rng)
        self.overlay = Overlay(self.members, config, rng, self.out, self.my_fact)
        self.prober = Prober(self.overlay, config, rng, self.out)
        self.asks = Asks(self)
        self.fact: wire.Fact | None = None
        self.started = 0.0
        self.loss: dict[str, float] = {}
        """The share of a member's datagrams to us that is lost, where it was measured."""
        self.seeds = Seeds(self, seeds)
        self.hearsay = Hearsay(self)
        self.news = News(self)
        self.shared = Shared(self)
        self._due: dict[str, float] = {}
        self._conflicts: set[str] = set()
        self._handlers: dict[type, Callable[[Any, float], None]] = {
            fx.Started: self._started,
            fx.Received: self._received,
            fx.Fired: self._fired,
            fx.LinkLost: self._link_lost,
            fx.Lossy: lambda it, now: self.loss.update({it.member: it.share}),
            fx.Certified: self._certified,
            fx.Published: lambda it, now: self.news.publish(it.event, now),
            fx.StateChanged: lambda it, now: self.news.state_changed(it.state, now),
            fx.SharedWritten: self.shared.write,
            fx.SharedCarried: self.shared.carry,
            fx.Discovered: self.seeds.discovered,
            fx.Asking: self.asks.ask,
            fx.Abandoning: self.asks.abandon,
            fx.Telling: self.asks.tell,
            fx.Replying: self.asks.reply,
            fx.Leaving: self._leave,
        }
        self._readers = self._make_readers()

    def _make_readers(self) -> dict[type, Callable[[str, Any, float], None]]:
        """Who reads which frame; what is not among them is about events."""
        return {
            wire.Ping: self._pinged,
            wire.Ack: self.prober.acked,
            wire.PingRequest: self.prober.relay,
            wire.Spread: self.hearsay.spread,
            wire.Known: self.hearsay.known,
            wire.Neighbour: self._neighbour,
            wire.Ask: self.asks.asked,
            wire.AskOver: self.asks.over,
            wire.AnswerPart: self.asks.part,
            wire.Answer: self.asks.answered,
            **dict.fromkeys(get_args(wire.SharedFrame), self.shared.received),
        }

    def handle(self, item: fx.Input, now: float) -> list[fx.Effect]:
        """What is to be done about this input: the most urgent sends first, what is told last."""
        self._handlers[type(item)](item, now)
        if self.members.changed or self.members.forgotten or self.overlay.stirred:
            self._tell_changes(now)
        done = self.out.drain()
        for each in done:
            if isinstance(each, fx.SetTimer):
                self._due[each.key] = each.at
        if len(done) > 1:
            done.sort(key=_turn)
        return done

    # --- life

    def _started(self, item: fx.Started, now: float) -> None:
        self.port = item.port
        self.started = now
        self.say(item.address, 1, now + self.wall_offset_s)
        self.seeds.join(now)
        period = self.config.probe_period_s
        self.out.add(fx.SetTimer("probe", now + period * self.rng.random()))
        self.out.add(fx.SetTimer("digest", now + self.config.digest_busy_s))
        self.out.add(fx.SetTimer("retry", now + self.config.dead_retry_s))
        self.out.add(fx.SetTimer("affirm", now + AFFIRM_S * (1 + self.rng.random())))

    def say(self, address: str, incarnation: int, started_s: float, left: bool = False) -> None:
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

    def my_fact(self) -> wire.Fact:
        """What we say of ourselves; there is none before the start."""
        assert self.fact is not None
        return self.fact

    def _leave(self, item: fx.Leaving, now: float) -> None:
        if self.fact is None:
            return
        fact = self.fact
        self.say(fact.address, fact.incarnation + 1, fact.started_s, left=True)
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
        view = self.members.views.get(sender)
        if view is not None and view.rank != ALIVE:
            view.heard = now
            if view.rank == DEAD:
                self.hearsay.remind(sender, view, now)
        self._readers.get(type(frame), self.news.received)(sender, frame, now)

    def _pinged(self, sender: str, ping: wire.Ping, now: float) -> None:
        if ping.doubt is not None:
            self.hearsay.doubted(sender, ping.doubt, now)
        self.send(sender, wire.Ack(ping.number), 1)

    def _neighbour(self, sender: str, frame: wire.Neighbour, now: float) -> None:
        self.overlay.received(sender, frame, now)
        if frame.word != "no":
            self.hearsay.compare(sender, frame.members, now)

    # --- suspicion

    def watch(self, member: str, now: float) -> None:
        """A suspect: wait for what it says to that, and let some of us check at once."""
        at = self.members.deadline(member, self.prober.slowness)
        self.out.add(fx.SetTimer(f"suspect {member}", max(at, now)))
        if self.rng.random() * len(self.members.live()) < CHECKERS:
            self.prober.check(member, now)

    def _suspicion_over(self, member: str, now: float, late: float) -> None:
        view = self.members.views.get(member)
        if view is None or view.rank != SUSPECT:
            return
        at = self.members.deadline(member, self.prober.slowness)
        if late > STALL_S:
            at = now + self.config.suspect_min_s
        if view.is_heard:  # so it lives, and its answer to the doubt was lost: once more
            view.since = now
            self.prober.check(member, now)
            at = self.members.deadline(member, self.prober.slowness)
        if now < at:
            self.out.add(fx.SetTimer(f"suspect {member}", at))
            return
        self.hearsay.say_doubt(member, True, now)
        if not self.members.is_watched(member):
            self.members.forget(member)
        elif view.rank == SUSPECT:
            self.members.bury(member, now)

    def _certified(self, item: fx.Certified, now: float) -> None:
        """Say with a higher incarnation how we are reached from now on."""
        self.link, self.certificate = item.link, item.certificate
        if self.fact is not None and not self.fact.left:
            self.say(self.fact.address, self.fact.incarnation + 1, self.fact.started_s)
            self.hearsay.tell_near(wire.Spread([self.fact], []))

    def _link_lost(self, item: fx.LinkLost, now: float) -> None:
        for member in self.members.at(item.address):
            view = self.members.views[member]
            # What an ended process refused may be told after the news of the one that follows it.
            new = view.rank == ALIVE and now - view.since < FRESH_S
            if item.refused and not new:
                self.hearsay.say_doubt(member, True, now)
                self._no_link(member, now)
            else:
                self.prober.check(member, now)

    def _no_link(self, member: str, now: float) -> None:
        """There is no link with it. Where it may not even know us, better know another."""
        self.overlay.lost(member, now)
        view = self.members.views.get(member)
        if view and view.rank == ALIVE and not self.members.is_watched(member):
            self.members.forget(member)
        self.overlay.tend(now)

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
            self.hearsay.retell()
        elif name == "again":
            number, step = map(int, rest.split())
            self._again(number, step, now)
        elif name == "suspect":
            self._suspicion_over(rest, now, late)
        elif name == "flush":
            self.hearsay.flush(now)
        elif name == "doubts":
            self.hearsay.flush_doubts(now)
        elif name == "overlay":
            self.overlay.tend(now)
        elif name == "affirm":
            self._affirm(now)
        elif name == "join":
            self.seeds.join(now)
        elif name == "retry":
            self.members.expire(now)
            self.seeds.retry(now)
        elif name == "asks":
            self.asks.fired(now)
        elif name == "state":
            self.shared.fired(rest, now)
        else:
            self.news.fired(name, now)

    def _again(self, number: int, step: int, now: float) -> None:
        silent = self.prober.again(number, step, now)
        if silent is not None:
            self.hearsay.say_doubt(silent, False, now)
            self.prober.check(silent, now)

    def _affirm(self, now: float) -> None:
        """Keep the links true, and where not all members are known swap some with another."""
        self.out.add(fx.SetTimer("affirm", now + AFFIRM_S))
        self.overlay.affirm(now)
        live = self.members.live()
        if not self.members.whole and live:
            self.hearsay.swap(self.rng.choice(live))

    # --- to others

    def _tell_changes(self, now: float) -> None:
        changed, self.members.changed = self.members.changed, []
        if changed and self.fact is not None:
            for info, was in changed:
                self._tell_change(info, was, now)
            self.overlay.tend(now)
        silent, self.overlay.silent = self.overlay.silent, []
        for member in silent:
            self.prober.check(member, now)
            self._no_link(member, now)
        for member in self.members.forgotten:
            self.overlay.forgotten(member, now)
            self.news.repair.streams.origin_seen(member)
            self.news.beacons.forgotten(member)
            self._drop(member)
            self.out.add(fx.Forgotten(member))
        self.members.forgotten = []
        for member, up in self.overlay.changes:
            (self.news.link_up if up else self.news.link_down)(member, now)
            if up:
                self.shared.link_up(now)
        self.overlay.changes = []

    def _drop(self, member: str) -> None:
        self.loss.pop(member, None)
        self._conflicts.discard(member)

    def _tell_change(self, info: MemberInfo, was: str, now: float) -> None:
        self.out.add(fx.MemberSeen(info, was))
        self.news.repair.streams.origin_seen(info.id)
        if info.state in ("dead", "left"):
            self.overlay.lost(info.id, now)
            self.asks.lost(info.id)
            self.prober.lost(now)
            self._drop(info.id)
        elif was in ("", "dead", "left"):
            self.hearsay.compare_soon(now)
            self.shared.met(now)
            self._see_conflict(info, now)
        else:
            self.asks.met(info.id, info.boot)
            if was == info.state:  # it began anew, and knows nothing of our link
                self.overlay.lost(info.id, now)

    def _see_conflict(self, info: MemberInfo, now: float) -> None:
        """Two with one name: a newcomer goes, the later of two; who is in already stays.

        What another says of its start cannot drive us out, for only our own start is known to us.
        """
        assert self.fact is not None
        same = info.unit == self.unit and info.role == self.role == "unit"
        if same and info.id not in self._conflicts:
            self._conflicts.add(info.id)
            later = (self.fact.started_s, self.member_id) > (info.started_s, info.id)
            self.out.add(fx.Conflict(info, later and now - self.started < NEWCOMER_S))

    def send(
        self, member: str, frame: wire.Frame, priority: int = 2, reliable: bool = False
    ) -> None:
        """Send a frame to a member that we know."""
        view = self.members.views.get(member)
        if view is not None:
            self.out.add(fx.Send(view.fact.address, frame, priority, reliable))


def _turn(effect: fx.Effect) -> int:
    """Nobody waits for our consumers: an event is passed on before it is delivered here."""
    if isinstance(effect, fx.Send):
        return effect.priority
    return -1 if isinstance(effect, fx.Reach) else 4
