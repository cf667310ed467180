from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import CancelledError

import pytest

from mtor_swarm.errors import ModelError
from mtor_swarm.models.batching import URGENT_IN_A_ROW, Batcher, Batching

LONG_S = 60.0


def test_a_lone_item_waits_its_time_for_company_and_no_longer():
    batching: Batching[str] = Batching(most=4, wait_s=0.5)
    assert batching.due_s(0.0) is None
    batching.add("a", 1.0)
    batching.add("b", 1.4)
    assert batching.due_s(1.4) == 1.5
    assert batching.take() == ["a", "b"]
    assert batching.due_s(1.5) is None


def test_a_full_pass_is_due_at_once_and_takes_the_oldest():
    batching: Batching[int] = Batching(most=2, wait_s=9.0)
    for number in range(3):
        batching.add(number, 0.0)
    assert batching.due_s(0.1) == 0.1
    assert batching.take() == [0, 1]
    assert batching.due_s(0.1) == 9.0
    assert batching.take() == [2]


def test_what_is_urgent_goes_first_at_once_and_without_company():
    batching: Batching[str] = Batching(most=8, wait_s=1.0)
    batching.add("ask", 0.0)
    batching.add("frame", 0.2, urgent=True)
    assert batching.due_s(0.2) == 0.2
    assert batching.take() == ["frame"]
    assert batching.take() == ["ask"]
    assert batching.take() == []


def test_a_flood_of_urgent_items_starves_nobody():
    batching: Batching[str] = Batching(most=1)
    batching.add("ask", 0.0)
    for _ in range(2 * URGENT_IN_A_ROW):
        batching.add("frame", 0.0, urgent=True)
    taken = [batching.take()[0] for _ in range(len(batching))]
    assert taken.index("ask") == URGENT_IN_A_ROW


def test_what_is_too_much_is_refused_and_counted():
    batching: Batching[int] = Batching(most=8, waiting_most=2)
    assert [batching.add(each, 0.0, urgent=each == 1) for each in range(4)] == [
        True,
        True,
        False,
        False,
    ]
    assert (batching.refused, len(batching)) == (2, 2)


class Model:
    """Doubles numbers, when it is let; notes its passes."""

    def __init__(self) -> None:
        self.passes: list[list[int]] = []
        self.begun = threading.Semaphore(0)
        self.let = threading.Semaphore(0)

    def __call__(self, items: Sequence[int]) -> list[int]:
        self.passes.append(list(items))
        self.begun.release()
        assert self.let.acquire(timeout=LONG_S)
        if 13 in items:
            raise ValueError("unlucky")
        return [2 * each for each in items]


def busy(most: int = 4, waiting_most: int = 256) -> tuple[Model, Batcher[int, int]]:
    """A model in the middle of a pass with the item 0."""
    model = Model()
    batcher = Batcher(model, most=most, waiting_most=waiting_most, name="doubler")
    batcher.submit(0)
    assert model.begun.acquire(timeout=LONG_S)
    return model, batcher


def test_what_comes_during_a_pass_shares_the_next_one():
    model, batcher = busy()
    asked = [batcher.submit(each) for each in (1, 2, 3)]
    model.let.release(2)
    assert [each.result(LONG_S) for each in asked] == [2, 4, 6]
    assert model.passes == [[0], [1, 2, 3]]
    assert (batcher.passes, batcher.items) == (2, 4)
    assert batcher.stop()


def test_a_frame_overtakes_the_questions_that_wait():
    model, batcher = busy()
    asked = [batcher.submit(1), batcher.submit(2), batcher.submit(9, urgent=True)]
    model.let.release(3)
    assert [each.result(LONG_S) for each in asked] == [2, 4, 18]
    assert model.passes == [[0], [9], [1, 2]]
    assert batcher.stop()


def test_a_lone_item_is_answered_once_its_wait_is_over():
    batcher: Batcher[int, int] = Batcher(list, most=8, wait_s=0.01)
    assert batcher.submit(5).result(LONG_S) == 5
    assert batcher.stop()


def test_one_bad_item_spoils_no_others_answer():
    model, batcher = busy()
    asked = [batcher.submit(each) for each in (1, 13, 3)]
    model.let.release(5)
    assert asked[0].result(LONG_S) == 2
    assert asked[2].result(LONG_S) == 6
    with pytest.raises(ValueError, match="unlucky"):
        asked[1].result(LONG_S)
    assert model.passes == [[0], [1, 13, 3], [1], [13], [3]]
    assert batcher.stop()


def test_a_cancelled_item_is_left_out():
    model, batcher = busy()
    gone, stays = batcher.submit(1), batcher.submit(2)
    assert gone.cancel()
    model.let.release(2)
    assert stays.result(LONG_S) == 4
    assert model.passes == [[0], [2]]
    assert batcher.stop()


def test_a_pass_of_which_all_are_cancelled_is_not_run():
    model, batcher = busy()
    assert batcher.submit(1).cancel()
    model.let.release(1)
    assert batcher.stop()
    assert model.passes == [[0]]


def test_too_many_are_refused_with_the_reason():
    model, batcher = busy(waiting_most=1)
    batcher.submit(1)
    with pytest.raises(ModelError, match="doubler: 1 wait already"):
        batcher.submit(2)
    assert batcher.refused == 1
    model.let.release(2)
    assert batcher.stop()


def test_what_waits_at_the_end_fails_and_what_comes_later_is_refused():
    model, batcher = busy()
    waiting, gone = batcher.submit(1), batcher.submit(2)
    gone.cancel()
    assert not batcher.stop(timeout_s=0.0)
    with pytest.raises(ModelError, match="doubler: stopped"):
        waiting.result(LONG_S)
    with pytest.raises(CancelledError):
        gone.result(LONG_S)
    with pytest.raises(ModelError, match="doubler: stopped"):
        batcher.submit(3)
    model.let.release(1)
    assert batcher.stop()


def test_a_model_that_returns_too_few_is_told():
    batcher: Batcher[int, int] = Batcher(lambda _: [], most=4, name="mute")
    with pytest.raises(ModelError, match="mute: 0 results for 1 items"):
        batcher.submit(1).result(LONG_S)
    assert batcher.stop()


def test_all_results_of_a_question_are_waited_for():
    batcher: Batcher[int, int] = Batcher(lambda items: [2 * each for each in items], most=2)
    assert batcher.results(range(5), LONG_S) == [0, 2, 4, 6, 8]
    assert batcher.results([], LONG_S) == []
    assert batcher.stop()


def test_a_question_whose_time_is_over_leaves_nothing_behind():
    model, batcher = busy()
    with pytest.raises(ModelError, match=r"doubler: no result in 0\.0 s"):
        batcher.results([1, 2], 0.0)
    model.let.release(1)
    assert batcher.stop()
    assert model.passes == [[0]]
