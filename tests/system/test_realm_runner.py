"""The runner of processes, with real ones that are really killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from mtor_swarm.config import SupervisionConfig
from mtor_swarm.realm.processes import EX_CONFIG, Program
from mtor_swarm.realm.runner import Runner

PROGRAMS = str(Path(__file__).with_name("realm_programs.py"))
BOUND_S = 60.0
QUICK = SupervisionConfig(restart_first_s=0.02, restart_most_s=0.05)


def until(condition: Callable[[], object]) -> None:
    end_s = time.monotonic() + BOUND_S
    while not condition():
        assert time.monotonic() < end_s, "it did not come to pass"
        time.sleep(0.02)


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


class Real:
    """A runner in a process of its own, and what it printed."""

    def __init__(self, *argv: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, PROGRAMS, "runner", *argv],
            stdout=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )

    def line(self, start: str) -> str:
        """The next line that starts so; pytest's own timeout bounds the wait."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith(start):
                return line.strip()
        raise AssertionError(f"it ended without a line {start!r}")

    def pids(self, count: int) -> list[int]:
        return [self.pid() for _ in range(count)]

    def pid(self, name="") -> int:
        while True:
            words = self.line(f"[{name}").split()
            if words[1] == "pid":
                return int(words[2])

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def real(request):
    real = Real(*getattr(request, "param", ()))
    yield real
    real.close()


def test_a_killed_process_is_started_again(real):
    first, _ = real.pids(2)
    os.kill(first, signal.SIGKILL)
    assert "killed by SIGKILL" in real.line("[")
    assert real.pid() != first


def test_a_killed_runner_leaves_nobody_behind(real):
    pids = real.pids(2)
    real.process.kill()
    until(lambda: all(is_gone(each) for each in pids))


def test_a_runner_that_is_asked_to_end_ends_its_processes_first(real):
    pids = real.pids(2)
    real.process.send_signal(signal.SIGTERM)
    assert real.process.wait(BOUND_S) == 0
    assert all(is_gone(each) for each in pids)


@pytest.mark.parametrize("real", [("deaf",)], indirect=True)
def test_one_that_does_not_listen_is_killed(real):
    pids = real.pids(3)
    real.process.send_signal(signal.SIGTERM)
    assert real.process.wait(BOUND_S) == 0
    assert all(is_gone(each) for each in pids)


def run(*codes: str, most_lines: int = 1000) -> tuple[int, list[str]]:
    """A runner of these Python programs here; ends by itself or after so many lines."""
    lines: list[str] = []

    def say(line: str) -> None:
        lines.append(line)
        if len(lines) >= most_lines:
            runner.stop()

    names = "abc"
    runner = Runner(
        [
            Program(name=names[i], argv=[sys.executable, "-c", code], nice=i)
            for i, code in enumerate(codes)
        ],
        QUICK,
        say=say,
    )
    code = runner.run()
    assert runner.pids() == {}
    runner.stop()
    return code, lines


def test_a_process_that_needs_a_person_ends_the_run_and_is_not_restarted():
    sleeper = "import time; time.sleep(1000)"
    code, lines = run("print('r.yaml:2: speeed: unknown key'); raise SystemExit(78)", sleeper)
    assert code == EX_CONFIG
    assert lines == ["[a] r.yaml:2: speeed: unknown key"]


def test_one_that_keeps_failing_is_started_again_and_again():
    _, lines = run("raise SystemExit(3)", most_lines=9)
    assert lines[0] == "[a] ended: exit status 3"
    assert lines[1].startswith("[a] starts again in ")
    assert lines.count("[a] ended: exit status 3") >= 3


def test_failures_before_a_healthy_time_are_forgotten():
    quick = SupervisionConfig(restart_first_s=0.02, restart_most_s=0.05, window_s=1e-6)
    lines: list[str] = []

    def say(line: str) -> None:
        lines.append(line)
        if len(lines) >= 9:
            runner.stop()

    runner = Runner([Program(name="a", argv=["false"])], quick, say=say)
    runner.run()
    assert runner._children["a"].failures == 1


def test_a_program_that_is_not_there_is_told_and_tried_again():
    lines: list[str] = []

    def say(line: str) -> None:
        lines.append(line)
        if len(lines) >= 4:
            runner.stop()

    runner = Runner([Program(name="a", argv=["/no/such/program"])], QUICK, say=say)
    assert runner.run() == 0
    assert "No such file" in lines[0]
    assert "No such file" in lines[2]


def test_all_lines_are_passed_on_with_the_name_in_front_and_long_ones_in_pieces():
    code, lines = run(
        "import sys\n"
        "print('one'); print('two', file=sys.stderr, flush=True)\n"
        "sys.stdout.buffer.write(b'\\xff' + b'x' * 5000 + b'\\n\\nend')\n"
        "sys.stdout.flush(); sys.exit(78)"
    )
    assert code == EX_CONFIG
    assert {"[a] one", "[a] two", "[a] ", "[a] end"} <= set(lines)
    assert sum(each.count("x") for each in lines) == 5000
    assert max(map(len, lines)) < 2100


def test_an_endless_line_does_not_fill_the_memory():
    _, lines = run("import sys\nwhile True: sys.stdout.write('x' * 1000)", most_lines=50)
    assert max(map(len, lines)) < 2100


def test_a_process_that_closes_its_output_is_still_watched():
    _, lines = run("import os; os.close(1); os.close(2); os._exit(4)", most_lines=2)
    assert lines[0] == "[a] ended: exit status 4"


def test_what_looks_gives_way_to_what_steers():
    _, lines = run(
        "import os; print(os.nice(0), flush=True); os._exit(78)",
    )
    here = os.nice(0)
    assert lines == [f"[a] {here}"]
    _, lines = run(
        "import time; time.sleep(1000)",
        "import os; print(os.nice(0), flush=True); os._exit(78)",
    )
    assert lines == [f"[b] {min(here + 1, 19)}"]
