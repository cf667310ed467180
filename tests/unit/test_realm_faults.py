"""Crash, hang, flood, bad work and a name used twice, as supervision sees them."""

from __future__ import annotations

import pytest

from mtor_swarm.config import SupervisionConfig
from mtor_swarm.realm.health import FAILING, FORGET_S, HISTORY_LEAST
from mtor_swarm.realm.supervision import KILL_S, USED_UP
from mtor_swarm.realm.supervision_io import (
    Flooded,
    RestartWanted,
    Tick,
    WorkerAdded,
    WorkerRemoved,
    WorkerSeen,
)
from tests.unit.supervision_play import CONFIG, Play


def up() -> Play:
    play = Play("a")
    play.up()
    return play


def again(play: Play) -> None:
    """The worker of a new process is brought up."""
    play.seen()
    play.is_("unconfigured")
    play.done()
    play.done()


def test_a_crash_is_named_at_once_and_the_process_started_again_after_the_delay():
    play = up()
    assert play.ended() == []
    assert play.state() == "failed"
    assert play.reason().startswith("killed by SIGSEGV (next try in ")
    assert play.reports[-1].fault == "crash"
    before = play.now
    assert play.wait() == ["start a"]
    assert 0 < play.now - before <= CONFIG.restart_first_s
    assert (play.state(), play.reason()) == ("absent", "its process starts")
    again(play)
    assert play.state() == "active"


def test_a_process_that_crashes_again_and_again_rests_in_quarantine_and_is_readmitted():
    play = up()
    for _ in range(2):
        play.ended()
        assert play.wait() == ["start a"]
    assert play.ended() == []
    assert play.state() == "quarantined"
    assert "3 failures in 60 s" in play.reason()
    before = play.now
    assert play.wait() == ["start a"]
    assert play.now - before == CONFIG.quarantine_s
    again(play)
    assert play.state() == "active"
    play.ended()
    assert play.state() == "failed", "quarantine wipes the slate"


def test_a_hang_is_counted_once_though_its_process_is_ended_then():
    play = up()
    play.lost()
    assert play.reports[-1].fault == "hang"
    assert play.wait() == ["kill a"]
    play.ended(reason="killed by SIGKILL")
    assert play.state() == "failed"
    assert play.reports[-1].fault == "hang"
    assert "no heartbeat" in play.reason()
    assert play.wait() == ["start a"]
    assert len(play.supervisor._records["a"].failures) == 1


def test_a_silent_worker_whose_process_ended_itself_is_started_without_being_killed():
    play = up()
    play.lost()
    play.ended(reason="exit status 70")
    assert play.wait() == ["start a"]


def test_one_that_hangs_too_often_is_ended_and_quarantined():
    play = up()
    for _ in range(2):
        play.lost()
        play.seen()
        play.is_("active")
    assert play.lost() == ["kill a"]
    play.ended()
    assert play.state() == "quarantined"
    assert play.reports[-1].fault == "hang"
    assert play.wait() == ["start a"]


def test_one_whose_process_was_ended_for_anothers_sake_did_not_fail():
    play = up()
    assert play.ended(fault="", reason="it was asked to") == ["start a"]
    assert len(play.supervisor._records["a"].failures) == 0


def test_each_sort_of_work_has_a_pace_of_its_own():
    play = up()
    for _ in range(HISTORY_LEAST):
        play.worked(seconds=0.1, sort="detect")
    for n in range(50):
        play.worked(seconds=2.0, sort=f"sort {n}")
    assert play.state() == "active"


def test_memory_is_named_by_who_saw_it():
    play = up()
    play.ended(fault="memory", reason="held 300 MiB; 200 allowed")
    assert play.reports[-1].fault == "memory"
    assert play.reason().startswith("held 300 MiB; 200 allowed (next try")


def test_what_only_a_person_can_mend_is_quarantined_at_once():
    play = up()
    play.ended(fault="config", reason="no worker of kind 'smok'; there are: smoke")
    assert play.state() == "quarantined"
    assert play.reason() == "no worker of kind 'smok'; there are: smoke (next try in 60 s)"


def test_a_started_process_that_never_appears_has_failed_and_is_ended():
    play = up()
    play.ended()
    play.wait()
    assert play.wait() == ["kill a"]
    assert play.state() == "failed"
    assert "did not appear within 60 s" in play.reason()
    before = play.now
    play.wait()
    assert play.now - before == KILL_S, "its end may never be told"
    assert play.state() == "silent"


def test_a_worker_that_floods_is_ended():
    play = up()
    assert play._handle(Flooded("a", 812.4)) == ["kill a"]
    assert play.state() == "failed"
    assert play.reason().startswith("floods the realm with 812 events a second")
    assert play._handle(Flooded("a", 812.4)) == []
    play.ended()
    assert play.reports[-1].fault == "flood"
    assert play.wait() == ["start a"]


def test_a_worker_whose_asks_all_fail_begins_anew():
    play = up()
    for _ in range(FAILING - 1):
        assert play.worked(ok=False) == []
    assert play.worked(ok=False) == ["kill a"]
    assert play.reason().startswith(f"its last {FAILING} asks all failed")
    assert play.reports[-1].fault == "errors"


def test_one_that_could_not_be_ended_and_works_is_left_alone():
    play = up()
    play._handle(Flooded("a", 900.0))
    assert play.wait() == ["ask a"]
    play.is_("active")
    assert play.state() == "active"


def test_many_failures_degrade_a_worker_until_it_works_well_again():
    play = up()
    for n in range(20):
        play.worked(ok=n % 2 == 0, late=n % 2 == 0)
    assert play.state() == "degraded"
    assert "recent work failed or came too late" in play.reason()
    assert play.reports[-1].was == "active"
    for _ in range(20):
        play.worked()
    assert play.state() == "active"
    assert play.reports[-1].state == "active"
    assert play.reports[-1].fault == ""


def test_errors_of_one_that_has_nothing_more_to_do_are_forgotten_with_time():
    play = up()
    for _ in range(12):
        play.worked(ok=False, seconds=None)
    assert play.state() == "degraded"
    before = play.now
    assert play.wait() == []
    assert play.state() == "active"
    assert FORGET_S < play.now - before < 3 * FORGET_S
    assert play.timer is None


def test_a_slow_model_is_known_by_its_own_history():
    play = up()
    for _ in range(HISTORY_LEAST):
        play.worked(seconds=0.1)
    for _ in range(20):
        play.worked(seconds=0.2)
    assert play.state() == "active", "twice its usual time may be chance"
    for _ in range(20):
        play.worked(seconds=0.9)
    assert play.state() == "degraded"
    assert play.reports[-1].fault == "slow"
    assert "where it used to take 0.1" in play.reason()
    assert play.supervisor.health("a", play.now) < 0.5
    for _ in range(20):
        play.worked(seconds=0.1)
    assert play.state() == "active"


def test_a_crash_alone_makes_nobody_ill_who_works_again():
    play = up()
    for _ in range(2):
        play.ended()
        play.wait()
        again(play)
    assert play.state() == "active"
    assert play.supervisor.health("a", play.now) < 0.9


def test_two_of_a_name_are_told_when_they_stay_and_not_while_one_is_dying():
    play = up()
    play._handle(WorkerSeen("a", 2))
    play.is_("active")
    play._handle(WorkerSeen("a", 1))
    play.is_("active")
    assert play.timer is None
    play._handle(WorkerSeen("a", 2))
    play.is_("active")
    play._handle(WorkerSeen("a", 3))
    play.is_("active")
    play.wait()
    assert (play.state(), play.reason()) == ("degraded", "another node has its name: stop one")
    assert play.reports[-1].fault == "twice"
    play._handle(WorkerSeen("a", 1))
    play.is_("active")
    assert play.state() == "active"


def test_workers_come_and_go_at_run_time():
    play = Play("a")
    play.up()
    assert play._handle(WorkerAdded("b")) == []
    assert play.state("b") == "absent"
    play.up("b")
    assert play._handle(WorkerAdded("b")) == []
    assert play.state("b") == "active", "once is enough"
    assert play._handle(WorkerRemoved("b")) == []
    assert (play.reports[-1].state, play.reports[-1].was) == ("removed", "active")
    assert set(play.supervisor.states()) == {"a"}
    assert play._handle(WorkerRemoved("b")) == []
    assert play.seen("b") == []


def test_an_added_worker_that_loads_for_long_holds_up_nobody():
    play = Play("a")
    play.up()
    play._handle(WorkerAdded("b"))
    play._handle(WorkerAdded("c"))
    assert play.seen("b") == ["ask b"]
    play.is_("unconfigured", "b")
    assert play.seen("c") == ["ask c"]


@pytest.mark.parametrize("quarantined", [False, True])
def test_a_restart_that_a_person_wants_comes_at_once_and_wipes_the_slate(quarantined):
    play = up()
    if quarantined:
        for _ in range(3):
            play.ended()
            play.wait() if play.state() == "failed" else None
        assert play.state() == "quarantined"
        assert play._handle(RestartWanted("a")) == ["start a"]
    else:
        assert play._handle(RestartWanted("a")) == ["kill a"]
        assert play.ended(reason="exit status 0") == ["start a"]
    assert len(play.supervisor._records["a"].failures) == 0


def test_restarts_of_the_whole_realm_have_a_budget_which_its_own_workers_may_overdraw():
    play = Play("core", config=SupervisionConfig(restarts_in_window=2, window_s=60.0))
    play.up()
    for name in ("b", "c", "d"):
        play._handle(WorkerAdded(name))
        play.up(name)
    begun = play.now
    for name in ("b", "c", "d"):
        play.ended(name=name)
    play.ended(name="core")
    play.now += 1.0
    assert play._handle(Tick()) == ["start core", "start b"]
    assert USED_UP in play.reason("c")
    assert USED_UP in play.reason("d")
    assert play.timer == begun + 1.0 + 60.0
    assert play.wait() == ["start c", "start d"]
