"""Tasks over real ZeroMQ: announced at one member, done by another."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mtor_swarm.swarm.tasks import allocator_io as io
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
