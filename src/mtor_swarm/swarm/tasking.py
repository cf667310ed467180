"""The allocator of a member, on a thread of its own, over the shared state `map:tasks`.

Nothing polls: it sleeps until something is heard or one of its own times has come.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable

import msgspec

from mtor_swarm.errors import SwarmError
from mtor_swarm.swarm.gossip.membership import MemberInfo
from mtor_swarm.swarm.sharing import SharedStates
from mtor_swarm.swarm.tasks import allocator_io as io
from mtor_swarm.swarm.tasks.allocator import Allocator
from mtor_swarm.swarm.tasks.board import Standing

STATE = "map:tasks"
MAX_GIVEN = 1024
"""Inputs of our own that wait; more are dropped and counted."""


class Tasking:
    """One member's part in sharing out tasks.

    `do` gets each effect but `Write` and `Wake`, on this thread. `dropped` counts inputs without
    room, `impostors` facts that one member wrote in another unit's name, `unwritten` facts that
    could not be shared.
    """

    def __init__(self, unit: str, do: Callable[[io.Effect], None], *, bidder: bool = True) -> None:
        self.allocator = Allocator(unit, bidder=bidder)
        self.dropped = self.impostors = self.unwritten = 0
        self._do = do
        self._shared: SharedStates | None = None
        self._changed = threading.Condition()
        self._keys: dict[str, None] = {}
        self._verdicts: dict[str, bool] = {}
        self._given: deque[io.Input] = deque()
        self._own: io.Own | None = None
        self._turned = False
        self._units: dict[str, str] = {}
        self._wake_s = math.inf
        self._stopping = False
        self._thread: threading.Thread | None = None

    def start(self, shared: SharedStates) -> None:
        """Begin, with the shared states of a driver that calls `shared` and `member`."""
        self._shared, self._stopping = shared, False
        self._thread = threading.Thread(target=self._run, name="tasking", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread; safe to call twice."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    # --- from any thread

    def give(self, given: io.Input) -> None:
        """An input of this realm: what was announced, cancelled, done."""
        with self._changed:
            if len(self._given) >= MAX_GIVEN:
                self.dropped += 1
                return
            self._given.append(given)
            self._changed.notify()

    def is_now(self, own: io.Own) -> None:
        """Where this unit is and what it can; a pose alone wakes nobody."""
        with self._changed:
            was, self._own = self._own, own
            if was is None or (was.able, was.skills) != (own.able, own.skills):
                self._turned = True
                self._changed.notify()

    def shared(self, name: str, key: str) -> None:
        """An item of a shared state changed (`SwarmDriver`'s `on_shared`)."""
        if name == STATE:
            with self._changed:
                self._keys[key] = None
                self._changed.notify()

    def member(self, info: MemberInfo) -> None:
        """A member is seen differently."""
        with self._changed:
            self._units[info.id] = info.unit if info.role == "unit" else ""
            if info.state in ("dead", "left"):
                del self._units[info.id]
            if info.role == "unit":
                self._verdicts[info.unit] = info.state in ("alive", "suspect")
                self._changed.notify()

    def standings(self) -> dict[str, Standing]:
        """How each task stands, as it was last thought about."""
        return self.allocator.standings

    # --- on its own thread

    def _run(self) -> None:
        while (inputs := self._wait()) is not None:
            for each in inputs:
                for effect in self.allocator.handle(each, time.time()):
                    self._carry_out(effect)

    def _wait(self) -> list[io.Input] | None:
        """What came in meanwhile; None: the end."""
        with self._changed:
            while not (self._stopping or self._has_news()):
                left_s = self._wake_s - time.time()
                self._changed.wait(None if left_s == math.inf else max(0.0, left_s))
            return None if self._stopping else self._taken()

    def _has_news(self) -> bool:
        told = self._keys or self._verdicts or self._given
        return bool(told or self._turned or time.time() >= self._wake_s)

    def _taken(self) -> list[io.Input]:
        inputs: list[io.Input] = [io.Judged(unit, ok) for unit, ok in self._verdicts.items()]
        inputs += [each for key in self._keys if (each := self._fact(key)) is not None]
        if self._own is not None:
            inputs.append(self._own)
        inputs += self._given
        if time.time() >= self._wake_s:
            self._wake_s = math.inf
            inputs.append(io.Woke())
        self._turned = False
        self._verdicts.clear()
        self._keys.clear()
        self._given.clear()
        return inputs

    def _fact(self, key: str) -> io.Heard | None:
        entry = self._shared.entry(STATE, key) if self._shared else None
        if entry is None or entry.gone:
            return io.Heard(key, None)
        kind, _, name = key.partition("/")
        writer = self._units.get(entry.origin)
        if kind in ("row", "work") and writer not in (None, name.rpartition("/")[2]):
            self.impostors += 1
            return None
        return io.Heard(key, entry.value)

    def _carry_out(self, effect: io.Effect) -> None:
        if isinstance(effect, io.Wake):
            self._wake_s = effect.at_s
        elif not isinstance(effect, io.Write):
            self._do(effect)
        elif self._shared is not None:
            try:
                if effect.raw is None:
                    self._shared.remove(STATE, effect.key)
                else:
                    self._shared.put(STATE, effect.key, msgspec.Raw(effect.raw))
            except SwarmError:  # the fact is too long, or too much waits to be said
                self.unwritten += 1
