"""Workers that cannot be brought up, or taken down, and how one replaces another."""

from __future__ import annotations

import re

import psutil
import pytest

from mtor_swarm.config import WorkerConfig
from mtor_swarm.realm.worker import Worker
from tests.realm_faults.realm import Realm


@pytest.fixture(scope="module")
def realm(tmp_path_factory):
    realm = Realm(
        tmp_path_factory.mktemp("loads"),
        broken=WorkerConfig(kind="broken"),
        strange=WorkerConfig(kind="no_such_kind"),
        clinging=WorkerConfig(kind="clinging"),
    )
    yield realm
    realm.close()


def test_one_that_cannot_be_loaded_is_quarantined_readmitted_and_works_once_it_is_mended(realm):
    realm.until(lambda: realm.state("broken") == "quarantined")
    assert realm.faults("broken") == {"load"}
    assert "the file of the model is truncated" in realm.reasons("broken")
    assert "4 failures in 60 s" in realm.reasons("broken")
    (realm.folder / "state" / "mended").touch()
    realm.up("broken")


def test_one_of_a_kind_that_is_not_there_says_which_there_are_and_holds_up_nobody(realm):
    realm.until(lambda: "no kind no_such_kind" in realm.reasons("strange"))
    realm.until(lambda: re.search("there are .*broken, clinging", realm.reasons("strange")))
    realm.up("clinging", "decision", "gossip", "reflex")
    realm.acknowledged(realm.command("remove", "strange"), "done")


def test_one_that_cannot_be_unloaded_is_removed_all_the_same(realm):
    realm.up("clinging")
    realm.acknowledged(realm.command("remove", "clinging"), "done")
    realm.until(lambda: realm.state("clinging") == "removed")
    realm.until(lambda: "it will not go" in realm.printed())
    realm.until(lambda: "[r1.clinging] ended" in realm.printed())


@pytest.mark.parametrize(
    ("do", "worker", "why"),
    [
        ("add", "broken", "there is a worker broken already"),
        ("add", "reflex", "the core's own"),
        ("remove", "nobody", "there is no worker nobody"),
        ("restart", "decision", "restart the unit"),
    ],
)
def test_a_change_that_cannot_be_is_refused_with_why(realm, do, worker, why):
    config = WorkerConfig(kind="echo") if do == "add" else None
    assert why in realm.acknowledged(realm.command(do, worker, config), "refused")


def test_a_restart_by_command_is_a_new_process_and_no_failure(realm):
    realm.add("fresh", "echo")
    before = realm.pid("fresh")
    realm.acknowledged(realm.command("restart", "fresh"), "done")
    assert realm.pid("fresh") != before
    assert realm.faults("fresh") == set()
    realm.acknowledged(realm.command("remove", "fresh"), "done")


def test_one_is_replaced_while_it_is_asked_and_no_ask_is_lost(realm):
    realm.add("old", "echo")
    asks = [realm.ask(b"slow %d" % n) for n in range(6)]
    order = realm.command("replace", "old", WorkerConfig(kind="echo", nice=5))
    while not any(
        e.data.get("command") == order for e in realm.said if e.data.get("status") == "done"
    ):
        asks.append(realm.ask(b"slow"))
        realm.until(asks[-1].done)
    assert realm.answer(b"who").payload == b"who by old_2"
    realm.until(lambda: all(each.done() for each in asks))
    assert [each.result().reason for each in asks if not each.result().ok] == []
    realm.until(lambda: realm.state("old") == "removed")
    realm.acknowledged(realm.command("remove", "old"), "done")


def test_a_replacement_that_cannot_be_loaded_leaves_the_old_one_at_work(realm):
    realm.add("steady", "echo")
    order = realm.command("replace", "steady", WorkerConfig(kind="no_such_kind"))
    assert "no kind no_such_kind" in realm.acknowledged(order, "refused")
    (realm.folder / "state" / "mended").unlink(missing_ok=True)
    order = realm.command("replace", "steady", WorkerConfig(kind="broken"))
    reason = realm.acknowledged(order, "refused")
    assert "truncated" in reason
    assert "steady goes on" in reason
    assert realm.answer(b"who").payload == b"who by steady"
    realm.acknowledged(realm.command("remove", "steady"), "done")


def test_a_name_that_two_have_is_told(realm):
    realm.add("one", "echo")

    class Other(Worker):
        pass

    twin = realm.stage.add(Other(name="one", config=realm.config))
    realm.until(lambda: "twice" in realm.faults("one"))
    assert "another node has its name" in realm.reasons("one")
    realm.stage.executor.remove_node(twin)
    realm.stage.nodes.remove(twin)
    twin.destroy_node()
    realm.up("one")


def test_what_was_added_is_still_there_when_the_core_died_and_came_back(realm):
    realm.add("lasting", "echo")
    before = realm.pid("lasting")
    psutil.Process(realm.pid("core")).kill()
    realm.until(lambda: realm.printed().count("is in the swarm") > 1)
    realm.until(lambda: realm.answer(b"you?").ok)
    assert realm.pid("lasting") == before
