"""Members that share out tasks over real ZeroMQ, without ROS."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mtor_swarm.config import SwarmConfig
from mtor_swarm.swarm.driver import SwarmDriver
from mtor_swarm.swarm.identity import Identity
from mtor_swarm.swarm.tasking import Tasking
from mtor_swarm.swarm.tasks import allocator_io as io
from mtor_swarm.swarm.tasks.route import Mover


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
