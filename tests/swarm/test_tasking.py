"""Tasks over real ZeroMQ: announced at one member, done by another, on threads of their own."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import msgspec
import pytest

from mtor_swarm.swarm.tasking import MAX_GIVEN, STATE, Tasking
from mtor_swarm.swarm.tasks import allocator_io as io
from mtor_swarm.swarm.tasks import task as t
from mtor_swarm.swarm.tasks.task import Task
from tests.swarm.taskers import Node, crew, wait_for


@pytest.fixture(name="nodes")
def _nodes() -> Iterator[list[Node]]:
    with crew() as nodes:
        yield nodes


def test_a_task_goes_to_the_nearest_and_when_that_dies_to_the_next(nodes: list[Node]) -> None:
    base, r1, r2, r3 = nodes
    for each in nodes:
        wait_for(lambda each=each: sum(m.state == "alive" for m in each.driver.members()) == 3)
    base.tasking.give(io.Announce((Task(id="x", places=[(31.0, 0.0)]),)))
    wait_for(lambda: any(isinstance(e, io.Begin) for e in r3.effects))
    wait_for(lambda: all(each.state("x") == "begun" for each in nodes))
    r3.stop()
    wait_for(lambda: any(isinstance(e, io.Begin) for e in r2.effects))
    r2.tasking.give(io.Ended("x", ok=True, result="seen"))
    wait_for(lambda: all(each.state("x") == "done" for each in (base, r1, r2)))
    assert not any(isinstance(e, io.Begin) for e in r1.effects)


def test_who_writes_in_anothers_name_is_counted_and_not_believed(nodes: list[Node]) -> None:
    base, r1, r2, _ = nodes
    wait_for(lambda: len(r1.driver.members()) == 3 and len(base.driver.members()) == 3)
    row = t.encode(t.Row(number=2**50, bids=[t.Bid("x", 0, 99.0, begun=True)]))
    r2.driver.shared.put(STATE, "row/r9", msgspec.Raw(row))
    wait_for(lambda: base.tasking.impostors)
    assert "r9" not in base.tasking.allocator.board.rows


def test_what_waits_is_bounded_and_what_cannot_be_shared_is_counted(nodes: list[Node]) -> None:
    started = threading.Event()
    idle = Tasking("idle", lambda effect: started.set())
    for _ in range(MAX_GIVEN + 2):
        idle.give(io.Cancel("ghost"))
    assert idle.dropped == 2
    idle.start(nodes[1].driver.shared)
    assert started.wait(60.0)
    idle.stop()
    idle.stop()
    nodes[1].driver.shared.reserve(STATE, b"another's")
    nodes[1].tasking.give(io.Announce((Task(id="x"),)))
    wait_for(lambda: nodes[1].tasking.unwritten)
