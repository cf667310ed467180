"""The main job as a user runs it: real processes, real ROS, real gossip, a real detector."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

BOUND_S = 400
"""For a whole run on a busy machine; it returns as soon as it is over."""


class Run:
    """One `mtor sim`, with a base port of its own."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.folder = folder
        self.base = free_ports(12)
        self.out = folder / "out.json"
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "mtor_swarm.cli.main", "sim", "--headless"),
                *("--base-port", str(self.base), "--json", str(self.out)),
                *("--keep", str(folder / "run"), *words),
            ],
            stdout=(folder / "stdout").open("wb"),
            stderr=subprocess.STDOUT,
            env={**os.environ, "XDG_STATE_HOME": str(folder / "home")},
        )

    def text(self) -> str:
        return (self.folder / "stdout").read_text()

    def wait(self) -> int:
        return self.process.wait(BOUND_S)

    def report(self) -> Any:
        return json.loads(self.out.read_text())

    def until(self, condition: Callable[[], Any]) -> Any:
        end = time.monotonic() + BOUND_S
        while not (found := condition()):
            assert self.process.poll() is None, self.text()
            assert time.monotonic() < end, self.text()
            time.sleep(0.2)
        return found

    def mtor(self, *words: str) -> subprocess.CompletedProcess[str]:
        seeds = [word for n in range(6) for word in ("--seed", f"tcp://127.0.0.1:{self.base + n}")]
        return subprocess.run(
            [sys.executable, "-m", "mtor_swarm.cli.main", *words, *seeds],
            check=False,
            capture_output=True,
            text=True,
            timeout=BOUND_S,
            env={**os.environ, "XDG_STATE_HOME": str(self.folder / "home")},
        )

    def family(self) -> list[psutil.Process]:
        try:
            return psutil.Process(self.process.pid).children(recursive=True)
        except psutil.Error:  # the run has just ended
            return []

    def processes(self, *words: str) -> list[psutil.Process]:
        """Those of the run whose command line has all the words."""
        return [p for p in self.family() if all(word in words_of(p) for word in words)]


def words_of(process: psutil.Process) -> str:
    """Its command line; none once it has ended, which may be at any moment."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def alive(process: psutil.Process) -> bool:
    """Whether it runs: neither gone nor merely not yet waited for."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def free_ports(count: int) -> int:
    """The first of so many neighbouring free ports, below the kernel's own."""
    for base in range(20000, 32000, count):
        held = []
        try:
            for port in range(base, base + count):
                held.append(socket.socket())
                held[-1].bind(("127.0.0.1", port))
            return base
        except OSError:
            continue
        finally:
            for each in held:
                each.close()
    raise AssertionError("no free ports")


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    runs: list[Run] = []

    def start(*words: str) -> Run:
        runs.append(Run(tmp_path, *words))
        return runs[-1]

    yield start
    for run in runs:
        if run.process.poll() is None:
            run.process.send_signal(signal.SIGINT)
            run.process.wait(60)


@pytest.mark.timeout(BOUND_S + 60)
def test_six_units_find_and_surround_the_cat_though_one_is_killed(launch: Any) -> None:
    run = launch("--until", "mission.done", "--timeout", "180", "--kill", "random@10")
    code = run.wait()
    assert code == 0, run.text()
    report = run.report()
    assert report["verdict"] == "done"
    assert len(report["lost"]) == 1
    dead = {m["unit"] for m in report["members"].values() if m["state"] == "dead"}
    assert set(report["lost"]) <= dead
    types = {event["type"] for event in report["events"]}
    assert {"mtor.target.seen", "mtor.unit.changed", "mtor.mission.done"} <= types


@pytest.mark.timeout(BOUND_S + 60)
def test_units_stop_on_a_word_and_stay_stopped_though_a_core_is_killed(launch: Any) -> None:
    run = launch("--no-target", "--units", "2")
    run.until(lambda: all(f"{u} perception: active" in run.text() for u in ("r1", "r2")))
    said = run.mtor("say", "all units hold", "--timeout", "120")
    assert said.returncode == 0, said.stdout + said.stderr
    assert said.stdout.count("confirmed") >= 2

    core = run.until(lambda: run.processes("mtor_swarm.cli.core", "r1.yaml"))[0]
    core.send_signal(signal.SIGKILL)
    run.until(
        lambda: [p for p in run.processes("mtor_swarm.cli.core", "r1.yaml") if p.pid != core.pid]
    )

    def latched() -> bool:
        units = json.loads(run.mtor("units", "--json").stdout or "{}")
        states = [view.get("state") or {} for view in units.values()]
        return len(states) == 2 and all(state.get("latched") for state in states)

    run.until(latched)
    released = run.mtor("say", "all units release", "--timeout", "120")
    assert released.returncode == 0, released.stdout + released.stderr


@pytest.mark.timeout(BOUND_S + 60)
def test_without_a_cat_the_run_ends_by_timeout_and_leaves_no_process(launch: Any) -> None:
    run = launch("--no-target", "--units", "1", "--until", "mission.done", "--timeout", "3")
    family: dict[int, psutil.Process] = {}

    def watch() -> bool:
        family.update({p.pid: p for p in run.family()})
        return run.process.poll() is not None

    end = time.monotonic() + BOUND_S
    while not watch():
        assert time.monotonic() < end
        time.sleep(0.2)
    assert run.process.returncode == 1, run.text()
    assert "not done within 3 s" in run.text().splitlines()[-1]
    assert len(family) >= 4
    assert not [p for p in family.values() if p.is_running() and alive(p)]


@pytest.mark.timeout(BOUND_S + 60)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_however_it_ends_it_leaves_no_process(launch: Any, number: signal.Signals) -> None:
    run = launch("--no-target", "--units", "1")
    run.until(lambda: run.processes("mtor_swarm.cli.core") and run.processes("cli.engine"))
    family = run.family()
    run.process.send_signal(number)
    run.wait()
    end = time.monotonic() + BOUND_S
    while left := [words_of(each) for each in family if alive(each)]:
        assert time.monotonic() < end, left
        time.sleep(0.1)
    assert number == signal.SIGKILL or "every process is stopped" in run.text()


def test_an_occupied_port_is_named_with_what_to_do(launch: Any) -> None:
    base = free_ports(12)
    with socket.socket() as held:
        held.bind(("127.0.0.1", base + 1))
        held.listen()
        run = launch("--base-port", str(base))
        assert run.wait() == 2
    last = run.text().splitlines()[-1]
    assert str(base + 1) in last
    assert "--base-port" in last


def test_a_world_that_is_not_there_is_one_clear_line(launch: Any, tmp_path: Path) -> None:
    run = launch("--world", str(tmp_path / "no.sdf"))
    assert run.wait() == 2
    assert "no.sdf" in run.text().splitlines()[-1]
    assert "Traceback" not in run.text()
