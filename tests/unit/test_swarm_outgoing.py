from __future__ import annotations

import pytest

from mtor_swarm.errors import SwarmError
from mtor_swarm.events import BULK, NOTICE, STOP, UnitState
from mtor_swarm.swarm import outgoing
from mtor_swarm.swarm.gossip import effects as fx
from mtor_swarm.swarm.outgoing import Outgoing
from tests.simulation.harness import event


def said(number: int) -> fx.Published:
    return fx.Published(event(number))


def test_the_most_urgent_is_done_first_and_then_the_oldest() -> None:
    queue = Outgoing()
    for priority, number in ((NOTICE, 1), (BULK, 2), (NOTICE, 3), (STOP, 4)):
        queue.put(said(number), priority)
    assert queue.take(True) == [said(4), said(1), said(3), said(2)]
    assert len(queue) == 0


def test_while_there_is_no_room_events_wait_and_all_else_goes_on() -> None:
    queue = Outgoing()
    state = fx.StateChanged(UnitState(unit="r1"))
    queue.put(said(1), NOTICE)
    queue.put(state, BULK)
    queue.put(said(2), STOP)
    assert queue.take(False) == [said(2), state]
    queue.put(said(3), NOTICE)
    assert queue.take(True) == [said(1), said(3)]


def test_events_are_taken_in_bursts() -> None:
    queue = Outgoing()
    for number in range(outgoing.BURST + 1):
        queue.put(said(number), NOTICE)
    assert len(queue.take(True)) == outgoing.BURST
    assert queue.take(True) == [said(outgoing.BURST)]


def test_a_full_queue_refuses_all_but_what_is_urgent(monkeypatch) -> None:
    monkeypatch.setattr(outgoing, "MOST", 2)
    monkeypatch.setattr(outgoing, "MOST_URGENT", 1)
    queue = Outgoing()
    queue.put(said(1), NOTICE)
    queue.put(said(2), NOTICE)
    with pytest.raises(SwarmError, match="slow down"):
        queue.put(said(3), NOTICE)
    queue.put(said(4), STOP)
    with pytest.raises(SwarmError, match="3 things wait"):
        queue.put(said(5), STOP)
