"""Members that share out tasks over real ZeroMQ, without ROS."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec

from mtor_swarm.config import SwarmConfig
from mtor_swarm.swarm.driver import SwarmDriver
from mtor_swarm.swarm.gossip.membership import MemberInfo
from mtor_swarm.swarm.identity import Identity
from mtor_swarm.swarm.sharing import SharedStates
from mtor_swarm.swarm.tasking import STATE
from mtor_swarm.swarm.tasks import allocator_io as io
from mtor_swarm.swarm.tasks.allocator import Allocator
from mtor_swarm.swarm.tasks.board import Standing
from mtor_swarm.swarm.tasks.route import Mover


class Tasking:
    """An allocator on a thread of its own, in place of a realm's decision.

    `do` gets each effect but `Write` and `Wake`.
    """

    def __init__(self, unit: str, do: Callable[[io.Effect], None], *, bidder: bool = True) -> None:
        self.allocator = Allocator(unit, bidder=bidder)
        self._do = do
        self._shared: SharedStates | None = None
        self._changed = threading.Condition()
        self._keys: dict[str, None] = {}
        self._verdicts: dict[str, bool] = {}
        self._given: deque[io.Input] = deque()
        self._own: io.Own | None = None
        self._turned = False
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
        inputs += [self._fact(key) for key in self._keys]
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

    def _fact(self, key: str) -> io.Heard:
        entry = self._shared.entry(STATE, key) if self._shared else None
        if entry is None or entry.gone:
            return io.Heard(key, None)
        return io.Heard(key, entry.value)

    def _carry_out(self, effect: io.Effect) -> None:
        if isinstance(effect, io.Wake):
            self._wake_s = effect.at_s
        elif not isinstance(effect, io.Write):
            self._do(effect)
        elif self._shared is not None:
            if effect.raw is None:
                self._shared.remove(STATE, effect.key)
            else:
                self._shared.put(STATE, effect.key, msgspec.Raw(effect.raw))


class Node:
    """A member with a driver and tasks; `effects` is what its tasking wants done."""

    def __init__(self, name: str, seeds: list[str], x_m: float | None) -> None:
        self.effects: list[io.Effect] = []
        self.tasking = Tasking(name, self.effects.append, bidder=x_m is not None)
        self.driver = SwarmDriver(
            SwarmConfig(seeds=seeds),
            Identity.ephemeral(),
            unit=name,
            on_event=lambda event: None,
            on_member=lambda info, was: self.tasking.member(info),
            on_beacon=lambda member, state: None,
            on_ask=lambda member, kind, payload, tell: b"",
            on_shared=self.tasking.shared,
        )
        self.driver.start()
        self.tasking.start(self.driver.shared)
        if x_m is not None:
            self.tasking.is_now(io.Own(Mover(x_m=x_m, y_m=0.0)))

    def state(self, task: str) -> str:
        found = self.tasking.standings().get(task)
        return found.state if found else ""

    def stop(self) -> None:
        self.tasking.stop()
        self.driver.stop()


def wait_for(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 60.0
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


@contextmanager
def crew() -> Iterator[list[Node]]:
    """A base that only looks on, and the units r1, r2, r3 at 10, 20 and 30 m, who know it."""
    nodes = [Node("base", [], None)]
    seeds = [nodes[0].driver.address]
    nodes += [Node(f"r{i}", seeds, 10.0 * i) for i in (1, 2, 3)]
    try:
        yield nodes
    finally:
        for each in nodes:
            each.stop()
