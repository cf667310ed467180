"""One process of a realm: what to run, started so that it dies with its parent, read by lines.

Knows nothing of ROS; Linux only. A child asks the kernel to die with its parent
(PR_SET_PDEATHSIG, prctl(2)), so that not even `kill -9` of the parent leaves one behind.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from mtor_swarm.realm import errands
from mtor_swarm.realm.supervision_io import Fault

EX_CONFIG = 78
"""A process ends with this (sysexits.h) when a person must act first; it has said why."""
EX_SOFTWARE = 70
"""A process that hangs ends itself with this (sysexits.h)."""
MAX_LINE_BYTES = 2048
"""Longer lines are cut in pieces: a write of up to PIPE_BUF (4096) bytes cannot half block."""
MAX_LAST_READS = 64
"""Of 64 KiB each, from a process that has ended."""
MAX_LINES = 200
"""The last ones of each are kept, for whoever asks, through its restarts."""
MAX_LAST_LINE = 300
"""Characters of its last line that are told as why it ended."""
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)  # loaded here: between fork and exec is no time for it


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """What to run: its name in front of its lines, its arguments, how much it gives way (nice).

    `memory_mib` is the most it may hold, 0 as much as it likes. The one that is `linked` may ask
    for others (`realm.errands`).
    """

    name: str
    argv: Sequence[str]
    nice: int = 0
    environ: Mapping[str, str] | None = None
    memory_mib: int = 0
    linked: bool = False

    @property
    def process(self) -> str:
        """Its name inside its unit: `core` of `r1.core`."""
        return self.name.rpartition(".")[2]


class Child:
    """One program, and the process that it is at the moment."""

    def __init__(self, program: Program, *, wanted: bool = False) -> None:
        """`wanted`: by the core, which says when it is started again."""
        self.program = program
        self.wanted = wanted
        self.leaving = False
        self.process: subprocess.Popen[bytes] | None = None
        self.pidfd = -1
        self.tail = b""
        self.last = ""
        self.lines: deque[str] = deque(maxlen=MAX_LINES)
        self.fault: Fault = ""
        self.reason = ""
        self.started_s = 0.0
        self.failures = 0
        self.due_s: float | None = None
        self.kill_s: float | None = None

    @property
    def output(self) -> int:
        """The descriptor of what it writes."""
        assert self.process is not None
        assert self.process.stdout is not None
        return self.process.stdout.fileno()

    def start(self, link: int | None = None) -> None:
        """Start it, with `link` as its end of a pair of errands; OSError says why not."""
        program, parent = self.program, os.getpid()
        environ = dict(os.environ if program.environ is None else program.environ)
        environ.pop(errands.ENVIRON, None)
        if link is not None:
            environ[errands.ENVIRON] = str(link)

        def before_exec() -> None:
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:  # it died before the kernel knew of our wish
                os._exit(EX_CONFIG)
            os.nice(program.nice)

        self.started_s = time.monotonic()
        self.due_s = self.kill_s = None
        self.fault, self.reason, self.tail, self.last = "", "", b"", ""
        self.process = subprocess.Popen(
            program.argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environ,
            pass_fds=() if link is None else (link,),
            preexec_fn=before_exec,  # noqa: PLW1509  # this process has no other threads
        )
        os.set_blocking(self.output, False)
        self.pidfd = os.pidfd_open(self.process.pid)

    def read(self, say: Callable[[str], None]) -> bool | None:
        """Pass on what it wrote, line by line; whether there may be more, None if never again."""
        try:
            piece = os.read(self.output, 65536)
        except BlockingIOError:
            return False
        if not piece:
            return None
        *lines, self.tail = (self.tail + piece).split(b"\n")
        for line in lines:
            self._pass_on(line, say)
        if len(self.tail) > MAX_LINE_BYTES:
            self._pass_on(self.tail, say)
            self.tail = b""
        return True

    def end(self, say: Callable[[str], None]) -> int:
        """It has ended: pass on the rest of what it wrote; its exit status, or -signal."""
        assert self.process is not None
        assert self.process.stdout is not None
        code = self.process.wait()
        for _ in range(MAX_LAST_READS):  # a grandchild may hold the pipe, and write for ever
            if not self.read(say):
                break
        if self.tail:
            self._pass_on(self.tail, say)
        os.close(self.pidfd)
        self.process.stdout.close()
        self.process = None
        return code

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it runs."""
        if self.process is not None:
            self.process.send_signal(number)

    def held_mib(self) -> float:
        """The memory that it holds at the moment (resident set, proc(5))."""
        if self.process is None:
            return 0.0
        try:
            pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        except (OSError, IndexError):  # it ends just now
            return 0.0
        return int(pages) * _PAGE_BYTES / 2**20

    def blame(self, code: int) -> tuple[Fault, str]:
        """Why it ended, in one word and in full: as whoever ended it knows, else as it looks."""
        if self.reason:
            return self.fault, self.reason
        if code == EX_CONFIG:
            return "config", self.last or why(code)
        if code == EX_SOFTWARE:
            return "hang", "hung, and ended itself; its log says where"
        return "crash", f"{why(code)}: {self.last}" if code > 0 and self.last else why(code)

    def _pass_on(self, line: bytes, say: Callable[[str], None]) -> None:
        for start in range(0, max(len(line), 1), MAX_LINE_BYTES):
            text = line[start : start + MAX_LINE_BYTES].decode(errors="replace")
            self.last = text.strip()[:MAX_LAST_LINE] or self.last
            say(text)


def why(code: int) -> str:
    """An exit status, or the number of a signal below 0, in words."""
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
