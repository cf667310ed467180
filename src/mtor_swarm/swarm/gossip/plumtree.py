"""Whom an event is pushed to, and whom it is only told of.

Leitão, Pereira, Rodrigues: "Epidemic Broadcast Trees" (SRDS 2007), with a tree for each origin, so
that every origin's events take the links that were fastest for it. In a small swarm an origin's
first events take one common tree, which its root, the lowest id, lets grow before there are any.
A link is eager until a copy comes over it that was not needed; of two that one stays which took
the shorter way, so that trees are hardly deeper than the shortest ways are long. What "needed"
means is measured: where datagrams are lost, as many links stay eager as it takes for all copies
of an event to be lost in 0.5 % of cases at most. The others are told of events by digests, as of
everything else; where datagrams are lost all links are told at once as well.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping
from typing import Protocol

import msgspec

from mtor_swarm.events import COMMAND
from mtor_swarm.swarm.gossip import wire
from mtor_swarm.swarm.gossip.effects import Outbox, SetTimer
from mtor_swarm.swarm.gossip.records import Record

ENOUGH = 0.005
"""The chance that all copies of an event are lost which is small enough."""
HAVE_S = 0.01
"""Lossy links are told of events in batches this far apart."""
GRAFT_S = 0.005
"""An event that was told of but does not come within this time is asked for, again and again."""
MAX_ASKS = 10
"""Then it is left to the digests: three of four asks or their answers are lost on a bad link."""
MAX_HOPS = 255
MAX_NAMES = 256
MAX_RECENT = 2048
MAX_MISSING = 256
MAX_TREES = 1024
COMMON = "0" * 32
"""The common tree, where others are named by their origin."""
OWN_FROM = 8
"""From this sequence number on an origin's events take a tree of its own."""


class Sender(Protocol):
    """How frames leave: the machine's `send`."""

    def __call__(self, member: str, frame: wire.Frame, priority: int = 2) -> None: ...


class Copy:
    """A record of late, whom it came from, and in how many hops over the way that is kept."""

    __slots__ = ("hops", "key", "senders", "seq", "tree", "urgent")

    def __init__(self, record: Record, tree: str, senders: list[str], hops: int) -> None:
        self.hops = hops
        self.key = record.key
        self.tree = tree
        self.seq = record.seq
        self.urgent = record.priority <= COMMAND
        self.senders = senders


class Missing:
    """A record that was told of: when it is asked for next, of whom in turn, how often yet."""

    __slots__ = ("asks", "at", "tellers")

    def __init__(self, at: float, teller: str) -> None:
        self.at = at
        self.tellers = [teller]
        self.asks = MAX_ASKS


class Plumtree:
    """The links of one member and which of them are lazy, in each tree.

    `small` is set while the common tree is used.
    `loss` has the share of a member's datagrams to us that is lost, where it was measured.
    """

    def __init__(self, send: Sender, out: Outbox, loss: Mapping[str, float]) -> None:
        self.send = send
        self.out = out
        self.loss = loss
        self.small = False
        self.links: dict[str, list[bytes]] = {}
        self.recent: OrderedDict[bytes, Copy] = OrderedDict()
        self._lazy: OrderedDict[str, set[str]] = OrderedDict()
        self._missing: OrderedDict[bytes, Missing] = OrderedDict()
        self._set: set[str] = set()
        self._root = ("", 0)
        self._hops = 0
        self._sprouted_by: list[str] = []

    # --- links

    def link_up(self, member: str) -> None:
        """A link of the overlay came: eager at first."""
        self.links.setdefault(member, [])

    def link_down(self, member: str) -> None:
        """A link of the overlay went."""
        self.links.pop(member, None)
        for lazy in self._lazy.values():
            lazy.discard(member)

    def eager(self, tree: str) -> list[str]:
        """The links that this tree's events are pushed on."""
        lazy = self._lazy.get(tree, set())
        return [each for each in self.links if each not in lazy]

    def _lazy_in(self, tree: str) -> set[str]:
        if tree not in self._lazy and len(self._lazy) >= MAX_TREES:
            self._lazy.popitem(last=False)
        lazy = self._lazy.setdefault(tree, set())
        self._lazy.move_to_end(tree)
        return lazy

    def sprout(self, frame: wire.Sprout, sender: str = "") -> None:
        """The common tree grows anew: its links are those by which the fewest lead to the root."""
        root, number = self._root
        if sender and sender not in self.links:
            self.send(sender, wire.Prune(COMMON))  # a link that only the other end knows of
        elif (frame.root, frame.number) == (root, number):
            self._sprouts_again(sender, frame.hops)
        elif frame.root != root or frame.number > number:
            self._root = (frame.root, frame.number)
            self._hops = frame.hops
            self._sprouted_by = [sender]
            self._lazy.pop(COMMON, None)
            more = wire.Sprout(frame.root, frame.number, min(frame.hops + 1, 255))
            for member in self.links:
                if member != sender:
                    self.send(member, more)

    def _sprouts_again(self, sender: str, hops: int) -> None:
        """Take the shorter way to the root; leave it to a peer to take it by us."""
        if sender in self._sprouted_by or not self._is_enough(self._sprouted_by):
            self._sprouted_by.append(sender)
        elif hops < self._hops:
            for member in self._sprouted_by:
                self._prune(member, COMMON)
            self._sprouted_by = [sender]
            self._hops = hops
        elif hops <= self._hops + 2:
            self._prune(sender, COMMON)

    # --- events

    def push(
        self, records: list[Record], sender: str, now: float, wanted: bool = False, hops: int = 0
    ) -> None:
        """Records that are new here go on; `sender` is empty if they are our own.

        What is urgent goes out on every link. What had to be `wanted` came over no tree, and
        makes no copy that comes over one needless.
        """
        hops = MAX_HOPS if wanted else hops
        linked = sender == "" or sender in self.links
        batches: dict[str, list[Record]] = {}
        for record in records:
            name, origin = record.packed.name, record.key[0]
            tree = COMMON if self.small and record.seq < OWN_FROM else origin
            copy = self.recent[name] = Copy(
                record, tree, [sender] if linked and not wanted else [], hops
            )
            self._missing.pop(name, None)
            lazy = self._lazy.get(tree, set())
            if not wanted:
                lazy.discard(sender)
                if not linked:
                    self.send(sender, wire.Prune(tree))
            for member, haves in self.links.items():
                if member in (sender, origin):
                    continue
                if member not in lazy or copy.urgent:
                    batches.setdefault(member, []).append(record)
                if self.loss and self.loss.get(member, 0.0) > ENOUGH:
                    self._tell_later(haves, name, now)
        while len(self.recent) > MAX_RECENT:
            self.recent.popitem(last=False)
        for member, batch in batches.items():
            raws = [msgspec.Raw(each.raw) for each in batch]
            more = wire.Events(raws, hops=min(hops + 1, MAX_HOPS))
            self.send(member, more, min(each.priority for each in batch))

    def _tell_later(self, haves: list[bytes], name: bytes, now: float) -> None:
        if len(haves) < MAX_NAMES:
            haves.append(name)
            self._timer("have", now + HAVE_S)
        else:
            self.out.count("events not told of")

    def again(self, copy: Copy, sender: str, hops: int = 0) -> None:
        """One more copy came: if the others were enough, it need not come, or they need not."""
        if sender in copy.senders or copy.urgent:
            return
        one = copy.tree != COMMON and sender in self.links  # the common one has no one origin
        if not self._is_enough(copy.senders):
            copy.hops = min(hops, copy.hops)
        elif one and hops < copy.hops and self._is_enough([sender]):
            for member in copy.senders:
                self._prune(member, copy.tree)
            copy.senders, copy.hops = [], hops
        elif one and hops > copy.hops + 2:
            self.send(sender, wire.Prune(copy.tree))  # it will take the shorter way, by us
        else:
            self._prune(sender, copy.tree)
        copy.senders.append(sender)

    def _prune(self, member: str, tree: str) -> None:
        self.pruned(member, tree)
        self.send(member, wire.Prune(tree))

    def _is_enough(self, senders: list[str]) -> bool:
        """Whether an event that comes from all of these comes surely enough."""
        return math.prod(self.loss.get(each, 0.0) for each in senders) <= ENOUGH

    def _timer(self, key: str, at: float) -> None:
        if key not in self._set:
            self._set.add(key)
            self.out.add(SetTimer(key, at))

    # --- frames

    def have(self, sender: str, names: list[bytes], now: float) -> None:
        """A link tells what it has."""
        sparse = []
        for name in names:
            copy = self.recent.get(name)
            if copy is not None:
                lazy = self._lazy.get(copy.tree, set())
                if sender in lazy and not self._is_enough(copy.senders):
                    sparse.append(name)
            elif name in self._missing:
                tellers = self._missing[name].tellers
                if sender not in tellers and len(tellers) < MAX_ASKS:
                    tellers.append(sender)
            elif len(self._missing) < MAX_MISSING:
                self._missing[name] = Missing(now + GRAFT_S, sender)
                self._timer("graft", now + GRAFT_S)
            else:
                self.out.count("events not asked for")
        if sparse:
            self._graft(sender, sparse, want=False)

    def mend(self, member: str, records: list[Record]) -> None:
        """What should have come over a tree had to be wanted: from now on it comes from there."""
        if member in self.links:
            self._graft(member, [each.packed.name for each in records], want=False)

    def _graft(self, member: str, names: list[bytes], want: bool) -> None:
        for tree in {self.recent[each].tree for each in names if each in self.recent}:
            self._lazy_in(tree).discard(member)
        self.send(member, wire.Graft(names, want), 1)

    def grafted(self, sender: str, names: list[bytes]) -> list[Copy]:
        """A peer wants the trees of these records pushed; those of them that are of late."""
        found = [self.recent[each] for each in names if each in self.recent]
        for tree in {each.tree for each in found}:
            self._lazy_in(tree).discard(sender)
        return found

    def pruned(self, sender: str, tree: str) -> None:
        """A peer has enough of this tree without us."""
        if sender in self.links:
            self._lazy_in(tree).add(sender)

    # --- timers

    def tell(self) -> None:
        """Send what piled up for lossy links."""
        self._set.discard("have")
        for member, haves in self.links.items():
            told = [each for each in haves if not self._came_from(member, each)]
            haves.clear()
            if told:
                self.send(member, wire.Have(told), 3)

    def _came_from(self, member: str, name: bytes) -> bool:
        copy = self.recent.get(name)
        return copy is not None and member in copy.senders

    def ask_missing(self, now: float) -> None:
        """Graft what was told of and did not come, of each one that told of it in turn."""
        self._set.discard("graft")
        wanted: dict[str, list[bytes]] = {}
        for name, missing in list(self._missing.items()):
            if missing.at > now:
                continue
            missing.tellers.append(missing.tellers.pop(0))
            wanted.setdefault(missing.tellers[-1], []).append(name)
            missing.at = now + GRAFT_S
            missing.asks -= 1
            if not missing.asks:
                del self._missing[name]
        for member, names in wanted.items():
            self._graft(member, names, want=True)
        if self._missing:
            soonest = min(each.at for each in self._missing.values())
            self._timer("graft", soonest)
