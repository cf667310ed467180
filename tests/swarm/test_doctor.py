"""`mtor doctor` asks real members what they refused."""

from __future__ import annotations

import json
import time

import pytest

from mtor_swarm.cli import doctor, watching
from mtor_swarm.cli.main import main
from mtor_swarm.swarm import keyring
from tests.swarm.crowd import Crowd, wait_until

pytestmark = pytest.mark.timeout(180)


def test_the_doctor_tells_of_each_unit_what_it_refused(capsys) -> None:
    zmq = pytest.importorskip("zmq")
    with Crowd() as crowd:
        members = crowd.grow(2)
        with zmq.Context() as context, context.socket(zmq.DEALER) as rude:
            rude.linger = 1000
            rude.connect(members[1].address)
            rude.send(b"\xc1")

            def counted() -> bool:
                members[1].write("counters")
                return any("garbage" in e for e in members[1].said)

            wait_until("garbage counted", counted)
        assert main(["doctor", "--json", "--seed", members[0].address]) == 1
        told = json.loads(capsys.readouterr().out)
        assert told["u1"]["garbage"] >= 1
        assert "garbage" not in told["u0"]
        assert main(["doctor", "--seed", members[0].address]) == 1
        assert "no frame of ours" in capsys.readouterr().out


def test_where_nobody_answers_it_still_tells_of_this_machine(capsys) -> None:
    assert main(["doctor", "--seed", "tcp://127.0.0.1:1"]) == 1
    out, err = capsys.readouterr()
    assert out.lstrip().startswith("this machine")
    assert "nobody answers at tcp://127.0.0.1:1" in err
    assert "if it has keys your folder with --keys" in err


def test_who_has_keys_is_asked_whether_they_are_that_swarms(tmp_path, capsys) -> None:
    keyring.new_swarm(tmp_path / "home")
    keys = str(tmp_path / "ada")
    keyring.issue(tmp_path / "home", "ada", "viewer", keys, time.time() + 1000)
    assert main(["doctor", "--seed", "tcp://127.0.0.1:1", "--keys", keys]) == 1
    assert f"is {keys} of that swarm and not revoked?" in capsys.readouterr().err


def test_the_table_shows_what_points_at_harm_first() -> None:
    told = {f"r{number}": {"duplicates": number} for number in (10, 2, 3, 4)}
    told["r2"]["forged"] = 1
    numbers, names, units = ([*column.cells] for column in doctor.table(told).columns[:3])
    assert numbers == ["1", "19"]
    assert [str(each) for each in names] == ["forged", "duplicates"]
    assert units == ["r2 1", "r10 10, r4 4, r3 3, 1 more"]
    assert doctor.verdict(told) == "4 of 4 units answered; look into: forged"
    quiet = {"r1": {}, "r2": {"silent": 1}}
    assert doctor.verdict(quiet) == "1 of 2 units answered; nothing points at harm"


def test_what_members_say_of_themselves_cannot_move_a_cursor(capsys) -> None:
    evil = "\x1b[2J\rr1\n"
    watching.console().print(doctor.table({evil: {evil: 1}}))
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\r" not in out
    assert len(out.splitlines()) == 2
