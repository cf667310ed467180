"""Gossip machines in virtual time: the same seed gives the same trace.

Links lose, delay, duplicate and part as told: a small frame that need not be reliable is lost like
a datagram, another comes later, as TCP sends it again. Frames go through the real codec.
Signatures are a keyed hash here: what is tested is the gossip, and Ed25519 would take most of the
time.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections import defaultdict

from mtor_swarm.config import GossipConfig
from mtor_swarm.events import Event, UnitState
from mtor_swarm.swarm.delivery import DATAGRAM_BYTES
from mtor_swarm.swarm.gossip import effects as fx
from mtor_swarm.swarm.gossip import wire
from mtor_swarm.swarm.gossip.machine import Machine
from mtor_swarm.swarm.simnet.keys import HashKeys

WALL = 1_700_000_000.0
RESENT_S = 0.2
"""What TCP loses comes this much later, each time."""


class Member:
    """One machine and what it told its consumers."""

    def __init__(self, name: str, machine: Machine) -> None:
        self.name = name
        self.machine = machine
        self.up = True
        self.closed = False
        self.links: set[str] = set()
        self.stalled_until = 0.0
        self.timers: dict[str, float] = {}
        self.events: list[Event] = []
        self.states: dict[str, list[tuple[float, str]]] = defaultdict(list)
        self.forgotten: set[str] = set()
        self.beacons: dict[str, UnitState] = {}
        self.answers: dict[int, tuple[bool, bytes]] = {}
        self.parts: dict[int, list[bytes]] = defaultdict(list)
        self.ended: list[int] = []
        self.conflicts: list[fx.Conflict] = []

    @property
    def id(self) -> str:
        return self.machine.member_id

    def sees(self, other: Member) -> str:
        view = self.machine.members.views.get(other.id)
        return view.info(other.id).state if view else ""


class Net:
    """Members and the links between them."""

    def __init__(self, seed: int, config: GossipConfig | None = None) -> None:
        self.rng = random.Random(seed)
        self.config = config or GossipConfig()
        self.now = 0.0
        self.loss = 0.0
        self.duplication = 0.0
        self.delay_s = (0.0005, 0.003)
        self.side: dict[str, int] = {}
        self.members: dict[str, Member] = {}
        self._queue: list[tuple[float, int, Member, fx.Input]] = []
        self._order = itertools.count()
        self._last: dict[tuple[str, str], float] = defaultdict(float)
        self.sent = 0

    def add(self, name: str, *, seeds: list[str] | None = None, boot: int = 1, **more) -> Member:
        keys = HashKeys(name)
        machine = Machine(
            more.pop("config", self.config),
            keys,
            keys,
            random.Random(self.rng.random()),
            boot=boot,
            unit=more.pop("unit", name),
            role=more.pop("role", "unit"),
            wall_offset_s=WALL,
            seeds=[_address(each) for each in seeds or []],
        )
        member = self.members[name] = Member(name, machine)
        self.give(member, fx.Started(_address(name)))
        return member

    def grow(self, number: int) -> list[Member]:
        """That many members that all know only the first, and time enough to meet."""
        made = [self.add(f"m{i}", seeds=["m0"]) for i in range(number)]
        self.run(3.0)
        return made

    def kill(self, member: Member) -> None:
        """The process is gone: its port is closed, and the links to it drop."""
        member.up, member.closed = False, True
        for other in list(self.members.values()):
            if other.up and member.name in other.links and self._hears(member.name, other.name):
                self._refuse(other, member, 0.06)

    def _refuse(self, member: Member, closed: Member, delay: float) -> None:
        member.links.discard(closed.name)
        self._later(delay, member, fx.LinkLost(_address(closed.name), True))

    def give(self, member: Member, item: fx.Input) -> None:
        for effect in member.machine.handle(item, self.now):
            self._do(member, effect)

    def _do(self, member: Member, effect: fx.Effect) -> None:
        if isinstance(effect, fx.Send):
            self._carry(member, effect)
        elif isinstance(effect, fx.SetTimer):
            assert effect.at >= self.now
            member.timers[effect.key] = effect.at
            self._later(effect.at - self.now, member, fx.Fired(effect.key))
        elif isinstance(effect, fx.Deliver):
            member.events.append(effect.event)
        elif isinstance(effect, fx.MemberSeen):
            member.states[effect.member.id].append((self.now, effect.member.state))
        elif isinstance(effect, fx.Forgotten):
            member.forgotten.add(effect.member)
        elif isinstance(effect, fx.BeaconHeard):
            member.beacons[effect.member] = effect.state
        elif isinstance(effect, fx.Asked):
            self._answer(member, effect)
        elif isinstance(effect, fx.AskEnded):
            member.ended.append(effect.askid)
        elif isinstance(effect, fx.PartHeard):
            member.parts[effect.token].append(effect.payload)
        elif isinstance(effect, fx.Answered):
            assert effect.token not in member.answers
            member.answers[effect.token] = (effect.ok, effect.payload)
        elif isinstance(effect, fx.Conflict):
            member.conflicts.append(effect)

    def _answer(self, member: Member, asked: fx.Asked) -> None:
        """The payload back; letter by letter for `spell`; nothing for `brood`."""
        to = (asked.member, asked.askid)
        if asked.kind == "brood":
            return
        wait = 0.0
        for each in asked.payload if asked.kind == "spell" else b"":
            wait += self.rng.random()
            self._later(wait, member, fx.Telling(*to, bytes([each])))
        self._later(wait, member, fx.Replying(*to, asked.kind != "refuse", asked.payload))

    def _carry(self, member: Member, send: fx.Send) -> None:
        self.sent += 1
        to = self.members.get(send.address.removeprefix("tcp://").removesuffix(":1"))
        if to is None or not self._hears(member.name, to.name):
            return
        raw = wire.encode(send.frame)
        linked = send.reliable or send.confirmed or len(raw) > DATAGRAM_BYTES
        if linked and to.closed:
            self._refuse(member, to, 0.005)
            return
        frame, lost = wire.decode(raw), 0
        if linked:
            member.links.add(to.name)
            while self.rng.random() < self.loss:
                lost += 1
        copies = 2 if not linked and self.rng.random() < self.duplication else 1
        for _ in range(copies):
            if linked or self.rng.random() >= self.loss:
                at = self.now + self.rng.uniform(*self.delay_s) + lost * RESENT_S
                if linked:  # in order, as on a stream
                    at = self._last[member.name, to.name] = max(
                        at, self._last[member.name, to.name]
                    )
                self._later(at - self.now, to, fx.Received(member.id, frame))

    def _hears(self, sender: str, receiver: str) -> bool:
        return self.side.get(sender, 0) == self.side.get(receiver, 0)

    def _later(self, delay: float, member: Member, item: fx.Input) -> None:
        heapq.heappush(self._queue, (self.now + delay, next(self._order), member, item))

    def run(self, seconds: float) -> None:
        """Let that much virtual time pass."""
        end = self.now + seconds
        while self._queue and self._queue[0][0] <= end:
            at, _, member, item = heapq.heappop(self._queue)
            if member.stalled_until > at:
                heapq.heappush(
                    self._queue, (member.stalled_until, next(self._order), member, item)
                )
                if isinstance(item, fx.Fired) and member.timers.get(item.key) == at:
                    member.timers[item.key] = member.stalled_until
                continue
            self.now = max(self.now, at)
            if not member.up or self.members[member.name] is not member:
                continue
            if isinstance(item, fx.Fired):
                if member.timers.get(item.key) != at:
                    continue
                del member.timers[item.key]
            self.give(member, item)
        self.now = end

    def alive(self) -> list[Member]:
        return [each for each in self.members.values() if each.up]

    def false_deaths(self) -> list[tuple[str, str]]:
        """Who was held for dead by whom although it was up."""
        return [
            (each.name, other.name)
            for each in self.alive()
            for other in self.alive()
            if any(state == "dead" for _, state in each.states[other.id])
        ]


def _address(name: str) -> str:
    return f"tcp://{name}:1"


def event(number: int, type: str = "mtor.unit.changed", **more) -> Event:
    return Event(id=f"e{number}", source="test", type=type, time="", data={"n": number}, **more)


def numbers(member: Member, origin: Member) -> list[int]:
    return [
        each.data["n"]
        for each in member.events
        if each.origin == origin.id and each.type != "mtor.gap.found"
    ]
