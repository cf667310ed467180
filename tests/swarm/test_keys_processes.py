"""A swarm with keys: who is let in, who is put out, and how keys change, with real processes."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from mtor_swarm.config import SwarmConfig
from mtor_swarm.swarm import keyring
from mtor_swarm.swarm.gossip.membership import MemberInfo
from mtor_swarm.swarm.identity import Identity
from mtor_swarm.swarm.observer import Observer
from tests.swarm.crowd import Crowd, Process, wait_until

pytestmark = pytest.mark.timeout(300)
LATER = time.time() + 10_000


class Keyed:
    """A swarm's key at home, and a crowd that runs with what it issues."""

    def __init__(self, folder: Path, crowd: Crowd) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.crowd = crowd
        self.seeds: list[str] = []
        keyring.new_swarm(self.home)

    def issue(self, unit: str, role=None, home: Path | None = None) -> Path:
        place = self.folder / f"{unit}-keys"
        keyring.issue(home or self.home, unit, role, place, LATER)
        return place

    def run(self, unit: str, keys: Path | None = None, **swarm) -> Process:
        keys = keys or self.issue(unit)
        made = self.crowd.add(
            unit,
            state_dir=str(self.folder / unit),
            swarm={"keys": str(keys), "seeds": self.seeds, **swarm},
        )
        self.seeds = self.seeds or [made.address]
        return made


@pytest.fixture
def keyed(tmp_path):
    with Crowd() as crowd:
        yield Keyed(tmp_path, crowd)


def counted(member: Process, what: str) -> None:
    def seen() -> bool:
        member.write("counters")
        return any(e["kind"] == "counters" and what in e for e in member.said)

    wait_until(f"{what} counted", seen)


def meet(*members: Process) -> None:
    for each in members:
        each.wait_states({other.unit: "alive" for other in members if other is not each})


@pytest.mark.parametrize("datagrams", [True, False])
def test_the_certified_meet_and_hear_each_other(keyed, datagrams) -> None:
    members = [keyed.run(f"r{i}", datagrams=datagrams) for i in range(4)]
    meet(*members)
    members[1].write()
    for each in (members[0], members[2], members[3]):
        wait_until("heard", lambda each=each: each.numbers("r1") == [1])


def test_strangers_are_refused_each_under_its_own_name(keyed, tmp_path) -> None:
    r0, r1 = keyed.run("r0"), keyed.run("r1")
    meet(r0, r1)
    keyring.new_swarm(tmp_path / "far")
    own = keyring.swarm_key(keyed.home)
    far = keyed.issue("far", home=tmp_path / "far")
    key = keyring.swarm_key(far)
    mixed = keyring.SwarmKey(key.authority, own.public, own.secret)
    (far / "swarm.key").write_bytes(keyring.encode(mixed))
    keyed.run("far", keys=far)
    counted(r0, "certificate forged")
    keyed.crowd.add("plain", swarm={"seeds": keyed.seeds})
    counted(r0, "handshakes refused")
    assert set(r0.states()) == {"r1"}


def test_a_wrong_unit_or_role_is_refused_before_anything_is_sent(keyed) -> None:
    keys = keyed.issue("r1")
    wrong = keyed.crowd.add("r2", state_dir=str(keyed.folder / "x"), swarm={"keys": str(keys)})
    wrong.child.wait(60)
    with pytest.raises(keyring.IdentityError, match="is for the unit r1, and this is the unit r2"):
        keyring.carried(keys, Identity.load(keys / "identity.key"), "unit", "r2", time.time())


def test_a_revoked_member_is_put_out_of_a_running_swarm(keyed) -> None:
    members = r0, r1, thief = [keyed.run(f"r{i}") for i in range(3)]
    meet(*members)
    keyring.revoke(keyed.home, "r2", time.time())
    keyring.hand_on(keyed.home, keyed.folder / "r1-keys")
    for each in (r0, r1):
        each.wait_states({"r2": "dead"})
    counted(r0, "certificate revoked")
    thief.write()
    r1.write()
    wait_until("the rest go on", lambda: r0.numbers("r1") == [1])
    assert r0.numbers("r2") == []
    assert len(keyring.read(keyed.folder / "r0-keys").revoked) == 1
    late = keyed.run("r3")
    meet(r0, r1, late)
    assert "r2" not in late.states()
    wait_until("told", lambda: len(keyring.read(keyed.folder / "r3-keys").revoked) == 1)


def test_a_new_link_key_and_certificate_are_used_without_a_restart(keyed) -> None:
    members = r0, r1, r2 = [keyed.run(f"r{i}") for i in range(3)]
    meet(*members)
    keyring.issue(keyed.home, "r1", None, keyed.folder / "r1-keys", LATER)
    r1.wait("renewed", lambda said: any("is new" in e.get("line", "") for e in said))
    r1.write()
    r0.write()
    for each in (r0, r2):
        wait_until("heard anew", lambda each=each: each.numbers("r1") == [1])
    wait_until("hears", lambda: r1.numbers("r0") == [1])
    assert "dead" not in {e["state"] for e in r0.said if e["kind"] == "member"}


def test_an_observer_is_let_in_by_its_owners_folder(keyed) -> None:
    meet(keyed.run("r0"), keyed.run("r1"))
    config = SwarmConfig(keys=str(keyed.issue("ada", "viewer")), seeds=keyed.seeds)
    eyes = [Observer(config), Observer(config)]
    try:
        for each in eyes:
            each.start()
        for each in eyes:
            each.wait_for_members(60, count=3)
            assert each.ask("r0", "reverse", b"abc", 60).result() == b"cba"
    finally:
        for each in eyes:
            each.stop()


def test_who_is_revoked_takes_nobody_along_whose_address_it_gave_for_its_own(keyed) -> None:
    r0, r1 = keyed.run("r0"), keyed.run("r1")
    meet(r0, r1)
    keyed.run("r2", advertise=r1.address)
    r0.wait("r2 is there", lambda said: any(e.get("unit") == "r2" for e in said))
    keyring.revoke(keyed.home, "r2", time.time())
    keyring.hand_on(keyed.home, keyed.folder / "r0-keys")
    wait_until("told", lambda: len(keyring.read(keyed.folder / "r1-keys").revoked) == 1)
    r0.write()
    r1.write()
    wait_until("heard", lambda: r1.numbers("r0") == [1] and r0.numbers("r1") == [1])


def test_a_unit_is_asked_and_not_who_watches_with_its_keys() -> None:
    driver = Observer(SwarmConfig())._driver
    for who, role, state in [("1", "observer", "alive"), ("2", "unit", "suspect")]:
        driver._members[who] = MemberInfo(
            id=who,
            unit="r1",
            role=role,
            address="tcp://127.0.0.1:1",
            boot=1,
            incarnation=1,
            state=state,
            started_s=0.0,
        )
    assert driver._resolve("r1") == "2"
