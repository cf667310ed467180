"""The supervisor brings several workers up in order, and bounds what goes wrong."""

from __future__ import annotations

import random

import pytest

from mtor_swarm.realm.restarts import delay_s
from mtor_swarm.realm.supervision import PATIENCE_S
from mtor_swarm.realm.supervision_io import (
    Flooded,
    LivelinessLost,
    PerhapsUnheard,
    ProcessEnded,
    RestartWanted,
    StateKnown,
    Tick,
    TransitionDone,
    TransitionFailed,
    Worked,
    WorkerAdded,
    WorkerFailed,
    WorkerRemoved,
    WorkerSeen,
)
from tests.unit.supervision_play import CONFIG, Play


def test_workers_come_up_in_order_however_they_appear():
    play = Play("a", "b")
    assert play.seen("b") == []
    assert play.seen("b") == [], "seen again while it waits for its turn"
    assert play.seen("a") == ["ask a"]
    assert play.is_("unconfigured") == ["configure a"]
    assert play.done() == ["activate a"]
    assert play.done() == ["ask b"]


def test_one_that_fails_lets_the_next_go_on():
    play = Play("a", "b")
    play.seen("a")
    play.seen("b")
    play.is_("unconfigured")
    assert play.refused() == ["ask b"]


def test_one_that_does_not_appear_holds_up_the_others_only_for_a_while():
    play = Play("a", "b")
    assert play.seen("b") == []
    assert play.timer == 100.0 + PATIENCE_S
    assert play.wait() == ["ask b"]
    play.is_("unconfigured", "b")
    assert play.seen("a") == ["ask a"], "and may come late"


def test_one_lost_before_its_turn_is_silent():
    play = Play("a", "b")
    play.seen("b")
    play.lost("b")
    assert play.state("b") == "silent"


def test_what_a_worker_does_that_nobody_wants_is_no_concern():
    play = Play("a")
    assert play.seen("stranger") == []
    play.lost()
    assert play.state() == "absent"
    assert list(play.supervisor.states()) == ["a"]


def test_a_timer_that_came_a_hair_too_early_is_set_again():
    play = Play("a")
    play.seen()
    due, play.timer = play.timer, None
    play.now = due - 1e-6
    play._handle(Tick())
    assert play.timer == due


@pytest.mark.parametrize(
    ("failures", "most"), [(0, 0.0), (1, 0.5), (2, 1.0), (3, 2.0), (6, 15.0), (10_000, 15.0)]
)
def test_delays_double_up_to_the_most_with_a_little_chance(failures, most):
    rng = random.Random(7)
    for _ in range(50):
        assert 0.5 * most <= delay_s(failures, CONFIG, rng) <= most


def test_chance_events_in_any_order_leave_no_worker_without_a_way_on():
    """Whatever comes: a worker rests only where it may rest, or something is waited for."""
    rng = random.Random(11)
    for _ in range(200):
        play = Play("a", "b")
        for _ in range(60):
            name = rng.choice("abc")
            turn = play.turns.get(name, 0) - rng.choice((0, 0, 0, 1))
            label = rng.choice(("unconfigured", "inactive", "active", "finalized"))
            event = rng.choice(
                (
                    WorkerSeen(name),
                    LivelinessLost(name),
                    StateKnown(name, turn, label),
                    TransitionDone(name, turn),
                    TransitionFailed(name, turn, "x"),
                    PerhapsUnheard(name, turn),
                    WorkerFailed(name, "y"),
                    WorkerSeen(name, 2),
                    ProcessEnded(name, rng.choice(("", "crash", "memory", "config")), "z"),
                    Worked(name, rng.random() < 0.5, rng.random()),
                    Flooded(name, 999.0),
                    RestartWanted(name),
                    WorkerAdded("c"),
                    WorkerRemoved("c"),
                    Tick(),
                )
            )
            play.now += rng.random()
            play._handle(event)
            states = {play.state("a"), play.state("b")}
            assert play.timer is not None or states <= {
                "absent",
                "silent",
                "active",
                "degraded",
            }
