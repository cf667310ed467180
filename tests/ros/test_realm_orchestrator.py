"""The orchestrator over real lifecycle services and real liveliness."""

from __future__ import annotations

import json
import random
import time

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.event_handler import SubscriptionEventCallbacks
from std_msgs.msg import String

from mtor_swarm import events
from mtor_swarm.errors import ModelError
from mtor_swarm.events import Event, WorkerChanged
from mtor_swarm.realm import supervision_io as sv
from mtor_swarm.realm.bus import DIAGNOSTICS_QOS, EVENT_QOS, STATE_QOS, RealmBus, heartbeat_qos
from mtor_swarm.realm.orchestrator import Orchestrator
from mtor_swarm.realm.worker import Worker
from tests.ros.realm_stage import CONFIG, Stage


class Plain(Worker):
    """Loads unless told not to."""

    started: list[str] = []  # noqa: RUF012  # over all workers, in order

    def __init__(self, name: str, *, fails: int = 0) -> None:
        super().__init__(name=name, config=CONFIG)
        self.fails = fails

    def load(self) -> None:
        self.hear(String, "block", lambda _: time.sleep(3), EVENT_QOS)
        if self.fails:
            self.fails -= 1
            raise ModelError("no weights: run mtor models fetch")

    def start(self) -> None:
        self.started.append(self.get_name())


@pytest.fixture
def stage():
    Plain.started.clear()
    stage = Stage()
    yield stage
    stage.close()


def conduct(stage, *workers: str, config=CONFIG) -> Orchestrator:
    return stage.add(Orchestrator(config=config, workers=workers, rng=random.Random(1)))


def state(orchestrator, worker: str) -> str:
    return orchestrator.states()[worker][0]


def active(orchestrator, *workers: str) -> bool:
    return all(state(orchestrator, each) == "active" for each in workers)


def listen(stage) -> list[Event]:
    node = stage.add(rclpy.create_node("ear", namespace="/r1"))
    heard: list[Event] = []
    node.bus = RealmBus(node)
    node.bus.subscribe(("mtor.worker.changed",), heard.append)
    return heard


def test_workers_are_brought_up_in_order(stage):
    orchestrator = conduct(stage, "one", "two", "three")
    for each in ("three", "two", "one"):
        stage.add(Plain(each))
    stage.until(lambda: active(orchestrator, "one", "two", "three"))
    assert Plain.started == ["one", "two", "three"]
    assert not any(each.waiting for each in orchestrator._watches.values())


def test_each_change_is_told_to_the_realm_and_to_diagnostics(stage):
    heard = listen(stage)
    diagnoses: list[DiagnosticArray] = []
    stage.nodes[0].create_subscription(
        DiagnosticArray, "/diagnostics", diagnoses.append, DIAGNOSTICS_QOS
    )
    orchestrator = conduct(stage, "one", "late")
    stage.until(lambda: orchestrator._bus._publisher.get_subscription_count() == 2)
    stage.until(lambda: orchestrator._diagnostics.get_subscription_count() == 1)
    stage.add(Plain("one"))
    stage.until(lambda: active(orchestrator, "one"))
    stage.until(lambda: any(each.data["state"] == "active" for each in heard))
    assert heard[-1].source == "/r1/orchestrator"
    assert heard[-1].unit == "r1"
    stage.until(lambda: diagnoses and diagnoses[-1].status[0].level == DiagnosticStatus.OK)
    assert [each.name for each in diagnoses[-1].status] == ["r1: one", "r1: late"]
    assert diagnoses[-1].status[1].level == DiagnosticStatus.STALE
    orchestrator._feed(sv.WorkerRemoved("late"))
    stage.until(lambda: "removed" in {each.message for each in diagnoses[-1].status})
    assert [each.name for each in diagnoses[-1].status] == ["r1: one", "r1: late"]


def test_who_comes_late_learns_of_all_and_nothing_is_told_twice(stage):
    heard = listen(stage)
    orchestrator = conduct(stage, "one", "two")
    stage.until(lambda: orchestrator._bus._publisher.get_subscription_count() == 2)
    stage.add(Plain("one"))
    stage.add(Plain("two"))
    stage.until(lambda: active(orchestrator, "one", "two"))
    late: list[dict[str, str]] = []
    stage.nodes[0].create_subscription(
        String, "workers", lambda m: late.append(json.loads(m.data)), STATE_QOS
    )
    stage.until(lambda: late)
    assert late == [{"one": "active", "two": "active"}]
    assert all(each.data["state"] != each.data["was"] for each in heard)


def test_an_active_workers_own_word_counts_until_it_takes_it_back_or_begins_anew(stage):
    diagnoses: list[DiagnosticArray] = []
    orchestrator = conduct(stage, "one")
    stage.nodes[0].create_subscription(
        DiagnosticArray, "/diagnostics", diagnoses.append, DIAGNOSTICS_QOS
    )
    stage.until(lambda: orchestrator._diagnostics.get_subscription_count() == 1)
    worker = stage.add(Plain("one"))
    stage.until(lambda: active(orchestrator, "one"))
    stage.until(lambda: worker.bus._publisher.get_subscription_count() == 1)

    def shown(state: str, was: str, level: bytes) -> None:
        worker.say(WorkerChanged(worker="one", state=state, was=was, reason="the camera"))
        stage.until(
            lambda: (
                diagnoses
                and diagnoses[-1].status[0].level == level
                and diagnoses[-1].status[0].message in ("the camera", "active")
            )
        )

    shown("degraded", "active", DiagnosticStatus.WARN)
    worker.fault("a handler", ValueError("of no account"))
    shown("failed", "degraded", DiagnosticStatus.ERROR)
    shown("active", "failed", DiagnosticStatus.OK)


def test_one_that_fails_to_load_is_tried_again_and_holds_up_nobody(stage):
    heard = listen(stage)
    orchestrator = conduct(stage, "one", "two")
    stage.until(lambda: orchestrator._bus._publisher.get_subscription_count() == 2)
    stage.add(Plain("one", fails=3))
    stage.add(Plain("two"))
    stage.until(lambda: active(orchestrator, "one", "two"))
    assert Plain.started == ["two", "one"]
    told = [each.data["reason"] for each in heard if each.source == "/r1/orchestrator"]
    assert any("no weights: run mtor models fetch (next try in" in each for each in told)


def test_one_that_always_fails_is_quarantined_and_the_others_work(stage):
    limit = CONFIG.supervision.__class__(
        heartbeat_lease_s=1.0, restart_first_s=0.01, restart_most_s=0.02, failures_in_window=3
    )
    config = CONFIG.__class__(unit="r1", supervision=limit)
    orchestrator = conduct(stage, "one", "two", config=config)
    stage.add(Plain("one", fails=1_000_000))
    stage.add(Plain("two"))
    stage.until(lambda: state(orchestrator, "one") == "quarantined")
    stage.until(lambda: active(orchestrator, "two"))
    assert "no weights" in orchestrator.states()["one"][1]


def test_who_was_late_itself_does_not_call_others_silent(stage):
    heard = listen(stage)
    orchestrator = conduct(stage, "one")
    stage.until(lambda: orchestrator._bus._publisher.get_subscription_count() == 2)
    block = stage.nodes[0].create_publisher(String, "block", EVENT_QOS)
    lost: list[bool] = []
    stage.nodes[0].create_subscription(
        String,
        "one/heartbeat",
        lambda _: None,
        heartbeat_qos(1.0),
        event_callbacks=SubscriptionEventCallbacks(
            liveliness=lambda info: lost.append(info.alive_count == 0)
        ),
    )
    stage.add(Plain("one"))
    stage.until(lambda: active(orchestrator, "one") and block.get_subscription_count())
    stage.until(lambda: False in lost)
    block.publish(String(data=""))
    stage.until(lambda: True in lost)
    stage.until(lambda: lost[-1] is False and orchestrator._supervisor._records["one"].alive)
    assert "silent" not in {each.data["state"] for each in heard}
    assert active(orchestrator, "one")


def test_what_another_units_workers_do_is_no_concern_nor_is_nonsense(stage):
    orchestrator = conduct(stage, "one")
    stage.add(Plain("one"))
    stage.until(lambda: active(orchestrator, "one"))
    node = stage.add(rclpy.create_node("mouth", namespace="/r1"))
    mouth = RealmBus(node)
    stage.until(lambda: mouth._publisher.get_subscription_count() == 1)
    failed = WorkerChanged(worker="one", state="failed", was="active", reason="far away")
    mouth.publish(events.make(failed, source="/r2/one", wall_s=0.0, unit="r2"))
    mouth.publish(Event(id="n", source="/r1/one", type="mtor.worker.changed", time="", unit="r1"))
    done: list[Event] = []
    ear = RealmBus(stage.add(rclpy.create_node("ear2", namespace="/r1")))
    ear.subscribe(("mtor.unit.changed",), done.append)
    stage.until(lambda: mouth._publisher.get_subscription_count() == 2)
    mouth.publish(
        events.make(
            events.UnitChanged(doing="x", was=""), source="/r1/mouth", wall_s=0.0, unit="r1"
        )
    )
    stage.until(lambda: done)
    assert active(orchestrator, "one")
