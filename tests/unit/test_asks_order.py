"""Which ask is served next, and how many may wait."""

from __future__ import annotations

import pytest

from mtor_swarm.config import AsksConfig
from mtor_swarm.realm import ask_waiting
from tests.unit.asks_play import ALONE, Play


def serve(play: Play, name: str = "w") -> list[str]:
    """Answer what the worker has until nothing waits; all that it was given."""
    done = 0
    while done < len(play.handed):
        which = play.handed[done][1].askid
        done += 1
        play.answer(which)
    return play.has(name)


def busy(config: AsksConfig = ALONE) -> tuple[Play, str]:
    """A worker that has its hands full, and with what."""
    play = Play(config)
    play.worker("w")
    return play, play.ask()


def test_an_ask_goes_at_once_to_a_worker_that_is_free():
    play = Play()
    play.worker("w")
    which = play.ask(payload=b"what is it")
    assert play.has("w") == [which]
    assert play.handed[0][1].payload == b"what is it"


def test_the_more_urgent_goes_first():
    play, first = busy()
    late = play.ask(priority=3)
    soon = play.ask(priority=0)
    assert serve(play) == [first, soon, late]


def test_the_owners_asks_come_before_those_of_peers():
    play, first = busy()
    peers = play.ask(priority=0, hops=1, caller="r2")
    own = play.ask(priority=3)
    assert serve(play) == [first, own, peers]


def test_of_one_callers_asks_the_earliest_deadline_goes_first():
    play, first = busy()
    later = play.ask(timeout_s=60.0)
    soon = play.ask(timeout_s=5.0)
    assert serve(play) == [first, soon, later]


def test_callers_are_served_in_turn_however_much_one_asks():
    play, first = busy()
    greedy = [play.ask(caller="greedy") for _ in range(4)]
    one, two = play.ask(caller="one"), play.ask(caller="two")
    assert serve(play) == [first, greedy[0], one, two, *greedy[1:]]


def test_who_was_served_waits_for_the_others_turn_again():
    play, first = busy()
    a1, b1 = play.ask(caller="a"), play.ask(caller="b")
    play.answer(first)
    a2, a3 = play.ask(caller="a"), play.ask(caller="a")
    assert serve(play) == [first, a1, b1, a2, a3]


def test_a_workers_room_is_used_and_never_exceeded():
    play = Play()
    play.worker("w", room=3)
    asks = [play.ask() for _ in range(5)]
    assert play.has("w") == asks[:3]
    play.answer(asks[1])
    assert play.has("w") == asks[:4]


def test_the_least_busy_worker_for_its_size_gets_the_next():
    play = Play()
    play.worker("small", room=1)
    play.worker("large", room=4)
    for _ in range(5):
        play.ask()
    assert len(play.has("small")) == 1
    assert len(play.has("large")) == 4


def test_idle_workers_take_turns():
    play = Play()
    play.worker("one")
    play.worker("two")
    for _ in range(4):
        play.answer(play.ask())
    assert len(play.has("one")) == len(play.has("two")) == 2


def test_one_capability_does_not_wait_for_another():
    play, _ = busy()
    play.worker("x", "hear")
    play.ask()
    which = play.ask("hear")
    assert play.has("x") == [which]


def test_who_listens_hears_its_place_and_that_it_comes_nearer():
    play, first = busy()
    others = [play.ask(caller="b"), play.ask(caller="a"), play.ask(caller="b")]
    which = play.ask(caller="a", stream=True)
    quiet = play.ask(caller="c")
    assert play.statuses(which) == ["queued 4"]
    play.wait(1.0)
    assert play.statuses(which) == ["queued 4", "queued 5"], "c came for the first time"
    play.answer(first)
    play.wait(1.0)
    play.answer(others[0])
    play.wait(5.0)
    assert play.statuses(which)[2:] == ["queued 4", "queued 3"]
    play.cancel(which)
    play.wait(5.0)
    assert play.statuses(quiet) == []


def test_the_place_counts_the_more_urgent():
    play, _ = busy()
    play.ask(priority=1)
    play.ask(priority=3)
    assert play.statuses(play.ask(stream=True)) == ["queued 2"]


def test_when_all_places_are_taken_the_next_is_refused_at_once_and_told_when_to_come_back():
    play, _ = busy(AsksConfig(borrow=False, waiting_most=2))
    play.ask(), play.ask()
    refused = play.final(play.ask())
    assert not refused.ok
    assert refused.retryable
    assert refused.retry_s is not None
    assert refused.retry_s > 0
    assert refused.reason == "2 asks wait already, none of them less urgent"
    assert play.asks.counts["refused"] == 1


def test_one_caller_cannot_take_all_places():
    play, _ = busy(AsksConfig(borrow=False, waiting_each=2))
    greedy = [play.ask() for _ in range(3)]
    assert play.final(greedy[2]).reason == "2 asks of a wait already"
    assert not play.finals(play.ask(caller="b"))


def test_the_least_urgent_makes_way_when_all_places_are_taken():
    play, first = busy(AsksConfig(borrow=False, waiting_most=2))
    waits = play.ask(priority=2)
    victim = play.ask(priority=3)
    urgent = play.ask(priority=1)
    assert "made way" in play.final(victim).reason
    assert serve(play) == [first, urgent, waits]
    assert play.asks.counts["made way"] == 1


def test_what_waits_is_bounded_in_bytes_too(monkeypatch):
    monkeypatch.setattr(ask_waiting, "MAX_WAITING_BYTES", 10)
    play, _ = busy()
    play.ask(payload=b"12345678")
    assert "MiB" in play.final(play.ask(payload=b"123")).reason
    assert not play.finals(play.ask(payload=b"12"))


def test_what_peers_ask_leaves_half_of_the_bytes_to_the_owner(monkeypatch):
    monkeypatch.setattr(ask_waiting, "MAX_WAITING_BYTES", 10)
    play, _ = busy()
    play.ask(payload=b"12345", caller="/r2", hops=1)
    assert "MiB" in play.final(play.ask(payload=b"1", caller="/r3", hops=1)).reason
    assert not play.finals(play.ask(payload=b"12345"))


def test_what_need_not_wait_is_never_refused():
    play, _ = busy(AsksConfig(borrow=False, waiting_most=1))
    play.ask()
    play.worker("x", "hear")
    play.answer(which := play.ask("hear"))
    assert play.final(which).ok


@pytest.mark.parametrize("waiting", [0, 1, 4])
def test_the_expected_wait_grows_with_the_queue_and_with_how_long_answers_take(waiting):
    play = Play()
    play.worker("w", room=2)
    which = play.ask()
    play.wait(4.0)
    play.answer(which)
    assert play.asks.wait_s("see", play.now) == 0.0
    for _ in range(2 + waiting):
        play.ask()
    assert play.asks.wait_s("see", play.now) == pytest.approx((waiting + 1) * 4.0 / 2)


def test_what_runs_for_longer_than_others_did_makes_the_wait_longer():
    play, _ = busy()
    first = play.asks.wait_s("see", play.now)
    play.wait(20.0)
    assert play.asks.wait_s("see", play.now) == pytest.approx(20.0)
    assert first is not None
    assert first < 1.0


def test_nobody_knows_how_long_it_takes_where_nobody_is_at_work():
    play = Play()
    play.worker("w", up=False)
    assert play.asks.wait_s("see", play.now) is None
    assert play.asks.wait_s("hear", play.now) is None
