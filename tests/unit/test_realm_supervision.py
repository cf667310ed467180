"""The supervisor, by a table of what is seen and what is to follow, in virtual time."""

from __future__ import annotations

import pytest

from mtor_swarm.realm.supervision import ASK_S, ASKS
from mtor_swarm.realm.supervision_io import (
    PerhapsUnheard,
    StateKnown,
    Tick,
    TransitionDone,
    TransitionFailed,
)
from tests.unit.supervision_play import CONFIG, Play


def test_a_worker_is_asked_configured_and_activated_and_each_change_is_told():
    play = Play("a")
    assert play.state() == "absent"
    assert play.seen() == ["ask a"]
    assert play.is_("unconfigured") == ["configure a"]
    assert play.state() == "starting"
    assert play.done() == ["activate a"]
    assert play.state() == "inactive"
    assert play.done() == []
    assert play.state() == "active"
    assert [(each.was, each.state) for each in play.reports] == [
        ("absent", "starting"),
        ("starting", "inactive"),
        ("inactive", "active"),
    ]
    assert play.timer is None


@pytest.mark.parametrize(
    ("label", "wants", "state"),
    [
        ("unconfigured", ["configure a"], "starting"),
        ("inactive", ["activate a"], "inactive"),
        ("active", [], "active"),
        ("finalized", [], "failed"),
        ("activating", [], "failed"),
    ],
)
def test_a_restarted_orchestrator_goes_on_from_where_the_worker_is(label, wants, state):
    play = Play("a")
    play.seen()
    assert play.is_(label) == wants
    assert play.state() == state


@pytest.mark.parametrize("step", ["configure", "activate"])
def test_a_worker_that_cannot_waits_longer_each_time_and_then_is_quarantined(step):
    play = Play("a")
    waits = []
    play.seen()
    for _ in range(2):
        play.is_("unconfigured" if step == "configure" else "inactive")
        play.refused("no weights")
        assert play.state() == "failed"
        assert play.reason().startswith("no weights (next try in ")
        before = play.now
        assert play.wait() == ["ask a"]
        waits.append(play.now - before)
    assert waits[1] > waits[0]
    play.is_("unconfigured")
    play.refused("no weights")
    assert play.state() == "quarantined"
    assert "3 failures" in play.reason()
    before = play.now
    assert play.wait() == ["ask a"]
    assert play.now - before == CONFIG.quarantine_s
    play.is_("unconfigured")
    play.refused()
    assert play.state() == "failed", "quarantine wipes the slate"


def test_failures_long_ago_do_not_count():
    play = Play("a")
    play.seen()
    for _ in range(10):
        play.is_("unconfigured")
        play.refused()
        assert play.state() == "failed"
        play.now += CONFIG.window_s
        play.wait() if play.timer and play.timer > play.now else play._handle(Tick())
        assert play.state() == "starting"


def test_the_workers_own_reason_is_told_whether_it_comes_before_the_refusal_or_after():
    before, after = Play("a"), Play("a")
    for play in (before, after):
        play.seen()
        play.is_("unconfigured")
    before.said("load: no such file")
    stale = before.refused("failed")
    after.refused("failed")
    after.said("load: no such file")
    assert stale == []
    for play in (before, after):
        assert play.state() == "failed"
        assert play.reason().startswith("load: no such file (next try")
        assert play.reports[-1].reason == play.reason()
    count = len(after.reports)
    after.said("load: no such file")
    assert len(after.reports) == count, "the same word twice is no news"


def test_a_word_of_failure_from_an_absent_worker_changes_nothing():
    play = Play("a")
    assert play.said("what?") == []
    assert play.state() == "absent"


def test_an_active_worker_without_a_heartbeat_is_silent_until_seen_again():
    play = Play("a")
    play.up()
    play.lost()
    assert play.state() == "silent"
    assert "blocked or dead" in play.reason()
    assert play.wait() == ["kill a"], "it had one lease more to come back by itself"
    assert play.state() == "silent"
    assert play.timer is None, "nothing is polled"
    assert play.seen() == ["ask a"]
    assert play.is_("active") == []
    assert play.state() == "active"


def test_a_worker_that_falls_silent_too_often_is_quarantined():
    play = Play("a")
    play.up()
    for _ in range(2):
        play.lost()
        play.seen()
        play.is_("active")
    play.lost()
    assert play.state() == "quarantined"
    assert play.seen() == []
    assert play.wait() == ["ask a"]


def test_a_worker_that_died_and_came_back_within_its_lease_is_configured_again():
    play = Play("a")
    play.up()
    assert play.seen() == ["ask a"]
    assert play.state() == "active"
    assert play.is_("unconfigured") == ["configure a"]
    assert play.state() == "starting"


def test_one_that_keeps_coming_back_new_is_quarantined():
    play = Play("a")
    for _ in range(2):
        play.seen()
        play.is_("unconfigured")
        play.done()
        play.done()
    play.seen()
    play.is_("unconfigured")
    play.done()
    play.done()
    play.seen()
    assert play.is_("unconfigured") == []
    assert play.state() == "quarantined"
    assert "new process" in play.reason()


def test_a_load_that_blocks_the_heartbeat_is_no_silence():
    play = Play("a")
    play.seen()
    play.is_("unconfigured")
    play.lost()
    assert play.state() == "starting"
    assert play.done() == ["activate a"]


def test_a_heartbeat_that_resumes_during_a_load_asks_and_old_answers_no_longer_count():
    play = Play("a")
    play.seen()
    play.is_("unconfigured")
    old = play.turns["a"]
    assert play.seen() == ["ask a"]
    assert play._handle(TransitionDone("a", old)) == []
    assert play._handle(TransitionFailed("a", old, "late")) == []
    assert play._handle(StateKnown("a", old, "active")) == []
    assert play.state() == "starting"
    assert play.is_("inactive") == ["activate a"]


def test_a_load_that_never_ends_fails_if_the_worker_lives_and_is_silence_if_not():
    lives, dead = Play("a"), Play("a")
    for play in (lives, dead):
        play.seen()
        play.is_("unconfigured")
    dead.lost()
    assert lives.wait() == []
    assert dead.wait() == []
    assert lives.state() == "failed"
    assert "did not configure within 60 s" in lives.reason()
    assert dead.state() == "silent"


def test_a_failed_worker_whose_process_is_gone_is_waited_for_not_asked():
    play = Play("a")
    play.seen()
    play.is_("unconfigured")
    play.refused()
    play.lost()
    assert play.wait() == []
    assert play.state() == "silent"
    assert play.seen() == ["ask a"]


def test_a_question_without_an_answer_is_asked_again_but_not_for_ever():
    play = Play("a")
    play.seen()
    for _ in range(ASKS - 1):
        before = play.now
        assert play.wait() == ["ask a"]
        assert play.now - before == ASK_S
    assert play.wait() == ["kill a"]
    assert play.state() == "failed"
    assert "unanswered" in play.reason()


@pytest.mark.parametrize("label", ["unconfigured", "inactive"])
def test_a_request_that_perhaps_nobody_heard_is_soon_looked_after(label):
    play = Play("a")
    play.seen()
    wants = play.is_(label)
    assert play._handle(PerhapsUnheard("a", play.turns["a"])) == []
    before = play.now
    assert play.wait() == ["ask a"]
    assert play.now - before == ASK_S
    assert play.is_(label) == wants
    assert play._handle(PerhapsUnheard("a", play.turns["a"] - 1)) == []


def test_a_doubted_request_that_was_heard_after_all_is_not_made_twice():
    play = Play("a")
    play.seen()
    assert play._handle(PerhapsUnheard("a", play.turns["a"])) == [], "a question needs no doubt"
    play.is_("unconfigured")
    play._handle(PerhapsUnheard("a", play.turns["a"]))
    assert play.done() == []
    assert play.wait() == ["ask a"]
    assert play.is_("inactive") == ["activate a"]


def test_requests_that_nobody_ever_hears_are_a_failure_in_the_end():
    play = Play("a")
    play.seen()
    for _ in range(ASKS):
        assert play.state() == "starting"
        play.is_("unconfigured")
        play._handle(PerhapsUnheard("a", play.turns["a"]))
        play.wait()
    assert play.state() == "failed"


def test_a_worker_lost_while_it_is_asked_is_silent():
    play = Play("a")
    play.seen()
    play.lost()
    assert play.state() == "silent"
    assert play.wait() == ["kill a"]
    assert play.timer is None


def test_a_doubted_silence_is_believed_after_one_more_lease():
    play = Play("reflex")
    play.up()
    play.lost(doubted=True)
    assert play.state() == "active"
    assert play.timer == play.now + CONFIG.heartbeat_lease_s
    assert play.wait() == []
    assert (play.state(), play.reason()) == ("silent", "no heartbeat for 6 s: blocked or dead")


def test_a_heartbeat_in_time_ends_the_doubt_and_an_answer_from_before_does_not():
    play = Play("reflex")
    play.up()
    play.seen()
    play.lost(doubted=True)
    play.is_("active")
    play.wait()
    assert play.state() == "silent"
    play.seen()
    play.is_("active")
    play.lost(doubted=True)
    assert play.seen() == ["ask reflex"]
    play.is_("active")
    assert play.timer is None
    assert play.state() == "active"
    assert [each.state for each in play.reports].count("silent") == 1
