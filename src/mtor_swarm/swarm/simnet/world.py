"""Members and the virtual time they live in: one heap, one random number generator, no clock.

The same seed gives the same trace, whatever the machine: `trace()` is a hash of all that happened.
"""

from __future__ import annotations

import hashlib
import heapq
import itertools
import random
import struct
from collections.abc import Iterable
from typing import Any, Protocol

from mtor_swarm.config import GossipConfig
from mtor_swarm.errors import WireError
from mtor_swarm.ports import Radio
from mtor_swarm.swarm.gossip import effects as fx
from mtor_swarm.swarm.gossip import wire
from mtor_swarm.swarm.gossip.machine import Machine
from mtor_swarm.swarm.simnet.keys import HashKeys
from mtor_swarm.swarm.simnet.network import Network

WALL_S = 1_700_000_000.0
"""The members' wall clock (Unix) at virtual time 0."""
LINK_LOST_S = 0.06
"""From a process's death until those linked to it find its port closed."""
REFUSED_S = 0.005
"""Until one that opens a stream to a closed port finds it so."""
_MOMENT = struct.Struct("<dI")


class Member:
    """One machine at one boot."""

    __slots__ = (
        "boot",
        "born",
        "id",
        "index",
        "linked",
        "losses",
        "machine",
        "name",
        "notes",
        "stalled_until",
        "timers",
        "up",
    )

    def __init__(self, name: str, index: int, machine: Machine, born: float) -> None:
        self.name = name
        self.id = machine.member_id
        self.born = born
        self.index = index
        self.machine = machine
        self.boot = machine.boot
        self.up = True
        self.stalled_until = 0.0
        self.timers: dict[str, float] = {}
        self.linked: dict[str, float] = {}
        """The addresses that it has streams to, and when the last frame on each arrives."""
        self.losses: dict[str, float] = {}
        """What it was told of the loss from other members, by id."""
        self.notes: Any = None
        """Whatever the watch keeps with it."""


class Watch(Protocol):
    """Who looks on: the ledger of a scenario, or a test."""

    def told(self, member: Member, effect: fx.Effect) -> None:
        """An effect other than a send or a timer."""

    def carried(self, member: Member, frame: wire.Frame, size: int) -> None:
        """The member sends a frame of so many bytes; it may not arrive."""

    def heard(self, member: Member, sender: Member, frame: wire.Frame) -> None:
        """A frame is about to be handled."""

    def stepped(self, member: Member) -> None:
        """An input was handled and all its effects were carried out."""

    def failed(self, member: Member, item: fx.Input, error: Exception) -> None:
        """The machine raised: a defect. What does not raise it anew lives on."""


class World:
    """All members, the network between them, and what is still to happen.

    `codec`: frames are decoded again at the other end, as a test of the codec; else they are
    encoded for their size alone and handed over, which frozen structs allow.
    """

    def __init__(
        self,
        seed: int,
        watch: Watch,
        config: GossipConfig | None = None,
        *,
        radio: Radio | None = None,
        codec: bool = False,
    ) -> None:
        self.rng = random.Random(seed)
        self.watch = watch
        self.config = config or GossipConfig()
        self.codec = codec
        self.network = Network(random.Random(self.rng.random()), radio)
        self.now = 0.0
        self.steps = 0
        self.members: dict[str, Member] = {}
        self._at: dict[str, Member] = {}
        self._ids: dict[str, Member] = {}
        self._queue: list[tuple[float, int, Member, fx.Input, Member | None]] = []
        self._order = itertools.count()
        self._index = itertools.count()
        self._hash = hashlib.blake2b(digest_size=16)
        self._last: tuple[wire.Frame | None, int] = (None, 0)

    # --- who there is

    def add(
        self,
        name: str,
        seeds: Iterable[str] = (),
        *,
        boot: int = 1,
        config: GossipConfig | None = None,
        unit: str = "",
        role: wire.Role = "unit",
    ) -> Member:
        """A member starts, in place of one of the same name; `seeds` are names too."""
        keys = HashKeys(name)
        machine = Machine(
            config or self.config,
            keys,
            keys,
            random.Random(self.rng.random()),
            boot=boot,
            unit=unit or name,
            role=role,
            wall_offset_s=WALL_S,
            seeds=[address_of(each) for each in seeds],
            link=keys.public_key,
        )
        if name in self.members:
            self.members[name].up = False
        member = Member(name, next(self._index), machine, self.now)
        self.members[name] = self._at[address_of(name)] = self._ids[member.id] = member
        self.give(member, fx.Started(address_of(name), 1))
        return member

    def member(self, member_id: str) -> Member | None:
        """The member of that id, at its newest boot."""
        return self._ids.get(member_id)

    def up(self) -> list[Member]:
        """The members whose process runs, stopped or not, oldest first."""
        return [each for each in self.members.values() if each.up]

    def kill(self, gone: Iterable[Member]) -> None:
        """The processes end: their ports are closed, and who is linked to them finds out."""
        dead = {}
        for each in gone:
            each.up = False
            dead[address_of(each.name)] = each.name
        for other in self.up():
            for address in [each for each in other.linked if each in dead]:
                if self.network.hears(dead[address], other.name):
                    self._refused(other, address, LINK_LOST_S)

    def stall(self, member: Member, until: float) -> None:
        """The process stands still till then (SIGSTOP, or starved); what arrives waits."""
        member.stalled_until = max(member.stalled_until, until)

    # --- what happens

    def give(self, member: Member, item: fx.Input) -> None:
        """Hand an input to a machine now."""
        try:
            done = member.machine.handle(item, self.now)
        except Exception as error:  # whatever it is, it is the finding
            self.watch.failed(member, item, error)
            return
        for effect in done:
            if isinstance(effect, fx.Send):
                self._carry(member, effect)
            elif isinstance(effect, fx.SetTimer):
                at = max(effect.at, self.now)
                member.timers[effect.key] = at
                self._push(at, member, fx.Fired(effect.key))
            elif not isinstance(effect, fx.Reach):
                self.watch.told(member, effect)
        self.watch.stepped(member)

    def run(self, until: float) -> None:
        """Let virtual time pass."""
        queue, pop = self._queue, heapq.heappop
        while queue and queue[0][0] <= until:
            at, _, member, item, sender = pop(queue)
            key = item.key if isinstance(item, fx.Fired) else None
            if not member.up or (key is not None and member.timers.get(key) != at):
                continue
            if member.stalled_until > at:
                if key is not None:
                    member.timers[key] = member.stalled_until
                self._push(member.stalled_until, member, item, sender)
                continue
            self.now = at
            self.steps += 1
            self._hash.update(_MOMENT.pack(at, member.index))
            if key is not None:
                del member.timers[key]
            elif sender is not None and isinstance(item, fx.Received):
                if member.losses.get(sender.id, 0.0) != self.network.loss:
                    self._measure(member, sender)
                self.watch.heard(member, sender, item.frame)
            self.give(member, item)
        self.now = max(self.now, until)

    def trace(self) -> str:
        """A hash of every step and every frame so far."""
        return self._hash.hexdigest()

    def _carry(self, member: Member, send: fx.Send) -> None:
        size = self._size(member, send.frame)
        to = self._at.get(send.address)
        if to is None or not size or not self.network.hears(member.name, to.name):
            return
        more = self.network.radio_delay_s(member.id, to.id)
        if more is None:
            return
        stream = self.network.is_stream(size, send.reliable or send.confirmed)
        if stream and not to.up:
            self._refused(member, send.address, REFUSED_S)
            return
        frame = wire.decode(wire.encode(send.frame)) if self.codec else send.frame
        for delay in self.network.delays(stream):
            at = self.now + delay + more
            if stream:  # what went before on it comes before
                at = member.linked[send.address] = max(at, member.linked.get(send.address, 0.0))
            self._push(at, to, fx.Received(member.id, frame), member)

    def _size(self, member: Member, frame: wire.Frame) -> int:
        """The frame's size in bytes; 0 if it cannot be encoded, which is a finding."""
        if frame is not self._last[0]:
            try:
                raw = wire.encode(frame)
            except WireError as error:
                self.watch.failed(member, fx.Received(member.id, frame), error)
                return 0
            self._hash.update(raw)
            self._last = (frame, len(raw))
        self.watch.carried(member, frame, self._last[1])
        return self._last[1]

    def _refused(self, member: Member, address: str, delay: float) -> None:
        """The port there is closed: the stream ends, and the member finds out."""
        member.linked.pop(address, None)
        self._push(self.now + delay, member, fx.LinkLost(address, True))

    def _measure(self, member: Member, sender: Member) -> None:
        """Tell how many of the sender's datagrams are lost, as the transport would measure it."""
        loss = member.losses[sender.id] = self.network.loss
        self.give(member, fx.Lossy(sender.id, loss))

    def _push(
        self, at: float, member: Member, item: fx.Input, sender: Member | None = None
    ) -> None:
        heapq.heappush(self._queue, (at, next(self._order), member, item, sender))


def address_of(name: str) -> str:
    """Where the member of that name listens."""
    return f"tcp://{name}:1"
