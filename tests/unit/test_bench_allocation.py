from __future__ import annotations

import itertools
import random

import pytest
from benchmarks.allocating import best, rounds, wired

seeds = pytest.mark.parametrize("seed", range(5))


def tried(case: rounds.Case) -> float:
    """The best of all ways, the long way round."""
    count = len(case.tasks)
    ways = []
    for owners in itertools.product(range(len(case.units) + 1), repeat=count):
        shares = [[k for k in range(count) if owners[k] == u] for u in range(len(case.units))]
        orders = itertools.product(*(itertools.permutations(each) for each in shares))
        ways += [rounds.score(case, [list(each) for each in order]) for order in orders]
    return max(ways)


@seeds
def test_what_is_called_the_best_is_the_best_of_all(seed: int) -> None:
    case = rounds.case(2, 4, random.Random(seed))
    assert best.everything(case) == pytest.approx(tried(case))


@seeds
def test_neither_greedy_choice_nor_bids_beat_the_best(seed: int) -> None:
    case = rounds.case(4, 5, random.Random(seed))
    most = best.everything(case)
    assert best.greedy(case, 8) <= most + 1e-9
    assert 0.5 * most <= rounds.settle(case, 8, random.Random(seed)).score <= most + 1e-9


@seeds
@pytest.mark.parametrize("loss", [0.0, 0.3])
def test_bids_come_to_the_central_greedy_choice_in_bounded_rounds(seed: int, loss: float) -> None:
    case = rounds.case(6, 6, random.Random(seed))
    result = rounds.settle(case, 1, random.Random(seed), loss)
    assert result.score == pytest.approx(best.greedy(case, 1), rel=0.02)
    assert result.conflicts == 0
    assert loss or result.rounds <= 6 * rounds.diameter(case.near)
    assert result.score <= best.hungarian(case) + 1e-9


def test_units_out_of_earshot_have_no_diameter() -> None:
    assert rounds.diameter([set(), set()]) == -1
    assert rounds.diameter([{1}, {0, 2}, {1}]) == 2


def test_over_gossip_all_agree_and_the_tasks_of_a_dead_unit_have_new_owners() -> None:
    took_s, score = wired.agreement(1, 6, 12, 0.1, 8)
    assert took_s < 5.0
    assert score > 0
    assert wired.inheritance(1, 6, 12, 0.1, 8) < wired.LONGEST_S
