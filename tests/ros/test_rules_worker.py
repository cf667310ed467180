"""The worker of rules, in a real realm, with a real worker that it asks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from std_msgs.msg import String

from mtor_swarm import events
from mtor_swarm.errors import ConfigError
from mtor_swarm.events import Event, MemberChanged, TargetSeen, UnitState
from mtor_swarm.realm.ask_wire import Answer
from mtor_swarm.realm.bus import ALL, EVENT_QOS, STATE_QOS, RealmBus
from mtor_swarm.realm.capability import Capability
from mtor_swarm.workers.rules import RulesWorker, rules_path, value_of
from tests.ros.asks_stage import Realm
from tests.ros.model_realm import SUCCESS, configured

RULES = """
rules:
  - name: greet
    on: mtor.target.seen
    then:
      - ask: describe
        with: {label: "${event.data.label}"}
        options: {brief: "${event.data.score}"}
        as: seen
      - if: seen.text.contains("cat")
        then:
          - speak: I see ${seen.text}
        else:
          - emit: odd.seen
            data: {text: "${seen.text}", units: "${state.units.map(u, u)}"}
            scope: swarm
      - announce: {kind: inspect, places: [["${event.data.x_m}", 2]]}
  - name: odd
    on: odd.seen
    then:
      - emit: odd.told
        data: {units: "${event.data.units}", by: "${event.unit}"}
  - name: low
    when: state.own.battery < 0.2
    for: 0.2
    then:
      - emit: battery.low
"""
SEEN = TargetSeen(label="cat", score=0.9, x_m=1.5, y_m=0, seen_from_x_m=0, seen_from_y_m=0)


class RulesRealm(Realm):
    """A worker with `RULES`, and who can describe and speak."""

    def __init__(self, file: Path, describe: Callable) -> None:
        config = configured("rules", "rules", file=str(file))
        super().__init__(config)
        self.said: list[str] = []
        self.events: list[Event] = []
        self.ear = self.node("ear")
        self.bus = RealmBus(self.ear)
        self.bus.subscribe((ALL,), self.events.append)
        self.worker("eye", describe, Capability("describe"))
        self.worker("voice", self._speak, Capability("speak"))
        self.rules = self.add(RulesWorker(name="rules", config=config))
        assert self.rules.trigger_configure() == SUCCESS
        assert self.rules.trigger_activate() == SUCCESS
        self.until(lambda: self.ear.count_subscribers("/r1/events") >= 2)

    def _speak(self, ask, tell) -> str:
        self.said.append(ask.payload.decode())
        return "done"

    def see(self) -> None:
        self.bus.publish(events.make(SEEN, source="/r1/eye", wall_s=0.0, unit="r1"))

    def of(self, type: str) -> list[Event]:
        return [each for each in self.events if each.type == type]

    def close(self) -> None:
        self.rules.close()
        super().close()


@pytest.fixture
def realm(tmp_path):
    file = tmp_path / "rules.yaml"
    file.write_text(RULES)
    answers = {"text": "a cat"}
    realm = RulesRealm(file, lambda ask, tell: dict(answers))
    realm.answers = answers
    yield realm
    realm.close()


def test_an_answer_feeds_what_is_said_and_what_fails_beside_it_is_told(realm):
    realm.see()
    realm.until(lambda: realm.said and realm.of("mtor.rule.failed"))
    assert realm.said == ["I see a cat"]
    (failed,) = realm.of("mtor.rule.failed")
    assert failed.data["where"].endswith("rules.yaml:17: rules[0].then[2].announce")
    assert "announce" in failed.data["reason"]
    assert realm.rules.measures()["fired"] == 1
    assert not realm.of("odd.seen")


def test_a_rule_hears_what_another_one_said_and_knows_the_neighbours(realm):
    realm.answers["text"] = "a dog"
    neighbours = realm.ear.create_publisher(String, "neighbours", EVENT_QOS)
    realm.until(neighbours.get_subscription_count)
    neighbours.publish(String(data="nonsense"))
    neighbours.publish(String(data=msgspec.json.encode(UnitState(unit="r2")).decode()))
    realm.until(lambda: "units" in realm.rules._rules.state)
    realm.see()
    realm.until(lambda: realm.of("odd.told"))
    (told,) = realm.of("odd.told")
    assert told.data == {"units": ["r2"], "by": "r1"}
    assert told.subject == "rules: greet > odd"
    assert realm.rules.counts["junk"] == 1
    for state in ("suspect", "dead"):
        changed = MemberChanged(member="m", unit="r2", state=state)
        realm.bus.publish(events.make(changed, source="/r1/gossip", wall_s=0.0))
    realm.until(lambda: not realm.rules._rules.state["units"])
    assert realm.rules._rules.state["members"] == {}


def test_a_state_that_lasts_wakes_its_rule_without_any_event(realm):
    own = realm.ear.create_publisher(String, "state", STATE_QOS)
    state = UnitState(unit="r1", battery=0.1)
    own.publish(String(data=msgspec.json.encode(state).decode()))
    realm.until(lambda: realm.of("battery.low"))
    (fired,) = realm.of("mtor.rule.fired")
    assert fired.data == {"rule": "low", "event": "", "of": "", "after": []}


def test_a_task_is_announced_under_an_id_of_its_own(realm):
    tasks: list[dict] = []

    def announce(ask, tell) -> dict:
        tasks.append(msgspec.json.decode(ask.payload))
        return {"task": tasks[-1]["id"]}

    realm.worker("gossip", announce, Capability("announce", lend=False))
    realm.see()
    realm.until(lambda: tasks and realm.said)
    assert tasks[0].pop("id")
    assert tasks == [{"kind": "inspect", "places": [[1.5, 2]]}]
    assert not realm.of("mtor.rule.failed")


def test_a_mistake_keeps_the_worker_from_loading_and_is_told(realm, tmp_path):
    file = tmp_path / "wrong.yaml"
    file.write_text("rules:\n  - name: a\n    on: x\n    then: [{spek: hello}]\n")
    wrong = realm.add(
        RulesWorker(name="rules", config=configured("rules", "rules", file=str(file)))
    )
    assert wrong.trigger_configure() != SUCCESS
    realm.until(lambda: realm.of("mtor.worker.changed"))
    assert (
        "wrong.yaml:4: rules[0].then[0].spek: unknown key"
        in (realm.of("mtor.worker.changed")[-1].data["reason"])
    )


def test_an_ask_that_cannot_be_sent_is_an_answer_of_its_own(realm):
    realm.rules._asks.close()
    realm.see()
    realm.until(lambda: realm.of("mtor.rule.failed"))
    assert "has ended" in realm.of("mtor.rule.failed")[0].data["reason"]


def test_rules_are_found_by_name_or_path():
    assert rules_path("./own.yaml") == Path("own.yaml")
    assert rules_path("greeting").is_file()
    with pytest.raises(ConfigError, match="'nowhere' are not shipped here"):
        rules_path("nowhere")


@pytest.mark.parametrize(
    ("kind", "raw", "value"),
    [
        ("application/json", b'{"a": 1}', {"a": 1}),
        ("application/json", b"{", {"kind": "application/json", "bytes": 1}),
        ("application/json", b"", {"kind": "application/json", "bytes": 0}),
        ("text/plain", b"hi", "hi"),
        ("text/plain", b"\xff", {"kind": "text/plain", "bytes": 1}),
        ("audio/wav", b"abc", {"kind": "audio/wav", "bytes": 3}),
    ],
)
def test_an_answer_is_json_or_text_or_a_count_of_bytes(kind, raw, value):
    assert value_of(Answer(askid="0" * 32, ok=True, payload=raw, kind=kind)) == value
