"""A worker's real process: killed, hung, restarted, ended; watched by a real orchestrator."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from std_msgs.msg import String

from mtor_swarm import config as configs
from mtor_swarm.config import RealmConfig, SupervisionConfig
from mtor_swarm.realm.bus import EVENT_QOS
from mtor_swarm.realm.orchestrator import Orchestrator
from tests.ros.realm_stage import BOUND_S, Stage

PROGRAMS = str(Path(__file__).with_name("realm_programs.py"))


class Unit:
    """An orchestrator here, and the process of its one worker there."""

    def __init__(self, folder: Path, supervision: SupervisionConfig) -> None:
        self.folder = folder
        self.file = folder / "realm.yaml"
        self.config = RealmConfig(unit="r1", state_dir=str(folder), supervision=supervision)
        self.file.write_text(configs.dump(self.config))
        self.processes: list[subprocess.Popen[str]] = []
        self.enter()

    def enter(self) -> None:
        self.stage = Stage()
        self.orchestrator = self.stage.add(
            Orchestrator(config=self.config, workers=["perception"], rng=random.Random(1))
        )
        self.block = self.orchestrator.create_publisher(String, "block", EVENT_QOS)

    def start(self) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, PROGRAMS, "models", "--config", str(self.file)],
            stderr=subprocess.PIPE,
            text=True,
        )
        self.processes.append(process)
        return process

    def notes(self) -> list[tuple[str, int]]:
        file = self.folder / "notes"
        lines = file.read_text().splitlines() if file.exists() else []
        return [(what, int(pid)) for what, pid in (each.split() for each in lines)]

    def state(self) -> str:
        return self.orchestrator.states()["perception"][0]

    def until_active(self, process: subprocess.Popen[str]) -> None:
        self.stage.until(lambda: ("start", process.pid) in self.notes())
        self.stage.until(lambda: self.state() == "active")

    def close(self) -> None:
        for each in self.processes:
            each.kill()
            each.communicate()
        self.stage.close()


@pytest.fixture
def make_unit(tmp_path):
    units: list[Unit] = []

    def make(**supervision) -> Unit:
        limits = {
            "heartbeat_lease_s": 1.0,
            "restart_first_s": 0.05,
            "restart_most_s": 0.2,
            "failures_in_window": 100,
            **supervision,
        }
        units.append(Unit(tmp_path, SupervisionConfig(**limits)))
        return units[0]

    yield make
    for each in units:
        each.close()


def test_a_process_that_appears_late_dies_and_comes_back_is_brought_up_each_time(make_unit):
    unit = make_unit()
    for _ in range(3):
        process = unit.start()
        unit.until_active(process)
        process.kill()
        process.wait()


def test_a_killed_process_is_noticed(make_unit):
    unit = make_unit()
    process = unit.start()
    unit.until_active(process)
    process.kill()
    unit.stage.until(lambda: unit.state() == "silent")


def test_a_stopped_process_is_silent_and_goes_on_as_it_was(make_unit):
    unit = make_unit()
    process = unit.start()
    unit.until_active(process)
    process.send_signal(signal.SIGSTOP)
    unit.stage.until(lambda: unit.state() == "silent")
    process.send_signal(signal.SIGCONT)
    unit.stage.until(lambda: unit.state() == "active")
    assert [what for what, _ in unit.notes()] == ["load", "start"]
    assert process.poll() is None


def test_a_handler_that_blocks_looks_dead_and_its_process_says_where_and_ends(make_unit):
    unit = make_unit()
    process = unit.start()
    unit.until_active(process)
    unit.stage.until(lambda: unit.block.get_subscription_count() == 1)
    unit.block.publish(String(data=""))
    unit.stage.until(lambda: unit.state() == "silent")
    _, told = process.communicate(timeout=BOUND_S)
    assert process.returncode == 70
    assert "block_for_ever" in told


def test_a_load_that_hangs_ends_the_process_after_its_own_longer_time(make_unit):
    unit = make_unit(configure_timeout_s=5.0)
    hang = unit.folder / "hang_in_load"
    hang.touch()
    process = unit.start()
    unit.stage.until(lambda: process.poll() is not None)
    assert process.returncode == 70
    hang.unlink()
    unit.until_active(unit.start())


def test_a_restarted_orchestrator_adopts_what_runs(make_unit):
    unit = make_unit()
    process = unit.start()
    unit.until_active(process)
    unit.stage.close()
    unit.enter()
    unit.stage.until(lambda: unit.state() == "active")
    assert [what for what, _ in unit.notes()] == ["load", "start"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_process_that_is_asked_to_end_tears_down_and_ends_well(make_unit, number):
    unit = make_unit()
    process = unit.start()
    unit.until_active(process)
    process.send_signal(number)
    process.communicate(timeout=BOUND_S)
    assert process.returncode == 0
    assert [what for what, _ in unit.notes()] == ["load", "start", "stop", "unload"]


@pytest.mark.parametrize("module", ["core", "models_process"])
def test_a_config_mistake_is_one_line_and_exit_status_78(tmp_path, module):
    file = tmp_path / "realm.yaml"
    file.write_text("unit: r1\nreflex:\n  max_speed: 3\n")
    found = subprocess.run(
        [sys.executable, "-m", f"mtor_swarm.cli.{module}", "--config", str(file)],
        capture_output=True,
        text=True,
        timeout=BOUND_S,
        check=False,
    )
    assert found.returncode == 78
    assert found.stderr.count("\n") == 1
    assert f"{file}:3: reflex.max_speed: unknown key" in found.stderr


def run_code(code: str) -> subprocess.CompletedProcess[str]:
    """A Python process of its own, to its end."""
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=BOUND_S,
        check=False,
    )


@pytest.mark.parametrize(
    ("module", "imported", "words"),
    [
        ("core", "rclpy", ["--config", "none.yaml"]),
        ("models_process", "rclpy", ["--config", "none.yaml"]),
        ("main", "mtor_swarm.config", ["up", "none.yaml"]),
    ],
)
def test_an_interrupt_amid_the_imports_ends_quietly(module, imported, words):
    code = (
        "import os, signal, sys\n"
        "def hook(event, given):\n"
        f"    if event == 'import' and given[0] == {imported!r}:\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.addaudithook(hook)\n"
        f"from mtor_swarm.cli.{module} import main\n"
        f"sys.exit(main({words!r}))\n"
    )
    found = run_code(code)
    assert (found.returncode, found.stderr) == (130, "")


def test_a_core_holds_no_model_library(tmp_path):
    code = (
        "import sys, rclpy\n"
        "from mtor_swarm.cli import core\n"
        "from mtor_swarm.config import RealmConfig\n"
        "from mtor_swarm.realm import domain\n"
        "domain.quiet(); rclpy.init()\n"
        f"nodes = core.compose(RealmConfig(unit='r1', state_dir={str(tmp_path)!r}))\n"
        "for node in nodes[1:]: node.trigger_configure(); node.trigger_activate()\n"
        "heavy = {'torch', 'ultralytics', 'onnxruntime', 'onnx', 'transformers', 'cv2'}\n"
        "found = sorted(heavy & set(sys.modules))\n"
        "for node in reversed(nodes[1:]): node.close()\n"
        "rclpy.shutdown(); sys.exit(f'holds {found}' if found else 0)\n"
    )
    found = run_code(code)
    assert found.returncode == 0, found.stderr
