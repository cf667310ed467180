"""`mtor`: one line for what a user got wrong, and no import that is not wanted."""

from __future__ import annotations

import argparse
import subprocess
import sys
import types

import pytest

from mtor_swarm import __version__
from mtor_swarm.cli import main as cli
from mtor_swarm.cli.main import COMMANDS, GROUPS, main
from mtor_swarm.errors import ConfigError, SwarmError


def command(monkeypatch: pytest.MonkeyPatch, run: object) -> None:
    """Make `mtor units` run this."""
    module = types.ModuleType("units_under_test")

    def register(sub: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
        sub.add_parser("units").set_defaults(run=run)

    module.register = register  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(cli.COMMANDS, "units", (module.__name__, "under test"))


def test_help_names_every_command_in_a_group(capsys: pytest.CaptureFixture[str]):
    assert sorted(name for names in GROUPS.values() for name in names) == sorted(COMMANDS)
    assert main([]) == 0
    said = capsys.readouterr().out
    assert all(f"  {name} " in said for name in COMMANDS)


def test_the_version_is_the_package_s(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"mtor {__version__}\n"


def test_help_imports_no_command_and_no_heavy_library():
    code = (
        "import sys; from mtor_swarm.cli.main import main; main([]); "
        "print([m for m in ('zmq', 'rclpy', 'numpy', 'torch', 'mtor_swarm.cli.sim')"
        " if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_an_unknown_command_is_named(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        main(["dance"])
    assert ended.value.code == 2
    assert "'dance'" in capsys.readouterr().err


def test_an_error_of_ours_is_one_line_on_stderr(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def run(args: argparse.Namespace) -> int:
        raise ConfigError("f.yaml:3: swarm.nme: unknown key")

    command(monkeypatch, run)
    assert main(["units"]) == 2
    assert capsys.readouterr() == ("", "mtor: f.yaml:3: swarm.nme: unknown key\n")


def test_an_error_may_bring_its_own_exit_code(monkeypatch: pytest.MonkeyPatch):
    class PortError(SwarmError):
        exit_code = 7

    def run(args: argparse.Namespace) -> int:
        raise PortError("port 8080 is in use")

    command(monkeypatch, run)
    assert main(["units"]) == 7


def test_an_interrupt_ends_quietly(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def run(args: argparse.Namespace) -> int:
        raise KeyboardInterrupt

    command(monkeypatch, run)
    assert main(["units"]) == 130
    assert capsys.readouterr() == ("", "")


def test_a_reader_that_leaves_is_no_error():
    code = "import sys; from mtor_swarm.cli.main import main\nfor _ in range(200): main([])\n"
    done = subprocess.run(
        ["/bin/sh", "-c", '"$0" -c "$1" | head -n 1', sys.executable, code],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
