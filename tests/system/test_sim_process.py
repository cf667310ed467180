"""`mtor_sim` as its parent sees it: JSON lines, exit codes, and that it never outlives anybody."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from mtor_swarm.sim import compose, resources

BOUND_S = 60.0
PROGRAM = [sys.executable, "-m", "mtor_swarm.cli.engine"]
FIELD = resources.world_path("field")


class Process:
    """A running `mtor_sim` whose lines are read as they come."""

    def __init__(self, *words: str) -> None:
        self.process = subprocess.Popen(
            [*PROGRAM, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        )

    def line(self, kind: str, accept: Callable[[Any], bool] = lambda _: True) -> Any:
        """The next line of that kind that is accepted; the test's own timeout bounds it."""
        assert self.process.stdout is not None
        for raw in self.process.stdout:
            found = json.loads(raw)
            if found["kind"] == kind and accept(found):
                return found
        raise AssertionError(self.process.communicate()[1])

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        self.process.communicate(timeout=BOUND_S)
        return self.process.returncode


@pytest.fixture
def start() -> Iterator[Callable[..., Process]]:
    made: list[Process] = []

    def begin(*words: str) -> Process:
        made.append(Process(*words))
        return made[-1]

    yield begin
    for each in made:
        if each.process.poll() is None:
            each.process.kill()
        each.process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_tells_that_it_runs_and_ends_cleanly_on_a_signal(start: Any, number: int) -> None:
    sim = start("--world", "field", "--units", "2", "--truth", "--ray-camera")
    assert sim.line("ready") == {"kind": "ready", "units": ["r1", "r2"], "target": True}
    status = sim.line("status", lambda line: line["sim_s"] > 0 and line["camera"])
    assert status["truth"].keys() == {"r1", "r2"}
    assert len(status["truth"]["r1"]) == 5
    assert len(status["target"]) == 2
    assert status["rtf"] <= 1.1
    assert sim.end(number) == 0


def test_the_truth_is_told_only_when_asked_for(start: Any) -> None:
    sim = start("--world", "field", "--units", "amy,bob", "--no-target", "--ray-camera")
    assert sim.line("ready") == {"kind": "ready", "units": ["amy", "bob"], "target": False}
    assert not {"truth", "target"} & sim.line("status").keys()


def test_the_judge_speaks_once_three_units_stand_around_the_cat(
    start: Any, tmp_path: Path
) -> None:
    text = compose.compose(FIELD, ["a", "b", "c"], 1)
    world = tmp_path / "round.sdf"
    model, poses = 0, ["0 1.2", "1.04 -0.6", "-1.04 -0.6"]
    lines = []
    name = ""
    for line in text.splitlines():
        if "<model name=" in line:
            name = line.split('"')[1]
        if name in ("a", "b", "c", "cat") and line.startswith("      <pose>"):
            if name == "cat":
                line = "      <pose>1.5 1.5 0.5 0 0 0</pose>"  # noqa: PLW2901
            else:
                x, y = (float(each) + 1.5 for each in poses[model].split())
                line = f"      <pose>{x} {y} 0.07 0 0 0</pose>"  # noqa: PLW2901
                model += 1
            name = ""
        lines.append(line)
    world.write_text("\n".join(lines))
    verdict = start("--world", str(world), "--ray-camera").line("verdict")
    assert verdict["verdict"] == "done"
    assert verdict["reason"] == "a, b, c stand around the target"
    assert verdict["sim_s"] >= 3.0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--world", "nowhere.sdf"], "nowhere.sdf: there is no such world"),
        (["--world", "field", "--units", "0"], "1 to 200 units"),
        (["--world", "field", "--units", "cat"], "rename the unit"),
        (["--world", "field", "--camera-hz", "0"], "--camera-hz 0"),
        ([], "--world"),
    ],
)
def test_wrong_use_is_one_clear_line_and_exit_2(words: list[str], told: str) -> None:
    done = subprocess.run(
        [*PROGRAM, *words], capture_output=True, text=True, timeout=BOUND_S, check=False
    )
    assert done.returncode == 2
    assert told in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_a_world_with_no_units_says_what_to_do(tmp_path: Path) -> None:
    world = tmp_path / "bare.sdf"
    world.write_text('<sdf><world name="w"><model name="m"><link name="l"/></model></world></sdf>')
    done = subprocess.run(
        [*PROGRAM, "--world", str(world)],
        capture_output=True,
        text=True,
        timeout=BOUND_S,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "bare.sdf: has no units: give it models with a DiffDrive plugin" in done.stderr


def test_it_ends_when_nobody_reads_it(start: Any) -> None:
    sim = start("--world", "field", "--units", "1", "--ray-camera")
    sim.line("ready")
    sim.process.stdout.close()
    assert sim.process.wait(BOUND_S) == 0
    sim.process.stdout = None


def test_it_ends_with_its_parent() -> None:
    parent = textwrap.dedent(
        f"""
        import subprocess, sys, time
        sim = subprocess.Popen({[*PROGRAM, "--world", "field", "--units", "1", "--ray-camera"]!r},
                               stdout=sys.stdout)
        print(sim.pid, flush=True)
        time.sleep(600)
        """
    )
    process = subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    sim = psutil.Process(int(process.stdout.readline()))
    assert json.loads(process.stdout.readline())["kind"] == "ready"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    end = time.monotonic() + BOUND_S
    while sim.is_running() and sim.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < end
        process.stdout.readline()
    process.stdout.close()
