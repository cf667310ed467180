"""Shared states that merge to the same whatever the order of the news: delta-state CRDTs.

Almeida, Shoker, Baquero: "Delta State Replicated Data Types" (JPDC 111, 2018). A state is a map of
slots, and in each slot the entry of the highest rank stays: a join semilattice. A delta is some
entries, joined the way a whole state is. Each entry is signed by who wrote it. The kinds differ in
what an entry's slot is and in what ranks it:

| kind | slot | `clock`, which ranks first |
|---|---|---|
| map | item | the stamp: the last write holds |
| set | item and who added it (`of`) | the add's stamp; a removal carries that of the add it saw |
| counter | who counts, and its boot | the stamp; the value is what was added and taken so far |
| stigmergy | item | a Lamport clock, one above what the writer saw |

Map: last writer wins. Set: observed-remove (Shapiro et al., INRIA RR-7506, 2011), so that an add
that a removal had not seen survives it. Counter: PN. Stigmergy: Pinciroli, Lee-Brown, Beltrame,
"A Tuple Space for Data Sharing in Robot Swarms" (BICT 2015); of two writes at the same clock the
name says which holds: the `most`, the `least` or, as there, that of the higher member id.

A removal is itself an entry and goes at the age of `tombstone_s`. Age needs no agreement: a member
that knows but a sample of the swarm cannot tell when all live ones have it. The price: two parts
that were out of touch for longer may bring back what one of them removed.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import msgspec

from mtor_swarm.swarm.gossip import hlc
from mtor_swarm.swarm.gossip.wire import Entry

MAX_ENTRIES = 4096
"""Entries of all states together that a member holds; of 1.4 kB at most."""
MAX_OF_ONE = 1024
"""Of one writer, so that none can take all the room."""
MAX_STATES = 64
MAX_COUNT = 2**62
MAX_BRACKETS = 200
"""In one value: what is nested deeper could not be read on every stack."""

Slot = tuple[str, str, str]
"""State, item, and whose entry it is where each writer has its own."""
Rank = tuple[Any, ...]
Value = Any
"""Any JSON value."""


class Counted(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The value of a counter's entry: how much its writer has added and taken away."""

    added: int
    taken: int


class Kept(NamedTuple):
    """An entry with its id: equal ids, equal entries."""

    entry: Entry
    id: bytes


def kind_of(state: str) -> str:
    """The kind that a state's name begins with."""
    return state.partition(":")[0]


def slot_of(entry: Entry) -> Slot:
    """Where the entry stands."""
    whose = entry.of
    if kind_of(entry.state) == "counter":
        whose = f"{entry.origin} {entry.boot}"
    return (entry.state, entry.item, whose)


def rank_of(entry: Entry) -> Rank:
    """Of the entries in one slot the one that ranks highest stays; none ranks as another.

    At one clock a removal outranks what it removed. The rest only breaks ties the same everywhere.
    """
    choice = 0.0 if entry.gone else _choice(entry)
    last = (entry.origin, entry.stamp, entry.boot, entry.value, entry.signature)
    return (entry.clock, entry.gone, choice, *last)


def _choice(entry: Entry) -> float:
    order = entry.state.split(":")[2:]
    if not order:
        return 0.0
    number = msgspec.json.decode(entry.value, type=float)
    return number if order == ["most"] else -number


def fault(entry: Entry) -> str:
    """What is wrong with an entry from a peer; empty if nothing is."""
    kind = kind_of(entry.state)
    own = entry.of == (entry.origin if kind == "set" else "")
    if entry.clock > entry.stamp:  # else one could put its clock beyond what others can reach
        return "a clock ahead of its stamp"
    if entry.gone:
        if kind == "counter" or entry.value:
            return "a removal that makes no sense"
        of_another = kind == "set" and entry.of and entry.clock < entry.stamp
        return "" if of_another or (own and kind != "set") else "a removal of nothing"
    if not own:
        return "written for another"
    if kind != "stigmergy" and entry.clock != entry.stamp:
        return "a clock that is not its stamp"
    return _value_fault(entry, kind)


def _value_fault(entry: Entry, kind: str) -> str:
    if kind == "set":
        return "a set's value" if entry.value else ""
    if entry.value.count(b"[") + entry.value.count(b"{") > MAX_BRACKETS:
        return "nested too deep"
    try:
        if kind == "counter":
            counted = msgspec.json.decode(entry.value, type=Counted)
            fine = 0 <= counted.added <= MAX_COUNT and 0 <= counted.taken <= MAX_COUNT
            return "" if fine and not entry.item else "a count beyond bounds"
        msgspec.json.decode(entry.value)
        _choice(entry)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "not a value"
    return ""


def is_conflict(held: Entry, entry: Entry) -> bool:
    """Whether two writers wrote to one slot without having seen each other's entry."""
    return held.clock == entry.clock and held.key != entry.key and not entry.of


def id_of(entry: Entry) -> bytes:
    """8 bytes that stand for the entry."""
    return hashlib.blake2b(msgspec.msgpack.encode(entry), digest_size=8).digest()


class State:
    """One shared state: its slots, and a hash of them that is made when it is asked for."""

    __slots__ = ("_hash", "slots")

    def __init__(self) -> None:
        self.slots: dict[Slot, Kept] = {}
        self._hash = b""

    def put(self, slot: Slot, kept: Kept) -> None:
        self.slots[slot] = kept
        self._hash = b""

    def drop(self, slot: Slot) -> Kept:
        self._hash = b""
        return self.slots.pop(slot)

    @property
    def hash(self) -> bytes:
        """The same at all members that hold the same entries."""
        if not self._hash:
            ids = b"".join(sorted(each.id for each in self.slots.values()))
            self._hash = hashlib.blake2b(ids, digest_size=8).digest()
        return self._hash


class Replica:
    """One member's copy of all shared states. Times are Unix seconds."""

    __slots__ = ("_next_expiry", "_written", "size", "states", "tombstone_s")

    def __init__(self, tombstone_s: float) -> None:
        self.tombstone_s = tombstone_s
        self.states: dict[str, State] = {}
        self.size = 0
        self._written: Counter[bytes] = Counter()
        self._next_expiry = math.inf

    def holds(self, entry: Entry) -> Entry | None:
        """What stands in the entry's slot."""
        state = self.states.get(entry.state)
        kept = state.slots.get(slot_of(entry)) if state else None
        return kept.entry if kept else None

    def is_news(self, entry: Entry, wall_s: float) -> bool:
        """Whether joining the entry would change anything; it must be without fault."""
        held = self.holds(entry)
        if held is not None:
            return rank_of(entry) > rank_of(held)
        return not (entry.gone and self._expires(entry) <= wall_s)

    def has_room(self, entry: Entry, owned: Collection[str] = ()) -> bool:
        """Whether there is a slot left for it; those states that are owned have room of their own.

        So nobody can fill the place where the swarm's key says who is trusted no more.
        """
        if self.holds(entry) is not None:
            return True
        if entry.state in owned:
            return self._written[entry.key] < MAX_ENTRIES
        known = entry.state in self.states or len(self.states.keys() | owned) < MAX_STATES
        return known and self.size < MAX_ENTRIES and self._written[entry.key] < MAX_OF_ONE

    def join(self, entry: Entry) -> None:
        """Take in an entry that is news and that there is room for."""
        state = self.states.setdefault(entry.state, State())
        slot = slot_of(entry)
        if slot in state.slots:
            self._drop(state, slot)
        state.put(slot, Kept(entry, id_of(entry)))
        self.size += 1
        self._written[entry.key] += 1
        if entry.gone:
            self._next_expiry = min(self._next_expiry, self._expires(entry))

    def _drop(self, state: State, slot: Slot) -> None:
        writer = state.drop(slot).entry.key
        self.size -= 1
        self._written[writer] -= 1
        if not self._written[writer]:
            del self._written[writer]

    def _expires(self, entry: Entry) -> float:
        return hlc.seconds(entry.stamp) + self.tombstone_s

    def expire(self, wall_s: float) -> None:
        """Let go of removals that are old enough."""
        if wall_s < self._next_expiry:
            return
        self._next_expiry = math.inf
        for name, state in list(self.states.items()):
            for slot, (entry, _) in list(state.slots.items()):
                if entry.gone and self._expires(entry) <= wall_s:
                    self._drop(state, slot)
                elif entry.gone:
                    self._next_expiry = min(self._next_expiry, self._expires(entry))
            if not state.slots:
                del self.states[name]

    def hash(self) -> bytes:
        """A hash of all states."""
        text = b"".join(name.encode() + each for name, each in self.hashes())
        return hashlib.blake2b(text, digest_size=8).digest()

    def hashes(self) -> list[tuple[str, bytes]]:
        """A hash of each state, by name."""
        return sorted((name, state.hash) for name, state in self.states.items())

    def ids(self, name: str) -> dict[bytes, Entry]:
        """The entries of one state by their ids."""
        state = self.states.get(name)
        return {each.id: each.entry for each in state.slots.values()} if state else {}

    def entries(self, name: str) -> list[Entry]:
        """What stands in one state, removals too; safe to call from another thread."""
        state = self.states.get(name)
        return [each.entry for each in dict(state.slots).values()] if state else []

    def value(self, name: str) -> Value:
        """One state as plain values: a dict, a sorted list (of a set) or a number."""
        return value_of(name, self.entries(name))


def deltas(replica: Replica, wish: Entry) -> list[Entry]:
    """The entries, yet to be signed, that make the wish so; none if it is so already.

    `wish` says state, item, value and `gone`, with the writer's stamp as its clock; that of a
    counter has as its value the number to add.
    """
    return _DELTAS[kind_of(wish.state)](replica, wish)


def _map_deltas(replica: Replica, wish: Entry) -> list[Entry]:
    held = replica.holds(wish)
    return [] if wish.gone and (held is None or held.gone) else [wish]


def _stigmergy_deltas(replica: Replica, wish: Entry) -> list[Entry]:
    held = replica.holds(wish)
    later = msgspec.structs.replace(wish, clock=held.clock + 1 if held else 1)
    return _map_deltas(replica, later)


def _set_deltas(replica: Replica, wish: Entry) -> list[Entry]:
    live = [e for e in replica.entries(wish.state) if e.item == wish.item and not e.gone]
    if wish.gone:
        return [msgspec.structs.replace(wish, of=each.of, clock=each.clock) for each in live]
    mine = wish.origin
    return [] if mine in (e.of for e in live) else [msgspec.structs.replace(wish, of=mine)]


def _counter_deltas(replica: Replica, wish: Entry) -> list[Entry]:
    held = replica.holds(wish)
    so_far = msgspec.json.decode(held.value, type=Counted) if held else Counted(0, 0)
    number = msgspec.json.decode(wish.value, type=int)
    counted = Counted(so_far.added + max(0, number), so_far.taken + max(0, -number))
    return [msgspec.structs.replace(wish, value=msgspec.json.encode(counted))]


_DELTAS = {
    "map": _map_deltas,
    "stigmergy": _stigmergy_deltas,
    "set": _set_deltas,
    "counter": _counter_deltas,
}


def value_of(name: str, entries: list[Entry]) -> Value:
    """What the entries of one state come to."""
    kind = kind_of(name)
    live = [each for each in entries if not each.gone]
    if kind == "set":
        return sorted({each.item for each in live})
    if kind == "counter":
        counts = [msgspec.json.decode(each.value, type=Counted) for each in live]
        return sum(each.added - each.taken for each in counts)
    return {each.item: msgspec.json.decode(each.value) for each in live}


def states_of(replica: Replica) -> Mapping[str, Value]:
    """All shared states as plain values; safe to call from another thread."""
    return {name: replica.value(name) for name in sorted(dict(replica.states))}
