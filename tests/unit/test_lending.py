"""Whom a realm asks for what it lacks."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from mtor_swarm.realm import lending
from mtor_swarm.realm.ask_wire import Answer, Ask
from mtor_swarm.realm.lending import Lending, Loan


def ask(number: int = 1, timeout_s: float = 30.0) -> Ask:
    return Ask(
        askid=f"{number:032x}", capability="detect", payload=b"", caller="r1", timeout_s=timeout_s
    )


class Play:
    """A lending, the peers it has heard, and virtual time."""

    def __init__(self, **waits: float) -> None:
        self.now = 0.0
        self.loss: dict[str, float] = {}
        self.own_s: float | None = None
        self.lending = Lending(random.Random(1))
        for unit, wait_s in waits.items():
            self.hear(unit, detect=wait_s)

    def hear(self, unit: str, **offers: float) -> None:
        self.lending.heard(f"member {unit}", unit, offers)

    def lend(self, number: int = 1, timeout_s: float = 30.0) -> Loan | None:
        def loss(member: str) -> float:
            return self.loss.get(member.removeprefix("member "), 0.0)

        return self.lending.lend(ask(number, timeout_s), self.own_s, loss, self.now)

    def whom(self, number: int = 1, timeout_s: float = 30.0) -> str:
        loan = self.lend(number, timeout_s)
        return loan.unit if loan else ""

    def is_full(self, number: int = 1) -> bool:
        return self.lending.is_full(ask(number), self.now)

    def end(self, loan: Loan | None, ok: bool = True, **more) -> None:
        assert loan is not None
        self.lending.ended(loan, Answer(askid=loan.askid, ok=ok, **more), self.now)


def test_a_wait_is_told_so_coarsely_that_an_idle_swarm_says_nothing_new() -> None:
    told = [lending.coarse(each) for each in (0.0, 0.04, 0.05, 0.1, 0.11, 0.39, 5.0, 1e9)]
    assert told == [0.0, 0.0, 0.1, 0.1, 0.2, 0.4, 6.4, 104857.6]
    assert lending.offered({"see": 0.3, "chat": 0.0}) == {"chat": 0.0, "see": 0.4}
    assert len(lending.offered({f"c{i}": 0.0 for i in range(99)})) == lending.MAX_OFFERS


def test_the_one_that_has_time_sooner_is_asked() -> None:
    assert Play(r2=3.2, r3=0.1).whom() == "r3"
    assert Play(r2=0.1, r3=3.2).whom() == "r2"


def test_nobody_is_asked_for_what_nobody_lends() -> None:
    play = Play()
    assert play.whom() == ""
    play.hear("r2", chat=0.0)
    assert play.whom() == ""
    play.hear("r2", detect=0.0, chat=0.0)
    assert play.whom() == "r2"
    play.hear("r2")
    assert play.whom() == ""


def test_who_is_gone_is_asked_no_more() -> None:
    play = Play(r2=0.0)
    loan = play.lend()
    play.lending.gone("member r2")
    play.end(loan)
    assert play.whom() == ""


def test_nonsense_in_a_beacon_offers_nothing() -> None:
    for wait_s in (-1.0, float("inf"), float("nan")):
        assert Play(r2=wait_s).whom() == ""
    play = Play()
    play.hear("r2", **{f"c{i}": 0.0 for i in range(lending.MAX_OFFERS)}, detect=0.0)
    assert play.whom() == ""


def test_of_a_large_swarm_so_many_lenders_are_known() -> None:
    play = Play(**{f"r{i}": 9.0 for i in range(lending.MAX_LENDERS)})
    play.hear("late", detect=0.0)
    assert len({play.whom(number) for number in range(50)} - {"late"}) > 1


def test_a_bad_link_counts_like_a_longer_wait() -> None:
    play = Play(r2=0.2, r3=0.4)
    play.loss = {"r2": 0.8}
    assert play.whom() == "r3"


def test_the_load_is_spread_before_any_new_beacon_tells_of_it() -> None:
    play = Play(r2=0.0, r3=0.0)
    loans = [play.lend(number) for number in range(40)]
    asked = Counter(each.unit for each in loans if each)
    assert asked == {"r2": 20, "r3": 20}


def test_of_many_only_two_are_compared() -> None:
    play = Play(r1=0.0, **{f"r{i}": 1.6 for i in range(2, 12)})
    asked = Counter(play.whom(number) for number in range(100))
    assert len(asked) > 1
    assert max(asked.values()) < 60


def test_a_peer_must_be_worth_it_for_a_realm_that_only_has_much_to_do() -> None:
    play = Play(r2=1.6)
    play.own_s = 3.0
    assert play.whom() == ""
    play.own_s = 4.0
    assert play.whom() == "r2"


def test_where_our_own_worker_failed_its_short_queue_is_no_reason_against_a_peer() -> None:
    play = Play(r2=1.6)
    play.own_s = 0.0
    assert play.whom() == "r2"


def test_nobody_is_asked_who_cannot_answer_in_time() -> None:
    play = Play(r2=6.4)
    assert play.whom(timeout_s=5.0) == ""
    assert play.whom(timeout_s=10.0) == "r2"


def test_a_retry_goes_elsewhere() -> None:
    play = Play(r2=0.0, r3=0.0)
    first = play.lend()
    play.end(first, ok=False, retryable=True)
    second = play.lend()
    assert {each.unit for each in (first, second) if each} == {"r2", "r3"}
    play.end(second, ok=False, retryable=True)
    play.now += lending.AVOID_S
    assert play.whom() == ""
    assert play.whom(number=2) != ""


def test_who_has_no_room_is_left_alone_for_as_long_as_it_says_and_asked_again() -> None:
    play = Play(r2=0.0)
    play.end(play.lend(), ok=False, retryable=True, retry_s=5.0)
    play.now += 4.9
    assert play.whom() == ""
    assert play.is_full()
    play.now += 0.1
    assert play.whom() == "r2"


def test_who_left_after_failing_is_simply_gone() -> None:
    play = Play(r2=0.0)
    loan = play.lend()
    play.lending.gone("member r2")
    play.end(loan, ok=False, retryable=True)
    play.hear("r2", detect=0.0)
    assert play.whom() == ""
    assert play.whom(number=2) == "r2"


def test_a_question_that_is_wrong_is_so_everywhere_and_blames_nobody() -> None:
    play = Play(r2=0.0)
    play.end(play.lend(), ok=False, retryable=False)
    assert play.whom() == "r2"


def test_who_answers_fast_is_thought_to_answer_fast() -> None:
    play = Play(r2=0.0)
    for number in range(20):
        loan = play.lend(number)
        play.now += 0.01
        play.end(loan)
    assert play.whom(timeout_s=0.05) == "r2"


def test_one_peer_has_so_many_of_our_asks_at_a_time() -> None:
    play = Play(r2=0.0)
    assert not Play().is_full()
    assert not play.is_full()
    loans = [play.lend(number) for number in range(lending.MOST_EACH)]
    assert play.whom(number=99) == ""
    assert play.is_full(number=99)
    play.end(loans[0])
    assert not play.is_full(number=99)
    assert play.whom(number=99) == "r2"


@pytest.mark.parametrize("asks", [lending.MAX_REMEMBERED + 1])
def test_of_so_many_asks_it_is_remembered_who_failed_them(asks: int) -> None:
    play = Play(r2=0.0)
    for number in range(asks):
        play.end(play.lend(number), ok=False, retryable=True)
        play.now += lending.AVOID_S
    assert play.whom(number=0) == "r2"
    assert play.whom(number=1) == ""
