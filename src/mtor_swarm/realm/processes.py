"""Runs a realm's processes and brings back what dies. Knows nothing of ROS; Linux only.

One thread waits on everything at once: the children's output, their ends (pidfd_open(2)), the
next restart and the wish to stop. A child asks the kernel to die with its parent
(PR_SET_PDEATHSIG, prctl(2)), so that not even `kill -9` of the runner leaves one behind.
"""

from __future__ import annotations

import ctypes
import os
import random
import select
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence

import msgspec

from mtor_swarm.config import SupervisionConfig
from mtor_swarm.realm.restarts import delay_s

EX_CONFIG = 78
"""A process ends with this (sysexits.h) when a person must act first; it has said why."""
STOP_S = 3.0
"""From SIGTERM to SIGKILL."""
MAX_LINE_BYTES = 2048
"""Longer lines are cut in pieces: a write of up to PIPE_BUF (4096) bytes cannot half block."""
MAX_LAST_READS = 64
"""Of 64 KiB each, from a process that has ended."""
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)  # loaded here: between fork and exec is no time for it


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """What to run: its name in front of its lines, its arguments, how much it gives way (nice)."""

    name: str
    argv: Sequence[str]
    nice: int = 0
    environ: Mapping[str, str] | None = None


class _Child:
    """One program, and the process that it is at the moment."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.process: subprocess.Popen[bytes] | None = None
        self.pidfd = -1
        self.tail = b""
        self.started_s = 0.0
        self.failures = 0
        self.due_s: float | None = None


class Terminal:
    """Writes lines to a file descriptor, and drops them (counted) rather than wait for a reader.

    A robot must not stand still because somebody pressed Ctrl-S.
    """

    def __init__(self, fd: int = 1) -> None:
        self.dropped = 0
        self._fd = fd

    def __call__(self, line: str) -> None:
        """Write the line now or never."""
        text = f"({self.dropped} lines dropped: nobody read them)\n" if self.dropped else ""
        try:
            if select.select([], [self._fd], [], 0)[1]:
                os.write(self._fd, f"{text}{line}\n".encode(errors="replace"))
                self.dropped = 0
                return
        except OSError:  # the reader is gone: the realm lives on
            pass
        self.dropped += 1


class Runner:
    """Keeps programs running until `stop` is called or one of them ends with EX_CONFIG."""

    def __init__(
        self,
        programs: Sequence[Program],
        config: SupervisionConfig,
        *,
        say: Callable[[str], None] | None = None,
        rng: random.Random | None = None,
        stop_s: float = STOP_S,
    ) -> None:
        """`say` takes each line of the children, prefixed with `[name]`; else stdout does."""
        self._config = config
        self._say = say or Terminal()
        self._rng = rng or random.Random()
        self._stop_s = stop_s
        self._children = [_Child(each) for each in programs]
        self._selector = selectors.DefaultSelector()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._selector.register(
            self._wake, selectors.EVENT_READ, lambda: os.eventfd_read(self._wake)
        )
        self._stopping = False
        self._kill_s: float | None = None
        self._code = 0

    def stop(self) -> None:
        """End the children, then `run`. From a signal handler or any thread; again is harmless."""
        self._stopping = True
        if self._wake >= 0:
            os.eventfd_write(self._wake, 1)

    def run(self) -> int:
        """Run until stopped: 0, or EX_CONFIG if a child asked not to be restarted."""
        try:
            for child in self._children:
                self._start(child)
            while not (self._stopping and all(each.process is None for each in self._children)):
                for key, _ in self._selector.select(self._timeout()):
                    key.data()
                self._act(time.monotonic())
        finally:
            self._close()
        return self._code

    def pids(self) -> dict[str, int]:
        """The process of each program that runs at the moment."""
        return {
            each.program.name: each.process.pid
            for each in self._children
            if each.process is not None
        }

    def _act(self, now: float) -> None:
        if self._stopping and self._kill_s is None:
            self._kill_s = now + self._stop_s
            self._signal_all(signal.SIGTERM)
        elif self._stopping and self._kill_s is not None and now >= self._kill_s:
            self._kill_s = now + self._stop_s
            self._signal_all(signal.SIGKILL)
        for child in self._children:
            if child.due_s is not None and (now >= child.due_s or self._stopping):
                child.due_s = None
                if not self._stopping:
                    self._start(child)

    def _timeout(self) -> float | None:
        due = [each.due_s for each in self._children] + [self._kill_s]
        known = [each for each in due if each is not None]
        if self._stopping and self._kill_s is None:
            return 0.0
        return max(0.0, min(known) - time.monotonic()) if known else None

    def _start(self, child: _Child) -> None:
        program, parent = child.program, os.getpid()

        def before_exec() -> None:
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:  # it died before the kernel knew of our wish
                os._exit(EX_CONFIG)
            os.nice(program.nice)

        child.started_s = time.monotonic()
        try:
            process = subprocess.Popen(
                program.argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=program.environ,
                preexec_fn=before_exec,  # noqa: PLW1509  # this process has no other threads
            )
        except OSError as error:
            self._tell(child, f"cannot be started: {error}")
            self._later(child)
            return
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        child.process, child.tail = process, b""
        child.pidfd = os.pidfd_open(process.pid)
        self._selector.register(process.stdout, selectors.EVENT_READ, lambda: self._read(child))
        self._selector.register(child.pidfd, selectors.EVENT_READ, lambda: self._ended(child))

    def _read(self, child: _Child) -> bool:
        """Pass on what the child wrote; whether there may be more."""
        if child.process is None:  # it ended in the same round, and was read to the end then
            return False
        assert child.process.stdout is not None
        try:
            piece = os.read(child.process.stdout.fileno(), 65536)
        except BlockingIOError:
            return False
        if not piece:  # it closed its output, and perhaps goes on without
            if child.process.stdout in self._selector.get_map():
                self._selector.unregister(child.process.stdout)
            return False
        *lines, child.tail = (child.tail + piece).split(b"\n")
        for line in lines:
            self._pass_on(child, line)
        if len(child.tail) > MAX_LINE_BYTES:
            self._pass_on(child, child.tail)
            child.tail = b""
        return True

    def _pass_on(self, child: _Child, line: bytes) -> None:
        for start in range(0, max(len(line), 1), MAX_LINE_BYTES):
            self._tell(child, line[start : start + MAX_LINE_BYTES].decode(errors="replace"))

    def _ended(self, child: _Child) -> None:
        assert child.process is not None
        code = child.process.wait()
        for _ in range(MAX_LAST_READS):  # a grandchild may hold the pipe, and write for ever
            if not self._read(child):
                break
        if child.tail:
            self._pass_on(child, child.tail)
        self._forget(child)
        if self._stopping:
            return
        if code == EX_CONFIG:
            self._code = EX_CONFIG
            self._stopping = True
            return
        self._tell(child, f"ended: {_why(code)}")
        self._later(child)

    def _later(self, child: _Child) -> None:
        now = time.monotonic()
        if now - child.started_s >= self._config.window_s:
            child.failures = 0
        child.failures += 1
        wait_s = delay_s(child.failures, self._config, self._rng)
        self._tell(child, f"starts again in {wait_s:.1f} s")
        child.due_s = now + wait_s

    def _forget(self, child: _Child) -> None:
        assert child.process is not None
        assert child.process.stdout is not None
        self._selector.unregister(child.pidfd)
        os.close(child.pidfd)
        if child.process.stdout in self._selector.get_map():
            self._selector.unregister(child.process.stdout)
        child.process.stdout.close()
        child.process = None

    def _signal_all(self, number: signal.Signals) -> None:
        for child in self._children:
            if child.process is not None:
                child.process.send_signal(number)

    def _close(self) -> None:
        """Whatever happened: no child outlives the runner."""
        for child in self._children:
            if child.process is not None:
                child.process.kill()
                child.process.wait()
                self._forget(child)
        self._selector.close()
        wake, self._wake = self._wake, -1
        os.close(wake)

    def _tell(self, child: _Child, text: str) -> None:
        self._say(f"[{child.program.name}] {text}")


def _why(code: int) -> str:
    """An exit status in words."""
    if code >= 0:
        return f"exit status {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


def die_with_parent() -> None:
    """Ask the kernel for a SIGTERM when whoever started this process ends."""
    parent = os.getppid()
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        raise SystemExit(0)  # it had ended before we asked


def python(module: str, *arguments: str) -> list[str]:
    """The command line that runs a module of ours with this very Python."""
    return [sys.executable, "-m", module, *arguments]
