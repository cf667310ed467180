"""Workers that come, go and are drained; asks that are borrowed and lent."""

from __future__ import annotations

import pytest

from mtor_swarm.config import AsksConfig
from mtor_swarm.realm import asks as asks_module
from mtor_swarm.realm.ask_effects import WorkerActive
from mtor_swarm.realm.ask_roster import MAX_SLOTS
from mtor_swarm.realm.ask_wire import Status
from mtor_swarm.realm.asks import NEWS_S, START_S, Asks
from tests.unit.asks_play import Play

BORROWING = AsksConfig()


def test_what_is_known_but_not_up_is_waited_for():
    play = Play()
    play.worker("w", up=False)
    which = play.ask(stream=True)
    assert play.statuses(which) == ["loading 1"]
    play.worker("w")
    assert play.has("w") == [which]


def test_an_offer_that_comes_after_its_worker_is_up_counts_at_once():
    play = Play()
    play.worker("w", "hear")
    play.worker("w", "see", up=False)
    which = play.ask("see")
    assert play.has("w") == [which]


def test_a_worker_may_offer_more_room_later():
    play = Play()
    play.worker("w", room=1)
    asks = [play.ask(), play.ask()]
    play.worker("w", room=2, up=False)
    assert play.has("w") == asks


def test_offers_are_bounded():
    play = Play()
    for number in range(MAX_SLOTS + 1):
        play.worker(f"w{number}", up=False)
    assert play.asks.counts["offers refused"] == 1


def test_a_worker_that_is_gone_for_good_is_no_longer_waited_for():
    play = Play()
    play.worker("w")
    runs, waits = play.ask(), play.ask()
    play.gone("w", "it was removed", forget=True)
    assert play.final(runs).reason == "r1 has nobody for 'see', only: nothing yet"
    assert play.final(waits).reason == "r1 has nobody for 'see', only: nothing yet"


def test_a_drained_worker_gets_nothing_new_and_is_free_when_all_is_answered():
    play = Play()
    play.worker("w", room=2)
    asks = [play.ask(), play.ask()]
    play.drain("w")
    waits = play.ask()
    play.answer(asks[0])
    assert not play.drained
    play.answer(asks[1])
    assert play.drained == ["w"]
    assert play.has("w") == asks
    play.worker("w")
    assert play.has("w") == [*asks, waits]
    play.answer(waits)
    assert play.drained == ["w"]


def test_an_idle_worker_is_drained_at_once():
    play = Play()
    play.worker("w")
    play.drain("w")
    assert play.drained == ["w"]


def test_a_worker_that_dies_while_it_is_drained_is_not_said_to_be_free():
    play = Play()
    play.worker("w")
    play.ask()
    play.drain("w")
    play.gone("w")
    assert not play.drained


def test_who_is_unknown_may_go_without_harm():
    play = Play()
    play.gone("nobody")
    assert not play.told


# Borrowed from a peer.


def test_what_nobody_here_has_is_asked_of_a_peer():
    play = Play(BORROWING)
    which = play.ask(stream=True, timeout_s=9.0)
    (asked,) = play.borrowed
    assert (asked.askid, asked.hops, asked.timeout_s) == (which, 1, 9.0)
    play.feed(Status(askid=which, state="borrowed", worker="r3"))
    play.part(which, 0, text="a")
    play.answer(which, payload=b"a cat", worker="r3/w")
    assert play.statuses(which) == ["borrowed r3"]
    assert play.parts(which) == [(0, "a")]
    assert play.final(which).payload == b"a cat"
    assert not play.health, "a peer's worker is that peer's concern"


def test_what_no_peer_takes_either_is_refused():
    play = Play(BORROWING)
    which = play.ask()
    play.unlent(which)
    assert "has nobody for 'see'" in play.final(which).reason
    play.unlent(which)
    assert len(play.finals(which)) == 1


def test_an_overloaded_realm_asks_a_peer_and_else_its_own_goes_on():
    play = Play(BORROWING)
    play.worker("w")
    slow = play.ask()
    play.wait(5.0)
    which, second = play.ask(), play.ask()
    assert [each.askid for each in play.borrowed] == [which, second]
    play.unlent(which)
    play.answer(second)
    play.answer(slow)
    assert play.has("w") == [slow, which]
    assert play.final(second).ok


def test_while_the_wait_is_short_no_peer_is_asked():
    play = Play(BORROWING)
    play.worker("w", room=4)
    for _ in range(5):
        play.ask()
    assert not play.borrowed


def test_a_peer_that_fails_costs_a_try_not_the_answer():
    play = Play(BORROWING)
    which = play.ask()
    play.fail(which, "r3 is gone")
    assert len(play.borrowed) == 2
    play.fail(which, "r3 is gone")
    play.fail(which, "r3 is gone")
    assert play.final(which).reason == "r3 is gone (tried 3 times)"


def test_what_the_only_worker_here_fails_a_peer_tries():
    play = Play(BORROWING)
    play.worker("w")
    which = play.ask()
    play.fail(which)
    assert [each.askid for each in play.borrowed] == [which]
    play.unlent(which)
    assert play.final(which).reason == "it broke"


def test_when_the_last_worker_dies_those_that_wait_are_offered_to_peers_again():
    play = Play(BORROWING)
    play.worker("w")
    runs = play.ask()
    play.wait(5.0)
    waits = play.ask()
    play.unlent(waits)
    play.gone("w")
    assert [each.askid for each in play.borrowed] == [waits, runs, waits]


def test_a_borrowed_ask_that_is_cancelled_or_late_is_called_back():
    play = Play(BORROWING)
    one, two = play.ask(), play.ask(timeout_s=5.0)
    play.cancel(one)
    play.wait(5.0)
    assert play.unborrowed == [one, two]
    assert play.final(two).reason == "the peer did not answer within 5 s"
    play.answer(one)
    play.answer(two)
    assert len(play.finals(one)) == len(play.finals(two)) == 1
    play.unlent(one)


def test_what_was_borrowed_may_not_be_borrowed_on():
    play = Play(BORROWING)
    which = play.ask(hops=1, caller="r2")
    assert not play.borrowed
    assert play.final(which).reason == "r1 does not lend see"


def test_borrowed_asks_are_bounded_and_the_others_wait_for_their_turn(monkeypatch):
    monkeypatch.setattr(asks_module, "MAX_BORROWED", 1)
    play = Play(BORROWING)
    first = play.ask()
    second, third = play.ask(stream=True), play.ask()
    assert [each.askid for each in play.borrowed] == [first]
    assert play.statuses(second) == ["queued 1"]
    play.answer(first)
    assert [each.askid for each in play.borrowed] == [first, second]
    play.fail(second, "r3 is gone")
    assert [each.askid for each in play.borrowed] == [first, second, second]
    play.answer(second)
    play.answer(third)
    assert play.final(third).ok


def test_where_peers_have_no_room_asks_wait_and_are_offered_again():
    play = Play(BORROWING)
    first, second = play.ask(), play.ask(timeout_s=9.0)
    play.unlent(first, full=True)
    assert not play.finals(first)
    assert len(play.borrowed) == 2
    late = play.ask()
    assert len(play.borrowed) == 2, "none overtakes those that wait"
    play.answer(second)
    assert [each.askid for each in play.borrowed] == [first, second, first]
    play.unlent(first, full=True)
    play.wait(asks_module.FULL_S)
    assert {each.askid for each in play.borrowed[3:]} == {first, late}
    for each in (first, late):
        play.answer(each)
        assert play.final(each).ok
    play.wait(asks_module.FULL_S)
    play.ask()
    assert len(play.borrowed) == 6, "there is room again"


def test_a_peer_that_has_no_room_costs_no_try():
    play = Play(BORROWING)
    which = play.ask()
    for _ in range(5):
        play.fail(which, "busy", retry_s=0.5)
    play.answer(which)
    assert play.final(which).ok


def test_an_ask_for_which_no_peer_finds_room_in_time_is_refused():
    play = Play(BORROWING)
    which = play.ask(timeout_s=5.0)
    for _ in range(50):
        if len(play.borrowed) and not play.finals(which):
            play.unlent(which, full=True)
        play.wait(asks_module.FULL_S)
    assert play.final(which).retryable
    assert "nobody was free for see within 5 s" in play.final(which).reason


def test_what_no_peer_lends_any_more_does_not_wait():
    play = Play(BORROWING)
    first, second = play.ask(), play.ask()
    play.unlent(first, full=True)
    play.wait(asks_module.FULL_S)
    play.unlent(first)
    assert "has nobody" in play.final(first).reason
    play.answer(second)


def test_news_of_a_loan_that_is_over_or_never_was_is_dropped():
    play = Play(BORROWING)
    play.worker("w")
    which = play.ask(stream=True)
    play.feed(Status(askid=which, state="borrowed", worker="r3"))
    play.feed(Status(askid="f" * 32, state="borrowed", worker="r3"))
    play.unlent(which)
    assert play.statuses(which) == ["running w"]
    assert play.asks.counts["late statuses"] == 2


# Lent to a peer.


def test_a_realm_lends_what_its_workers_lend_unless_its_config_says_otherwise():
    play = Play(AsksConfig(allow_lending={"hear": True, "speak": False}))
    play.worker("w", "see")
    play.worker("v", "hear", lend=False)
    play.worker("u", "speak")
    play.worker("t", "feel", lend=False)
    play.worker("s", "smell", up=False)
    assert play.asks.lent(play.now) == {"see": 0.0, "hear": 0.0}
    which = play.ask("see", hops=1)
    assert play.has("w") == [which]
    assert "does not lend" in play.final(play.ask("speak", hops=1)).reason
    assert "does not lend" in play.final(play.ask("feel", hops=1)).reason


def test_a_realm_refuses_a_peer_whom_it_could_not_answer_in_time():
    play = Play(BORROWING)
    play.worker("w")
    play.ask()
    play.wait(5.0)
    assert "no time" in play.final(play.ask(hops=1, timeout_s=2.0)).reason
    assert not play.finals(play.ask(hops=1, timeout_s=20.0))


@pytest.mark.parametrize("lend", [True, False])
def test_a_realm_whose_worker_is_down_has_no_time_for_peers(lend):
    play = Play(AsksConfig(allow_lending={"see": True}))
    play.worker("w", up=False, lend=lend)
    assert "no time" in play.final(play.ask(hops=1)).reason


def test_while_another_worker_is_at_work_those_that_wait_go_on_waiting():
    play = Play(BORROWING)
    play.worker("w")
    play.worker("v")
    asks = [play.ask() for _ in range(3)]
    play.gone("w")
    assert not play.borrowed
    assert play.asks.measures() == {"open": 3, "waiting": 2, "handed": 1, "borrowed": 0}
    play.answer(play.has("v")[0])
    assert len(play.has("v")) == 2
    assert sum(len(play.finals(each)) for each in asks) == 1


def test_what_nobody_offers_yet_is_waited_for_a_while_after_a_worker_came_up():
    play = Play()
    play.feed(WorkerActive("w"))
    fly, see, also = play.ask("fly", stream=True), play.ask("see"), play.ask("see")
    play.wait(NEWS_S / 2)
    assert play.statuses(fly) == ["loading 1"]
    play.worker("w", up=False)
    assert play.has("w") == [see]
    play.wait(NEWS_S)
    assert "nobody for 'fly', only: see" in play.final(fly).reason
    assert not play.finals(also)


def test_at_the_start_what_is_asked_waits_for_whoever_may_come():
    play = Play()
    play.asks = Asks(AsksConfig(borrow=False), "r1", now=play.now)
    which = play.ask()
    play.wait(START_S - 1.0)
    assert not play.finals(which)
    play.wait(1.0)
    assert "nobody" in play.final(which).reason
