from __future__ import annotations

import math

from mtor_swarm import task_events as events
from mtor_swarm.swarm.tasks import allocator as machine
from mtor_swarm.swarm.tasks import allocator_io as io
from mtor_swarm.swarm.tasks import task as t
from mtor_swarm.swarm.tasks.allocator import Allocator
from mtor_swarm.swarm.tasks.board import MAX_TASKS
from mtor_swarm.swarm.tasks.route import Mover
from mtor_swarm.swarm.tasks.task import Bid, Report, Row, Task

OWN = io.Own(Mover(x_m=0.0, y_m=0.0))


class Desk:
    """One allocator, whose timers are kept; `out` has all its effects."""

    def __init__(self, unit: str = "a", bidder: bool = True) -> None:
        self.allocator = Allocator(unit, bidder=bidder)
        self.now = 1000.0
        self.wake_s = math.inf
        self.out: list[io.Effect] = []

    def give(self, *inputs: io.Input) -> Desk:
        for each in inputs:
            for effect in self.allocator.handle(each, self.now):
                self.out.append(effect)
                if isinstance(effect, io.Wake):
                    self.wake_s = effect.at_s
        return self

    def hear(self, key: str, fact: t.Fact) -> Desk:
        return self.give(io.Heard(key, t.encode(fact)))

    def wait(self, for_s: float) -> Desk:
        end = self.now + for_s
        while self.wake_s <= end:
            self.now, self.wake_s = self.wake_s, math.inf
            self.give(io.Woke())
        self.now = end
        return self

    def of(self, kind: type) -> list[object]:
        found = [e.data if isinstance(e, io.Say) else e for e in self.out]
        return [each for each in found if isinstance(each, kind)]

    def last(self, key: str) -> t.Fact | None:
        raws = [e.raw for e in self.out if isinstance(e, io.Write) and e.key == key]
        return t.decode(key, raws[-1]) if raws and raws[-1] is not None else None


def begun() -> Desk:
    """A unit that has begun the task x."""
    return Desk().give(OWN, io.Announce((Task(id="x"),))).wait(1.0)


def rival(desk: Desk, *bids: Bid, number: int = 1) -> Desk:
    desk.give(io.Judged("b", alive=True))
    return desk.hear("row/b", Row(number=number, bids=list(bids)))


class TestAWay:
    def test_a_task_is_announced_bid_for_agreed_on_begun_and_done(self) -> None:
        desk = begun()
        task = Task(id="x", announced_s=1000.0, by="a")
        assert desk.of(io.Begin) == [io.Begin(task, ("a",))]
        desk.give(io.Progressed("x", 0.5)).wait(2.0)
        desk.give(io.Progressed("x", 0.6), io.Progressed("x", 0.7)).wait(2.0)
        assert [e.share for e in desk.of(events.TaskProgressed)] == [0.6]  # type: ignore[attr-defined]
        assert desk.last("work/x/a") == Report(state="begun", share=0.6, at_s=1003.0)
        desk.give(io.Ended("y", ok=True), io.Ended("x", ok=True, result="seen")).wait(1.0)
        assert desk.of(events.TaskDone) == [events.TaskDone(task="x", ok=True, result="seen")]
        assert desk.allocator.standings["x"].state == "done"
        assert desk.allocator.doing == ""
        assert desk.of(io.Stop) == []
        names = [type(e.data).__name__ for e in desk.out if isinstance(e, io.Say)]
        assert names[:3] == ["TaskAnnounced", "TaskBid", "TaskAwarded"]

    def test_nothing_is_begun_before_it_has_stood_for_a_while(self) -> None:
        desk = Desk().give(OWN, io.Announce((Task(id="x"),))).wait(0.3)
        rival(desk, Bid("x", 0, 0.01)).wait(machine.AGREE_S - 0.1)
        assert desk.of(io.Begin) != []
        other = Desk().give(OWN, io.Announce((Task(id="x"),))).wait(0.3)
        rival(other, Bid("x", 0, 9.0)).wait(5.0)
        assert other.of(io.Begin) == []
        assert other.allocator.standings["x"].units == ("b",)

    def test_a_pose_alone_wakes_nobody_and_an_idle_unit_sleeps(self) -> None:
        desk = Desk().give(OWN).wait(1.0)
        count = len(desk.out)
        desk.give(OWN).wait(10.0)
        assert len(desk.out) == count
        assert desk.wake_s == math.inf

    def test_who_only_looks_on_bids_for_nothing_but_may_announce_and_cancel(self) -> None:
        desk = Desk("base", bidder=False).give(OWN, io.Announce((Task(id="x"),))).wait(1.0)
        assert desk.last("row/base") is None
        desk.give(io.Cancel("x", by="me", reason="rain")).wait(1.0)
        assert desk.allocator.standings["x"].reason == "by me: rain"
        assert [e.reason for e in desk.of(events.TaskCancelled)] == ["rain"]  # type: ignore[attr-defined]


class TestLeaving:
    def test_a_cancelled_task_is_left_and_reported(self) -> None:
        desk = begun().give(io.Cancel("x")).wait(1.0)
        assert desk.of(io.Stop) == [io.Stop("x", "it is cancelled: by a: ")]
        report = desk.last("work/x/a")
        assert isinstance(report, Report)
        assert report.state == "stopped"
        assert desk.of(events.TaskDuplicated) == []

    def test_of_two_who_have_begun_the_lower_bid_leaves_and_says_that_it_was_done_twice(
        self,
    ) -> None:
        desk = begun().hear("work/x/b", Report())
        rival(desk, Bid("x", 0, 9.0, begun=True)).wait(1.0)
        assert desk.of(io.Stop) == [io.Stop("x", "b will do it")]
        assert desk.of(events.TaskDuplicated) == [
            events.TaskDuplicated(task="x", units=["a", "b"])
        ]

    def test_who_has_begun_what_another_has_done_leaves_and_says_so(self) -> None:
        desk = rival(begun()).hear("work/x/b", Report(state="done", at_s=1.0)).wait(1.0)
        assert desk.of(io.Stop) == [io.Stop("x", "it is done")]
        assert len(desk.of(events.TaskDuplicated)) == 1

    def test_who_did_it_second_says_once_that_it_was_done_twice(self) -> None:
        desk = begun().give(io.Ended("x", ok=True)).wait(1.0)
        rival(desk).hear("work/x/b", Report(state="done", at_s=1.0)).wait(1.0)
        desk.hear("row/b", Row(number=9)).wait(1.0)
        assert len(desk.of(events.TaskDuplicated)) == 1
        first = begun().give(io.Ended("x", ok=True)).wait(1.0)
        rival(first).hear("work/x/b", Report(state="done", at_s=9e9)).wait(1.0)
        assert first.of(events.TaskDuplicated) == []

    def test_a_held_unit_leaves_all_and_takes_part_again_when_let_go(self) -> None:
        desk = begun().give(io.Own(OWN.mover, able=False)).wait(1.0)
        assert desk.of(io.Stop) == [io.Stop("x", "this unit takes no tasks now")]
        assert desk.allocator.way == []
        desk.give(OWN).wait(1.0)
        assert desk.allocator.doing == "x"

    def test_what_is_forgotten_is_left(self) -> None:
        desk = begun().give(io.Heard("task/x", None)).wait(1.0)
        assert desk.of(io.Stop) == [io.Stop("x", "it is forgotten")]


class TestOthers:
    def test_the_tasks_of_the_dead_are_ours_at_once(self) -> None:
        desk = rival(Desk().give(OWN), Bid("x", 0, 9.0, begun=True))
        desk.hear("task/x", Task(id="x")).wait(1.0)
        assert desk.allocator.way == []
        desk.give(io.Judged("b", alive=False)).wait(machine.SETTLE_S)
        assert desk.allocator.way == ["x"]
        desk.give(io.Judged("b", alive=False), io.Judged("a", alive=False)).wait(1.0)
        assert desk.allocator.doing == "x"

    def test_who_comes_back_hears_our_bids_again(self) -> None:
        desk = rival(begun())
        desk.wait(1.0)
        before = desk.last("row/a")
        desk.give(io.Judged("b", alive=False)).wait(1.0).give(io.Judged("b", alive=True)).wait(1.0)
        after = desk.last("row/a")
        assert isinstance(before, Row)
        assert isinstance(after, Row)
        assert after.number > before.number
        assert after.bids == before.bids

    def test_our_word_of_an_earlier_life_is_replaced_and_our_own_echo_is_not(self) -> None:
        desk = Desk().give(OWN).wait(1.0)
        row = desk.last("row/a")
        assert isinstance(row, Row)
        count = len(desk.out)
        desk.hear("row/a", row).wait(1.0)
        assert [e for e in desk.out[count:] if isinstance(e, io.Write)] == []
        desk.hear("row/a", Row(number=1, bids=[Bid("x", 0, 9.0, begun=True)]))
        desk.wait(1.0)
        again = desk.last("row/a")
        assert isinstance(again, Row)
        assert again.bids == []
        assert again.number > row.number

    def test_what_we_did_in_an_earlier_life_is_done_and_late_echoes_change_nothing(self) -> None:
        desk = Desk().give(OWN).hear("work/x/a", Report(state="done"))
        desk.hear("task/x", Task(id="x")).wait(1.0)
        assert desk.allocator.standings["x"].state == "done"
        again = begun().give(io.Ended("x", ok=True)).hear("work/x/a", Report()).wait(1.0)
        assert again.allocator.standings["x"].state == "done"

    def test_one_speaks_for_all_of_what_ended_by_itself(self) -> None:
        for unit, count in (("a", 1), ("c", 0)):
            desk = rival(Desk(unit).give(OWN))
            desk.hear("task/x", Task(id="x", until_s=1005.0, needs=["fly"]))
            desk.hear("task/y", Task(id="y", after=["x"])).wait(10.0)
            assert desk.allocator.standings["x"].state == "late"
            reasons = [e.reason for e in desk.of(events.TaskCancelled)]  # type: ignore[attr-defined]
            assert len(reasons) == 2 * count

    def test_a_failed_task_is_left_to_others(self) -> None:
        desk = begun().give(io.Ended("x", ok=False, result="blocked")).wait(5.0)
        assert desk.allocator.doing == ""
        assert len(desk.of(io.Begin)) == 1


class TestRefusals:
    def test_what_makes_no_sense_is_refused_by_name(self) -> None:
        desk = Desk().give(
            io.Announce(
                (
                    Task(id="nan", places=[(math.nan, 0.0)]),
                    Task(id="p", after=["q"]),
                    Task(id="q", after=["p"]),
                    Task(id="x"),
                    Task(id="x"),
                )
            ),
            io.Cancel("ghost"),
        )
        assert [e.task for e in desk.of(io.Refused)] == ["nan", "x", "p", "q", "ghost"]  # type: ignore[attr-defined]
        assert set(desk.allocator.board.tasks) == {"x"}

    def test_what_is_over_cannot_be_cancelled(self) -> None:
        desk = begun().give(io.Ended("x", ok=True)).wait(1.0).give(io.Cancel("x"))
        assert desk.of(io.Refused) == [io.Refused("x", "task x is done")]

    def test_ten_thousand_tasks_at_once_are_bounded(self) -> None:
        desk = Desk().give(OWN, io.Announce(tuple(Task(id=f"t{i}") for i in range(10_000))))
        assert len(desk.allocator.board.tasks) == machine.MAX_OPEN
        assert len(desk.of(io.Refused)) == 10_000 - machine.MAX_OPEN
        desk.wait(0.1)
        assert len(desk.allocator.way) == t.MAX_BUNDLE

    def test_what_is_over_is_forgotten_in_time_or_where_room_is_short(self) -> None:
        desk = Desk().give(OWN)
        for name in ("old", "base", "plain"):
            desk.hear(f"task/{name}", Task(id=name))
            desk.hear(f"work/{name}/z", Report(state="done"))
        desk.hear("task/next", Task(id="next", after=["base"], needs=["fly"]))
        desk.hear("cancel/old", t.Cancelled()).wait(machine.KEEP_S + 1.0)
        assert set(desk.allocator.board.tasks) == {"base", "next"}
        assert not desk.allocator.board.cancels
        assert set(desk.allocator.board.reports) == {"base"}
        for i in range(MAX_TASKS * 3 // 4):
            desk.hear(f"task/t{i}", Task(id=f"t{i}", needs=["fly"]))
        desk.hear("cancel/t7", t.Cancelled()).wait(1.0)
        assert "t7" not in desk.allocator.board.tasks

    def test_who_does_not_speak_sweeps_nothing(self) -> None:
        desk = rival(Desk("c").give(OWN)).hear("task/x", Task(id="x"))
        desk.hear("cancel/x", t.Cancelled()).wait(machine.KEEP_S + 1.0)
        assert set(desk.allocator.board.tasks) == {"x"}
