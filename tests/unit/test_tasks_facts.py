from __future__ import annotations

import math

import pytest

from mtor_swarm.swarm.tasks import board as boards
from mtor_swarm.swarm.tasks import task as t
from mtor_swarm.swarm.tasks.board import Board, Standing
from mtor_swarm.swarm.tasks.task import Bid, Cancelled, Report, Row, Task


def put(board: Board, key: str, fact: t.Fact) -> None:
    board.put(key, t.encode(fact))


def filled(*tasks: Task, units: str = "ab") -> Board:
    board = Board()
    for each in tasks:
        put(board, t.task_key(each.id), each)
    for unit in units:
        board.judge(unit, True, 0.0)
        put(board, t.row_key(unit), Row(number=1))
    return board


def bid(
    board: Board, unit: str, task: str, worth: float, *, begun: bool = False, n: int = 2
) -> None:
    put(board, t.row_key(unit), Row(number=n, bids=[Bid(task, 0, worth, begun)]))


def standing(board: Board, task: str = "x", now: float = 0.0) -> Standing:
    return board.standings(now)[task]


def report(board: Board, unit: str, state: t.Stage, at_s: float = 1.0, turn: int = 0) -> None:
    put(board, t.work_key("x", unit), Report(state=state, at_s=at_s, turn=turn, result="why"))


class TestTask:
    def test_a_task_survives_its_json(self) -> None:
        task = Task(id="x", places=[(1.0, 2.0)], after=["y"], units=2, args={"load": "box"})
        assert t.decode("task/x", t.encode(task)) == task
        assert t.fault(task) == ""

    @pytest.mark.parametrize(
        ("task", "word"),
        [
            (Task(id="x", places=[(math.nan, 0.0)]), "nowhere"),
            (Task(id="x", places=[(0.0, 1e9)]), "nowhere"),
            (Task(id="x", dwell_s=math.inf), "finite"),
            (Task(id="x", after=["x"]), "wait for itself"),
            (Task(id="x", units=0), "units"),
            (Task(id="x", kind="dance"), "kind"),  # type: ignore[arg-type]
            (Task(id="x", args={"note": "a" * 2000}), "at most"),
            (Task(id="x", args={"note": object()}), "not JSON"),
        ],
    )
    def test_a_task_that_makes_no_sense_is_named(self, task: Task, word: str) -> None:
        assert word in t.fault(task)
        assert "task x" in t.fault(task)

    @pytest.mark.parametrize(
        ("key", "raw"),
        [
            ("song/x", b"{}"),
            ("task/", b"{}"),
            ("work/x", b"{}"),
            ("row/a/b", b"{}"),
            ("task/x", b"{"),
            ("task/x", b"\xff"),
            ("task/x", b'{"id":"y"}'),
            ("task/x", b'{"id":"x","after":["x"]}'),
            ("row/a", b'{"number":1}' + b" " * 2000),
        ],
    )
    def test_junk_is_no_fact(self, key: str, raw: bytes) -> None:
        with pytest.raises(ValueError, match=r"."):
            t.decode(key, raw)
        board = Board()
        board.put(key, raw)
        assert board.dropped["junk"] == 1

    def test_each_task_comes_behind_those_that_it_waits_for(self) -> None:
        tasks = [Task(id="c", after=["b", "a"]), Task(id="b", after=["a", "known"]), Task(id="a")]
        placed, wrong = t.ordered(tasks, {"known"})
        assert [each.id for each in placed] == ["a", "b", "c"]
        assert not wrong

    def test_a_circle_is_told_with_all_who_are_in_it(self) -> None:
        tasks = [Task(id="a", after=["b"]), Task(id="b", after=["c"]), Task(id="c", after=["b"])]
        placed, wrong = t.ordered(tasks, ())
        assert not placed
        assert "b → c → b is a circle" in wrong["a"]
        assert set(wrong) == {"a", "b", "c"}

    def test_who_waits_for_a_stranger_is_told_whom(self) -> None:
        tasks = [Task(id="a", after=["b"]), Task(id="b", after=["ghost"])]
        assert "ghost" in t.ordered(tasks, ())[1]["a"]


class TestStandings:
    def test_a_task_goes_to_the_highest_bid_and_names_break_ties(self) -> None:
        board = filled(Task(id="x"))
        assert standing(board).state == "open"
        bid(board, "a", "x", 0.5)
        bid(board, "b", "x", 0.5)
        assert standing(board).units == ("b",)
        bid(board, "a", "x", 0.6)
        assert standing(board).units == ("a",)

    def test_who_has_begun_holds_against_a_higher_bid(self) -> None:
        board = filled(Task(id="x"))
        bid(board, "a", "x", 0.1, begun=True)
        bid(board, "b", "x", 0.9)
        assert (standing(board).state, standing(board).units) == ("begun", ("a",))

    def test_a_task_for_two_goes_to_two(self) -> None:
        board = filled(Task(id="x", units=2), units="abc")
        bid(board, "a", "x", 0.1)
        assert standing(board).state == "open"
        bid(board, "b", "x", 0.2)
        bid(board, "c", "x", 0.3)
        assert (standing(board).state, standing(board).units) == ("awarded", ("c", "b"))

    def test_what_no_unit_can_do_says_so(self) -> None:
        board = filled(Task(id="x", needs=["fly"]))
        assert standing(board).reason == "0 of 1 units here can do it"

    def test_the_bids_of_the_dead_are_void_at_once(self) -> None:
        board = filled(Task(id="x"))
        bid(board, "b", "x", 0.5)
        board.judge("b", False, 5.0)
        assert standing(board).units == ()

    def test_old_bids_of_one_who_returns_wait_and_new_ones_count(self) -> None:
        board = filled(Task(id="x"))
        bid(board, "b", "x", 0.5)
        board.judge("b", False, 5.0)
        board.judge("ghost", False, 5.0)
        board.judge("b", True, 6.0)
        assert standing(board, now=6.0).units == ()
        assert board.next_return_s(6.0) == 6.0 + boards.RETURN_S
        assert standing(board, now=6.0 + boards.RETURN_S).units == ("b",)
        board.judge("b", False, 10.0)
        board.judge("b", True, 10.0)
        bid(board, "b", "x", 0.5, n=3)
        assert standing(board, now=10.0).units == ("b",)
        assert board.next_return_s(10.0) == math.inf

    def test_done_is_done_whatever_comes_later(self) -> None:
        board = filled(Task(id="x"))
        report(board, "a", "done")
        put(board, "cancel/x", Cancelled(by="me"))
        bid(board, "b", "x", 0.9, begun=True)
        assert (standing(board).state, standing(board).units) == ("done", ("a",))

    def test_a_cancelled_task_takes_those_along_that_wait_for_it(self) -> None:
        board = filled(Task(id="x"), Task(id="y", after=["x"]), Task(id="z", after=["y"]))
        assert standing(board, "y").state == "waiting"
        put(board, "cancel/x", Cancelled(by="me", reason="rain"))
        assert standing(board).reason == "by me: rain"
        assert standing(board, "z").state == "cancelled"
        assert "y, which is cancelled" in standing(board, "z").reason

    def test_a_task_begins_after_those_that_it_waits_for(self) -> None:
        board = filled(Task(id="x"), Task(id="y", after=["x"]))
        report(board, "a", "done")
        assert standing(board, "y").state == "open"

    def test_circles_and_strangers_from_elsewhere_never_begin(self) -> None:
        board = filled(Task(id="x", after=["y"]), Task(id="y", after=["x"]))
        put(board, "task/z", Task(id="z", after=["ghost"]))
        assert standing(board).state == "cancelled"
        assert standing(board, "z").state == "waiting"

    def test_too_many_failures_end_a_task(self) -> None:
        board = filled(Task(id="x"), units="abc")
        for unit, state in zip("abc", ("open", "open", "failed"), strict=True):
            report(board, unit, "failed")
            assert standing(board).state == state
        assert standing(board).reason == "why"

    def test_what_nobody_has_begun_in_time_is_late(self) -> None:
        board = filled(Task(id="x", until_s=10.0))
        bid(board, "a", "x", 0.5)
        assert standing(board, now=9.0).state == "awarded"
        assert standing(board, now=11.0).state == "late"
        bid(board, "a", "x", 0.5, begun=True)
        assert standing(board, now=11.0).state == "begun"

    def test_a_recurring_task_comes_again_and_old_bids_are_for_old_turns(self) -> None:
        board = filled(Task(id="x", every_s=60.0), Task(id="y", after=["x"]))
        bid(board, "a", "x", 0.5, begun=True)
        report(board, "a", "done", at_s=100.0)
        now = standing(board, now=110.0)
        assert (now.state, now.turn, now.due_s) == ("waiting", 1, 160.0)
        assert standing(board, "y", now=110.0).state == "open"
        again = standing(board, now=161.0)
        assert (again.state, again.units) == ("open", ())
        report(board, "b", "done", at_s=170.0, turn=1)
        assert standing(board, now=171.0).turn == 2


class TestRoom:
    def test_what_finds_no_room_is_counted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(boards, "MAX_TASKS", 1)
        monkeypatch.setattr(boards, "MAX_REPORTS", 1)
        monkeypatch.setattr(boards, "MAX_UNITS", 1)
        board = filled(Task(id="x"), Task(id="y"), units="ab")
        report(board, "a", "begun")
        report(board, "a", "done")
        report(board, "b", "done")
        assert (set(board.tasks), set(board.rows), board.alive) == ({"x"}, {"a"}, {"a"})
        assert set(board.reports["x"]) == {"a"}
        assert board.dropped["no room"] == 3

    def test_what_is_removed_leaves_room_again(self) -> None:
        board = filled(Task(id="x"))
        put(board, "cancel/x", Cancelled())
        report(board, "a", "done")
        report(board, "b", "done")
        board.judge("a", False, 0.0)
        for key in ("task/x", "cancel/x", "row/a", "work/x/a", "work/x/a", "work/x/b", "work/y/b"):
            board.put(key, None)
        assert not any((board.tasks, board.cancels, board.reports))
        assert set(board.rows) == {"b"}
