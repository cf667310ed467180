"""Many realms borrow from few, in virtual time: the load spreads, though news of it is old."""

from __future__ import annotations

import heapq
import itertools
import random
from collections import Counter
from collections.abc import Callable

import pytest

from mtor_swarm.realm.ask_wire import Answer, Ask
from mtor_swarm.realm.lending import Lending, Loan, offered

SERVICE_S = 0.1
BEACON_S = 1.0
MINUTE_S = 60.0


class World:
    """Lenders that do one ask after the other, and borrowers that always want some answered."""

    def __init__(self, seed: int, lenders: int, borrowers: int, each: int) -> None:
        self.rng = random.Random(seed)
        self.now = 0.0
        self.answered: Counter[str] = Counter()
        self.refused = 0
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._free_s = {f"l{i}": 0.0 for i in range(lenders)}
        self._up = set(self._free_s)
        self._open: dict[int, tuple[Lending, Loan]] = {}
        self._ids = itertools.count()
        self._borrowers = [Lending(random.Random(seed + i)) for i in range(borrowers)]
        for name in self._free_s:
            self.later(self.rng.random() * BEACON_S, lambda name=name: self._beacon(name))
        for lending in self._borrowers:
            for _ in range(each):
                self.later(BEACON_S + self.rng.random(), lambda it=lending: self._want(it))

    def later(self, wait_s: float, what: Callable[[], None]) -> None:
        heapq.heappush(self._queue, (self.now + wait_s, next(self._order), what))

    def run(self, seconds: float) -> None:
        end_s = self.now + seconds
        while self._queue and self._queue[0][0] <= end_s:
            self.now, _, what = heapq.heappop(self._queue)
            what()
        self.now = end_s

    def kill(self, name: str) -> None:
        """It is dead, and all that was asked of it fails once that is noticed."""
        self._up.discard(name)
        for number, (lending, loan) in list(self._open.items()):
            if loan.member == name:
                failed = Answer(askid=loan.askid, ok=False, retryable=True)
                self.later(0.5, lambda n=number, it=lending, a=failed: self._end(n, it, a))
        for lending in self._borrowers:
            self.later(0.5, lambda it=lending: it.gone(name))

    def _beacon(self, name: str) -> None:
        if name not in self._up:
            return
        offers = offered({"see": max(0.0, self._free_s[name] - self.now)})
        for lending in self._borrowers:
            self.later(0.002, lambda it=lending: it.heard(name, name, offers))
        self.later(BEACON_S, lambda: self._beacon(name))

    def _want(self, lending: Lending, askid: str = "") -> None:
        number = next(self._ids)
        ask = Ask(
            askid=askid or f"{number:032x}",
            capability="see",
            payload=b"",
            caller="b",
            timeout_s=30.0,
        )
        loan = lending.lend(ask, None, lambda _: 0.0, self.now)
        if loan is None:
            self.refused += 1
            self.later(SERVICE_S, lambda: self._want(lending))
            return
        self._open[number] = (lending, loan)
        if loan.member in self._up:
            start_s = max(self.now, self._free_s[loan.member])
            self._free_s[loan.member] = start_s + SERVICE_S
            done = Answer(askid=loan.askid, ok=True)
            self.later(start_s + SERVICE_S - self.now, lambda: self._end(number, lending, done))

    def _end(self, number: int, lending: Lending, answer: Answer) -> None:
        found = self._open.pop(number, None)
        if found is None or (answer.ok and found[1].member not in self._up):
            if found is not None:  # it died before
                self._open[number] = found
            return
        lending.ended(found[1], answer, self.now)
        if answer.ok:
            self.answered[found[1].unit] += 1
        self._want(lending, "" if answer.ok else answer.askid)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("lenders", "borrowers"), [(2, 1), (2, 6), (3, 8), (5, 12)])
def test_lenders_get_the_same_load_within_a_fifth_and_none_is_idle(
    seed: int, lenders: int, borrowers: int
) -> None:
    world = World(seed, lenders, borrowers, each=4)
    world.run(MINUTE_S)
    counts = [world.answered[f"l{i}"] for i in range(lenders)]
    assert max(counts) - min(counts) <= 0.2 * max(counts)
    assert sum(counts) >= 0.9 * lenders * MINUTE_S / SERVICE_S
    assert world.refused == 0


@pytest.mark.parametrize("seed", range(3))
def test_the_death_of_a_lender_costs_no_answer_and_the_rest_share_its_load(seed: int) -> None:
    world = World(seed, 3, 6, each=4)
    world.run(MINUTE_S)
    world.kill("l0")
    world.run(2.0)
    before = Counter(world.answered)
    world.run(MINUTE_S)
    counts = [world.answered[each] - before[each] for each in ("l0", "l1", "l2")]
    assert counts[0] == 0
    assert abs(counts[1] - counts[2]) <= 0.2 * max(counts)
    assert sum(counts) >= 0.9 * 2 * MINUTE_S / SERVICE_S
    assert len(world._open) == 6 * 4
