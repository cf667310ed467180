"""Waiting for descriptors, and what a member hears of what arrives."""

from __future__ import annotations

import math
import select
import socket
from collections import Counter

from mtor_swarm.swarm.gossip import wire
from mtor_swarm.swarm.gossip.effects import Received
from mtor_swarm.swarm.hearing import MAX_DELAYED, Hearing
from mtor_swarm.swarm.waiter import Waiter


def test_who_is_ready_is_called_and_what_they_find_is_gathered() -> None:
    near, far = socket.socketpair()
    waiter: Waiter[str] = Waiter()
    waiter.add(near.fileno(), lambda: [near.recv(9).decode()])
    waiter.add(far.fileno(), lambda: ["writable"], select.EPOLLOUT)
    assert waiter.wait(60.0) == ["writable"]
    waiter.remove(far.fileno())
    assert waiter.wait(0.0) == []
    far.send(b"hello")
    assert waiter.wait(60.0) == ["hello"]
    waiter.close()
    near.close()
    far.close()


def test_who_left_something_unread_is_called_again_without_waiting() -> None:
    near, far = socket.socketpair()
    waiter: Waiter[str] = Waiter()
    waiter.add(near.fileno(), lambda: ["more"])
    waiter.again(near.fileno())
    assert waiter.wait(60.0) == ["more"]
    assert waiter.wait(0.0) == []
    waiter.again(near.fileno())
    waiter.remove(near.fileno())
    assert waiter.wait(0.0) == []
    waiter.close()
    near.close()
    far.close()


def test_who_is_removed_by_an_earlier_call_is_not_called() -> None:
    pairs = [socket.socketpair() for _ in range(2)]
    waiter: Waiter[int] = Waiter()
    ends = [near.fileno() for near, _ in pairs]
    for mine, other in (ends, reversed(ends)):
        waiter.add(mine, lambda mine=mine, other=other: waiter.remove(other) or [mine])
    for _, far in pairs:
        far.send(b".")
    assert len(waiter.wait(60.0)) == 1
    waiter.close()
    for each in pairs:
        each[0].close()
        each[1].close()


class Table:
    """A radio that delays by a table."""

    def __init__(self, **delays: float | None) -> None:
        self.delays = delays

    def delay_s(self, sender: str, receiver: str) -> float | None:
        return self.delays[sender]


def frame(sender: str) -> Received:
    return Received(sender, wire.Ping(1))


def test_without_a_radio_all_is_heard_at_once() -> None:
    hearing = Hearing(None, "me", Counter().update)
    assert hearing.now(frame("a"), 0.0) == [frame("a")]
    assert hearing.due == math.inf
    assert hearing.late(9.0) == []


def test_the_radio_lets_hear_at_once_later_or_never() -> None:
    counts: Counter[str] = Counter()
    radio = Table(near=0.0, far=2.0, further=3.0, away=None)
    hearing = Hearing(radio, "me", lambda what: counts.update([what]))
    assert hearing.now(frame("near"), 1.0) == [frame("near")]
    for name in ("further", "far", "away"):
        assert hearing.now(frame(name), 1.0) == []
    assert counts == {"not heard": 1}
    assert hearing.due == 3.0
    assert hearing.late(2.9) == []
    assert hearing.late(4.0) == [frame("far"), frame("further")]


def test_so_many_frames_are_delayed_and_no_more() -> None:
    counts: Counter[str] = Counter()
    hearing = Hearing(Table(far=1.0), "me", lambda what: counts.update([what]))
    for _ in range(MAX_DELAYED + 2):
        hearing.now(frame("far"), 0.0)
    assert counts == {"not heard": 2}
    assert len(hearing.late(1.0)) == MAX_DELAYED
