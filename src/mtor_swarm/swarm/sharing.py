"""Shared states as the rest of the program uses them, from any thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from mtor_swarm.errors import SwarmError
from mtor_swarm.swarm.gossip import crdt, wire
from mtor_swarm.swarm.gossip import effects as fx
from mtor_swarm.swarm.gossip.shared import Shared

LONGEST_ITEM = 128


class SharedStates:
    """The swarm's shared states, named `KIND:NAME`; `gossip/crdt.py` says how each kind merges.

    Writing never blocks: it is done, and seen by `get`, once the swarm's thread has taken it in.
    Values are anything that JSON can say, up to 1024 bytes of text.
    """

    def __init__(self, shared: Shared, give: Callable[[fx.Input], None]) -> None:
        self._shared = shared
        self._give = give

    def put(self, name: str, key: str, value: Any) -> None:
        """Write an item of a `map:` or `stigmergy:`; SwarmError if it cannot be."""
        _kind(name, "map", "stigmergy")
        try:
            raw = msgspec.json.encode(value)
        except (TypeError, ValueError, RecursionError, OverflowError) as error:
            raise SwarmError(f"{name} {key}: not a JSON value: {error}") from None
        if name.count(":") > 1 and type(value) not in (int, float):
            order = name.rpartition(":")[2]
            raise SwarmError(f"{name} {key}: {value!r} is not a number, and the {order} holds")
        self._write(name, key, raw)

    def add(self, name: str, item: str) -> None:
        """Add an element to a `set:`."""
        _kind(name, "set")
        self._write(name, item, b"")

    def count(self, name: str, by: int = 1) -> None:
        """Add to a `counter:`, or take away."""
        _kind(name, "counter")
        if not -(2**31) <= by <= 2**31:
            raise SwarmError(f"{name}: {by} is too much to count at once")
        self._write(name, "", str(by).encode())

    def remove(self, name: str, key: str) -> None:
        """Remove an item from a `map:`, `stigmergy:` or `set:`; nothing if it is not there."""
        _kind(name, "map", "stigmergy", "set")
        self._write(name, key, b"", gone=True)

    def get(self, name: str) -> Any:
        """What a state is now: a dict (map, stigmergy), a sorted list (set) or a number."""
        return self._shared.replica.value(_checked(name))

    def entry(self, name: str, key: str) -> wire.Entry | None:
        """What stands under one key of a `map:` or `stigmergy:`, a removal too."""
        _kind(name, "map", "stigmergy")
        state = self._shared.replica.states.get(name)
        kept = state.slots.get((name, key, "")) if state else None
        return kept.entry if kept else None

    def all(self) -> dict[str, Any]:
        """Every shared state, by name."""
        return dict(crdt.states_of(self._shared.replica))

    def entries(self, name: str) -> list[wire.Entry]:
        """The signed entries behind a state: who wrote what, and when."""
        return self._shared.replica.entries(_checked(name))

    def reserve(self, name: str, public_key: bytes) -> None:
        """Only the holder of that Ed25519 key may write this state; say so before the start."""
        self._shared.owners[_checked(name)] = public_key

    def carry(self, entry: wire.Entry) -> None:
        """Spread an entry that another key has signed, such as the swarm's own."""
        self._give(fx.SharedCarried(entry))

    def _write(self, name: str, item: str, value: bytes, gone: bool = False) -> None:
        if len(item) > LONGEST_ITEM:
            raise SwarmError(f"{name} {item[:20]}…: a key has {LONGEST_ITEM} characters at most")
        if len(value) > wire.MAX_VALUE_BYTES:
            most = wire.MAX_VALUE_BYTES
            raise SwarmError(f"{name} {item}: {len(value)} bytes, {most} at most: share less")
        owner = self._shared.owners.get(name)
        if owner not in (None, self._shared.key):
            raise SwarmError(f"{name}: only the holder of one key may write it, and it is not us")
        self._give(fx.SharedWritten(name, item, value, gone))


def _checked(name: str) -> str:
    try:
        return msgspec.convert(name, wire.StateName)
    except msgspec.ValidationError:
        raise SwarmError(
            f"{name!r} is no shared state: say map:NAME, set:NAME, counter:NAME, stigmergy:NAME, "
            "stigmergy:NAME:most or stigmergy:NAME:least, in small letters, digits and . _ -"
        ) from None


def _kind(name: str, *kinds: str) -> None:
    if crdt.kind_of(_checked(name)) not in kinds:
        raise SwarmError(f"{name}: that is for {' and '.join(f'{each}:' for each in kinds)}")
