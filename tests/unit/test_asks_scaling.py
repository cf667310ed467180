"""How many replicas run: by how long asks wait, and by whether anybody asks."""

from __future__ import annotations

import pytest

from mtor_swarm.config import WorkerConfig
from mtor_swarm.realm.scaling import AGAIN_S, COMING_S, DOWN_S, EXPECTED_S, LOAD_S
from tests.unit.asks_play import Play

SLEEPER = WorkerConfig(kind="k", least=0, idle_s=30.0)
STEADY = WorkerConfig(kind="k")
MANY = WorkerConfig(kind="k", most=3)


def asleep(**workers: WorkerConfig) -> Play:
    """Workers that have said what they answer, and sleep."""
    play = Play()
    play.staff(**workers)
    for name in workers:
        play.worker(name)
        play.gone(name, "it sleeps", forget=True)
    return play


def test_one_that_sleeps_is_woken_by_an_ask_and_answers_it():
    play = asleep(w=SLEEPER)
    which = play.ask(stream=True, timeout_s=60.0)
    assert play.scaled == [("w", 1)]
    assert play.statuses(which) == ["loading 1"]
    assert play.told[0].wait_s == LOAD_S
    play.ask(timeout_s=60.0)
    assert play.scaled == [("w", 1)], "it is on its way already"
    play.wait(3.0)
    play.worker("w")
    assert play.has("w") == [which]


def test_how_long_loading_took_is_what_the_next_is_told():
    play = asleep(w=SLEEPER)
    play.ask(timeout_s=60.0)
    play.wait(12.0)
    play.worker("w")
    play.answer(play.has("w")[0])
    play.gone("w", "it sleeps", forget=True)
    play.ask(stream=True, timeout_s=60.0)
    assert play.told[-1].wait_s == pytest.approx(12.0)
    play.wait(4.0)
    play.ask(stream=True, timeout_s=60.0)
    assert [each.wait_s for each in play.told if each.askid == play.told[-1].askid] == [8.0]


def test_one_that_nobody_asks_for_a_while_is_put_to_sleep():
    play = Play()
    play.staff(w=SLEEPER)
    play.worker("w")
    which = play.ask(timeout_s=100.0)
    play.wait(70.0)
    assert not play.scaled, "it is at work"
    play.answer(which)
    play.wait(20.0)
    play.answer(play.ask())
    play.wait(25.0)
    assert not play.scaled
    play.wait(30.0)
    assert play.scaled == [("w", 0)]


def test_one_that_is_to_run_always_does():
    play = Play()
    play.staff(w=WorkerConfig(kind="k", least=1, idle_s=5.0), v=WorkerConfig(kind="k", least=0))
    play.worker("w")
    play.worker("v", "hear")
    play.wait(1000.0)
    assert not play.scaled
    play.gone("w", "it died")
    play.ask()
    assert not play.scaled, "supervision brings it back"


def test_while_asks_wait_for_longer_than_loading_takes_there_is_one_more():
    play = Play()
    play.staff(w=MANY)
    play.worker("w")
    play.ask(timeout_s=900.0)
    play.wait(4.0)
    play.ask(timeout_s=900.0)
    assert not play.scaled
    play.wait(2.0)
    play.ask(timeout_s=900.0)
    assert play.scaled == [("w", 2)]
    play.wait(1.0)
    play.worker("w_2")
    play.wait(10.0)
    play.ask(timeout_s=900.0)
    assert play.scaled == [("w", 2), ("w", 3)]
    play.worker("w_3")
    play.wait(60.0)
    for _ in range(9):
        play.ask(timeout_s=900.0)
    assert len(play.scaled) == 2, "no more than its most"


def test_one_that_does_not_come_is_tried_again_later():
    play = asleep(w=SLEEPER)
    play.ask(timeout_s=500.0)
    play.wait(COMING_S - 1.0)
    play.ask(timeout_s=500.0)
    assert len(play.scaled) == 1
    play.wait(1.0)
    play.ask(timeout_s=500.0)
    assert len(play.scaled) == 2
    play.not_coming("w")
    play.not_coming("nobody")
    play.ask(timeout_s=500.0)
    assert len(play.scaled) == 3


def test_replicas_that_nobody_waits_for_go_one_after_the_other():
    play = Play()
    play.staff(w=MANY)
    for name in ("w", "w_2", "w_3"):
        play.worker(name)
    play.wait(DOWN_S)
    assert play.scaled == [("w", 2)]
    play.gone("w_3", "it is not needed", forget=True)
    play.wait(DOWN_S)
    assert play.scaled == [("w", 2), ("w", 1)]
    play.gone("w_2", "it is not needed", forget=True)
    play.wait(10 * DOWN_S)
    assert len(play.scaled) == 2


def test_replicas_that_somebody_waited_for_stay_a_while_longer():
    play = Play()
    play.staff(w=MANY)
    play.worker("w")
    play.worker("w_2")
    play.wait(DOWN_S - 5.0)
    for _ in range(3):
        play.ask()
    play.wait(10.0)
    assert not play.scaled
    play.wait(DOWN_S)
    assert play.scaled == [("w", 1)]


def test_one_that_was_never_up_is_woken_to_see_what_it_answers():
    play = Play()
    play.staff(chatter=SLEEPER, other=SLEEPER)
    which = play.ask("chat", timeout_s=60.0)
    assert play.scaled == [("chatter", 1), ("other", 1)]
    play.wait(3.0)
    assert not play.finals(which)
    play.worker("chatter", "chat")
    assert play.has("chatter") == [which]


def test_of_those_never_up_the_one_that_bears_its_name_is_woken_alone():
    play = Play()
    named = WorkerConfig(kind="k", least=0, parameters={"capability": "chat"})
    play.staff(other=SLEEPER, talker=named, see=SLEEPER)
    play.ask("chat", timeout_s=60.0)
    play.ask("see", timeout_s=60.0)
    assert play.scaled == [("talker", 1), ("see", 1)]


def test_one_that_is_to_run_and_was_not_found_yet_is_waited_for_and_not_for_ever():
    play = Play()
    play.staff(found=STEADY, late=STEADY, never=STEADY)
    play.worker("found", "see")
    early, lost = play.ask("chat", timeout_s=60.0), play.ask("fly", timeout_s=60.0)
    play.wait(EXPECTED_S - 5.0)
    assert not play.finals(early)
    play.worker("late", "chat")
    assert play.has("late") == [early]
    assert not play.finals(lost), "the third may still be found"
    play.wait(5.0)
    assert "nobody for 'fly'" in play.final(lost).reason
    assert "nobody for 'sing'" in play.final(play.ask("sing")).reason


def test_when_all_have_said_what_they_answer_the_rest_is_refused():
    play = Play()
    play.staff(w=SLEEPER)
    which = play.ask("fly", timeout_s=600.0)
    play.wait(2.0)
    play.worker("w", "see")
    play.wait(3.0)
    assert "nobody for 'fly', only: see" in play.final(which).reason


def test_one_that_never_comes_leaves_the_ask_refused():
    play = Play()
    play.staff(w=SLEEPER)
    which = play.ask("fly", timeout_s=600.0)
    play.wait(COMING_S + 2.0)
    assert "nobody for 'fly'" in play.final(which).reason


def test_a_worker_that_is_removed_is_not_woken_again():
    play = asleep(w=SLEEPER, v=SLEEPER)
    play.staff(v=SLEEPER)
    play.gone("w", "it was removed", forget=True)
    play.ask(timeout_s=60.0)
    assert play.scaled == [("v", 1)]


def test_while_another_is_at_work_the_sleeper_is_woken_only_for_a_long_wait():
    play = asleep(w=SLEEPER)
    play.worker("steady")
    play.ask(timeout_s=600.0)
    play.ask(timeout_s=600.0)
    assert not play.scaled
    play.wait(20.0)
    play.ask(timeout_s=600.0)
    assert play.scaled == [("w", 1)]


def test_names_that_only_look_alike_are_told_apart():
    play = Play()
    play.staff(w=MANY, w_2x=MANY, w_2=WorkerConfig(kind="k"))
    for name in ("w", "w_2x", "w_2", "w_3", "wx", "w_"):
        play.worker(name, name)
    play.wait(DOWN_S)
    assert play.scaled == [("w", 1)]


def test_one_that_could_not_come_is_tried_again_much_later():
    play = Play()
    play.staff(w=SLEEPER)
    play.ask("fly")
    play.not_coming("w")
    play.wait(10.0)
    assert "nobody for 'fly'" in play.final(play.ask("fly")).reason
    assert len(play.scaled) == 1
    play.wait(AGAIN_S)
    play.ask("fly")
    assert len(play.scaled) == 2


def test_that_answers_take_long_may_be_seen_when_all_have_been_asked():
    play = Play()
    play.staff(w=MANY)
    play.worker("w")
    first = play.ask(timeout_s=900.0)
    for _ in range(9):
        play.ask(timeout_s=900.0)
    assert not play.scaled
    play.wait(2.0)
    play.answer(first)
    assert play.scaled == [("w", 2)]
