"""Events between nodes over real ROS."""

from __future__ import annotations

import pytest
import rclpy
from rclpy.qos import LivelinessPolicy
from std_msgs.msg import String

from mtor_swarm import events
from mtor_swarm.events import Event, UnitChanged
from mtor_swarm.realm import bus
from mtor_swarm.realm.bus import ALL, EVENT_QOS, MAX_OWN, RealmBus, heartbeat_qos
from tests.ros.realm_stage import Stage

CHANGED = "mtor.unit.changed"


@pytest.fixture
def stage():
    stage = Stage()
    yield stage
    stage.close()


def lean(stage, name):
    node = rclpy.create_node(
        name, namespace="/r1", enable_rosout=False, start_parameter_services=False
    )
    return stage.add(node)


def event(doing="searching") -> Event:
    return events.make(UnitChanged(doing=doing, was=""), source="/r1/x", wall_s=0.0, unit="r1")


@pytest.fixture
def pair(stage):
    """Two buses that are connected both ways, and what the second heard."""
    one, two = RealmBus(lean(stage, "one")), RealmBus(lean(stage, "two"))
    heard: list[Event] = []
    two.subscribe((CHANGED,), heard.append)
    node = stage.nodes[0]
    stage.until(lambda: node.count_subscribers("events") == 1)
    stage.until(lambda: one._publisher.get_subscription_count() == 1)
    return one, two, heard


def test_an_event_arrives_as_it_was_sent(stage, pair):
    one, _, heard = pair
    sent = event()
    one.publish(sent)
    stage.until(lambda: heard)
    assert heard == [sent]


def test_only_the_types_asked_for_are_heard_until_they_are_no_longer(stage, pair):
    one, two, heard = pair
    everything: list[Event] = []
    two.subscribe((ALL,), everything.append)
    end = two.subscribe((CHANGED, "mtor.new.thing"), heard.append)
    end()
    end()
    one.publish(Event(id="1", source="/r1/x", type="mtor.new.thing", time=""))
    one.publish(event())
    stage.until(lambda: len(everything) == 2)
    assert [each.type for each in heard] == [CHANGED]


def test_a_bus_does_not_hear_its_own_events(stage, pair):
    one, two, heard = pair
    own: list[Event] = []
    one.subscribe((ALL,), own.append)
    stage.until(lambda: two._publisher.get_subscription_count() == 2)
    stage.until(lambda: one._publisher.get_subscription_count() == 2)
    one.publish(event("mine"))
    two.publish(event("theirs"))
    stage.until(lambda: own and heard)
    stage.until(lambda: not one._own and not two._own)
    assert [each.data["doing"] for each in own] == ["theirs"]
    assert [each.data["doing"] for each in heard] == ["mine"]


def test_own_events_that_never_come_back_are_forgotten_in_time(stage):
    alone = RealmBus(lean(stage, "alone"))
    alone.publish(event())
    assert not alone._own, "it hears nothing, its own events neither"
    alone.subscribe((ALL,), lambda _: None)
    for _ in range(MAX_OWN + 10):
        alone.publish(event())
    assert len(alone._own) == MAX_OWN
    assert alone.counts["published"] == MAX_OWN + 11


def test_junk_is_counted_and_harms_nobody(stage, pair):
    one, two, heard = pair
    raw = stage.nodes[0].create_publisher(String, "events", EVENT_QOS)
    stage.until(lambda: raw.get_subscription_count() == 1)
    for junk in ("", "{", "[1]", '{"id": 3}', "x" * 70_000, '{"id":"a","type":"b"}'):
        raw.publish(String(data=junk))
    stage.until(lambda: two.counts["junk"] == 6)
    one.publish(event())
    stage.until(lambda: heard)


def test_a_callback_that_raises_is_told_and_the_others_still_hear(stage, pair):
    one, _, heard = pair
    faults: list[tuple[str, Exception]] = []
    third = RealmBus(lean(stage, "third"), on_fault=lambda *fault: faults.append(fault))

    def fail(_: Event) -> None:
        raise ValueError("no")

    after: list[Event] = []
    third.subscribe((CHANGED,), fail)
    third.subscribe((CHANGED,), after.append)
    stage.until(lambda: one._publisher.get_subscription_count() == 2)
    one.publish(event())
    stage.until(lambda: heard and after)
    assert faults[0][0] == f"event {CHANGED}"
    assert third.counts["faults"] == 1


def test_a_fault_that_nobody_asked_for_is_logged(stage, pair):
    one, two, _ = pair
    two.subscribe((CHANGED,), lambda _: 1 / 0)
    one.publish(event())
    stage.until(lambda: two.counts["faults"])


def test_publishing_what_cannot_be_sent_is_counted_and_does_not_raise(stage):
    alone = RealmBus(lean(stage, "alone"))
    alone.publish(event("x" * 70_000))
    stage.nodes[0].destroy_publisher(alone._publisher)
    alone.publish(event())
    assert alone.counts == {"unsent": 2}


def test_qualities_of_service_say_their_purpose():
    assert bus.SENSOR_QOS.reliability == bus.ReliabilityPolicy.BEST_EFFORT
    assert bus.STATE_QOS.durability == bus.DurabilityPolicy.TRANSIENT_LOCAL
    assert bus.CONTROL_QOS.depth == 1
    quality = heartbeat_qos(1.5)
    assert quality.liveliness == LivelinessPolicy.MANUAL_BY_TOPIC
    assert quality.liveliness_lease_duration.nanoseconds == 1_500_000_000
