"""The shared states of one member's machine: written, pushed, repaired, told.

A write goes out as a delta to the neighbours, who pass on what is news to them; hashes that are
compared at the digests' pace find what was lost on the way (Almeida et al., JPDC 2018). Who is up
to date says nothing, and while nothing is shared nothing is sent.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mtor_swarm.swarm.gossip import crdt, wire
from mtor_swarm.swarm.gossip import effects as fx
from mtor_swarm.swarm.gossip.crdt import Replica

if TYPE_CHECKING:
    from mtor_swarm.swarm.gossip.machine import Machine

DELTA_S = 0.02
"""Least time between two pushes: of many writes to one slot meanwhile only the last goes out."""
BUSY_S = 3.0
"""After a change hashes are compared at the busy pace for this long."""
DELTA_ENTRIES = 64
"""In one frame, so that none is much over 64 kB."""
MAX_COMPARED = 64
"""Of so many pairs of different hashes it is remembered that they were compared."""
REPAIR_FRAMES = 16
"""Deltas sent for one request; what is still missing is found the next time."""
ID_BYTES = 8


class Shared:
    """What a machine does about shared states."""

    def __init__(self, machine: Machine) -> None:
        self.m = machine
        self.out = machine.out
        self.key = machine.signer.public_key
        self.replica = Replica(machine.config.tombstone_s)
        self.owners: dict[str, bytes] = {}
        """States that only the holder of one public key may write, such as what is revoked."""
        self._fresh: dict[crdt.Slot, tuple[wire.Entry, str]] = {}
        self._next_push = 0.0
        self._busy_until = 0.0
        self._compared: deque[tuple[bytes, bytes]] = deque(maxlen=MAX_COMPARED)

    # --- our own writes

    def write(self, item: fx.SharedWritten, now: float) -> None:
        """Change a shared state as told."""
        stamp = self.m.news.clock.tick(now + self.m.wall_offset_s)
        entry = wire.Entry(
            self.key,
            b"",
            boot=self.m.boot,
            state=item.state,
            item=item.item,
            clock=stamp,
            stamp=stamp,
            value=item.value,
            gone=item.gone,
        )
        for each in crdt.deltas(self.replica, entry):
            wrong = self._wrong(each)
            if wrong:
                self.out.count(f"shared: {wrong}")
            else:
                self._take(wire.sign(each, self.m.signer), "", now)

    def carry(self, item: fx.SharedCarried, now: float) -> None:
        """Spread an entry that another key than ours has signed."""
        self._learn(item.entry, "", now)

    # --- frames and timers

    def received(self, sender: str, frame: wire.SharedFrame, now: float) -> None:
        """A frame about shared states."""
        if isinstance(frame, wire.StateDelta):
            for entry in frame.entries:
                self._learn(entry, sender, now)
        elif isinstance(frame, wire.StateDigest):
            self._digest(sender, frame, now)
        else:
            self._held(sender, frame, now)

    def fired(self, name: str, now: float) -> None:
        """The timer of the deltas or of the digests."""
        if name == "delta":
            self._push(now)
        else:
            self._send_digest(now)

    def met(self, now: float) -> None:
        """Someone came to the swarm, or we did: compare soon."""
        self._digest_by(now + DELTA_S)

    def link_up(self, now: float) -> None:
        """A link came: who had none has stopped comparing."""
        if self.replica.states:
            self.met(now)

    def _wrong(self, entry: wire.Entry) -> str:
        if self.owners.get(entry.state, entry.key) != entry.key:
            return "not the owner's"
        return crdt.fault(entry)

    def _learn(self, entry: wire.Entry, sender: str, now: float) -> None:
        """An entry that someone else has written."""
        wall_s = now + self.m.wall_offset_s
        wrong = self._wrong(entry)
        if wrong:
            self.out.count(f"shared: {wrong}")
        elif not self.replica.is_news(entry, wall_s):
            return
        elif not wire.is_genuine(entry, self.m.verifier):
            self.out.count("forged")
        else:
            ahead = not self.m.news.clock.observe(entry.stamp, wall_s)
            if ahead:
                self.out.count("from the future")
            if not ahead or entry.state in self.owners:  # a wrong clock hides no revocation
                self._take(entry, sender, now)

    def _take(self, entry: wire.Entry, sender: str, now: float) -> None:
        """Join a good entry, and pass it on."""
        if not self.replica.has_room(entry, self.owners):
            self.out.count("shared: no room")
            return
        held = self.replica.holds(entry)
        lost = held is not None and crdt.is_conflict(held, entry) and held.key == self.key
        self.replica.join(entry)
        self.out.add(fx.SharedMerged(entry.state, entry.item, entry.origin, lost))
        if not self._fresh:
            self.out.add(fx.SetTimer("state delta", max(now, self._next_push)))
            self._stay_busy(now)
        self._fresh[crdt.slot_of(entry)] = (entry, sender)

    def _push(self, now: float) -> None:
        self._next_push = now + DELTA_S
        fresh, self._fresh = list(self._fresh.values()), {}
        for member in self.m.overlay.active:
            news = [each for each, sender in fresh if member not in (sender, each.origin)]
            for piece in _pieces(news):
                self.m.send(member, wire.StateDelta(piece))

    # --- repair

    def _stay_busy(self, now: float) -> None:
        self._busy_until = now + BUSY_S
        self._digest_by(now + self.m.config.digest_busy_s)

    def _digest_by(self, at: float) -> None:
        if not self.m.is_due_by("state digest", at):
            self.out.add(fx.SetTimer("state digest", at))

    def _send_digest(self, now: float) -> None:
        """Compare with one neighbour; a swarm that shares nothing falls silent."""
        self.replica.expire(now + self.m.wall_offset_s)
        if self.m.overlay.active:
            to = self.m.rng.choice(self.m.overlay.active)
            self.m.send(to, wire.StateDigest(self.replica.hash()), 3)
            if self.replica.states:
                config, busy = self.m.config, now < self._busy_until
                self._digest_by(now + (config.digest_busy_s if busy else config.digest_idle_s))

    def _digest(self, sender: str, frame: wire.StateDigest, now: float) -> None:
        self.replica.expire(now + self.m.wall_offset_s)
        whole = self.replica.hash()
        if whole == frame.whole:
            return
        if (whole, frame.whole) not in self._compared:
            self._compared.append((whole, frame.whole))
            self._stay_busy(now)  # but not for ever, should one refuse what the other has
        if frame.each is None:
            self.m.send(sender, wire.StateDigest(whole, self.replica.hashes()), 3)
            return
        mine, theirs = dict(self.replica.hashes()), dict(frame.each)
        names = [each for each in mine.keys() | theirs if mine.get(each) != theirs.get(each)]
        if names:
            self._tell_held(sender, sorted(names), reply=True)

    def _tell_held(self, member: str, names: list[str], reply: bool) -> None:
        held = [(each, b"".join(self.replica.ids(each))) for each in names[: crdt.MAX_STATES]]
        self.m.send(member, wire.StateHeld(held, reply), 3)

    def _held(self, sender: str, frame: wire.StateHeld, now: float) -> None:
        """Send what the peer lacks, and ask for what we lack."""
        missing: list[wire.Entry] = []
        lacking = []
        for name, packed in frame.held:
            theirs = {packed[i : i + ID_BYTES] for i in range(0, len(packed), ID_BYTES)}
            mine = self.replica.ids(name)
            missing += [entry for each, entry in mine.items() if each not in theirs]
            if theirs - mine.keys():
                lacking.append(name)
        for piece in itertools.islice(_pieces(missing), REPAIR_FRAMES):
            self.m.send(sender, wire.StateDelta(piece))
        if frame.reply and lacking:
            self._tell_held(sender, lacking, reply=False)


def _pieces(entries: list[wire.Entry]) -> Iterator[list[wire.Entry]]:
    """The entries in frames of a bounded size."""
    for first in range(0, len(entries), DELTA_ENTRIES):
        yield entries[first : first + DELTA_ENTRIES]
