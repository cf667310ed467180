"""What becomes of an ask: answers, failures, deadlines, cancels, parts, steps."""

from __future__ import annotations

import pytest

from mtor_swarm.config import AsksConfig
from mtor_swarm.realm.ask_ledger import MAX_DONE, MAX_OWN_STEPS
from mtor_swarm.realm.ask_tries import STUCK_S
from mtor_swarm.realm.ask_wire import Step
from tests.unit.asks_play import Play


@pytest.fixture
def play():
    """One worker that can see, one ask at a time."""
    play = Play()
    play.worker("w")
    return play


def test_the_answer_reaches_the_caller_once_however_often_it_is_given(play):
    which = play.ask()
    play.answer(which, payload=b"a cat", worker="w")
    play.answer(which, payload=b"a dog", worker="w")
    assert play.final(which).ok
    assert play.final(which).payload == b"a cat"
    assert play.final(which).turn == 0
    assert play.asks.counts["late answers"] == 1


def test_what_answers_another_ask_than_it_was_given_is_dropped(play):
    which = play.ask()
    play.answer("f" * 32, turn=play.turn(which))
    assert not play.finals(which)
    assert play.asks.counts["late answers"] == 1


def test_a_capability_that_nobody_has_is_named_beside_those_there_are(play):
    refused = play.final(play.ask("fly"))
    assert refused.reason == "r1 has nobody for 'fly', only: see"
    assert not refused.retryable


def test_an_ask_without_time_is_refused_at_once(play):
    assert "no time is left" in play.final(play.ask(timeout_s=0.0)).reason
    assert not play.handed


def test_a_bad_question_is_not_asked_again(play):
    play.worker("v")
    which = play.ask()
    play.answer(which, ok=False, reason="not a picture")
    assert play.final(which).reason == "not a picture"
    assert len(play.handed) == 1
    assert [each.outcome for each in play.health] == ["answered"]


def test_what_one_worker_fails_another_tries(play):
    play.worker("v")
    which = play.ask(stream=True)
    play.fail(which)
    assert [worker for worker, _ in play.handed] == ["w", "v"]
    play.answer(which)
    assert play.final(which).ok
    assert play.statuses(which) == ["running w", "retried w", "running v"]
    assert [each.outcome for each in play.health] == ["failed", "answered"]


def test_what_the_only_worker_fails_has_failed(play):
    which = play.ask()
    play.fail(which, "out of memory")
    assert play.final(which).reason == "out of memory"
    assert play.final(which).retryable


def test_a_retry_waits_for_the_other_worker_if_it_has_its_hands_full(play):
    play.worker("v")
    asks = [play.ask(), play.ask()]
    play.fail(asks[0])
    later = play.ask()
    assert play.has("w") == [asks[0], later], "it goes past the one that w cannot"
    play.answer(asks[1])
    assert play.has("v") == [asks[1], asks[0]]


def test_tries_are_bounded():
    play = Play(AsksConfig(borrow=False, tries=2))
    for each in "uvw":
        play.worker(each)
    which = play.ask()
    play.fail(which)
    play.fail(which, "broken again")
    assert play.final(which).reason == "broken again (tried 2 times)"


def test_what_a_dead_worker_had_goes_to_another(play):
    play.worker("v", up=False)
    which = play.ask()
    play.gone("w")
    assert not play.finals(which)
    play.worker("v")
    assert play.has("v") == [which]
    assert play.handed[1][1].turn != play.handed[0][1].turn


def test_what_a_dead_worker_had_waits_until_it_is_back(play):
    which = play.ask(stream=True)
    play.gone("w")
    play.worker("w")
    play.answer(which)
    assert play.final(which).ok
    assert play.statuses(which) == ["running w", "retried w", "loading 1", "running w"]


def test_what_kills_every_worker_is_given_up(play):
    which = play.ask()
    for _ in range(3):
        play.gone("w", "killed")
        play.worker("w")
    assert play.final(which).reason == "w: killed (tried 3 times)"


def test_a_late_answer_of_the_first_try_does_not_count_for_the_second(play):
    which = play.ask()
    first = play.turn(which)
    play.gone("w")
    play.worker("w")
    play.answer(which, turn=first, payload=b"late")
    assert not play.finals(which)
    play.answer(which, payload=b"right")
    assert play.final(which).payload == b"right"


def test_the_worker_is_told_the_time_that_is_left(play):
    play.ask(timeout_s=10.0)
    which = play.ask(timeout_s=10.0)
    play.wait(4.0)
    play.answer(play.has("w")[0])
    assert play.has("w")[1] == which
    assert play.handed[1][1].timeout_s == pytest.approx(6.0)


def test_who_waited_in_vain_hears_so_when_its_time_is_over(play):
    play.ask(timeout_s=60.0)
    which = play.ask(timeout_s=5.0)
    play.wait(5.0)
    assert play.final(which).reason == "nobody was free for see within 5 s"
    assert play.final(which).retry_s == pytest.approx(5.0)


def test_a_worker_that_is_late_keeps_its_place_taken_until_it_answers(play):
    which, waits = play.ask(timeout_s=5.0), play.ask(timeout_s=60.0)
    play.wait(5.0)
    assert play.final(which).reason == "w did not answer within 5 s"
    assert play.cancelled == [("w", which)]
    assert play.has("w") == [which]
    play.answer(which)
    assert play.has("w") == [which, waits]
    assert len(play.finals(which)) == 1
    assert [each.outcome for each in play.health] == ["late", "answered"]


def test_an_ask_that_gives_less_time_than_answers_take_says_nothing_against_a_worker(play):
    usual = play.ask()
    play.wait(3.0)
    play.answer(usual)
    hasty = play.ask(timeout_s=1.0)
    play.wait(1.0)
    assert play.final(hasty).reason == "w did not answer within 1 s"
    assert [each.outcome for each in play.health] == ["answered"]


def test_a_worker_that_never_lets_go_is_stuck_and_its_place_is_tried_again(play):
    which, waits = play.ask(timeout_s=5.0), play.ask(timeout_s=60.0)
    play.wait(5.0 + STUCK_S)
    assert play.has("w") == [which, waits]
    assert [each.outcome for each in play.health] == ["late", "stuck"]
    assert play.health[1].reason == "did not let go of an ask for 15 s"
    play.answer(which, turn=play.handed[0][1].turn)
    assert play.asks.counts["late answers"] == 1


def test_a_busy_worker_is_left_alone_for_a_while_and_it_costs_no_try(play):
    which = play.ask()
    for _ in range(5):
        play.fail(which, retry_s=0.5)
        assert play.handed[-1][1].turn == play.turn(which)
        handed = len(play.handed)
        play.wait(0.4)
        assert len(play.handed) == handed
        play.wait(0.2)
        assert len(play.handed) == handed + 1
    play.answer(which)
    assert play.final(which).ok
    assert not [each for each in play.health if each.outcome != "answered"]


def test_a_worker_that_was_busy_and_came_anew_is_asked_at_once(play):
    which = play.ask()
    play.fail(which, retry_s=60.0)
    play.gone("w")
    play.worker("w")
    assert play.has("w") == [which, which]


def test_a_busy_worker_has_nothing_to_give_back_of_what_was_cancelled(play):
    which = play.ask()
    play.cancel(which)
    play.fail(which, retry_s=0.5)
    assert len(play.handed) == 1
    assert len(play.finals(which)) == 1


def test_what_waits_can_be_cancelled(play):
    play.ask()
    which = play.ask()
    play.cancel(which)
    assert play.final(which).reason == "cancelled"
    play.answer(play.has("w")[0])
    assert which not in play.has("w")


def test_what_runs_can_be_cancelled_and_its_worker_hears_of_it(play):
    which, waits = play.ask(), play.ask()
    play.cancel(which)
    assert play.final(which).reason == "cancelled"
    assert play.cancelled == [("w", which)]
    play.fail(which, "cancelled")
    assert play.has("w") == [which, waits]
    assert not play.finals(waits)


def test_a_cancelled_ask_has_its_own_time_before_its_worker_counts_as_stuck(play):
    which = play.ask(timeout_s=30.0)
    play.cancel(which)
    play.wait(29.0)
    assert not play.health
    play.wait(1.0 + STUCK_S)
    assert [each.outcome for each in play.health] == ["stuck"]


def test_to_cancel_what_is_unknown_or_over_is_only_counted(play):
    which = play.ask()
    play.answer(which)
    play.cancel(which)
    play.cancel("f" * 32)
    play.cancel("f" * 32)
    assert len(play.finals(which)) == 1
    assert play.asks.counts["cancels of nothing"] == 3


def test_parts_reach_who_listens_each_once_and_anew_after_a_retry(play):
    play.worker("v")
    which = play.ask(stream=True)
    first = play.turn(which)
    play.part(which, 0, text="the")
    play.part(which, 1, text="cat")
    play.part(which, 1, text="cat")
    play.fail(which)
    play.part(which, 2, turn=first, text="late")
    play.part(which, 0, text="a")
    play.answer(which)
    play.part(which, 1, text="late")
    assert play.parts(which) == [(0, "the"), (1, "cat"), (0, "a")]
    assert play.asks.counts["late parts"] == 3


def test_parts_are_kept_from_who_does_not_listen(play):
    which = play.ask()
    play.part(which, 0)
    assert not play.parts(which)


def test_parts_of_what_was_cancelled_are_dropped(play):
    which = play.ask(stream=True)
    play.cancel(which)
    play.part(which, 0)
    assert not play.parts(which)


def test_who_asks_again_hears_how_it_fares_and_it_is_done_once(play):
    which = play.ask()
    asked = play.handed[0][1]
    play.feed(asked)
    assert play.statuses(which) == ["running w"]
    play.answer(which)
    play.feed(asked)
    assert len(play.handed) == 1
    assert len(play.finals(which)) == 2
    assert play.asks.counts["asked"] == 1
    assert play.asks.counts["asked again"] == 2


def test_answers_are_kept_for_a_while_within_bounds(play):
    asks = []
    for _ in range(MAX_DONE + 1):
        asks.append(play.ask())
        play.answer(asks[-1])
    oldest, newest = play.handed[0][1], play.handed[-1][1]
    play.feed(newest)
    assert len(play.finals(newest.askid)) == 2
    play.feed(oldest)
    assert play.has("w")[-1] == oldest.askid, "that one is forgotten: it is done again"


def test_the_trace_has_every_step_with_its_time_since_the_ask(play):
    first, which = play.ask(), play.ask()
    play.wait(2.0)
    play.answer(first)
    play.wait(1.0)
    play.answer(which, worker="w", steps=[Step("worked", "/r1/w", 0.5)])
    assert [(s.what, s.who, round(s.at_s, 3)) for s in play.final(which).steps] == [
        ("queued", "", 0.0),
        ("running", "w", 2.0),
        ("worked", "/r1/w", 2.5),
        ("answered", "w", 3.0),
    ]


def test_the_steps_of_a_trace_are_bounded(play):
    which = play.ask()
    for _ in range(MAX_OWN_STEPS):
        play.fail(which, retry_s=0.1)
        play.wait(0.1)
    play.answer(which, steps=[Step("worked", "", 0.0)] * 20)
    steps = play.final(which).steps
    assert len(steps) == 32
    assert steps[-1].what == "answered"
