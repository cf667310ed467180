"""Asks between members, one machine at a time: limits, parts, and an end for each."""

from __future__ import annotations

import pytest

from mtor_swarm.swarm.gossip import asks, wire
from mtor_swarm.swarm.gossip import effects as fx
from tests.unit.gossip_play import Play, doubt, fact, id_of

FIRST = (1 << 32) + 1
"""The number of the first ask of boot 1."""


def ask(play: Play, token: int, timeout_s: float = 1.0) -> int:
    """An ask of member a; its number on the wire."""
    play.give(fx.Asking(token, id_of("a"), "k", b"?", timeout_s))
    return play.said(wire.Ask, "a")[0].askid


def asked(play: Play, askid: int, by: str = "a", timeout_s: float = 1.0) -> None:
    play.hear(by, wire.Ask(askid, "k", b"?", timeout_s))


def reasons(play: Play) -> list[bytes]:
    return [each.payload for each in play.did(fx.Answered) if not each.ok]


def test_asks_beyond_what_can_wait_end_at_once_and_those_to_the_dead_too() -> None:
    play = Play("a")
    for token in range(asks.MAX_PENDING + 1):
        play.give(fx.Asking(token, id_of("a"), "k", b"", 1.0))
    assert b"wait already" in reasons(play)[0]
    play.hear("a", wire.Answer(999, True, b""))
    assert play.counted("answers dropped") == 1
    play.machine.members.bury(id_of("a"), play.now)
    play.fire("retry")
    assert len(play.did(fx.Answered)) == asks.MAX_PENDING
    assert play.fire("asks", 1.0) == []


@pytest.mark.parametrize("suspect", [False, True])
def test_who_begins_anew_knows_nothing_of_what_it_was_asked_or_asked_itself(
    suspect: bool,
) -> None:
    play = Play("a", "b")
    askid = ask(play, 7)
    asked(play, FIRST)
    asked(play, FIRST, by="b")
    if suspect:
        play.hear("b", wire.Spread([], [doubt("b", "a")]))
        assert play.sees("a") == "suspect"
        assert play.did(fx.Answered) == []
    play.hear("a", wire.Spread([fact("a", boot=2)], []))
    assert [each.token for each in play.did(fx.Answered)] == [7]
    assert play.said(wire.AskOver, "a") == [wire.AskOver(askid)]
    assert play.did(fx.AskEnded) == [fx.AskEnded(id_of("a"), FIRST)]
    play.give(fx.Replying(id_of("a"), FIRST, True, b""))
    assert play.said(wire.Answer) == []
    assert play.counted("answers unwanted") == 1


def test_no_boots_asks_have_the_numbers_of_another() -> None:
    assert ask(Play("a"), 7) == FIRST


def test_each_ask_ends_in_its_own_time_on_both_sides() -> None:
    play = Play("a")
    late, soon = ask(play, 1, 9.0), ask(play, 2, 1.0)
    assert play.did(fx.SetTimer) == [fx.SetTimer("asks", 1.0)]
    ask(play, 3, 5.0)
    assert play.did(fx.SetTimer) == []
    play.fire("asks", 1.0)
    assert [each.token for each in play.did(fx.Answered)] == [2]
    assert b"did not answer in time" in reasons(play)[0]
    assert play.said(wire.AskOver, "a") == [wire.AskOver(soon)]
    assert play.did(fx.SetTimer) == [fx.SetTimer("asks", 5.0)]
    play.hear("a", wire.Answer(late, True, b"!"))
    assert play.did(fx.Answered) == [fx.Answered(1, True, b"!")]


def test_the_parts_of_an_answer_come_each_once_and_in_order() -> None:
    play = Play("a", "b")
    askid = ask(play, 7)
    play.hear("a", wire.AnswerPart(askid, 0, b"one"))
    assert play.did(fx.PartHeard) == [fx.PartHeard(7, b"one")]
    play.hear("a", wire.AnswerPart(askid, 0, b"one"))
    play.hear("b", wire.AnswerPart(askid, 1, b"two"))
    play.hear("a", wire.AnswerPart(askid + 1, 0, b"one"))
    assert play.did(fx.PartHeard) == []
    assert play.counted("answers dropped") == 3
    play.hear("a", wire.AnswerPart(askid, 1, b"two"))
    play.hear("a", wire.Answer(askid, True, b"end"))
    assert play.did(fx.Answered) == [fx.Answered(7, True, b"end")]


def test_an_answer_that_lost_a_part_is_none() -> None:
    play = Play("a")
    askid = ask(play, 7)
    play.hear("a", wire.AnswerPart(askid, 1, b"two"))
    assert b"lost on the way" in reasons(play)[0]
    assert play.said(wire.AskOver, "a") == [wire.AskOver(askid)]


@pytest.mark.parametrize(("parts", "size"), [(asks.MAX_PARTS, 0), (16, 1024 * 1024)])
def test_an_answer_without_an_end_is_broken_off_by_whoever_notices(parts: int, size: int) -> None:
    theirs, ours = Play("a"), Play("a")
    askid = ask(ours, 7)
    asked(theirs, askid)
    for seq in range(parts + 1):
        ours.hear("a", wire.AnswerPart(askid, seq, bytes(size)))
        theirs.give(fx.Telling(id_of("a"), askid, bytes(size)))
    assert b"broken off" in reasons(ours)[0]
    assert [each.ok for each in theirs.said(wire.Answer, "a")] == [False]
    assert theirs.did(fx.AskEnded) == [fx.AskEnded(id_of("a"), askid)]
    theirs.give(fx.Telling(id_of("a"), askid, b"more"))
    assert theirs.done == []
    assert theirs.counted("answers unwanted") == 1


def test_who_needs_no_answer_says_so_and_hears_no_more_of_it() -> None:
    play = Play("a")
    askid = ask(play, 7)
    play.give(fx.Abandoning(8))
    assert play.done == []
    play.give(fx.Abandoning(7))
    assert play.said(wire.AskOver, "a") == [wire.AskOver(askid)]
    play.hear("a", wire.Answer(askid, True, b"late"))
    assert play.did(fx.Answered) == []


def test_who_is_asked_hears_that_the_answer_is_not_needed_and_only_from_the_asker() -> None:
    play = Play("a", "b")
    asked(play, 5)
    play.hear("b", wire.AskOver(5))
    assert play.did(fx.AskEnded) == []
    play.hear("a", wire.AskOver(5))
    assert play.did(fx.AskEnded) == [fx.AskEnded(id_of("a"), 5)]


def test_an_ask_that_its_asker_has_surely_given_up_is_forgotten() -> None:
    play = Play("a")
    asked(play, 5, timeout_s=2.0)
    play.fire("asks", 2.0)
    assert play.did(fx.AskEnded) == []
    play.fire("asks", asks.LATE_S)
    assert play.did(fx.AskEnded) == [fx.AskEnded(id_of("a"), 5)]


def test_one_member_asks_so_much_at_a_time_and_all_together_so_much() -> None:
    names = [f"m{i}" for i in range(asks.MAX_SERVED // asks.MAX_SERVED_EACH)]
    play = Play("late", *names)
    for name in names:
        for askid in range(asks.MAX_SERVED_EACH):
            asked(play, askid, by=name)
            assert len(play.did(fx.Asked)) == 1
        asked(play, 99, by=name)
        (refusal,) = play.said(wire.Answer, name)
        assert (refusal.askid, refusal.ok) == (99, False)
        assert f"{asks.MAX_SERVED_EACH} of yours".encode() in refusal.payload
    asked(play, 1, by="late")
    assert [each.ok for each in play.said(wire.Answer, "late")] == [False]
    play.give(fx.Replying(id_of("m0"), 3, True, b""))
    asked(play, 1, by="late")
    assert len(play.did(fx.Asked)) == 1
    asked(play, 1, by="late")
    assert play.done == []
    assert play.counted("asks repeated") == 1
