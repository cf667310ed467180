"""Two hosts on one wire: it is cut, both sides go on, it heals. No loopback, and so with keys."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mtor_swarm.swarm import keyring
from tests.swarm.crowd import Crowd, Process, wait_until
from tests.swarm.rooms import Room, lacking, wire

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(bool(lacking()), reason=f"lacking: {lacking()}"),
]
A_DAY_S = 86_400.0


def keyed(folder: Path, crowd: Crowd, room: Room, unit: str, bind: str, *seeds: str) -> Process:
    """A member with keys that listens there."""
    keys = folder / f"{unit}-keys"
    keyring.issue(folder / "home", unit, None, keys, time.time() + A_DAY_S)
    return crowd.add(
        unit,
        within=room.within,
        state_dir=str(folder / unit),
        swarm={"keys": str(keys), "bind": f"tcp://{bind}", "seeds": list(seeds)},
    )


def test_a_parted_swarm_goes_on_and_heals(tmp_path: Path) -> None:
    keyring.new_swarm(tmp_path / "home")
    with Room() as here, Room() as there, Crowd() as crowd:
        ip, other_ip = wire(here, there)
        first = keyed(tmp_path, crowd, here, "h0", f"{ip}:7000")
        near = [first, keyed(tmp_path, crowd, here, "h1", f"{ip}:7001", first.address)]
        far = [
            keyed(tmp_path, crowd, there, f"t{i}", f"{other_ip}:700{i}", first.address)
            for i in range(2)
        ]
        for each in near + far:
            each.wait_states({o.unit: "alive" for o in near + far if o is not each})
        for room in (here, there):
            room.lose(1.0, "wire")
        for side, lost in ((near, far), (far, near)):
            for each in side:
                each.wait_states({o.unit: "dead" for o in lost})
        near[0].write()
        far[0].write()
        wait_until("each side's event there", lambda: bool(near[1].numbers("h0")))
        assert far[1].numbers("h0") == []
        for room in (here, there):
            room.lose(0.0)
        for each in near + far:
            each.wait_states({o.unit: "alive" for o in near + far if o is not each})
        wait_until(
            "the other side's event",
            lambda: all(
                each.numbers(origin.unit) == [1]
                for origin in (near[0], far[0])
                for each in near + far
                if each is not origin
            ),
        )


def test_a_person_sees_the_swarm_from_another_host(tmp_path: Path) -> None:
    keyring.new_swarm(tmp_path / "home")
    ada = tmp_path / "ada"
    keyring.issue(tmp_path / "home", "ada", "viewer", ada, time.time() + A_DAY_S)
    with Room() as here, Room() as there, Crowd() as crowd:
        ip, _ = wire(here, there)
        robot = keyed(tmp_path, crowd, here, "h0", f"{ip}:7000")
        mtor = [*there.within, sys.executable, "-m", "mtor_swarm.cli.main", "units", "--json"]
        seeds = ["--seed", "tcp://127.0.0.1:7000", "--seed", robot.address]
        seen = subprocess.run([*mtor, "--keys", ada, *seeds], capture_output=True, check=True)
        assert [*json.loads(seen.stdout)] == ["h0"]
