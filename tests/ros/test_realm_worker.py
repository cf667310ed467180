"""Workers that do well and workers that do not, on real lifecycle nodes."""

from __future__ import annotations

import pytest
import rclpy
from std_msgs.msg import String

from mtor_swarm.errors import ModelError, explain
from mtor_swarm.events import UnitChanged, WorkerChanged, payload
from mtor_swarm.realm.bus import EVENT_QOS, RealmBus
from mtor_swarm.realm.worker import Worker
from tests.ros.realm_stage import CONFIG, Stage


class Able(Worker):
    """Notes what happens to it; raises where it is told to."""

    def __init__(self, name="able", fails=()) -> None:
        super().__init__(name=name, config=CONFIG)
        self.notes: list[str] = []
        self.fails = set(fails)
        self.heard: list[str] = []

    def _note(self, what: str) -> None:
        self.notes.append(what)
        if what in self.fails:
            raise ModelError(f"{what} is wrong: mend it")

    def load(self) -> None:
        self.hear(String, "words", self._on_word, EVENT_QOS)
        self.on("mtor.unit.changed", lambda event: self._on_word(String(data=event.type)))
        self.every(0.01, lambda: self._on_word(String(data="tick")), steady=True)
        self._note("load")

    def start(self) -> None:
        self._note("start")

    def stop(self) -> None:
        self._note("stop")

    def unload(self) -> None:
        self._note("unload")

    def _on_word(self, word: String) -> None:
        self.heard.append(word.data)
        if word.data == "bad":
            raise ZeroDivisionError("by a bad word")


@pytest.fixture
def stage():
    stage = Stage()
    yield stage
    stage.close()


@pytest.fixture
def ear(stage):
    """What the realm hears of its workers."""
    node = stage.add(rclpy.create_node("ear", namespace="/r1"))
    node.said = []
    node.bus = RealmBus(node)
    node.bus.subscribe(
        ("mtor.worker.changed",),
        lambda event: node.said.append(payload(event, WorkerChanged)),
    )
    node.words = node.create_publisher(String, "words", EVENT_QOS)
    return node


def staged(stage, ear, worker) -> Able:
    stage.add(worker)
    stage.until(lambda: worker.bus._publisher.get_subscription_count() >= 1)
    return worker


def up(stage, ear, worker) -> Able:
    staged(stage, ear, worker)
    worker.trigger_configure()
    worker.trigger_activate()
    stage.until(lambda: ear.words.get_subscription_count() == 1)
    return worker


def label(worker) -> str:
    return worker._state_machine.current_state[1]


def test_teardown_mirrors_what_was_built_and_it_can_be_built_again(stage, ear):
    worker = up(stage, ear, Able())
    for _ in range(2):
        worker.trigger_deactivate()
        worker.trigger_cleanup()
        stage.until(lambda: ear.words.get_subscription_count() == 0)
        worker.trigger_configure()
        worker.trigger_activate()
        stage.until(lambda: ear.words.get_subscription_count() == 1)
    assert worker.notes == ["load", "start", *["stop", "unload", "load", "start"] * 2]


def test_handlers_run_only_while_the_worker_is_active(stage, ear):
    worker = staged(stage, ear, Able())
    handler = worker._guarded("any", worker._on_word)
    worker.trigger_configure()
    handler(String(data="early"))
    assert worker.heard == []
    worker.trigger_activate()
    stage.until(lambda: ear.words.get_subscription_count() == 1)
    ear.words.publish(String(data="now"))
    stage.until(lambda: {"now", "tick"} <= set(worker.heard))
    worker.trigger_deactivate()
    handler(String(data="late"))
    assert "late" not in worker.heard


def test_a_worker_hears_what_another_says(stage, ear):
    worker = up(stage, ear, Able())
    other = staged(stage, ear, Able(name="other"))
    stage.until(lambda: other.bus._publisher.get_subscription_count() == 2)
    event = other.say(UnitChanged(doing="searching", was=""))
    assert (event.source, event.unit) == ("/r1/other", "r1")
    stage.until(lambda: "mtor.unit.changed" in worker.heard)


def test_a_handler_that_raises_is_counted_and_told_and_the_worker_goes_on(stage, ear):
    worker = up(stage, ear, Able())
    for _ in range(20):
        ear.words.publish(String(data="bad"))
    ear.words.publish(String(data="good"))
    stage.until(lambda: "good" in worker.heard and ear.said)
    assert worker.counts["faults"] == 20
    assert ear.said[0].worker == "able"
    assert ear.said[0].state == "active"
    assert ear.said[0].reason.startswith("topic words: ZeroDivisionError: by a bad word")
    assert label(worker) == "active"


def test_a_load_that_fails_leaves_nothing_behind_and_says_why(stage, ear):
    worker = staged(stage, ear, Able(fails=["load"]))
    worker.trigger_configure()
    assert label(worker) == "unconfigured"
    assert worker.notes == ["load", "unload"]
    stage.until(lambda: ear.said)
    assert (ear.said[0].state, ear.said[0].was) == ("failed", "unconfigured")
    assert ear.said[0].reason == "load: load is wrong: mend it"
    assert ear.words.get_subscription_count() == 0
    worker.fails.clear()
    worker.trigger_configure()
    assert label(worker) == "inactive"


def test_a_start_that_fails_leaves_the_worker_inactive(stage, ear):
    worker = staged(stage, ear, Able(fails=["start"]))
    worker.trigger_configure()
    worker.trigger_activate()
    assert label(worker) == "inactive"
    assert not worker.active
    stage.until(lambda: ear.said)
    assert ear.said[0].reason == "start: start is wrong: mend it"
    worker.fails.clear()
    worker.trigger_activate()
    assert label(worker) == "active"


def test_a_teardown_that_raises_is_told_and_goes_on(stage, ear):
    worker = up(stage, ear, Able(fails=["stop", "unload"]))
    worker.trigger_deactivate()
    worker.trigger_cleanup()
    assert label(worker) == "unconfigured"
    assert worker.counts["faults"] == 2
    stage.until(lambda: ear.words.get_subscription_count() == 0)


@pytest.mark.parametrize("active", [True, False])
def test_a_shutdown_stops_what_runs_and_unloads(stage, ear, active):
    worker = up(stage, ear, Able())
    if not active:
        worker.trigger_deactivate()
    worker.trigger_shutdown()
    assert worker.notes == ["load", "start", "stop", "unload"]
    assert label(worker) == "finalized"


def test_a_worker_whose_hook_breaks_out_is_back_at_the_start(stage, ear):
    worker = staged(stage, ear, Able())
    worker._tell = lambda *_: 1 / 0  # a defect of ours, beyond any guard
    worker.fails = {"load"}
    worker.trigger_configure()
    assert label(worker) == "unconfigured"
    assert "unload" in worker.notes


def test_an_error_of_ours_speaks_for_itself_and_another_gives_its_name():
    assert explain(ModelError("weights are absent")) == "weights are absent"
    assert explain(KeyError("x")) == "KeyError: 'x'"
