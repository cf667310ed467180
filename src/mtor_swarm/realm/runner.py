"""Runs a realm's processes and brings back what dies. Knows nothing of ROS; Linux only.

One thread waits on everything at once: the children's output, their ends (pidfd_open(2)), the
core's errands, the next restart and the wish to stop. Its own programs it starts again itself;
those that the core wants, when the core says so.
"""

from __future__ import annotations

import itertools
import os
import random
import select
import selectors
import signal
import socket
import time
from collections.abc import Callable, Sequence

from msgspec import json

from mtor_swarm.config import SupervisionConfig
from mtor_swarm.realm import errands
from mtor_swarm.realm.errands import End, Ended, Look, Running, Seen, Start, Want, Wanted
from mtor_swarm.realm.processes import EX_CONFIG, Child, Program, why
from mtor_swarm.realm.restarts import delay_s

STOP_S = 3.0
"""From SIGTERM to SIGKILL."""
SHOW_S = 1.0
"""A process that hangs has so long to show where (SIGABRT, faulthandler) before SIGKILL."""
LOOK_S = 1.0
"""The memory of those that have a limit is looked at this often."""
MAX_WANTED = 256
MAX_LINES_BYTES = errands.MAX_BYTES // 2
"""Of the last lines that are told at a time."""


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
        worker: Callable[[Wanted], Program] | None = None,
        say: Callable[[str], None] | None = None,
        rng: random.Random | None = None,
        stop_s: float = STOP_S,
    ) -> None:
        """`worker` tells how to run what the core wants beside `programs`.

        `say` takes each line of the children, prefixed with `[name]`; else stdout does.
        """
        self._config = config
        self._worker = worker
        self._say = say or Terminal()
        self._rng = rng or random.Random()
        self._stop_s = stop_s
        self._children = {each.process: Child(each) for each in programs}
        self._link: socket.socket | None = None
        self._look_s: float | None = None
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
            for child in tuple(self._children.values()):
                self._start(child)
            while not (self._stopping and not self._running()):
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
            for each in self._running()
            if each.process is not None
        }

    def _running(self) -> list[Child]:
        return [each for each in self._children.values() if each.process is not None]

    def _act(self, now: float) -> None:
        if self._stopping and self._kill_s is None:
            self._kill_s = now + self._stop_s
            self._signal_all(signal.SIGTERM)
        elif self._stopping and self._kill_s is not None and now >= self._kill_s:
            self._kill_s = now + self._stop_s
            self._signal_all(signal.SIGKILL)
        for child in tuple(self._children.values()):
            if child.kill_s is not None and now >= child.kill_s:
                child.kill_s = None
                child.signal(signal.SIGKILL)
            if child.due_s is not None and (now >= child.due_s or self._stopping):
                child.due_s = None
                if not self._stopping:
                    self._start(child)
        self._watch_memory(now)

    def _timeout(self) -> float | None:
        if self._stopping and self._kill_s is None:
            return 0.0
        due = [self._kill_s, self._look_s]
        due += [at for each in self._children.values() for at in (each.due_s, each.kill_s)]
        known = [each for each in due if each is not None]
        return max(0.0, min(known) - time.monotonic()) if known else None

    # What the processes do.

    def _start(self, child: Child) -> None:
        core = child.program.linked
        ends = errands.pair() if core else None
        try:
            child.start(ends[1].fileno() if ends else None)
        except OSError as error:
            child.last = f"cannot be started: {error}"
            self._tell(child, child.last)
            self._close_link(ends[0] if ends else None)
            self._gone(child, 127)
            return
        finally:
            if ends:
                ends[1].close()
        if ends:
            self._open_link(ends[0])
        self._selector.register(child.output, selectors.EVENT_READ, lambda: self._read(child))
        self._selector.register(child.pidfd, selectors.EVENT_READ, lambda: self._ended(child))

    def _read(self, child: Child) -> None:
        if child.process is None:  # it ended in the same round, and was read to the end then
            return
        if child.read(lambda line: self._tell(child, line)) is None:
            self._selector.unregister(child.output)  # it closed it, and perhaps goes on without

    def _ended(self, child: Child) -> None:
        self._forget(child)
        code = child.end(lambda line: self._tell(child, line))
        if self._stopping:
            return
        if code == EX_CONFIG and not child.wanted:
            self._code = EX_CONFIG
            self._stopping = True
            return
        self._tell(child, f"ended: {child.reason or why(code)}")
        self._gone(child, code)

    def _gone(self, child: Child, code: int) -> None:
        """It is not there: told to the core, and started again by whom that is for."""
        if child.program.linked:
            self._close_link(self._link)
            self._children = {n: e for n, e in self._children.items() if e.process or not e.wanted}
        if child.leaving:
            del self._children[child.program.process]
            return
        fault, reason = child.blame(code)
        self._send(Ended(process=child.program.process, fault=fault, reason=reason))
        if not child.wanted:
            self._later(child)

    def _later(self, child: Child) -> None:
        now = time.monotonic()
        if now - child.started_s >= self._config.window_s:
            child.failures = 0
        child.failures += 1
        wait_s = delay_s(child.failures, self._config, self._rng)
        self._tell(child, f"starts again in {wait_s:.1f} s")
        child.due_s = now + wait_s

    def _watch_memory(self, now: float) -> None:
        limited = [each for each in self._running() if each.program.memory_mib]
        if not limited or self._stopping:
            self._look_s = None
        elif self._look_s is None or now >= self._look_s:
            self._look_s = now + LOOK_S
            for child in limited:
                held, most = child.held_mib(), child.program.memory_mib
                if held > most:
                    child.fault = "memory"
                    child.reason = f"it held {held:.0f} MiB of memory; {most} are allowed"
                    child.signal(signal.SIGKILL)

    # What the core asks for.

    def _open_link(self, end: socket.socket) -> None:
        self._link = end
        self._selector.register(end, selectors.EVENT_READ, self._hear)

    def _close_link(self, end: socket.socket | None) -> None:
        if end is None:
            return
        if end is self._link:
            self._selector.unregister(end)
            self._link = None
        end.close()

    def _send(self, errand: Ended | Seen) -> None:
        if self._link is not None:
            errands.send(self._link, errand)  # one that does not read will be found hanging

    def _hear(self) -> None:
        if self._link is None:  # its process ended in the same round
            return
        errand = errands.receive(self._link)
        if errand is None:
            self._close_link(self._link)
        elif isinstance(errand, Want) and self._worker is not None:
            self._want(errand.processes[:MAX_WANTED], self._worker)
        elif isinstance(errand, Look):
            self._send(self._seen(errand))
        elif isinstance(errand, Start | End) and errand.process in self._children:
            child = self._children[errand.process]
            if isinstance(errand, End) and child.process is None and child.wanted:
                self._send(Ended(process=errand.process, fault="", reason="it was not there"))
            elif isinstance(errand, End):
                self._end(child, hangs=errand.hangs)
            elif child.process is None and not self._stopping:
                child.due_s = time.monotonic()

    def _seen(self, look: Look) -> Seen:
        running = {
            each.program.process: Running(pid=each.process.pid, memory_mib=each.held_mib())
            for each in self._running()
            if each.process is not None
        }
        child = self._children.get(look.process)
        if child is None:
            return Seen(token=look.token, running=running)
        lines = list(child.lines)[-look.lines :] if look.lines > 0 else []
        sizes = itertools.accumulate(len(json.encode(each)) + 1 for each in reversed(lines))
        fit = sum(size <= MAX_LINES_BYTES for size in sizes)
        return Seen(token=look.token, running=running, lines=lines[len(lines) - fit :])

    def _want(self, processes: Sequence[Wanted], worker: Callable[[Wanted], Program]) -> None:
        wanted = {each.process: worker(each) for each in processes}
        for name, child in tuple(self._children.items()):
            if child.wanted and name not in wanted:
                child.leaving = True
                if child.process is None:
                    del self._children[name]
                self._end(child)
        for name, program in wanted.items():
            known = self._children.get(name)
            if known is None:
                known = self._children[name] = Child(program, wanted=True)
                known.due_s = time.monotonic()
            elif known.wanted:
                known.program, known.leaving = program, False

    def _end(self, child: Child, *, hangs: bool = False) -> None:
        child.due_s = None if child.wanted else child.due_s
        if child.process is None:
            return
        child.signal(signal.SIGABRT if hangs else signal.SIGTERM)
        child.fault = "hang" if hangs else child.fault
        child.reason = "it hung" if hangs else child.reason or "it was asked to"
        child.kill_s = time.monotonic() + (SHOW_S if hangs else self._stop_s)

    def _forget(self, child: Child) -> None:
        self._selector.unregister(child.pidfd)
        if child.output in self._selector.get_map():
            self._selector.unregister(child.output)

    def _signal_all(self, number: signal.Signals) -> None:
        for child in self._running():
            child.signal(number)

    def _close(self) -> None:
        """Whatever happened: no child outlives the runner."""
        for child in self._running():
            child.signal(signal.SIGKILL)
            self._forget(child)
            child.end(lambda line: None)
        self._close_link(self._link)
        self._selector.close()
        wake, self._wake = self._wake, -1
        os.close(wake)

    def _tell(self, child: Child, text: str) -> None:
        child.lines.append(text)
        self._say(f"[{child.program.name}] {text}")
