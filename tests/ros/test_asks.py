"""Asks over real ROS: callers, the desk, and workers that answer on threads of their own."""

from __future__ import annotations

import sys
import threading

import pytest
from msgspec.structs import replace

from mtor_swarm.config import AsksConfig
from mtor_swarm.errors import AskError
from mtor_swarm.realm import asks
from mtor_swarm.realm.ask_wire import MAX_PAYLOAD_BYTES, Answer, Status
from mtor_swarm.realm.capability import Capability
from tests.ros.asks_stage import Realm, patient
from tests.ros.realm_stage import CONFIG


@pytest.fixture
def realm(monkeypatch):
    monkeypatch.setattr(asks, "START_S", 0.5)
    realm = Realm()
    yield realm
    realm.close()


def echo(ask, tell):
    return ask.payload


@pytest.mark.parametrize(
    ("reply", "payload", "kind"),
    [
        (b"raw", b"raw", "application/octet-stream"),
        ("a word", b"a word", "text/plain"),
        ({"cat": 1}, b'{"cat":1}', "application/json"),
        ([1, 2], b"[1,2]", "application/json"),
        (("image/jpeg", b"..."), b"...", "image/jpeg"),
        (Answer(askid="0" * 32, ok=True, payload=b"own", kind="x/y"), b"own", "x/y"),
    ],
)
def test_a_worker_may_reply_in_many_ways(realm, reply, payload, kind):
    realm.worker("w", lambda ask, tell: reply)
    answer = realm.answer(realm.client.ask("echo"))
    assert (answer.ok, answer.payload, answer.kind) == (True, payload, kind)
    assert answer.worker == "w"
    assert [each.what for each in answer.steps][-3:] == ["running", "worked", "answered"]


def test_a_reply_of_the_wrong_type_is_a_failure_that_says_so(realm):
    worker = realm.worker("w", lambda ask, tell: None)
    answer = realm.answer(realm.client.ask("echo"))
    assert not answer.ok
    assert "no NoneType" in answer.reason
    assert worker.counts["faults"] == 1


def test_a_worker_that_raises_fails_one_ask_which_another_answers(realm):
    def broken(ask, tell):
        raise RuntimeError("out of memory")

    worker = realm.worker("broken", broken)
    assert "out of memory" in realm.answer(realm.client.ask("echo")).reason
    realm.worker("whole", echo)
    for _ in range(4):
        answer = realm.answer(realm.client.ask("echo", b"x"))
        assert (answer.ok, answer.worker) == (True, "whole")
    assert worker.counts["faults"] > 1


@pytest.mark.parametrize(
    ("end", "why"),
    [
        (lambda: sys.exit(3), "SystemExit: 3"),
        (lambda: Answer(askid="0" * 32, ok=True, payload=object()), "TypeError"),
        (lambda: Answer(askid="0" * 32, ok=True, steps=None), "TypeError"),
        (lambda: Answer(askid="0" * 32, ok=False, reason="\udcff"), "surrogates"),
    ],
)
def test_however_an_answer_goes_wrong_its_caller_hears_and_the_next_is_answered(realm, end, why):
    def once(ask, tell):
        return end() if ask.payload == b"end" else "fine"

    realm.worker("w", once, Capability("echo", concurrency=1))
    for _ in range(2):
        failed = realm.answer(realm.client.ask("echo", b"end"))
        assert not failed.ok
        assert why in failed.reason
    assert realm.answer(realm.client.ask("echo")).payload == b"fine"


def test_a_bad_question_is_told_to_its_caller_and_is_no_fault(realm):
    def picky(ask, tell):
        raise AskError("not a picture: send a JPEG")

    workers = [realm.worker(name, picky) for name in ("one", "two")]
    answer = realm.answer(realm.client.ask("echo"))
    assert answer.reason == "not a picture: send a JPEG"
    assert not answer.retryable
    assert sum(each.counts["failed_answers"] for each in workers) == 1
    assert sum(each.counts["faults"] for each in workers) == 0


def test_parts_and_status_come_in_order_to_who_listens(realm):
    def spell(ask, tell):
        for letter in ask.payload.decode():
            tell(letter)
        return ask.payload

    realm.worker("w", spell, Capability("spell"))
    parts, heard = [], []
    asked = realm.client.ask("spell", b"cat", on_part=parts.append, on_status=heard.append)
    assert realm.answer(asked).payload == b"cat"
    assert [(each.seq, each.payload) for each in parts] == [(0, b"c"), (1, b"a"), (2, b"t")]
    assert heard[-1].state == "running"
    assert realm.answer(realm.client.ask("spell", b"cat")).ok
    assert len(parts) == 3


def test_callbacks_that_raise_cost_nobody_the_answer(realm):
    def ring(ask, tell):
        tell("ring")
        return "rung"

    def broken(said):
        raise ValueError("mine")

    realm.worker("w", ring)
    asked = realm.client.ask("echo", on_part=broken, on_status=broken)
    assert realm.answer(asked).ok
    assert realm.client.counts["faults"] >= 2


def test_a_thousand_short_asks_do_not_wait_for_a_slow_one():
    realm = Realm(replace(CONFIG, asks=AsksConfig(waiting_each=1024)))
    done = threading.Event()

    def answer(ask, tell):
        if ask.payload == b"slow":
            patient(done)
        return ask.payload

    realm.worker("one", answer, Capability("echo", concurrency=2))
    realm.worker("two", answer, Capability("other"))
    slow = realm.client.ask("echo", b"slow", timeout_s=120.0)
    short = [realm.client.ask(("echo", "other")[n % 2], b"short") for n in range(1000)]
    realm.until(lambda: all(each.done() for each in short))
    assert all(each.result().ok for each in short)
    assert not slow.done()
    done.set()
    assert realm.answer(slow).payload == b"slow"
    realm.close()


def test_a_handler_sees_that_it_is_cancelled_and_its_worker_is_free_again(realm):
    began, saw = threading.Event(), threading.Event()

    def wait(ask, tell):
        if ask.payload == b"quick":
            return "done"
        began.set()
        assert ask.cancelled.wait(60.0)
        saw.set()
        tell("nobody listens")
        raise AssertionError("tell raises, once nobody wants to hear")

    realm.worker("w", wait)
    asked = realm.client.ask("echo")
    realm.until(began.is_set)
    realm.client.cancel(asked.askid)
    assert realm.answer(asked).reason == "cancelled"
    assert realm.answer(realm.client.ask("echo", b"quick")).ok
    assert saw.is_set()
    realm.client.cancel(asked.askid)
    realm.client.cancel("f" * 32)
    realm.until(lambda: realm.desk.counts["cancels of nothing"] == 2)


def test_a_worker_that_is_stopped_gives_its_asks_back(realm):
    began, end = threading.Event(), threading.Event()

    def wait(ask, tell):
        began.set()
        patient(end)
        return "late"

    first = realm.worker("first", wait)
    asked = realm.client.ask("echo", b"x", timeout_s=100.0)
    realm.until(began.is_set)
    realm.worker("second", echo)
    first.trigger_deactivate()
    realm.desk.worker_gone("first", "it was stopped")
    answer = realm.answer(asked)
    assert (answer.ok, answer.worker) == (True, "second")
    end.set()


def test_a_worker_can_be_swapped_without_losing_an_ask(realm):
    began, end, drained = threading.Event(), threading.Event(), []

    def wait(ask, tell):
        began.set()
        patient(end)
        return "old"

    realm.worker("old", wait)
    asked = realm.client.ask("echo")
    realm.until(began.is_set)
    realm.desk.drain("old", lambda: drained.append(True))
    waits = realm.client.ask("echo", b"x")
    realm.worker("new", echo)
    assert realm.answer(waits).worker == "new"
    assert not drained
    end.set()
    assert realm.answer(asked).payload == b"old"
    realm.until(lambda: drained)


def test_an_ask_beyond_its_size_is_refused_where_it_is_asked(realm):
    with pytest.raises(AskError, match="send a smaller"):
        realm.client.ask("echo", b"x" * (MAX_PAYLOAD_BYTES + 64 * 1024))
    with pytest.raises(AskError):
        realm.client.ask("echo", b"x" * (MAX_PAYLOAD_BYTES + 1))
    with pytest.raises(AskError):
        realm.client.ask("")
    realm.worker("w", echo)
    assert len(realm.answer(realm.client.ask("echo", b"x" * MAX_PAYLOAD_BYTES)).payload) == (
        MAX_PAYLOAD_BYTES
    )


def test_an_answer_beyond_its_size_is_a_failure_that_says_so(realm):
    realm.worker("w", lambda ask, tell: b"x" * (MAX_PAYLOAD_BYTES + 1))
    answer = realm.answer(realm.client.ask("echo"))
    assert not answer.ok
    assert str(MAX_PAYLOAD_BYTES) in answer.reason


def test_what_nobody_can_and_what_is_past_its_time_is_refused_at_once(realm):
    realm.worker("w", echo)
    assert realm.answer(realm.client.ask("echo")).ok
    assert "nobody for 'fly', only: echo" in realm.answer(realm.client.ask("fly")).reason
    assert "no time is left" in realm.answer(realm.client.ask("echo", timeout_s=0.0)).reason


def test_what_a_peer_takes_is_borrowed_and_called_back(realm):
    lent, called = [], []

    def lend(ask, tell):
        if ask.capability == "fly":
            return False
        lent.append((ask, tell))
        tell(Status(askid=ask.askid, state="borrowed", worker="r3"))
        return True

    realm.desk.borrower, realm.desk.unborrow = lend, called.append
    heard = []
    asked = realm.client.ask("see", on_status=heard.append)
    realm.until(lambda: lent)
    ask, tell = lent[0]
    assert ask.hops == 1
    answer = Answer(askid=ask.askid, ok=True, payload=b"a cat", worker="r3")
    threading.Thread(target=tell, args=(answer,)).start()
    assert realm.answer(asked).payload == b"a cat"
    assert heard[-1].worker == "r3"
    assert "nobody for 'fly'" in realm.answer(realm.client.ask("fly")).reason
    asked = realm.client.ask("see")
    realm.until(lambda: len(lent) == 2)
    realm.client.cancel(asked.askid)
    realm.answer(asked)
    assert [each.askid for each in called] == [asked.askid]


def test_the_desk_knows_what_may_be_lent_and_how_long_it_would_take(realm):
    realm.worker("w", echo, Capability("echo"), Capability("secret", lend=False))
    assert realm.answer(realm.client.ask("echo")).ok
    assert realm.desk.expected_wait_s("echo") == 0.0
    assert realm.desk.expected_wait_s("fly") is None
    assert realm.desk.offers() == {"echo": 0.0}
    assert realm.desk.measures()["asks answered"] == 1


def test_how_workers_fare_is_told_for_their_health(realm):
    fared = []
    realm.desk.on_worked = fared.append
    realm.worker("w", echo)
    assert realm.answer(realm.client.ask("echo")).ok
    assert [(each.worker, each.capability, each.outcome) for each in fared] == [
        ("w", "echo", "answered")
    ]
