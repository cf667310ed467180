"""Facts about tasks between two realms: said on a topic of one, heard on that of the other."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from std_msgs.msg import String

from mtor_swarm.errors import AskError
from mtor_swarm.events import WorkerChanged, make
from mtor_swarm.realm.answering import Question
from mtor_swarm.realm.bus import EVENT_QOS
from mtor_swarm.swarm.tasks import task as t
from mtor_swarm.swarm.tasks.task import Report, Row, Task

from .crew import Crew, Unit
from .crowd import wait_until


def question(payload: bytes) -> Question:
    return Question(
        askid="1" * 32, capability="announce", payload=payload, caller="rules",
        cancelled=threading.Event(), deadline_s=math.inf,
    )  # fmt: skip


class Ends:
    """What stands for a unit's decision: it says facts and keeps what it hears."""

    def __init__(self, crew: Crew, unit: Unit) -> None:
        self.heard: dict[str, str | None] = {}
        node = unit.body
        crew.do(lambda: node.create_subscription(String, "tasks/heard", self._hear, EVENT_QOS))
        self._told = crew.do(lambda: node.create_publisher(String, "tasks/told", EVENT_QOS))

    def _hear(self, message: String) -> None:
        self.heard.update(json.loads(message.data))

    def say(self, key: str, fact: t.Fact | None) -> None:
        text = None if fact is None else t.encode(fact).decode()
        self._told.publish(String(data=json.dumps([[key, text]])))


@pytest.fixture
def crew(tmp_path: Path) -> Iterator[Crew]:
    with Crew(tmp_path) as crew:
        yield crew


def test_what_one_decision_says_of_tasks_the_others_hear(crew: Crew) -> None:
    r1, r2 = crew.add("r1"), crew.add("r2")
    one, other = Ends(crew, r1), Ends(crew, r2)
    wait_until("they know each other", lambda: crew.known(r1) and crew.known(r2))

    def told(key: str, fact: t.Fact | None, seen: Ends = other) -> None:
        def is_there() -> bool:
            one.say(key, fact)
            text = None if fact is None else t.encode(fact).decode()
            return key in seen.heard and seen.heard[key] == text

        wait_until(f"{key} is heard", is_there)

    told("task/x", Task(id="x", places=[(1.0, 2.0)]))
    told("row/r1", Row(number=1))
    told("work/x/r1", Report(state="done"))
    told("task/x", None)

    one.say("row/r9", Row(number=1))
    wait_until("an impostor is counted", lambda: r2.gossip.counts["impostors"])
    assert "row/r9" not in other.heard
    one._told.publish(String(data="junk"))
    wait_until("junk is counted", lambda: r1.gossip.counts["junk"])
    one._told.publish(String(data=json.dumps([["k" * 200, "1"]])))
    wait_until("what is too long is counted", lambda: r1.gossip.counts["unshared"])

    other.heard.clear()
    changed = WorkerChanged(worker="decision", state="active", was="inactive")
    r2.bus.publish(make(changed, source="/x", wall_s=0.0, unit="r2"))
    wait_until("a decision that begins is told all", lambda: "work/x/r1" in other.heard)


def test_a_rule_or_a_person_asks_the_realm_to_have_a_task_done(crew: Crew) -> None:
    r1, r2 = crew.add("r1"), crew.add("r2")
    other = Ends(crew, r2)
    wait_until("they know each other", lambda: crew.known(r1) and crew.known(r2))
    asked = question(t.encode(Task(id="x", places=[(1.0, 2.0)])))
    assert r1.gossip.answer(asked, lambda part: None) == {"task": "x"}
    wait_until("the other hears of it", lambda: "task/x" in other.heard)
    for wrong in (b"{", t.encode(Task(id="y", after=["ghost"]))):
        with pytest.raises(AskError, match="announce"):
            r1.gossip.answer(question(wrong), lambda part: None)
