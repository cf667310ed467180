"""Asks as futures: an end for each, whoever gives up first."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import pytest

from mtor_swarm.errors import SwarmError
from mtor_swarm.swarm.exchange import ASK_ROOM, Exchange
from mtor_swarm.swarm.gossip import effects as fx
from mtor_swarm.swarm.gossip.wire import MAX_FRAME_BYTES

LARGE = bytes(MAX_FRAME_BYTES - ASK_ROOM + 1)


class Desk:
    """An exchange, what it handed the machine, and what it is to answer."""

    def __init__(self) -> None:
        self.put: list[fx.Input] = []
        self.logged: list[str] = []
        self.answer: Any = b""
        self.full = False
        self.tell: Any = None
        self.exchange = Exchange(self._put, self._on_ask, self.logged.append)

    def _put(self, item: fx.Input, priority: int) -> None:
        if self.full:
            raise SwarmError("slow down")
        self.put.append(item)

    def _on_ask(self, member: str, kind: str, payload: bytes, tell: Any) -> Any:
        self.tell = tell
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def asked(self, answer: Any) -> None:
        self.answer = answer
        self.exchange.asked(fx.Asked("m", 5, "k", b"?"))

    def ask(self, payload: bytes = b"?", on_part: Any = None) -> Future[bytes]:
        return self.exchange.ask("m", "k", payload, 1.0, on_part)


def test_an_answer_and_its_parts_come_to_the_one_who_asked() -> None:
    desk, parts = Desk(), []
    first, second = desk.ask(on_part=parts.append), desk.ask()
    desk.exchange.part(fx.PartHeard(0, b"a"))
    desk.exchange.part(fx.PartHeard(1, b"for nobody"))
    desk.exchange.answered(fx.Answered(0, True, b"!"))
    desk.exchange.answered(fx.Answered(1, False, b"no"))
    desk.exchange.answered(fx.Answered(1, False, b"again"))
    assert (parts, first.result(0)) == ([b"a"], b"!")
    with pytest.raises(SwarmError, match="no"):
        second.result(0)
    assert desk.put == [fx.Asking(i, "m", "k", b"?", 1.0) for i in range(2)]


def test_an_ask_that_cannot_be_sent_fails_at_once() -> None:
    desk = Desk()
    with pytest.raises(SwarmError, match="too many to ask"):
        desk.ask(LARGE).result(0)
    desk.full = True
    with pytest.raises(SwarmError, match="slow down"):
        desk.ask().result(0)
    assert desk.put == []


def test_who_cancels_an_ask_of_ours_tells_the_swarm_even_as_it_ends() -> None:
    desk = Desk()
    ask, late = desk.ask(), desk.ask()
    assert ask.cancel()
    assert desk.put[-1] == fx.Abandoning(0)
    desk.full = True
    assert late.cancel()
    desk.exchange.part(fx.PartHeard(0, b"late"))
    desk.exchange.answered(fx.Answered(0, True, b"late"))


@pytest.mark.parametrize(
    ("answer", "ok", "payload"),
    [
        (b"!", True, b"!"),
        (SwarmError("not today"), False, b"not today"),
        (ValueError("a defect"), False, b"a defect"),
        (LARGE, False, f"the answer has {len(LARGE)} bytes, too many".encode()),
    ],
)
def test_what_is_asked_of_us_has_one_answer(answer: Any, ok: bool, payload: bytes) -> None:
    desk = Desk()
    desk.asked(answer)
    assert desk.put == [fx.Replying("m", 5, ok, payload)]
    assert len(desk.logged) == isinstance(answer, ValueError)


def test_an_answer_may_come_later_and_in_parts() -> None:
    desk, later = Desk(), Future()
    desk.asked(later)
    desk.tell(b"a")
    with pytest.raises(SwarmError, match="too many"):
        desk.tell(LARGE)
    later.set_result(b"!")
    assert desk.put == [fx.Telling("m", 5, b"a"), fx.Replying("m", 5, True, b"!")]


def test_an_answer_that_fails_later_says_why() -> None:
    desk = Desk()
    for later in (Future(), Future()):
        desk.asked(later)
        if not desk.put:
            later.set_exception(SwarmError("it broke"))
        else:
            later.cancel()
    assert [each.payload for each in desk.put] == [b"it broke", b"it was cancelled"]


def test_an_answer_that_nobody_waits_for_is_cancelled_and_not_sent() -> None:
    desk, later, done = Desk(), Future(), Future()
    desk.asked(later)
    desk.exchange.ended(fx.AskEnded("m", 5))
    assert later.cancelled()
    desk.asked(done)
    done.set_result(b"!")
    desk.exchange.ended(fx.AskEnded("m", 5))
    assert desk.put == [fx.Replying("m", 5, True, b"!")]


def test_an_answer_for_which_there_is_no_room_is_told_in_the_log() -> None:
    desk = Desk()
    desk.full = True
    desk.asked(b"!")
    assert "dropped: slow down" in desk.logged[0]


def test_at_the_end_nobody_waits_any_more() -> None:
    desk, later = Desk(), Future()
    ask = desk.ask()
    desk.asked(later)
    desk.exchange.close()
    with pytest.raises(SwarmError, match="has left the swarm"):
        ask.result(0)
    assert later.cancelled()
