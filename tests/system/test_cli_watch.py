"""`mtor units|events|say` as a person runs them, against units that are real."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mtor_swarm.cli import events_tail, say, units, watching
from mtor_swarm.realm.commands import Row
from tests.swarm.crew import SPEED_MPS, Crew
from tests.swarm.crowd import PATIENCE_S, wait_until


def start(*words: str, **environ: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "mtor_swarm.cli.main", *words],
        env={**os.environ, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(*words: str, **environ: str) -> tuple[int, str, str]:
    process = start(*words, **environ)
    out, err = process.communicate(timeout=PATIENCE_S)
    return process.returncode, out, err


@pytest.fixture
def crew(tmp_path: Path) -> Iterator[Crew]:
    with Crew(tmp_path) as crew:
        crew.add("r1")
        crew.add("r2")
        yield crew


@pytest.fixture
def seed(crew: Crew) -> tuple[str, str]:
    return "--seed", crew.units[0].address


def moving(crew: Crew) -> bool:
    return all(unit.speed > SPEED_MPS / 2 for unit in crew.units)


def test_all_units_hold_and_are_let_go(crew: Crew, seed: tuple[str, str]) -> None:
    code, out, err = run("say", "All units, hold!", *seed, "--timeout", "50")
    assert (code, err) == (0, "")
    assert out.count("confirmed") == 2
    assert "hold: 2 of 2 did it" in out
    assert all(unit.speed < 0.02 for unit in crew.units)
    code, out, err = run("say", "all units release", *seed, "--timeout", "50")
    assert (code, err) == (0, "")
    wait_until("they move again", lambda: moving(crew))


def test_who_does_not_answer_is_named(crew: Crew, seed: tuple[str, str]) -> None:
    r2 = crew.units[1]
    crew.through(r2.reflex, "deactivate", "cleanup")
    code, out, _ = run("say", "everyone stop", *seed, "--timeout", "6")
    assert code == 1
    assert "r2" in out.splitlines()[-1].partition("silent: ")[2]


def test_a_lost_unit_is_asked_too_and_named_as_lost(crew: Crew, seed: tuple[str, str]) -> None:
    words = [sys.executable, "-m", "tests.system.gateway_scene", "r9", seed[1], "2", "1"]
    r1 = crew.units[0]

    def heard(state: str) -> bool:
        told = [each.data for each in r1.heard("mtor.member.changed")]
        return {"unit": "r9", "state": state}.items() <= told[-1].items() if told else False

    with subprocess.Popen(words, stdin=subprocess.PIPE) as child:
        wait_until("r9 is there", lambda: heard("alive"))
        child.kill()
    wait_until("r9 is lost", lambda: heard("dead"))
    code, out, _ = run("say", "all units hold", *seed, "--timeout", "6")
    assert code == 1
    assert "the swarm believes it dead" in out
    assert out.splitlines()[-1].endswith("; lost: r9")


def test_a_stranger_is_refused_with_the_reason(
    crew: Crew, seed: tuple[str, str], tmp_path: Path
) -> None:
    state = str(tmp_path / "stranger")
    code, out, _ = run("say", "r1 hold", *seed, "--timeout", "50", XDG_STATE_HOME=state)
    assert code == 1
    assert "hold: 0 of 1 did it; refused: r1" in out
    assert "is not among this unit's operators" in out
    assert moving(crew)


def test_an_order_that_is_not_understood_is_one_line(seed: tuple[str, str]) -> None:
    for text, said in (
        ("r9 hold", '"r9" is no unit here; known are r1, r2'),
        ("make tea", '"make tea": not understood. Say for example'),
    ):
        code, out, err = run("say", text, *seed)
        assert (code, out) == (1, "")
        assert said in err
        assert len(err.splitlines()) == 1


def test_units_shows_who_is_there(seed: tuple[str, str]) -> None:
    code, out, _ = run("units", *seed, "--json")
    found = json.loads(out)
    assert code == 0
    assert {name: unit["member_state"] for name, unit in found.items()} == {
        "r1": "alive",
        "r2": "alive",
    }
    assert found["r2"]["state"]["pose"]["x_m"] == 1.0


def test_events_follow_what_happens_until_ctrl_c(crew: Crew, seed: tuple[str, str]) -> None:
    tail = start("events", *seed, "--json", "--type", "mtor.reflex")
    try:
        run("say", "r1 hold", *seed, "--timeout", "50")
        assert tail.stdout is not None
        for line in tail.stdout:
            event = json.loads(line)
            assert event["type"] == "mtor.reflex.changed"
            if event["data"]["latched"]:
                break
        for each in crew.units:
            crew.through(each.gossip, "deactivate")
        assert tail.stderr is not None
        assert "nobody answers any more" in tail.stderr.readline()
        tail.send_signal(signal.SIGINT)
        _, err = tail.communicate(timeout=PATIENCE_S)
        assert (tail.returncode, err) == (0, "")
    finally:
        tail.kill()
        tail.communicate()


def test_where_nobody_answers_one_line_says_what_to_do() -> None:
    commands = (["units"], ["events"], ["say", "all units hold"])
    running = [start(*each, "--seed", "tcp://127.0.0.1:1") for each in commands]
    for each in running:
        out, err = each.communicate(timeout=PATIENCE_S)
        assert (each.returncode, out) == (1, "")
        assert err.splitlines() == [
            "mtor: nobody answers at tcp://127.0.0.1:1: start a swarm with `mtor sim`, or name a "
            "member of yours with --seed tcp://HOST:PORT, and if it has keys your folder with "
            "--keys DIR"
        ]


def test_an_address_that_is_none_is_told() -> None:
    code, _, err = run("units", "--seed", "somewhere")
    assert code == 2
    assert "'somewhere' is no address: write tcp://HOST:PORT" in err


def unit(name: str, member: str, **other: object) -> dict[str, object]:
    return {
        "unit": name,
        "member_state": member,
        "state": None,
        "heard_s": None,
        "lost_at_s": None,
        "lost_x_m": None,
        "lost_y_m": None,
        **other,
    }


def test_the_table_marks_the_lost_the_held_and_the_ill(capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Console

    state = {
        "pose": {"x_m": 1.0, "y_m": -2.0, "yaw_rad": 1.5708},
        "speed_mps": 0.25,
        "doing": "searching",
        "battery": 0.5,
        "latched": True,
        "workers": {"reflex": "active", "perception": "failed"},
    }
    found = units.table(
        {
            "r10": unit("r10", "dead", lost_at_s=90.0, lost_x_m=1.0, lost_y_m=2.0),
            "r2": unit("r2", "left"),
            "r1": unit("r1", "alive", state=state, heard_s=97.0),
        },
        100.0,
    )
    Console(width=200).print(found)
    lines = capsys.readouterr().out.splitlines()
    assert [each.split()[0] for each in lines[1:]] == ["r1", "r2", "r10"]
    for word in ("searching", "1.00, -2.00 m, 90°", "0.25 m/s", "50%", "HELD", "3 s ago"):
        assert word in lines[1]
    assert "1 active, perception failed" in lines[1]
    assert "LOST earlier" in lines[2]
    assert "LOST 10 s ago at 1.0, 2.0" in lines[3]


def test_what_the_swarm_says_cannot_move_a_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    evil = "\x1b[2J\rr1\n"
    state = {"doing": evil, "workers": {evil: evil}}
    known = {evil: unit(evil, "alive", state=state)}
    row = Row(unit=evil, status="refused", reason=evil)
    for table in (units.table(known, 0.0), say.table([row])):
        watching.console().print(table)
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\r" not in out
    assert len(out.splitlines()) == 4


def test_the_verdict_names_everyone_who_did_not() -> None:
    known = {"r1": unit("r1", "alive"), "r2": unit("r2", "alive"), "r5": unit("r5", "dead")}
    rows = [
        Row(unit="r1", status="confirmed", fulfilled=True),
        Row(unit="r2", status="silent"),
        Row(unit="r3", status="refused"),
        Row(unit="r4", status="accepted"),
        Row(unit="r5", status="silent"),
    ]
    assert say.verdict("hold", rows, known) == (
        "hold: 1 of 5 did it; lost: r5; silent: r2; refused: r3; "
        "accepted, but not done in time: r4",
        1,
    )
    assert say.verdict("hold", rows[:1], known) == ("hold: 1 of 1 did it", 0)


@pytest.mark.parametrize("given", ["0", "-1", "nan", "inf", "soon"])
def test_a_time_that_is_none_is_told(given: str) -> None:
    code, _, err = run("say", "r1 hold", f"--timeout={given}")
    assert code == 2
    assert "give seconds" in err


def test_types_may_be_named_as_they_are_shown() -> None:
    tail = events_tail._Tail(["target", "mtor.reflex"])
    for number, name in enumerate(
        ("mtor.target.seen", "mtor.reflex.changed", "mtor.unit.changed")
    ):
        tail.hear("event", {"id": str(number), "type": name})
    assert tail._waiting.qsize() == 2
    assert events_tail.unknown(["target", "mtor.command", "reflx"]) == ["reflx"]


def test_an_event_is_one_line_whatever_is_in_it() -> None:
    event = {
        "time": "2026-01-02T03:04:05.678Z",
        "type": "mtor.target.seen",
        "unit": "r1",
        "data": {"x_m": 1.23456, "label": "a\x1b[2Jb\n", "units": ["r1", "r2"], "reason": ""},
    }
    text = events_tail.line(event)
    assert text.startswith("03:04:05.678 r1     target.seen")
    assert text.endswith('x_m 1.23, label a?[2Jb?, units r1 r2, reason ""')
    assert len(events_tail.line({**event, "data": {"x": "y" * 999}})) == events_tail.MAX_LINE
