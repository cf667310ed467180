"""What the doctor looks at here, and what it says to do."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from mtor_swarm.cli import checkup
from mtor_swarm.cli.main import main
from mtor_swarm.sim import eyes
from mtor_swarm.swarm import keyring


@pytest.fixture(autouse=True)
def _no_picture(monkeypatch) -> None:
    """Without a second for a probe of EGL."""
    monkeypatch.setattr(eyes, "why_not_egl", lambda: "no driver")


@pytest.fixture(name="look")
def _look(tmp_path: Path) -> Callable[[str], dict[str, checkup.Finding]]:
    """What is found of a unit with this in its config."""

    def look(text: str) -> dict[str, checkup.Finding]:
        file = tmp_path / "realm.yaml"
        file.write_text(f"unit: r1\nstate_dir: {tmp_path}/state\n{text}", encoding="utf-8")
        return {each.what: each for each in checkup.realm(str(file))}

    return look


def here() -> dict[str, checkup.Finding]:
    return {each.what: each for each in checkup.machine()}


def test_a_part_that_is_here_needs_nothing_and_one_that_lacks_has_a_cure(
    monkeypatch,
) -> None:
    monkeypatch.setattr(checkup, "PARTS", {"json": "x: y", "nowhere_at_all": "flies: pip install"})
    found = here()
    assert found["json"] == ("json", "installed", "")
    assert found["nowhere_at_all"] == ("nowhere_at_all", "not installed: flies", "pip install")
    assert not found["Python"].cure
    assert found["EGL"].found == "simulated cameras are coarse: no driver"
    assert "apt-get install" in found["EGL"].cure


def test_what_is_too_little_is_told_with_the_cure(monkeypatch) -> None:
    monkeypatch.setattr(checkup, "FILES", 10**9)
    monkeypatch.setattr(checkup, "BUFFER_BYTES", 2**30)
    monkeypatch.setattr(checkup, "MEMORY_MIB", 10**9)
    monkeypatch.setattr(checkup, "DISK_MIB", 10**12)
    found = here()
    assert found["open files"].cure.endswith("ulimit -n 1000000000")
    assert found["datagrams"].cure.endswith("sysctl -w net.core.rmem_max=1073741824")
    assert "--no-models" in found["memory"].cure
    assert found["disk of models"].cure == "make room there"


def test_a_python_that_is_too_old_is_told(monkeypatch) -> None:
    monkeypatch.setattr(checkup, "sys", SimpleNamespace(version_info=(3, 9, 1)))
    assert here()["Python"].cure == "use Python 3.10 to 3.14"
    assert sys.version_info >= (3, 10)


def test_a_gpu_is_told_plainly_and_so_is_none(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(checkup, "NVIDIA", tmp_path / "none")
    assert here()["GPU"].found == "none: models run on the CPU"
    (tmp_path / "0000:01:00.0").touch()
    monkeypatch.setattr(checkup, "NVIDIA", tmp_path)
    assert here()["GPU"].found == "1 of NVIDIA's"


def test_a_folder_that_is_another_s_is_told(monkeypatch, look) -> None:
    monkeypatch.setattr(checkup.os, "access", lambda *_: False)
    assert "chown" in look("")["state"].cure


def test_a_unit_that_is_right_needs_nothing(look) -> None:
    found = look("perception: {model: coco-ssd}")
    assert not [each for each in found.values() if each.cure and each.what != "weights"]
    assert found["keys"].found == "none: this machine alone"
    assert found["mission"].found == "search"


def test_a_mistake_in_the_config_is_all_that_is_told(look) -> None:
    (found,) = look("colour: red").values()
    assert "realm.yaml:3: colour: unknown key" in found.cure


def test_ports_that_are_taken_are_named(look) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found = look(f"metrics_port: {port}\nswarm: {{bind: 'tcp://127.0.0.1:{port}'}}")
    assert f"127.0.0.1:{port}" in found["gossip's port"].found
    assert found["gossip's port"].cure
    assert found["metrics' port"].cure
    assert not look(f"metrics_port: {port}")["metrics' port"].cure


def test_what_the_config_names_and_is_not_here_is_told(look) -> None:
    workers = "workers: {alarm: {kind: no_such_kind}}"
    found = look(f"mission: dance\nperception: {{model: none-such}}\n{workers}")
    assert "mission `dance`" in found["mission"].cure
    assert "none-such" in found["weights"].cure
    assert "alarm: no kind no_such_kind" in found["worker"].found
    assert "install the package" in found["worker"].cure


def test_a_swarm_beyond_this_machine_wants_keys(look) -> None:
    assert "mtor keys new-swarm" in look("swarm: {bind: 'tcp://0.0.0.0:7400'}")["keys"].cure


def test_keys_that_expire_or_are_another_s_are_told(look, monkeypatch, tmp_path: Path) -> None:
    keyring.new_swarm(tmp_path / "home")
    for unit, days in (("r1", 90), ("r2", 90)):
        until_s = time.time() + days * 86400
        keyring.issue(tmp_path / "home", unit, "unit", tmp_path / unit, until_s)
    assert not look(f"swarm: {{keys: {tmp_path}/r1}}")["keys"].cure
    assert "not r1's" in look(f"swarm: {{keys: {tmp_path}/r2}}")["keys"].cure
    monkeypatch.setattr(checkup, "EXPIRES_SOON_S", 100 * 86400)
    assert "expire in 90 days" in look(f"swarm: {{keys: {tmp_path}/r1}}")["keys"].found
    assert "certificate" in look(f"swarm: {{keys: {tmp_path}}}")["keys"].cure


def test_the_exit_code_tells_whether_the_unit_needs_something(tmp_path: Path, capsys) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("unit: R1\n", encoding="utf-8")
    assert main(["doctor", "--here"]) == 0
    assert main(["doctor", "--here", "--config", str(bad)]) == 1
    assert "unit: Expected" in capsys.readouterr().out
