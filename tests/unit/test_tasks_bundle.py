from __future__ import annotations

import math
import random

import numpy as np
import pytest

from mtor_swarm.swarm.tasks import route
from mtor_swarm.swarm.tasks.board import Rank, Standing
from mtor_swarm.swarm.tasks.bundle import Bundle
from mtor_swarm.swarm.tasks.flood import MAX_ITEMS, Flood
from mtor_swarm.swarm.tasks.route import Mover
from mtor_swarm.swarm.tasks.task import Bid, Row, Task

HERE = Mover(x_m=0.0, y_m=0.0, speed_mps=1.0)


def at(name: str, x: float, **more: object) -> Task:
    return Task(id=name, places=[(x, 0.0)], **more)  # type: ignore[arg-type]


def table(*tasks: Task, mover: Mover = HERE) -> route.Table:
    return np.array([route.stop(each, mover, 0.0) for each in tasks]).reshape(-1, 8)


def worth(tasks: list[Task], mover: Mover = HERE) -> float:
    """The score of doing the tasks in that order, straight from the definition."""
    x, now, total = mover.x_m, mover.load_s, 0.0
    for each in tasks:
        for place in each.places:
            now += abs(place[0] - x) / mover.speed_mps
            x = place[0]
        now += each.dwell_s
        total += each.reward * math.exp(-now / route.FADE_S)
    return total


class TestRoute:
    def test_a_gain_is_what_the_score_grows_by_at_the_best_place(self) -> None:
        rng = random.Random(3)
        for _ in range(20):
            tasks = [
                Task(
                    id=f"t{i}",
                    places=[(rng.uniform(-50, 50), 0.0) for _ in range(rng.randint(1, 3))],
                    dwell_s=rng.uniform(0, 9),
                    reward=rng.uniform(0.5, 2),
                )
                for i in range(4)
            ]
            way, new = tasks[:3], tasks[3]
            mover = Mover(x_m=rng.uniform(-50, 50), y_m=0.0, speed_mps=0.7, load_s=2.0)
            gains, places = route.gains(mover, table(*way), table(new))
            tries = [worth([*way[:i], new, *way[i:]], mover) for i in range(4)]
            assert gains[0] == pytest.approx(max(tries) - worth(way, mover))
            assert places[0] == int(np.argmax(tries))

    def test_what_comes_too_late_or_makes_others_late_or_is_too_far_is_not_to_be_done(
        self,
    ) -> None:
        late, far = at("late", 20.0, until_s=19.0), at("far", 60.0)
        short = Mover(x_m=0.0, y_m=0.0, speed_mps=1.0, range_m=50.0)
        gains, _ = route.gains(short, table(), table(late, far, at("fine", 20.0)))
        assert list(np.isfinite(gains)) == [False, False, True]
        way = table(at("soon", 10.0, until_s=10.0))
        _, places = route.gains(HERE, way, table(at("near", -1.0)))
        assert places[0] == 1

    def test_what_is_begun_stays_first(self) -> None:
        _, places = route.gains(HERE, table(at("on", 10.0)), table(at("near", 1.0)), first=1)
        assert places[0] == 1

    def test_a_task_without_a_place_is_where_the_unit_is(self) -> None:
        gains, _ = route.gains(HERE, table(), table(Task(id="x", dwell_s=route.FADE_S)))
        assert gains[0] == pytest.approx(math.exp(-1))


def told(*tasks: Task, **ranks: list[Rank]) -> dict[str, Standing]:
    return {
        each.id: Standing(each, "open", ranks=tuple(sorted(ranks.get(each.id, []), reverse=True)))
        for each in tasks
    }


ROWS = {"a": Row(number=1), "b": Row(number=1)}


def built(standings: dict[str, Standing], most: int = 8) -> Bundle:
    bundle = Bundle("a", most)
    bundle.build(standings, ROWS, HERE, 0.0)
    return bundle


class TestBundle:
    def test_the_best_is_taken_in_first_and_the_way_is_short(self) -> None:
        bundle = built(told(at("x", 10.0), at("y", 5.0), at("z", 7.0)))
        assert [each.task for each in bundle.bids] == ["y", "z", "x"]
        assert bundle.way == ["y", "z", "x"]
        worths = [each.bid for each in bundle.bids]
        assert worths == sorted(worths, reverse=True)

    def test_a_bundle_has_so_much_room_and_no_more(self) -> None:
        assert len(built(told(*(at(f"t{i}", float(i)) for i in range(9))), 3).bids) == 3

    def test_where_a_higher_bid_stands_there_is_none_of_ours(self) -> None:
        theirs = [Rank(False, 0.99, "b")]
        assert built(told(at("x", 10.0), at("y", 50.0), x=theirs)).way == ["y"]
        assert built(told(at("x", 10.0), x=[Rank(False, 0.1, "b")])).way == ["x"]

    def test_what_needs_what_we_lack_or_is_worth_nothing_is_left(self) -> None:
        assert built(told(at("x", 1.0, needs=["fly"]), at("y", 1e5))).way == []

    def test_who_is_outbid_lets_go_of_what_came_later_too(self) -> None:
        tasks = [at("x", 10.0), at("y", 5.0), at("z", 7.0)]
        bundle = built(told(*tasks))
        bundle.release(told(*tasks, z=[Rank(False, 1.0, "b")]), ROWS)
        assert bundle.way == ["y"]

    def test_what_is_over_goes_alone(self) -> None:
        tasks = [at("x", 10.0), at("y", 5.0)]
        bundle = built(told(*tasks))
        bundle.release({**told(*tasks), "y": Standing(tasks[1], "done")}, ROWS)
        assert bundle.way == ["x"]
        bundle.release({"x": Standing(tasks[0], "open", turn=1)}, ROWS)
        assert bundle.way == []

    def test_what_is_begun_is_kept_unless_another_has_begun_it_with_more(self) -> None:
        tasks = [at("x", 10.0), at("y", 5.0), at("z", 20.0)]
        bundle = built(told(*tasks))
        bundle.begin("x")
        assert bundle.way == ["x", "y", "z"]
        bundle.release(told(*tasks, x=[Rank(False, 9.0, "b")], y=[Rank(False, 9.0, "b")]), ROWS)
        assert bundle.way == ["x"]
        bundle.clear()
        assert bundle.begun == Bid("x", 0, bundle.bids[0].bid, begun=True)
        bundle.build(told(*tasks), ROWS, HERE, 0.0)
        assert bundle.way[0] == "x"
        bundle.release(told(*tasks, x=[Rank(True, 9.0, "b")]), ROWS)
        assert bundle.way == ["y", "z"]
        bundle.drop("y")
        assert bundle.way == ["z"]

    def test_a_unit_is_in_one_task_for_several_at_a_time_in_the_same_order_as_others(self) -> None:
        two = [at(f"t{i}", 5.0, units=2, announced_s=float(i)) for i in range(3)]
        bundle = built(told(*two, at("own", 9.0)))
        assert set(bundle.way) == {"t0", "own"}
        assert bundle.build(told(*two, at("own", 9.0)), ROWS, HERE, 0.0) == 0
        full = [Rank(False, 2.0, "b"), Rank(False, 2.0, "c")]
        assert built(told(*two, t0=full)).way == ["t1"]

    def test_who_waits_in_the_wrong_one_goes_to_the_first_that_lacks_someone(self) -> None:
        first, second = at("t0", 5.0, units=2), at("t1", 5.0, units=2, announced_s=1.0)
        bundle = built(told(second))
        assert bundle.way == ["t1"]
        bundle.release(told(first, second), ROWS)
        bundle.build(told(first, second), ROWS, HERE, 0.0)
        assert bundle.way == ["t0"]

    def test_a_task_for_more_than_there_are_holds_nobody(self) -> None:
        assert built(told(at("t0", 5.0, units=3), at("t1", 5.0, units=2))).way == ["t1"]


class TestFlood:
    def pair(self) -> tuple[Flood, Flood]:
        a, b = Flood("a"), Flood("b")
        a.neighbours({"b"})
        b.neighbours({"a"})
        return a, b

    def test_a_fact_is_told_until_it_has_been_got(self) -> None:
        a, b = self.pair()
        a.write("k", b"1")
        first = a.frame("b")
        assert first == a.frame("b")
        assert first is not None
        assert [each.raw for each in b.heard("a", first)] == [b"1"]
        assert b.heard("a", first) == []
        got = b.frame("a")
        assert got is not None
        assert a.heard("b", got) == []
        assert a.frame("b") is None
        assert b.frame("a") is None

    def test_the_newest_holds_and_old_news_is_none(self) -> None:
        a, b = self.pair()
        a.write("k", b"1")
        old = a.frame("b")
        a.write("k", None)
        new = a.frame("b")
        assert old is not None
        assert new is not None
        b.heard("a", new)
        assert b.heard("a", old) == []
        late = b.frame("a")
        assert late is not None
        a.heard("b", late)
        assert a.frame("b") is not None, "it is told again: what it has got was not the newest"

    def test_two_who_write_the_same_key_agree(self) -> None:
        a, b = self.pair()
        a.write("k", b"1")
        b.write("k", b"2")
        for _ in range(2):
            one, other = a.frame("b"), b.frame("a")
            a.heard("b", other or pytest.fail("it owes"))
            b.heard("a", one or pytest.fail("it owes"))
        assert a.held == b.held
        assert a.held["k"].raw == b"2"

    def test_who_comes_into_reach_is_told_all_in_frames_of_a_bounded_size(self) -> None:
        a = Flood("a")
        for i in range(MAX_ITEMS + 1):
            a.write(f"k{i}", b"")
        a.neighbours({"b"})
        b = Flood("b")
        b.neighbours({"a"})
        for _ in range(2):
            frame = a.frame("b")
            assert frame is not None
            assert len(frame.items) <= MAX_ITEMS
            b.heard("a", frame)
            a.heard("b", b.frame("a") or pytest.fail("it says what it has got"))
        assert len(b.held) == MAX_ITEMS + 1
        c = Flood("c")
        c.neighbours({"a"})
        c.write("k", b"")
        a.neighbours(set())
        assert a.heard("c", c.frame("a") or pytest.fail("it owes")), "a last word counts"
