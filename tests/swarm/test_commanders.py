"""In a swarm with keys the certificate of who issues a command decides, not a list."""

from __future__ import annotations

import time
import uuid
from pathlib import Path
from typing import Literal

import msgspec

from mtor_swarm.config import RealmConfig, SwarmConfig
from mtor_swarm.events import Command, CommandAcknowledged, command_type, make
from mtor_swarm.realm.commands import Draft, issue
from mtor_swarm.swarm import keyring
from mtor_swarm.swarm.identity import Identity, operator_signer
from mtor_swarm.swarm.observer import Observer

from .crew import SUCCESS, Crew
from .crowd import PATIENCE_S, wait_until


def order(
    signer: Identity, certificate: bytes | None = None, verb: Literal["hold", "worker"] = "hold"
) -> Command:
    if certificate is not None:
        signer.certificate = certificate
    return issue(Draft(verb=verb, units=["r1"]), signer, time.time(), uuid.uuid4().hex)


def answer(observer: Observer, command: Command) -> tuple[str, str]:
    name = command_type(command.verb)
    observer.publish(make(command, source="/test", wall_s=time.time(), type=name))

    def words() -> list[CommandAcknowledged]:
        acks = [
            msgspec.convert(each["data"], CommandAcknowledged)
            for each in observer.snapshot()["events"]
            if each["type"] == "mtor.command.acknowledged"
        ]
        return [each for each in acks if each.command == command.id]

    wait_until("a word on it", lambda: bool(words()))
    return words()[0].status, words()[0].reason


def test_units_with_keys_obey_operators_and_nobody_else(tmp_path: Path) -> None:
    keyring.new_swarm(tmp_path / "home")
    for name, role in [("r1", "unit"), ("ada", "operator"), ("eve", "viewer")]:
        keyring.issue(tmp_path / "home", name, role, tmp_path / name, time.time() + 9999)
    ada, eve = keyring.issuer(tmp_path / "ada"), keyring.issuer(tmp_path / "eve")
    observer = Observer(SwarmConfig(keys=str(tmp_path / "eve")))
    observer.start()
    try:
        with Crew(tmp_path / "state") as crew:
            crew.add("r1", seeds=[observer._driver.address], keys=str(tmp_path / "r1"))
            observer.wait_for_members(PATIENCE_S)
            for signer, shown, why in [
                (eve, None, "the role viewer may not command"),
                (eve, ada.certificate, "certificate of another"),
                (operator_signer(), None, "certificate missing"),
            ]:
                status, reason = answer(observer, order(signer, shown))
                assert (status, reason.rpartition(": ")[2]) == ("refused", why)
                time.sleep(0.3)  # refusals are answered at most every 0.2 s
            assert answer(observer, order(ada))[0] in ("accepted", "confirmed")
            status, reason = answer(observer, order(ada, verb="worker"))
            assert (status, reason.rpartition(": ")[2]) == ("refused", "it takes a sysop")
    finally:
        observer.stop()


def test_a_unit_with_a_wrong_folder_starts_once_that_is_put_right(tmp_path: Path) -> None:
    keyring.new_swarm(tmp_path / "home")
    for name in ("r1", "r2"):
        keyring.issue(tmp_path / "home", name, None, tmp_path / name, time.time() + 9999)
    right = (tmp_path / "r1/certificate").read_bytes()
    (tmp_path / "r1/certificate").write_bytes((tmp_path / "r2/certificate").read_bytes())
    config = RealmConfig(
        unit="r1",
        state_dir=str(tmp_path / "state"),
        swarm=SwarmConfig(keys=str(tmp_path / "r1")),
    )
    with Crew(tmp_path) as crew:
        gossip = crew.do(lambda: crew._made("r1", config)).gossip
        crew.through(gossip, "configure")
        assert crew.do(gossip.trigger_activate) != SUCCESS
        (tmp_path / "r1/certificate").write_bytes(right)
        crew.through(gossip, "activate")
