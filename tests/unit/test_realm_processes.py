"""Words and lines of the runner; its real processes are in tests/system."""

from __future__ import annotations

import argparse
import os

import pytest

from mtor_swarm.cli import up
from mtor_swarm.realm.errands import Wanted
from mtor_swarm.realm.processes import why
from mtor_swarm.realm.runner import Terminal


def test_a_terminal_writes_lines():
    read, write = os.pipe()
    Terminal(write)("[r1.core] hello é")
    assert os.read(read, 100) == "[r1.core] hello é\n".encode()
    os.close(read)
    os.close(write)


def test_a_terminal_that_nobody_reads_drops_lines_and_says_how_many():
    read, write = os.pipe()
    terminal = Terminal(write)
    for _ in range(1000):
        terminal("x" * 1000)
    assert 0 < terminal.dropped < 1000
    dropped = terminal.dropped
    while len(os.read(read, 65536)) == 65536:
        pass
    terminal("again")
    assert os.read(read, 65536).decode().startswith(f"({dropped} lines dropped")
    os.close(read)
    terminal("nobody is there any more")
    assert terminal.dropped == 1
    os.close(write)


@pytest.mark.parametrize(
    ("code", "words"),
    [(0, "exit status 0"), (1, "exit status 1"), (-9, "killed by SIGKILL"), (-99, "signal 99")],
)
def test_an_end_is_told_in_words(code, words):
    assert words in why(code)


def test_a_realm_is_two_processes_and_the_core_goes_first(tmp_path):
    core, models = up.programs("r1", tmp_path / "realm.yaml")
    assert (core.name, models.name) == ("r1.core", "r1.models")
    assert core.nice == 0 < models.nice
    assert core.linked, "it may ask for more"
    assert [each.name for each in up.programs("r1", "x.yaml", models=False)] == ["r1.core"]


def test_a_process_that_the_core_wants_is_one_of_configured_workers():
    program = up.worker("r1", "x.yaml", Wanted(process="smoke", nice=10, memory_mib=200))
    assert (program.name, program.process) == ("r1.smoke", "smoke")
    assert (program.nice, program.memory_mib, program.linked) == (10, 200, False)
    assert program.argv[-2:] == ["--process", "smoke"]


def test_a_config_mistake_is_one_line_with_its_place(tmp_path, capsys):
    file = tmp_path / "realm.yaml"
    file.write_text("unit: r1\nspeeed: 3\n")
    parser = argparse.ArgumentParser()
    up.register(parser.add_subparsers())
    args = parser.parse_args(["up", str(file)])
    assert args.run(args) == 78
    assert capsys.readouterr().err == f"mtor up: {file}:2: speeed: unknown key\n"
