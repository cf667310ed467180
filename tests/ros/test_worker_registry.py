"""Kinds of workers that packages bring along, good ones and bad ones."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import pytest

from mtor_swarm.cli import main as cli
from mtor_swarm.config import WorkerConfig
from mtor_swarm.errors import ConfigError
from mtor_swarm.realm import staff
from mtor_swarm.workers import registry
from mtor_swarm.workers.registry import Unmade
from tests.ros.realm_stage import CONFIG, Stage

CODE = """
from mtor_swarm.realm.worker import Setting, Worker

class Bell(Worker):
    parameters = (Setting("times", 1, "how often it rings", least=1),)

class Shy(Worker):
    def __init__(self, **_):
        raise ZeroDivisionError("by a constructor")

class Lamp:
    pass
"""


def install(folder: Path, package: str, points: dict[str, str], code: str = CODE) -> None:
    """A package as pip leaves it: a module, and what its metadata says of it."""
    (folder / f"{package}.py").write_text(code)
    info = folder / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    lines = "".join(f"{kind} = {package}:{cls}\n" for kind, cls in points.items())
    (info / "entry_points.txt").write_text(f"[{registry.GROUP}]\n{lines}")


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """A folder on Python's path; its modules are forgotten afterwards."""
    folder = tmp_path / "packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    known = set(sys.modules)
    yield folder
    for name in set(sys.modules) - known:
        if getattr(sys.modules[name], "__file__", None) == str(folder / f"{name}.py"):
            del sys.modules[name]


@pytest.fixture
def stage():
    stage = Stage()
    yield stage
    stage.close()


def failure(stage, kind: str) -> str:
    """Why a worker of this kind fails to load."""
    given = {"it": WorkerConfig(kind=kind, parameters={"times": 3})}
    config = msgspec.structs.replace(CONFIG, workers=given)
    worker = stage.add(registry.made("it", kind, config))
    assert isinstance(worker, Unmade)
    told = []
    worker._tell = lambda state, was, reason: told.append((state, reason))
    worker.trigger_configure()
    ((state, reason),) = told
    assert state == "failed"
    return reason


def test_a_kind_of_another_package_makes_a_worker(stage, packages):
    install(packages, "bells", {"bell": "Bell"})
    assert "bell" in registry.kinds()
    assert "bells" not in sys.modules
    worker = stage.add(registry.made("big_bell", "bell", CONFIG))
    assert (worker.get_name(), type(worker).__name__) == ("big_bell", "Bell")
    assert worker.value("times") == 1


def test_a_kind_that_nobody_has_names_those_that_there_are(stage, packages):
    install(packages, "bells", {"bell": "Bell"})
    reason = failure(stage, "gong")
    assert reason.startswith("load: no kind gong of workers is installed; there are ")
    assert "bell" in reason
    assert "install the package" in reason


def test_a_package_that_cannot_be_imported_is_named_with_its_error(stage, packages):
    install(packages, "broken", {"bell": "Bell"}, code="import nothing_of_the_kind\n")
    reason = failure(stage, "bell")
    assert reason.startswith("load: kind bell of broken: ModuleNotFoundError: No module named")


def test_a_kind_whose_class_is_absent_or_no_worker_is_named(stage, packages):
    install(packages, "bells", {"lamp": "Lamp", "ghost": "Ghost"})
    assert failure(stage, "lamp") == "load: kind lamp of bells: bells:Lamp is no Worker"
    assert "kind ghost of bells: AttributeError" in failure(stage, "ghost")


def test_a_constructor_that_raises_is_told_as_a_failed_load(stage, packages):
    install(packages, "bells", {"shy": "Shy"})
    assert failure(stage, "shy") == "load: ZeroDivisionError: by a constructor"


def test_two_packages_with_one_kind_are_both_named(stage, packages):
    install(packages, "bells", {"bell": "Bell"})
    install(packages, "chimes", {"bell": "Bell"})
    reason = failure(stage, "bell")
    assert reason.startswith("load: two packages have a kind bell: ")
    assert "bells (bells:Bell)" in reason
    assert "chimes (chimes:Bell)" in reason


def test_a_config_s_workers_are_checked_with_their_parameters(packages):
    install(packages, "bells", {"bell": "Bell", "lamp": "Lamp"})
    registry.check({"a": WorkerConfig(kind="bell", parameters={"times": 3})})
    for wrong, said in (
        (WorkerConfig(kind="gong"), "worker a: no kind gong is installed; there are "),
        (WorkerConfig(kind="lamp"), "kind lamp of bells: bells:Lamp is no Worker"),
        (WorkerConfig(kind="bell", parameters={"tune": 1}), "worker a has no parameter tune"),
        (WorkerConfig(kind="bell", parameters={"times": 0}), "worker a: parameter times: 0 is"),
    ):
        with pytest.raises(ConfigError, match=said):
            registry.check({"a": wrong})


def test_config_check_says_what_is_wrong_with_a_worker(packages, tmp_path, capsys):
    install(packages, "bells", {"bell": "Bell"})
    file = tmp_path / "realm.yaml"
    text = "unit: r1\nworkers: {a: {kind: bell, parameters: {times: TIMES}}}\n"
    for times, code, said in (
        ("3", 0, ", 1 more workers"),
        ("0", 1, f"{file}: worker a: parameter times: 0 is no number from 1 to inf"),
    ):
        file.write_text(text.replace("TIMES", times))
        assert cli.main(["config", "check", str(file)]) == code
        assert said in "".join(capsys.readouterr())


def test_a_process_makes_the_workers_that_it_holds_each_with_its_own_settings(
    stage, packages, tmp_path
):
    install(packages, "bells", {"bell": "Bell"})
    workers = {
        "big": WorkerConfig(kind="bell", process="tower", parameters={"times": 3}),
        "small": WorkerConfig(kind="bell", process="tower"),
        "door": WorkerConfig(kind="bell", most=2, parameters={"times": 2}),
    }
    config = msgspec.structs.replace(CONFIG, state_dir=str(tmp_path), workers=workers)

    def made(process: str) -> dict[str, int]:
        found = [stage.add(each) for each in registry.members(config, process)]
        return {each.get_name(): each.value("times") for each in found}

    assert made("tower") == {"big": 3, "small": 1}
    assert made("door") == {"door": 2}
    assert made("door_2") == {"door_2": 2}
    assert made("models") == {}
    staff.keep({"new": WorkerConfig(kind="bell")}, tmp_path)
    assert made("tower") == {}
    assert made("new") == {"new": 1}
    with pytest.raises(ConfigError, match="r1 has no process tower of workers; it has new"):
        registry.members(config, "tower", needed=True)
