"""Realms that ask each other: real asks on ROS inside a unit, real ZeroMQ between the units."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from mtor_swarm.config import SwarmConfig
from mtor_swarm.errors import SwarmError
from mtor_swarm.realm import ask_wire
from mtor_swarm.realm.ask_wire import BETWEEN_REALMS, Answer, Ask, Part, Status
from mtor_swarm.realm.capability import Capability
from mtor_swarm.swarm import keyring
from mtor_swarm.swarm.driver import SwarmDriver
from mtor_swarm.swarm.observer import Observer
from mtor_swarm.workers import lending

from .crew import Crew
from .crowd import PATIENCE_S, wait_until
from .lenders import answer, backwards, knows, realm


@pytest.fixture
def crew(tmp_path: Path) -> Iterator[Crew]:
    with Crew(tmp_path) as crew:
        yield crew


def test_what_a_realm_lacks_a_peer_answers(crew: Crew) -> None:
    r1 = realm(crew, "r1")
    realm(crew, "r2", backwards)
    knows(r1, "r2")
    told: list[Status] = []
    found = answer(r1.ask(b"abc", on_status=told.append))
    assert (found.ok, found.payload, found.worker) == (True, b"cba", "r2/helper")
    assert [(each.state, each.worker) for each in told][-1] == ("borrowed", "r2")
    assert {"r2/helper"} <= {each.who for each in found.steps}
    lacking = answer(r1.ask(capability="sing"))
    assert not lacking.ok
    assert "sing" in lacking.reason


def test_parts_come_from_a_peer_in_order(crew: Crew) -> None:
    def spell(ask: Any, tell: Callable[[bytes], None]) -> bytes:
        for each in ask.payload:
            tell(bytes([each]))
        return b"end"

    r1 = realm(crew, "r1")
    realm(crew, "r2", spell)
    knows(r1, "r2")
    parts: list[Part] = []
    assert answer(r1.ask(b"word", on_part=parts.append)).payload == b"end"
    assert [each.payload for each in parts] == [b"w", b"o", b"r", b"d"]


def test_who_cancels_stops_the_peers_worker(crew: Crew) -> None:
    began, stopped = threading.Event(), threading.Event()

    def brood(ask: Any, tell: Callable[[bytes], None]) -> bytes:
        began.set()
        if ask.cancelled.wait(PATIENCE_S):
            stopped.set()
        return b""

    r1 = realm(crew, "r1")
    realm(crew, "r2", brood)
    knows(r1, "r2")
    asking = r1.ask()
    assert began.wait(PATIENCE_S)
    r1.client.cancel(asking.askid)
    assert not answer(asking).ok
    assert stopped.wait(PATIENCE_S)


def test_a_lender_that_leaves_costs_a_retry_and_not_an_answer(crew: Crew) -> None:
    began, ended = threading.Event(), threading.Event()

    def brood(ask: Any, tell: Callable[[bytes], None]) -> bytes:
        began.set()
        ended.wait(PATIENCE_S)
        return b""

    r1 = realm(crew, "r1")
    r2 = realm(crew, "r2", brood)
    knows(r1, "r2")
    asking = r1.ask(b"abc")
    assert began.wait(PATIENCE_S)
    realm(crew, "r3", backwards)
    knows(r1, "r2", "r3")
    crew.through(r2.unit.gossip, "deactivate")
    found = answer(asking)
    ended.set()
    assert (found.ok, found.payload, found.worker) == (True, b"cba", "r3/helper")
    assert "retried" in {each.what for each in found.steps}


def test_what_a_realm_has_no_time_for_goes_to_a_peer_and_the_rest_stays(crew: Crew) -> None:
    held = threading.Event()

    def slow(ask: Any, tell: Callable[[bytes], None]) -> bytes:
        held.wait(PATIENCE_S)
        return backwards(ask, tell)

    r1 = realm(crew, "r1", slow, Capability("echo", lend=False))
    realm(crew, "r2", backwards)
    knows(r1, "r2")
    asks = [r1.ask(b"abc") for _ in range(12)]
    wait_until("a peer answers some", lambda: sum(each.done() for each in asks) >= 4)
    held.set()
    found = [answer(each) for each in asks]
    assert {each.payload for each in found} == {b"cba"}
    assert {each.worker for each in found} == {"helper", "r2/helper"}


@pytest.mark.parametrize("lent", [lending.MAX_LENT, 16])
def test_more_asks_than_a_peer_takes_at_a_time_wait_and_are_all_answered(
    crew: Crew, monkeypatch: pytest.MonkeyPatch, lent: int
) -> None:
    monkeypatch.setattr(lending, "MAX_LENT", lent)
    r1 = realm(crew, "r1")
    realm(crew, "r2", backwards)
    knows(r1, "r2")
    picture = bytes(range(256)) * (ask_wire.MAX_PAYLOAD_BYTES // 256)
    asks = [r1.ask(b"%d" % number) for number in range(250)]
    assert answer(r1.ask(picture)).payload == picture[::-1]
    for number, each in enumerate(asks):
        assert answer(each).payload == (b"%d" % number)[::-1]


def test_what_is_not_lent_is_neither_told_of_nor_answered(crew: Crew) -> None:
    r1 = realm(crew, "r1")
    realm(crew, "r2", backwards, Capability("echo", lend=False))
    driver = r1.unit.gossip._driver
    assert driver is not None
    refused = asked_by(driver, "r2")
    assert (refused.ok, "does not lend" in refused.reason) == (False, True)
    assert r1.lenders() == set()


def test_who_is_asked_by_a_realm_asks_no_third(crew: Crew) -> None:
    r1 = realm(crew, "r1")
    r2 = realm(crew, "r2")
    realm(crew, "r3", backwards)
    knows(r2, "r3")
    driver = r1.unit.gossip._driver
    assert driver is not None
    assert "does not lend" in asked_by(driver, "r2").reason  # though it could borrow it itself


def test_who_knows_the_id_of_anothers_ask_neither_hears_its_answer_nor_ends_it(crew: Crew) -> None:
    let_go = threading.Event()

    def reply(ask: Any, tell: Callable[[bytes], None]) -> bytes:
        if ask.payload == b"secret":
            let_go.wait(PATIENCE_S)
        return backwards(ask, tell)

    r2 = realm(crew, "r2", reply)
    own = r2.ask(b"secret")

    def ask(name: str, payload: bytes) -> Future[bytes]:
        other = realm(crew, name)
        knows(other, "r2")
        driver = other.unit.gossip._driver
        assert driver is not None
        asked = Ask(askid=own.askid, capability="echo", payload=payload, caller="me")
        return driver.ask("r2", BETWEEN_REALMS, ask_wire.encode(asked), PATIENCE_S)

    found = ask_wire.decode(ask("r1", b"abc").result(PATIENCE_S))
    assert isinstance(found, Answer)
    assert (found.askid, found.payload) == (own.askid, b"cba")
    second = ask("r3", b"secret")
    wait_until("both secrets run", lambda: r2.desk.measures()["handed"] == 2)
    second.cancel()
    wait_until("one is cancelled", lambda: r2.desk.counts["cancelled"] == 1)
    let_go.set()
    assert answer(own).payload == b"terces"


def asked_by(who: Observer | SwarmDriver, unit: str) -> Answer:
    ask = Ask(askid="1" * 32, capability="echo", payload=b"abc", caller="me")
    raw = who.ask(unit, BETWEEN_REALMS, ask_wire.encode(ask), PATIENCE_S).result(PATIENCE_S)
    found = ask_wire.decode(raw)
    assert isinstance(found, Answer)
    return found


def test_a_person_asks_a_unit_for_what_it_can_do_or_borrow(crew: Crew) -> None:
    r1 = realm(crew, "r1")
    r2 = realm(crew, "r2", backwards, Capability("echo", lend=False))
    realm(crew, "r3", backwards)
    knows(r1, "r3")
    observer = Observer(SwarmConfig(seeds=[r2.unit.address]))
    observer.start()
    try:
        observer.wait_for_members(PATIENCE_S, 3)
        assert asked_by(observer, "r2").worker == "helper"
        assert asked_by(observer, "r1").worker == "r3/helper"
        for junk in (b"junk", ask_wire.encode(ask_wire.Cancel(askid="1" * 32))):
            with pytest.raises(SwarmError, match="ask"):
                observer.ask("r1", BETWEEN_REALMS, junk, PATIENCE_S).result(PATIENCE_S)
    finally:
        observer.stop()


def test_with_keys_only_who_commands_may_ask(crew: Crew, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keyring.new_swarm(keys)
    for name, role in (("r1", "unit"), ("r2", "unit"), ("eve", "viewer"), ("ada", "operator")):
        keyring.issue(keys, name, role, tmp_path / "of" / name, 1e11)
    r1 = realm(crew, "r1", backwards, keys=str(tmp_path / "of" / "r1"))
    r2 = realm(crew, "r2", keys=str(tmp_path / "of" / "r2"))
    knows(r2, "r1")
    assert answer(r2.ask(b"abc")).payload == b"cba"
    for name in ("eve", "ada"):
        config = SwarmConfig(seeds=[r1.unit.address], keys=str(tmp_path / "of" / name))
        observer = Observer(config)
        observer.start()
        try:
            observer.wait_for_members(PATIENCE_S, 2)
            if name == "ada":
                assert asked_by(observer, "r1").payload == b"cba"
            else:
                with pytest.raises(SwarmError, match="as viewer may not ask"):
                    asked_by(observer, "r1")
        finally:
            observer.stop()
