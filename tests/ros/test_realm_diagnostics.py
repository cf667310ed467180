"""What a worker has done is told on `/diagnostics`, and so to Prometheus."""

from __future__ import annotations

import socket
from urllib.request import urlopen

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from msgspec.structs import replace
from std_msgs.msg import String

from mtor_swarm.realm import diagnostics
from mtor_swarm.realm.bus import DIAGNOSTICS_QOS, EVENT_QOS
from mtor_swarm.realm.metrics_node import MetricsNode
from mtor_swarm.realm.worker import Worker
from tests.ros.realm_stage import CONFIG, Stage


class Counting(Worker):
    """Handles words; the empty one it cannot."""

    def load(self) -> None:
        self.hear(String, "words", self._on_word, EVENT_QOS)

    def _on_word(self, word: String) -> None:
        self.counts[word.data] += 1
        if not word.data:
            raise ValueError("an empty word")

    def measures(self) -> dict[str, float]:
        return {"depth": 7}


@pytest.fixture(name="stage")
def _stage(monkeypatch):
    monkeypatch.setattr(diagnostics, "TELL_EVERY_S", 0.01)
    stage = Stage()
    yield stage
    stage.close()


@pytest.fixture(name="told")
def _told(stage: Stage) -> list[DiagnosticStatus]:
    """All that was said on `/diagnostics`, the oldest first."""
    node = stage.add(Worker(name="ear", config=CONFIG))
    found: list[DiagnosticStatus] = []
    node.create_subscription(
        DiagnosticArray, "/diagnostics", lambda each: found.extend(each.status), DIAGNOSTICS_QOS
    )
    return found


def working(stage: Stage) -> Counting:
    worker = stage.add(Counting(name="counting", config=CONFIG))
    worker.trigger_configure()
    worker.trigger_activate()
    return worker


def values(told: list[DiagnosticStatus], name: str = "r1: counting work") -> dict[str, str]:
    """What it said last."""
    of = [each for each in told if each.name == name]
    return {pair.key: pair.value for pair in of[-1].values} if of else {}


def test_a_worker_tells_what_it_handled_and_what_it_measures(stage, told) -> None:
    worker = working(stage)
    mouth = worker.create_publisher(String, "words", EVENT_QOS)
    stage.until(lambda: values(told).get("handled") == "0")
    stage.until(lambda: mouth.publish(String(data="a")) or values(told).get("handled", "0") != "0")
    assert int(values(told)["a"]) >= 1
    assert float(values(told)["busy_s"]) > 0
    assert values(told)["depth"] == "7"


def test_faults_are_a_warning_until_there_are_no_new_ones(stage, told) -> None:
    worker = working(stage)
    mouth = worker.create_publisher(String, "words", EVENT_QOS)
    stage.until(lambda: mouth.publish(String()) or values(told).get("faults", "0") != "0")
    warned = [each for each in told if each.level == DiagnosticStatus.WARN]
    assert warned
    assert warned[0].message.endswith("more faults")
    stage.until(lambda: mouth.publish(String(data="a")) or told[-1].level == DiagnosticStatus.OK)


def test_who_does_nothing_says_nothing(stage, told) -> None:
    done, now = {"handled": 1}, iter(range(0, 1000, 10))
    node = stage.add(Worker(name="other", config=CONFIG))
    reporter = diagnostics.Reporter(node, "r1", "part", lambda: done, clock=lambda: next(now))
    stage.until(reporter._publisher.get_subscription_count)
    for _ in range(3):
        reporter.beat()
    done["handled"] = 2
    reporter.beat()
    stage.until(lambda: values(told, "r1: part") == {"handled": "2"})
    assert [each.name for each in told].count("r1: part") == 2


def test_prometheus_is_told_what_diagnostics_say(stage) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    stage.add(MetricsNode(config=replace(CONFIG, metrics_port=port)))
    working(stage)

    def shown() -> bool:
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
            return b'mtor_value{part="counting work",unit="r1",what="depth"} 7.0' in answer.read()

    stage.until(shown)


def test_a_port_that_is_taken_costs_the_metrics_and_not_the_robot(stage) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config = replace(CONFIG, metrics_port=taken.getsockname()[1])
        node = stage.add(MetricsNode(config=config))
    assert node.get_name() == "metrics"
