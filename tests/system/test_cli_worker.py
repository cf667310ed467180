"""The page docs/workers.md, step by step: the example, added to a unit that runs, and removed."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import TimeoutError as LateError
from pathlib import Path

import cv2
import msgspec
import numpy as np
import psutil
import pytest

from mtor_swarm import config as configs
from mtor_swarm.cli.main import main
from mtor_swarm.config import RealmConfig, SupervisionConfig, SwarmConfig
from mtor_swarm.errors import SwarmError
from mtor_swarm.events import fingerprint
from mtor_swarm.realm.rollcall import KIND, Reply, Row
from mtor_swarm.swarm.identity import operator_signer
from mtor_swarm.swarm.observer import Observer
from tests.system.packaging import ROOT, done

UP = "import sys; from mtor_swarm.cli import up; sys.exit(up.run(sys.argv[1], models=False))"
BOUND_S = 90.0
LIMITS = SupervisionConfig(
    restart_first_s=0.05, restart_most_s=0.2, failures_in_window=3, quarantine_s=3.0
)


@pytest.fixture(scope="module", name="site")
def _site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example, as pip installs it."""
    folder = tmp_path_factory.mktemp("example")
    source, site = folder / "source", folder / "site"
    shutil.copytree(ROOT / "examples" / "smoke_alarm", source)
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", site]
    done([sys.executable, "-m", "pip", "install", *options, source], folder)
    return site


class Unit:
    """`mtor up` in a process, a person at a terminal, and somebody who watches."""

    def __init__(self, folder: Path, site: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        config = RealmConfig(
            unit="r1",
            state_dir=str(folder / "state"),
            operators=[fingerprint(operator_signer().public_key)],
            supervision=LIMITS,
            swarm=SwarmConfig(bind=self.address),
        )
        (folder / "realm.yaml").write_text(configs.dump(config))
        self.printed = folder / "printed"
        path = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
        with self.printed.open("w") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-c", UP, str(folder / "realm.yaml")],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONPATH": path},
            )
        self.observer = Observer(SwarmConfig(seeds=[self.address]))
        self.observer.start()

    def rows(self) -> dict[str, Row]:
        """Who works there; nobody while the unit does not answer."""
        try:
            raw = self.observer.ask("r1", KIND, b'{"do": "list"}', 5.0).result(10.0)
        except (SwarmError, LateError):
            return {}
        return {row.worker: row for row in msgspec.json.decode(raw, type=Reply).rows}

    def until(self, condition: Callable[[dict[str, Row]], object]) -> dict[str, Row]:
        end_s = time.monotonic() + BOUND_S
        while not condition(rows := self.rows()):
            assert time.monotonic() < end_s, f"{rows}\n{self.printed.read_text()[-3000:]}"
            time.sleep(0.05)
        return rows

    def mtor(self, *words: str) -> int:
        return main(["worker", *words, "--seed", self.address])

    def close(self) -> None:
        self.observer.stop()
        self.process.terminate()
        self.process.wait(30)


@pytest.fixture(scope="module", name="unit")
def _unit(tmp_path_factory: pytest.TempPathFactory, site: Path) -> Iterator[Unit]:
    """One for all tests: each leaves it as it was."""
    unit = Unit(tmp_path_factory.mktemp("unit"), site)
    unit.until(lambda rows: "active" in {row.state for row in rows.values()})
    yield unit
    unit.close()


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def works(name: str) -> Callable[[dict[str, Row]], bool]:
    return lambda rows: name in rows and rows[name].state == "active"


def test_a_worker_is_added_asked_killed_quarantined_readmitted_and_removed(unit, tmp_path, capsys):
    assert unit.mtor("add", "smoke", "--kind", "smoke_alarm", "--set", "rise=0.2") == 0
    smoke = unit.rows()["smoke"]
    assert (smoke.state, smoke.kind, smoke.answers) == ("active", "smoke_alarm", ["smoke"])
    assert psutil.pid_exists(smoke.pid)

    picture = tmp_path / "kitchen.png"
    cv2.imwrite(str(picture), np.zeros((60, 80, 3), np.uint8))
    capsys.readouterr()
    words = ["ask", "smoke", "--file", str(picture), "--unit", "r1", "--seed", unit.address]
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out) == {"share": 0.0}

    while (row := unit.rows().get("smoke")) is None or row.state != "quarantined":
        if row is not None and row.pid:
            kill(row.pid)
    assert (row.fault, row.pid) == ("crash", 0)
    assert unit.mtor("logs", "smoke") == 0
    assert "ended: killed by SIGKILL" in capsys.readouterr().out
    rows = unit.until(works("smoke"))

    assert unit.mtor("remove", "smoke") == 0
    assert "smoke" not in unit.rows()
    unit.until(lambda _: not psutil.pid_exists(rows["smoke"].pid))


def test_one_that_is_loaded_on_demand_is_listed_and_removed_though_it_does_not_run(unit):
    assert unit.mtor("add", "smoke", "--kind", "smoke_alarm", "--least", "0") == 0
    assert (unit.rows()["smoke"].state, unit.rows()["smoke"].pid) == ("unloaded", 0)
    assert unit.mtor("remove", "smoke") == 0
    assert "smoke" not in unit.rows()


def test_what_was_added_outlives_the_core_and_a_replacement_that_fails_changes_nothing(unit):
    assert unit.mtor("add", "smoke", "--kind", "smoke_alarm") == 0
    bad = ["add", "smoke", "--kind", "smoke_alarm", "--replace", "--set", "rise=5"]
    assert unit.mtor(*bad) == 1
    assert unit.mtor("add", "smoke", "--kind", "smoke_alarm", "--replace") == 0
    old = unit.rows()["reflex"].pid
    kill(old)
    unit.until(lambda rows: "reflex" in rows and rows["reflex"].pid not in (0, old))
    unit.until(works("smoke"))
    assert unit.mtor("restart", "smoke") == 0
    assert unit.mtor("remove", "smoke") == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["add", "smoke", "--kind", "smoke_alert"], "no kind smoke_alert is installed"),
        (["add", "gossip", "--kind", "smoke_alarm"], "gossip is the core's own"),
        (["remove", "smoke"], "there is no worker smoke; there are perception"),
        (["logs", "smoke"], "there is no worker smoke; there are reflex"),
        (["remove", "smoke", "--unit", "r7"], "r7 is no unit here; known are r1"),
    ],
)
def test_what_cannot_be_is_refused_and_says_why(unit, words, said, capsys):
    assert unit.mtor(*words) == 1
    told = capsys.readouterr()
    assert said in told.out + told.err


def test_a_stranger_may_change_nothing(unit, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "stranger"))
    assert unit.mtor("add", "smoke", "--kind", "smoke_alarm") == 1
    assert "is not among this unit's operators" in capsys.readouterr().out
    assert "smoke" not in unit.rows()
