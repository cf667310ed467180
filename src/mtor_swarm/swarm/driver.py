"""The thread that runs a member's gossip machine over its sockets."""

from __future__ import annotations

import heapq
import random
import sys
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from mtor_swarm.config import SwarmConfig
from mtor_swarm.errors import IdentityError, SwarmError
from mtor_swarm.events import Event, UnitState, priority_of, to_msgpack
from mtor_swarm.ports import Radio
from mtor_swarm.swarm import keyring
from mtor_swarm.swarm.certificates import REVOKED
from mtor_swarm.swarm.counters import COUNTERS
from mtor_swarm.swarm.exchange import Exchange, OnAsk, Tell
from mtor_swarm.swarm.gossip import effects as fx
from mtor_swarm.swarm.gossip.machine import Machine
from mtor_swarm.swarm.gossip.membership import MemberInfo
from mtor_swarm.swarm.gossip.wire import Entry, Role
from mtor_swarm.swarm.identity import Ed25519Verifier, Identity
from mtor_swarm.swarm.keyring import Keyring
from mtor_swarm.swarm.outgoing import Outgoing
from mtor_swarm.swarm.sharing import SharedStates
from mtor_swarm.swarm.transport import Transport

if TYPE_CHECKING:
    from mtor_swarm.swarm.discovery import Discovery

HELD_S = 0.02
"""So often it is looked whether peers have caught up with what we publish."""
GOODBYE_S = 0.05
LONGEST_SLEEP_S = 60.0
LOOK_S = 1.0
"""Idle links and the keys folder are looked at so often, when something wakes us anyhow."""


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


class SwarmDriver:
    """One member of the swarm. Callbacks run on its thread: they must be quick."""

    def __init__(
        self,
        config: SwarmConfig,
        identity: Identity,
        *,
        unit: str,
        role: Role = "unit",
        on_event: Callable[[Event], None],
        on_member: Callable[[MemberInfo, str], None],
        on_beacon: Callable[[str, UnitState], None],
        on_ask: OnAsk,
        on_conflict: Callable[[str, MemberInfo, bool], None] | None = None,
        on_shared: Callable[[str, str], None] | None = None,
        radio: Radio | None = None,
        rng: random.Random | None = None,
        log: Callable[[str], None] = _to_stderr,
    ) -> None:
        self.member_id = identity.member_id
        self.address = ""
        self._on_event = on_event
        self._on_member = on_member
        self._on_beacon = on_beacon
        self._asks = Exchange(self._put, on_ask, log)
        self._on_conflict = on_conflict or (lambda unit, other, later: None)
        self._on_shared = on_shared or (lambda name, key: None)
        self._log = log
        self._identity, self._role, self._unit = identity, role, unit
        self._folder, self._seen, self._looked_s = config.keys, keyring.seen(config.keys), 0.0
        keys: Keyring | None = None
        certificate = b""
        if config.keys:
            keys, mine = keyring.carried(config.keys, identity, role, unit, time.time())
            self._unit, certificate = mine.unit, keys.certificate
        self._transport = Transport(config, identity, radio, keys)
        self.authority = self._transport.authority
        """Whom we believe, if the swarm has keys; on the swarm's thread alone."""
        self._machine = Machine(
            config.gossip,
            identity,
            Ed25519Verifier(),
            rng or random.Random(),
            boot=identity.boot,
            unit=self._unit,
            role=role,
            wall_offset_s=time.time() - time.monotonic(),
            seeds=config.seeds,
            link=identity.link_public,
            certificate=certificate,
            authority=self.authority,
        )
        self._transport.introduction = lambda: self._machine.fact
        self.shared = SharedStates(self._machine.shared, lambda item: self._put(item, 2))
        self._swarm_name, self._mdns = config.name, config.mdns
        self._discovery: Discovery | None = None
        self._outgoing = Outgoing()
        self._held = False
        self._timers: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []
        self._members: dict[str, MemberInfo] = {}
        self._stopping = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Open the sockets (SwarmError if the address is taken) and run."""
        self.address = self._transport.open()
        self._thread = threading.Thread(target=self._run, name="swarm", daemon=True)
        self._thread.start()
        if self._mdns:
            from mtor_swarm.swarm.discovery import Discovery  # asyncio takes 5 MiB

            self._discovery = Discovery(
                self._swarm_name, self.member_id, self.address, self.discovered
            )
            try:
                self._discovery.start()
            except SwarmError as error:
                self._log(f"swarm: {error}")

    def stop(self) -> None:
        """Leave the swarm and end the thread; safe to call twice."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        if self._discovery is not None:
            self._discovery.stop()
        self._stopping = True
        self._transport.wake()
        if thread is not threading.current_thread():
            thread.join()

    def publish(self, event: Event) -> None:
        """Spread an event; SwarmError if too many wait already, EventError if it is too big.

        They wait while the swarm cannot keep up with what we say: say less, or try again later.
        """
        to_msgpack(event)
        self._put(fx.Published(event), priority_of(event.type))

    def beacon(self, state: UnitState) -> None:
        """Our unit's latest state; only the newest one matters."""
        self._put(fx.StateChanged(state), 3)

    def discovered(self, address: str) -> None:
        """A member may be at that address: try it as one more seed."""
        self._put(fx.Discovered(address), 2)

    def ask(
        self,
        member_or_unit: str,
        kind: str,
        payload: bytes,
        timeout_s: float,
        on_part: Tell | None = None,
    ) -> Future[bytes]:
        """Ask one member; the future fails with SwarmError if no answer comes in time.

        `on_part` gets the parts of the answer that come before its end. Who cancels the future
        needs no answer any more, and the member asked is told so.
        """
        member = self._resolve(member_or_unit)
        if member is not None:
            return self._asks.ask(member, kind, payload, timeout_s, on_part)
        nobody: Future[bytes] = Future()
        nobody.set_exception(SwarmError(f"no unit {member_or_unit} is in the swarm"))
        return nobody

    def loss(self, member: str) -> float:
        """The share (0 to 1) of that member's datagrams that was lost lately."""
        return self._machine.loss.get(member, 0.0)

    def may_ask(self, member: str) -> str:
        """Whether a member may ask for what a realm can do: empty, or why not.

        Units may, and who shows that an operator or sysop vouches for them; without keys all. Only
        on the swarm's thread.
        """
        view = self._machine.members.views.get(member)
        if self.authority is None or view is None:
            return "" if view else f"{member} is not known"
        return self.authority.may_ask(view.fact.certificate, time.time())

    def members(self) -> list[MemberInfo]:
        """All other members that are known, in whatever state."""
        return list(self._members.values())

    def counters(self) -> dict[str, int]:
        """What was dropped, refused or lost so far, by reason."""
        # Copying a dict is one step for other threads; the machine, being pure, knows no lock.
        counts = self._machine.out.counters.copy()
        counts.update(self._discovery.counters if self._discovery else {})
        for what, number in self._transport.counters.all().items():
            counts[what] = counts.get(what, 0) + number
        return counts

    def _resolve(self, name: str) -> str | None:
        known = dict(self._members)
        if name in known:
            return name
        named = [each for each in known.values() if each.unit == name]
        states = ("alive", "suspect", "dead", "left")
        named.sort(key=lambda each: (each.role != "unit", states.index(each.state)))
        return named[0].id if named else None

    def _put(self, item: fx.Input, priority: int) -> None:
        if self._thread is None or self._stopping:
            raise SwarmError("this member is not running: start it first")
        self._outgoing.put(item, priority)
        self._transport.wake()

    # --- the thread

    def _run(self) -> None:
        try:
            self._handle(fx.Started(self.address, self._transport.port))
            self._know_revoked()
            while not self._stopping:
                try:
                    self._round(LONGEST_SLEEP_S)
                except Exception as error:  # a defect of ours: told, and the unit still hears
                    self._log(f"swarm: {type(error).__name__}: {error}; carrying on")
                    time.sleep(0.01)
            self._handle(fx.Leaving())
            until = time.monotonic() + GOODBYE_S
            while time.monotonic() < until:
                self._transport.poll(until - time.monotonic())
        finally:
            self._transport.close()
            self._asks.close()

    def _round(self, longest_s: float) -> None:
        wait = self._heap[0][0] - time.monotonic() if self._heap else longest_s
        if len(self._outgoing):
            wait = min(wait, HELD_S if self._held else 0.0)
        for found in self._transport.poll(min(wait, longest_s)):
            self._handle(found)
            if isinstance(found, fx.LinkLost) and found.refused:
                self._transport.drop(found.address)
        now = time.monotonic()
        self._held = not self._machine.news.has_room(now)
        for item in self._outgoing.take(not self._held):
            self._handle(item)
        now = time.monotonic()
        while self._heap and self._heap[0][0] <= now:
            at, key = heapq.heappop(self._heap)
            if self._timers.get(key) == at:
                del self._timers[key]
                self._handle(fx.Fired(key))
        if now - self._looked_s >= LOOK_S:
            self._looked_s = now
            self._look_around()

    def _look_around(self) -> None:
        """Keep the links that are needed, and read the keys folder again if it has changed."""
        views = self._machine.members.views
        near = [views[each].fact.address for each in self._machine.overlay.active if each in views]
        self._transport.hold(near)
        if self._folder and keyring.seen(self._folder) != self._seen:
            self._seen = keyring.seen(self._folder)
            try:
                self._rekey()
            except SwarmError as error:  # half written: what we have still holds
                self._log(f"swarm: {error}")

    def _rekey(self) -> None:
        """What the keys folder says now: a new certificate, a new link key, who is revoked."""
        identity = self._identity
        if self._role != "observer":  # an observer's is its own, and only vouched for there
            identity = Identity.load(f"{self._folder}/identity.key", identity.boot)
        keys, _ = keyring.carried(self._folder, identity, self._role, self._unit, time.time())
        if identity.member_id != self._identity.member_id:
            raise IdentityError(f"{self._folder}/identity.key: is another member's: start anew")
        if identity.link_public != self._identity.link_public:
            self._transport.rekey(identity, keys)
            self._identity = identity
        if keys.certificate != self._machine.certificate:
            self._log("swarm: the certificate in the keys folder is new: used from now on")
            self._handle(fx.Certified(identity.link_public, keys.certificate))
        self._know_revoked(keys.revoked)

    def _know_revoked(self, more: Iterable[Entry] = ()) -> None:
        """Spread what the keys folder says of whom the swarm's key trusts no more."""
        authority = self.authority
        if authority is not None:
            self._machine.shared.owners[REVOKED] = authority.key
            for entry in [*authority.revoked.values(), *more]:
                self._handle(fx.SharedCarried(entry))

    def _revoked(self, member: str) -> None:
        """News that a member is trusted no more: close all that leads to it, and remember."""
        authority = self.authority
        entries = self._machine.shared.replica.entries(REVOKED)
        told = [each for each in entries if each.item == member and not each.gone]
        if authority is None or not told or not authority.revoke(told[0]):
            return
        members = self._machine.members
        for each, view in members.views.items():
            if each == member or authority.is_revoked_link(view.fact.link):
                mine = all(other == each for other in members.at(view.fact.address))
                self._transport.banish(each, view.fact.address if mine else "")
        self._log(f"swarm: {member} was revoked{': that is us' * (member == self.member_id)}")
        try:
            keyring.keep_revocations(Path(self._folder), authority.revoked.values())
            self._seen = keyring.seen(self._folder)
        except OSError as error:
            self._log(f"swarm: {self._folder}/revoked: {error.strerror}; known until we end")

    def _handle(self, item: fx.Input) -> None:
        for effect in self._machine.handle(item, time.monotonic()):
            if isinstance(effect, fx.Send):
                self._transport.send(
                    effect.address, effect.frame, effect.reliable, effect.confirmed
                )
            elif isinstance(effect, fx.SetTimer):
                self._timers[effect.key] = effect.at
                heapq.heappush(self._heap, (effect.at, effect.key))
            elif isinstance(effect, fx.Reach):
                self._transport.reach(effect)
            elif isinstance(effect, fx.SharedMerged) and effect.state == REVOKED:
                self._revoked(effect.item)
            else:
                self._tell(effect)

    def _tell(self, effect: fx.Effect) -> None:
        """Call back; a callback that raises is a defect of its owner, told and survived."""
        try:
            if isinstance(effect, fx.Deliver):
                self._on_event(effect.event)
            elif isinstance(effect, fx.MemberSeen):
                self._member_seen(effect)
            elif isinstance(effect, fx.Forgotten):
                self._members.pop(effect.member, None)
            elif isinstance(effect, fx.BeaconHeard):
                self._on_beacon(effect.member, effect.state)
            elif isinstance(effect, fx.SharedMerged):
                self._on_shared(effect.state, effect.item)
            elif isinstance(effect, fx.Asked):
                self._asked(effect)
            elif isinstance(effect, fx.AskEnded):
                self._asks.ended(effect)
            elif isinstance(effect, fx.PartHeard):
                self._asks.part(effect)
            elif isinstance(effect, fx.Answered):
                self._asks.answered(effect)
            elif isinstance(effect, fx.Conflict):
                self._on_conflict(self._unit, effect.other, effect.later)
        except Exception as error:
            self._log(f"swarm: a callback failed: {type(error).__name__}: {error}")

    def _member_seen(self, effect: fx.MemberSeen) -> None:
        info = effect.member
        old = self._members.get(info.id)
        gone = info.state in ("dead", "left")
        if gone or (old is not None and old.address != info.address):
            place = (old or info).address
            if not self._machine.members.at(place):  # nobody ends another's link
                self._transport.drop(place)
        self._members[info.id] = info
        self._on_member(info, effect.was)

    def _asked(self, asked: fx.Asked) -> None:
        if asked.kind == COUNTERS:
            counts = msgspec.json.encode(self.counters())
            self._asks.reply(asked.member, asked.askid, True, counts)
        else:
            self._asks.asked(asked)
