"""What the core asks of the runner, between real processes."""

from __future__ import annotations

import re
import sys

from mtor_swarm.config import SupervisionConfig
from mtor_swarm.realm.errands import (
    MAX_BYTES,
    RunnerLink,
    Start,
    Want,
    Wanted,
    pair,
    receive,
    send,
)
from mtor_swarm.realm.processes import Program
from mtor_swarm.realm.runner import Runner

QUICK = SupervisionConfig(restart_first_s=0.02, restart_most_s=0.05)
CORE = """
import os, queue, sys, time
from mtor_swarm.realm.errands import *
told = queue.Queue()
link = RunnerLink.inherited(told.put)
def want(*names, **limits):
    link.send(Want(processes=[Wanted(process=each, **limits) for each in names]))
def hear():
    one = told.get(timeout=60)
    print(f'heard {one.process} {one.fault}: {one.reason}', flush=True)
def rest():
    print('done', flush=True)
    time.sleep(1000)
"""
SLEEP = "import time; print('up', flush=True); time.sleep(1000)"


def run(core: str, **workers: str) -> list[str]:
    """The lines of a realm whose core is this code, until it says that it is done."""
    lines: list[str] = []

    def say(line: str) -> None:
        lines.append(line)
        if line.endswith("] done"):
            runner.stop()
        if "Error" in line:
            runner.stop()

    def worker(wanted: Wanted) -> Program:
        argv = [sys.executable, "-c", workers[wanted.process]]
        return Program(
            name=f"r1.{wanted.process}",
            argv=argv,
            nice=wanted.nice,
            memory_mib=wanted.memory_mib,
        )

    first = Program(name="r1.core", argv=[sys.executable, "-c", CORE + core], linked=True)
    runner = Runner([first], QUICK, worker=worker, say=say, stop_s=1.0)
    assert runner.run() == 0
    assert "[r1.core] done" in lines, lines
    return lines


def test_a_process_that_the_core_wants_is_started_and_its_crash_told_and_again_when_asked():
    lines = run(
        "want('seer'); hear(); link.send(Start(process='seer')); hear(); rest()",
        seer="import sys; print('no camera', file=sys.stderr); sys.exit(3)",
    )
    assert lines.count("[r1.seer] no camera") == 2
    assert lines.count("[r1.core] heard seer crash: exit status 3: no camera") == 2


def test_one_that_is_wanted_no_more_is_ended_and_the_others_live_on():
    lines = run(
        """
import psutil
def children():
    return len(psutil.Process(os.getppid()).children())
def until(count):
    while children() != count: time.sleep(0.02)
before = children()  # this one, and whatever other tests keep
want('a', 'b'); until(before + 2)
want('b'); until(before + 1)
want(); until(before)
rest()
""",
        a=SLEEP,
        b=SLEEP,
    )
    assert not [each for each in lines if "heard" in each], "who leaves did not fail"


def test_a_process_that_stands_still_is_ended_and_called_a_hang():
    lines = run(
        "want('seer'); link.send(End(process='seer', hangs=True)); hear(); rest()",
        seer="import os, signal; os.kill(os.getpid(), signal.SIGSTOP)",
    )
    assert "[r1.core] heard seer hang: it hung" in lines


def test_the_end_of_one_that_is_not_there_is_told_too():
    lines = run(
        "want('seer'); hear(); link.send(End(process='seer')); hear(); rest()",
        seer="raise SystemExit(3)",
    )
    assert "[r1.core] heard seer : it was not there" in lines


def test_one_that_hangs_shows_where(tmp_path):
    mark = tmp_path / "stuck"
    lines = run(
        f"""
want('seer')
while not os.path.exists({str(mark)!r}): time.sleep(0.02)
link.send(End(process='seer', hangs=True)); hear(); rest()
""",
        seer=f"""
import faulthandler, pathlib, time
faulthandler.enable(2)
def stuck():
    pathlib.Path({str(mark)!r}).touch()
    time.sleep(1000)
stuck()
""",
    )
    assert any("in stuck" in each for each in lines)


def test_one_that_holds_more_memory_than_it_may_is_ended_and_told():
    lines = run(
        "want('seer', memory_mib=100); hear(); rest()",
        seer="import time; held = b'x' * 300_000_000; time.sleep(1000)",
    )
    assert any(
        re.fullmatch(
            r"\[r1.core\] heard seer memory: it held \d+ MiB of memory; 100 are allowed", e
        )
        for e in lines
    )


def test_a_worker_that_a_person_must_mend_does_not_end_the_realm():
    lines = run("want('seer'); hear(); rest()", seer="print('no kind smok'); raise SystemExit(78)")
    assert "[r1.core] heard seer config: no kind smok" in lines


def test_a_core_that_began_anew_finds_its_workers_and_starts_those_that_died_meanwhile(tmp_path):
    mark = tmp_path / "was_here"
    lines = run(
        f"""
from pathlib import Path
mark = Path({str(mark)!r})
want('dead', 'alive'); hear()
if not mark.exists():
    mark.touch()
    sys.exit(1)
rest()
""",
        dead="print('died', flush=True); raise SystemExit(5)",
        alive=SLEEP,
    )
    assert lines.count("[r1.dead] died") == 2
    assert lines.count("[r1.alive] up") <= 1, "it was left alone"


def test_a_message_that_is_none_is_no_errand_and_the_other_end_gone_is_known():
    one, other = pair()
    other.send(b"{}")
    assert receive(one) is None
    other.send(b"\xff" * MAX_BYTES)
    assert receive(one) is None
    assert send(one, Want(processes=[Wanted(process="a", nice=3)]))
    assert receive(other) == Want(processes=[Wanted(process="a", nice=3)])
    for _ in range(100_000):
        if not send(one, Start(process="x" * 1000)):
            break
    else:
        raise AssertionError("it would wait for who does not read")
    other.close()
    assert not send(one, Start(process="a"))
    one.close()


def test_no_link_is_inherited_where_nobody_runs_the_realm(monkeypatch):
    monkeypatch.delenv("MTOR_RUNNER", raising=False)
    assert RunnerLink.inherited(print) is None
    monkeypatch.setenv("MTOR_RUNNER", "no number")
    assert RunnerLink.inherited(print) is None


def test_the_core_may_look_at_who_runs_and_at_the_last_lines_of_one():
    lines = run(
        """
want('seer'); hear()
link.send(Start(process='seer')); hear()
seen = link.look('seer', 3).result(timeout=60)
print('lines', seen.lines, sorted(seen.running), seen.running['core'].memory_mib > 1, flush=True)
print('pid', seen.running['core'].pid == os.getpid(), flush=True)
print('stranger', link.look('x', 3).result(timeout=60).lines, flush=True)
print('none', link.look('seer').result(timeout=60).lines, flush=True)
rest()
""",
        seer="for i in range(500): print('line', i)",
    )
    told = [line for line in lines if line.startswith("[r1.core] ")]
    assert "[r1.core] lines ['line 498', 'line 499', 'ended: exit status 0'] ['core'] True" in told
    assert "[r1.core] pid True" in told
    assert "[r1.core] stranger None" in told
    assert "[r1.core] none []" in told


def test_of_many_long_lines_as_many_are_told_as_fit():
    lines = run(
        """
want('seer'); hear()
told = link.look('seer', 1000).result(timeout=60).lines
print('last', told[-2:] , len(told) < 60, len(told) > 10, flush=True)
rest()
""",
        seer="for i in range(100): print('€\\\\0' * 500)\nprint('end')",
    )
    assert "[r1.core] last ['end', 'ended: exit status 0'] True True" in lines


def test_a_look_at_a_runner_that_is_gone_is_given_up():
    ours, theirs = pair()
    link = RunnerLink(theirs.detach(), lambda _: None)
    waiting = link.look()
    ours.close()
    link.close()
    assert waiting.cancelled()
    flooded_ours, flooded = pair()
    link = RunnerLink(flooded.detach(), lambda _: None)
    looks = [link.look() for _ in range(1000)]
    assert sum(not each.cancelled() for each in looks) <= 32
    link.close()
    flooded_ours.close()
