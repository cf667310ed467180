"""`mtor up`: one unit's real core and models, from start to end."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import psutil
import pytest

from mtor_swarm import config as configs
from mtor_swarm.config import PerceptionConfig, RealmConfig, SupervisionConfig

BOUND_S = 90.0
UP = "import sys; from mtor_swarm.cli import up; sys.exit(up.run(sys.argv[1]))"


def until(condition: Callable[[], object]) -> None:
    end_s = time.monotonic() + BOUND_S
    while not condition():
        assert time.monotonic() < end_s, "it did not come to pass"
        time.sleep(0.05)


def is_gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


class Up:
    """A running `mtor up`, and everything that it printed."""

    def __init__(self, folder) -> None:
        config = RealmConfig(
            unit="r1",
            state_dir=str(folder / "state"),
            supervision=SupervisionConfig(
                restart_first_s=0.1, restart_most_s=0.5, failures_in_window=100_000
            ),
            perception=PerceptionConfig(model="none-such"),  # says no at once, and loads no torch
        )
        file = folder / "realm.yaml"
        file.write_text(configs.dump(config))
        self.printed = folder / "printed"
        with self.printed.open("w") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-c", UP, str(file)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    def children(self) -> dict[str, psutil.Process]:
        """The core and the models that run at the moment."""
        found: dict[str, psutil.Process] = {}
        for each in psutil.Process(self.process.pid).children():
            try:
                words = each.cmdline()
            except psutil.Error:
                continue
            for name in ("core", "models_process"):
                if f"mtor_swarm.cli.{name}" in words:
                    found[name] = each
        return found

    def says(self, pattern: str, times: int = 1) -> None:
        try:
            until(lambda: len(re.findall(pattern, self.printed.read_text())) >= times)
        except AssertionError:
            raise AssertionError(f"no {pattern!r} in:\n{self.printed.read_text()}") from None

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def unit(tmp_path):
    unit = Up(tmp_path)
    yield unit
    unit.close()


def test_a_unit_comes_up_and_its_core_comes_back_and_a_request_to_end_ends_all(unit):
    unit.says(r"\[r1.core\]")
    unit.says("gossip: inactive → active")
    core = unit.children()["core"]
    core.kill()
    unit.says(r"\[r1.core\] ended: killed by SIGKILL")
    unit.says("gossip: inactive → active", times=2)
    until(lambda: len(unit.children()) == 2)
    children = unit.children()
    assert children["core"].pid != core.pid
    assert os.getpgid(children["core"].pid) == unit.process.pid, "a unit can be killed whole"
    unit.process.send_signal(signal.SIGTERM)
    assert unit.process.wait(BOUND_S) == 0
    assert all(is_gone(each) for each in children.values())


def test_killed_models_come_back_and_are_seen_to_by_the_core(unit):
    unit.says(r"\[r1.models\].* cannot load: .*none-such")
    unit.children()["models_process"].kill()
    unit.says(r"(?s)\[r1.models\] ended: killed by SIGKILL.*\[r1.models\].* cannot load: ")
    assert "core" in unit.children()


def test_a_killed_unit_leaves_no_process_behind(unit):
    unit.says(r"\[r1.core\]")
    until(lambda: len(unit.children()) == 2)
    children = unit.children()
    unit.process.kill()
    until(lambda: all(is_gone(each) for each in children.values()))


def test_what_a_unit_prints_can_be_read_by_a_program(tmp_path, monkeypatch):
    monkeypatch.setenv("MTOR_LOG", "json")
    unit = Up(tmp_path)
    try:
        unit.says("gossip: inactive → active")
        unit.says("cannot load: .*none-such")
    finally:
        unit.close()
    *lines, _ = unit.printed.read_text().split("\n")
    told = [json.loads(line) for line in lines]
    (active,) = (each for each in told if "gossip: inactive → active" in each["message"])
    assert (active["unit"], active["worker"], active["process"], active["level"]) == (
        "r1",
        "orchestrator",
        "r1.core",
        "info",
    )
    assert {"r1.core", "r1.models"} <= {each["process"] for each in told}
