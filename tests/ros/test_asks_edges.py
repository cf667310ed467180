"""Asks over real ROS when somebody is late, silent, gone or talks nonsense."""

from __future__ import annotations

import threading

import pytest
from std_msgs.msg import UInt8MultiArray

from mtor_swarm.errors import AskError
from mtor_swarm.realm import ask_client, asks
from mtor_swarm.realm.ask_client import AskClient
from mtor_swarm.realm.ask_desk import AskDesk
from mtor_swarm.realm.ask_topics import askid_in, from_message, to_message
from mtor_swarm.realm.ask_wire import Answer, Ask, Cancel, Offer, Part, Status
from mtor_swarm.realm.bus import ASK_QOS, OFFER_QOS
from mtor_swarm.realm.capability import Capability
from tests.ros.asks_stage import Answerer, Realm, patient
from tests.ros.realm_stage import CONFIG, Stage


@pytest.fixture
def stage():
    stage = Stage()
    yield stage
    stage.close()


@pytest.fixture
def realm(monkeypatch):
    monkeypatch.setattr(asks, "START_S", 0.5)
    realm = Realm()
    yield realm
    realm.close()


def echo(ask, tell):
    return ask.payload


def topic(realm, name, qos=ASK_QOS):
    """A publisher that is heard by the one who listens there."""
    publisher = realm.node("somebody").create_publisher(UInt8MultiArray, name, qos)
    realm.until(lambda: publisher.get_subscription_count() > 0)
    return publisher


@pytest.mark.parametrize(
    "said",
    [
        Ask(askid="a" * 32, capability="see", payload=b"x" * 300, caller="c"),
        Cancel(askid="a" * 32),
        Part(askid="a" * 32, seq=3, payload=b"x"),
        Answer(askid="a" * 32, ok=True),
        Status(askid="a" * 32, state="queued"),
    ],
)
def test_the_id_of_an_ask_is_read_without_the_rest(said):
    assert askid_in(to_message(said)) == said.askid
    assert from_message(to_message(said)) == said
    assert askid_in(UInt8MultiArray(data=[255] * 40)) != said.askid
    assert askid_in(UInt8MultiArray()) == ""


def test_without_an_orchestrator_an_ask_ends_all_the_same(stage, monkeypatch):
    monkeypatch.setattr(ask_client, "GRACE_S", 0.1)
    node = stage.add(Answerer("caller", echo, ()))
    client = AskClient(node, "/r1/caller")
    answer = client.ask("echo", timeout_s=0.1).result(timeout=60.0)  # with nobody to turn the node
    assert "the orchestrator did not answer within 0.1 s" in answer.reason
    assert answer.retryable
    client.close()
    client.close()


def test_an_orchestrator_that_comes_late_hears_of_what_was_asked(stage, monkeypatch):
    monkeypatch.setattr(ask_client, "AGAIN_S", 0.05)
    worker = stage.add(Answerer("w", echo))
    worker.trigger_configure()
    worker.trigger_activate()
    client = AskClient(stage.add(Answerer("caller", echo, ())), "/r1/caller")
    asked = client.ask("echo", b"x")
    stage.until(lambda: client.counts["again"])
    desk = AskDesk(stage.add(Answerer("desk", echo, ())), CONFIG)
    desk.worker_active("w")
    stage.until(asked.done)
    assert asked.result().payload == b"x"
    assert client.counts["answered"] == 1
    client.close()


def test_what_is_cancelled_without_an_orchestrator_ends_and_is_not_asked_of_the_next(
    stage, monkeypatch
):
    monkeypatch.setattr(asks, "START_S", 0.1)
    client = AskClient(stage.add(Answerer("caller", echo, ())), "/r1/caller")
    asked = client.ask("echo", timeout_s=120.0)
    client.cancel(asked.askid, "enough")
    client.cancel(asked.askid)
    client.cancel("f" * 32)
    assert asked.result(timeout=60.0).reason == "enough"
    desk = AskDesk(stage.add(Answerer("desk", echo, ())), CONFIG)
    late = client.ask("echo", timeout_s=60.0)
    stage.until(late.done)
    assert "has nobody for" in late.result().reason
    assert desk.counts["asked"] == 1
    client.close()


def test_what_is_open_ends_with_its_client(stage):
    client = AskClient(stage.add(Answerer("caller", echo, ())), "/r1/caller")
    asked = client.ask("echo")
    client.close()
    assert asked.result().reason == "/r1/caller ended"
    with pytest.raises(AskError):
        client.ask("echo")


def test_what_one_client_has_open_is_bounded(stage, monkeypatch):
    monkeypatch.setattr(ask_client, "MAX_OPEN", 2)
    client = AskClient(stage.add(Answerer("caller", echo, ())), "/r1/caller")
    client.ask("echo")
    client.ask("echo")
    with pytest.raises(AskError, match="wait for answers"):
        client.ask("echo")
    client.close()
    with pytest.raises(AskError, match="has ended"):
        client.ask("echo")


def test_an_id_that_is_asked_already_is_refused(stage):
    client = AskClient(stage.add(Answerer("caller", echo, ())), "/r1/caller")
    ask = Ask(askid="a" * 32, capability="echo", payload=b"", caller="c")
    client.put(ask)
    with pytest.raises(AskError, match="is asked already"):
        client.put(ask)
    client.close()


def test_a_future_that_its_caller_cancelled_takes_no_answer(realm):
    began, end = threading.Event(), threading.Event()

    def wait(ask, tell):
        began.set()
        patient(end)
        return "late"

    realm.worker("w", wait)
    asked = realm.client.ask("echo")
    realm.until(began.is_set)
    assert asked.cancel()
    end.set()
    realm.until(lambda: realm.client.counts["answered"])
    assert asked.cancelled()


def test_junk_on_any_topic_is_counted_and_does_no_harm(realm):
    worker = realm.worker("w", echo)
    nonsense = UInt8MultiArray(data=[1, 2, 3])
    for name, qos in (("asks", ASK_QOS), ("worked", ASK_QOS), ("offers", OFFER_QOS)):
        publisher = topic(realm, name, qos)
        publisher.publish(nonsense)
        publisher.publish(to_message(Status(askid="a" * 32, state="queued")))
    offer = Offer(worker="../no name", capability="see")
    topic(realm, "offers", OFFER_QOS).publish(to_message(offer))
    topic(realm, "w/asks").publish(nonsense)
    realm.until(lambda: realm.desk.counts["junk"] == 7)
    realm.until(lambda: worker.counts["faults"] == 1)
    asked = realm.client.ask("echo", b"x")
    message = to_message(Answer(askid=asked.askid, ok=True))
    del message.data[-3:]
    topic(realm, "answers").publish(message)
    assert realm.answer(asked).payload == b"x"
    topic(realm, "w/asks").publish(to_message(Cancel(askid="f" * 32)))
    assert realm.answer(realm.client.ask("echo", b"y")).payload == b"y"


def test_a_worker_refuses_what_is_beyond_its_room_or_not_its_own(stage):
    end = threading.Event()

    def wait(ask, tell):
        patient(end)
        return "done"

    worker = stage.add(Answerer("w", wait, (Capability("echo", concurrency=1),)))
    desk = stage.add(Answerer("desk", echo, ()))
    heard = []
    desk.create_subscription(
        UInt8MultiArray, "worked", lambda m: heard.append(from_message(m)), ASK_QOS
    )
    line = desk.create_publisher(UInt8MultiArray, "w/asks", ASK_QOS)
    stage.until(lambda: line.get_subscription_count() and desk.count_publishers("worked"))

    def ask(number, capability="echo", turn=1, timeout_s=30.0):
        asked = Ask(
            askid=f"{number:032x}",
            capability=capability,
            payload=b"",
            caller="c",
            turn=turn,
            timeout_s=timeout_s,
        )
        line.publish(to_message(asked))

    ask(1)
    stage.until(lambda: len(heard) == 1)
    assert "not active" in heard[0].reason
    worker.trigger_configure()
    worker.trigger_activate()
    ask(2)
    ask(3)
    ask(4, "fly")
    ask(2, turn=7)
    stage.until(lambda: len(heard) == 3)
    assert [(each.reason, each.retryable) for each in heard[1:]] == [
        ("it has 1 asks already", True),
        ("it does not answer fly", True),
    ]
    assert heard[1].retry_s == pytest.approx(0.5)
    end.set()
    stage.until(lambda: len(heard) == 4)
    assert (heard[3].askid, heard[3].turn, heard[3].payload) == (f"{2:032x}", 7, b"done")
    ask(5, timeout_s=0.0)
    stage.until(lambda: len(heard) == 5)
    assert "its time was over" in heard[4].reason


def test_a_worker_that_ends_gives_all_back_and_leaves_no_thread(monkeypatch):
    monkeypatch.setattr(asks, "START_S", 0.5)
    before = set(threading.enumerate())
    realm = Realm()
    end = threading.Event()

    def wait(ask, tell):
        patient(end)
        return "late"

    realm.worker("w", wait, Capability("echo", concurrency=3))
    futures = [realm.client.ask("echo") for _ in range(3)]
    realm.until(lambda: realm.desk.measures()["handed"] == 3)
    realm.desk.worker_gone("w", "it was removed", forget=True)
    assert all("has nobody for 'echo'" in realm.answer(each).reason for each in futures)
    realm.close()
    end.set()
    for each in set(threading.enumerate()) - before:
        each.join(60.0)
    assert set(threading.enumerate()) <= before


def test_an_offer_that_changed_while_loading_counts(realm):
    class Later(Answerer):
        def load(self):
            self.capabilities = (Capability("later", concurrency=2),)

    worker = realm.add(Later("w", echo, ()))
    worker.trigger_configure()
    worker.trigger_activate()
    realm.desk.worker_active("w")
    assert realm.answer(realm.client.ask("later", b"x")).payload == b"x"


def test_a_desk_without_a_lender_says_that_it_has_nobody(realm):
    realm.desk.worker_active("ghost")
    realm.desk.worker_gone("ghost", "it never was", forget=True)
    realm.desk.worker_gone("ghost", "it never was", forget=True)
    topic(realm, "offers", OFFER_QOS).publish(
        to_message(Offer(worker="w", capability="see", concurrency=1))
    )
    assert "only: see" in realm.answer(realm.client.ask("fly")).reason


def test_the_death_of_an_orchestrator_costs_no_answer(stage):
    began, end = threading.Event(), threading.Event()

    def wait(ask, tell):
        began.set()
        patient(end)
        return "done"

    worker = stage.add(Answerer("w", wait))
    worker.trigger_configure()
    worker.trigger_activate()
    client = AskClient(stage.add(Answerer("caller", echo, ())), "/r1/caller")
    first = stage.add(Answerer("first", echo, ()))
    AskDesk(first, CONFIG).worker_active("w")
    asked = client.ask("echo", timeout_s=120.0)
    stage.until(began.is_set)
    stage.executor.remove_node(first)
    stage.nodes.remove(first)
    first.destroy_node()
    desk = AskDesk(stage.add(Answerer("second", echo, ())), CONFIG)
    desk.worker_active("w")
    stage.until(lambda: desk.measures()["handed"] == 1)
    end.set()
    stage.until(asked.done)
    assert asked.result().payload == b"done"
    client.close()
