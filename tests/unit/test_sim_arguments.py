"""What `mtor sim` and `mtor_sim` refuse before anything is started: one line that says why."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mtor_swarm.cli.main import main


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--units", "0"], "--units 0: 1 to 24 units"),
        (["--base-port", "70000"], "--base-port 70000: 6 ports from 1 to 65535"),
        (["--base-port", "65531"], "--base-port 65531: 6 ports"),
        (["--base-port", "-5"], "--base-port -5"),
        (["--port", "99999"], "--port 99999"),
        (["--timeout", "nan"], "--timeout nan"),
        (["--mission", "nothing"], "mission `nothing` is not one shipped here"),
        (["--timeout", "-5"], "--timeout -5"),
        (["--kill", "r1@nan"], "--kill r1@nan: write UNIT@SECONDS"),
        (["--kill", "r9@3"], "--kill r9@3: no unit r9"),
        (["--json", "{here}"], "--json {here}: cannot be written: Is a directory"),
        (["--json", "{here}/no/out.json"], "cannot be written: No such file"),
        (["--keep", "{here}/file"], "no folder for this run: [Errno 17] File exists"),
        (["--keep", "{here}/file/in"], "'{here}/file/in'; choose one with --keep"),
    ],
)
def test_a_bad_argument_is_one_line(
    words: list[str], told: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    here = str(tmp_path)
    code = main(["sim", "--headless", *(word.replace("{here}", here) for word in words)])
    said = capfd.readouterr().err
    assert code == 2
    assert told.replace("{here}", here) in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--seed", "-1"], "--seed -1: 0 or above"),
        (["--camera-hz", "nan"], "--camera-hz nan: above 0"),
        (["--units", "99999999999"], "1 to 200 units are simulated"),
        (["--units", "amy,amy"], "two units have one name: amy, amy"),
        (["--units", ","], "two units have one name"),
        (["--units", "Amy"], "`Amy` cannot name a unit"),
    ],
)
def test_a_bad_argument_of_the_simulator_is_one_line(words: list[str], told: str) -> None:
    done = subprocess.run(  # it sets signal handlers, which this process shall not have
        [sys.executable, "-m", "mtor_swarm.cli.engine", "--world", "field", *words],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert told in done.stderr
    assert done.stderr.count("\n") == 1
