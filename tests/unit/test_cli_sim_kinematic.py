"""`mtor sim --engine kinematic`: what it prints, writes and refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mtor_swarm.cli.main import main

SIM = ["sim", "--engine", "kinematic", "--headless"]


def test_a_run_ends_with_the_verdict_and_a_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    file = tmp_path / "out.json"
    words = ["--until", "mission.done", "--seed", "2", "--kill", "random@5", "--partition", "4@6"]
    assert main([*SIM, *words, "--json", str(file)]) == 0
    said = capsys.readouterr().out
    assert "stand around the target" in said
    assert "kill -9 r" in said
    assert "hear each other again" in said
    report = json.loads(file.read_bytes())
    assert (report["verdict"], report["exit"], len(report["lost"])) == ("done", 0, 1)
    assert "mtor.target.seen" in {each["type"] for each in report["events"]}


def test_a_mission_that_is_not_done_in_time_ends_with_1(
    capsys: pytest.CaptureFixture[str],
):
    assert main([*SIM, "--until", "mission.done", "--timeout", "2"]) == 1
    assert "timeout: the mission was not done within 2 s" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([*SIM, "--units", "0"], "--units 0: 1 to 200"),
        ([*SIM, "--kill", "r3"], "--kill r3: write UNIT@SECONDS, as r3@10"),
        ([*SIM, "--kill", "r9@1"], "--kill r9@1: no unit r9"),
        ([*SIM, "--partition", "20"], "--partition 20: write SECONDS@SECONDS"),
        ([*SIM, "--partition", "x@20"], "--partition x@20: write"),
        ([*SIM, "--partition", "20@nan"], "--partition 20@nan: write"),
        ([*SIM, "--mission", "nothing"], "mission `nothing` is not one shipped here"),
        ([*SIM, "--no-target"], "there is no cat in this world"),
        (SIM[:-1], "--engine kinematic has no viewer to show: add --headless"),
        (["sim", "--headless", "--partition", "20@30"], "only with --engine kinematic"),
    ],
)
def test_wrong_use_is_one_line(words: list[str], told: str, capsys: pytest.CaptureFixture[str]):
    assert main(words) == 2
    said = capsys.readouterr().err
    assert told in said
    assert said.count("\n") == 1
