"""Workers that crash, hang, raise, leak and flood, in real processes under a real core."""

from __future__ import annotations

import os
import signal

import pytest

from mtor_swarm.config import WorkerConfig
from tests.realm_faults.realm import Realm


@pytest.fixture(scope="module")
def realm(tmp_path_factory):
    realm = Realm(tmp_path_factory.mktemp("faults"))
    yield realm
    realm.close()


def test_a_worker_is_added_asked_and_removed_while_the_realm_runs(realm):
    realm.add("one", "echo")
    assert realm.answer(b"hello").payload == b"hello by one"
    realm.until(lambda: realm.capabilities)
    assert realm.capabilities[-1]["available"]
    realm.acknowledged(realm.command("remove", "one"), "done")
    realm.until(lambda: realm.state("one") == "removed")
    realm.until(lambda: not realm.capabilities[-1]["available"])
    assert realm.capabilities[-1]["workers"] == []


def test_one_that_finishes_its_asks_to_be_removed_is_added_anew_only_then(realm):
    realm.add("leaver", "echo")
    told: list[str] = []
    held = realm.ask(b"hold", on_status=lambda status: told.append(status.state))
    realm.until(lambda: "running" in told)
    order = realm.command("remove", "leaver")
    realm.acknowledged(order, "accepted")
    again = realm.command("add", "leaver", WorkerConfig(kind="echo"))
    assert "to be removed just now" in realm.acknowledged(again, "refused")
    realm.cancel(held)
    realm.acknowledged(order, "done")
    realm.add("leaver", "echo")
    assert realm.answer(b"hello").payload == b"hello by leaver"
    realm.acknowledged(realm.command("remove", "leaver"), "done")


def test_one_that_crashes_is_named_and_works_again(realm):
    realm.add("crasher", "echo")
    realm.tell("crasher", "crash")
    realm.again("crasher", "crash")
    assert "killed by SIGSEGV" in realm.reasons("crasher")
    assert realm.answer(b"again").ok
    realm.acknowledged(realm.command("remove", "crasher"), "done")


def test_an_ask_outlives_the_crash_of_who_works_on_it(realm):
    realm.add("left", "echo")
    realm.add("right", "echo")
    asks = [realm.ask(b"slow %d" % n) for n in range(8)]
    realm.until(lambda: realm.state("left") == "active")
    os.kill(realm.pid("left"), signal.SIGKILL)
    realm.until(lambda: all(each.done() for each in asks))
    assert all(each.result().ok for each in asks)
    for each in ("left", "right"):
        realm.acknowledged(realm.command("remove", each), "done")


def test_one_that_is_stopped_hangs_is_ended_and_works_again(realm):
    realm.add("still", "echo")
    realm.tell("still", "stand_still")
    realm.again("still", "hang")
    assert "no heartbeat" in realm.reasons("still")
    realm.acknowledged(realm.command("remove", "still"), "done")


def test_one_whose_handler_blocks_for_ever_shows_where_and_works_again(realm):
    realm.add("blocker", "echo")
    realm.tell("blocker", "block")
    realm.again("blocker", "hang")
    assert "in sleep_for_ever" in realm.printed()
    realm.acknowledged(realm.command("remove", "blocker"), "done")


def test_one_that_leaks_is_ended_with_the_amount_and_works_again(realm):
    realm.add("leaker", "echo", memory_mib=250)
    realm.tell("leaker", "leak")
    realm.again("leaker", "memory")
    assert "MiB of memory; 250 are allowed" in realm.reasons("leaker")
    realm.acknowledged(realm.command("remove", "leaker"), "done")


def test_one_that_floods_the_realm_is_ended_and_works_again(realm):
    realm.add("flooder", "echo")
    realm.tell("flooder", "flood")
    realm.again("flooder", "flood")
    realm.acknowledged(realm.command("remove", "flooder"), "done")


def test_a_handler_that_raises_is_told_and_the_worker_goes_on(realm):
    realm.add("raiser", "echo")
    realm.tell("raiser", "raise")
    realm.until(lambda: any("this handler is broken" in str(e.data) for e in realm.said))
    assert realm.state("raiser") == "active"
    assert realm.answer(b"still here").ok
    realm.acknowledged(realm.command("remove", "raiser"), "done")


@pytest.mark.parametrize("what", [b"raise", b"wrong type"])
def test_an_answer_that_is_none_is_refused_and_one_that_gives_no_other_begins_anew(realm, what):
    name = f"poor{len(what)}"
    realm.add(name, "echo")
    answers = [realm.ask(what, timeout_s=20.0) for _ in range(8)]
    realm.until(lambda: all(each.done() for each in answers))
    assert not any(each.result().ok for each in answers)
    realm.again(name, "errors")
    assert realm.answer(b"well").ok
    realm.acknowledged(realm.command("remove", name), "done")
