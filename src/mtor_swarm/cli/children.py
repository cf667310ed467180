"""Child processes of `mtor sim`: each with a log of its own, none left behind.

A child leads a session of its own, so that it dies whole, and asks the kernel to end it when we
die however we die.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from mtor_swarm.realm.processes import die_with_parent


class Child:
    """One child: its stderr goes to a log, each JSON line of its stdout to `on_line`."""

    def __init__(
        self,
        name: str,
        module: str,
        arguments: Sequence[str],
        *,
        log: Path,
        environment: Mapping[str, str],
        on_line: Callable[[dict[str, object]], None] | None = None,
    ) -> None:
        self.name = name
        self.log = log
        with log.open("ab") as sink:
            self.process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if on_line else sink,
                stderr=sink,
                env=dict(environment),
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - one system call, no lock is taken
            )
        if on_line is not None:
            threading.Thread(target=self._read, args=(on_line,), daemon=True).start()

    @property
    def pid(self) -> int:
        """Its process id, which is its group's too."""
        return self.process.pid

    def ended(self) -> int | None:
        """Its exit code, or None while it runs."""
        return self.process.poll()

    def signal(self, number: int) -> None:
        """Signal the child and all that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def last_words(self, lines: int = 5) -> str:
        """The end of its log."""
        text = self.log.read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.strip().splitlines()[-lines:])

    def _read(self, on_line: Callable[[dict[str, object]], None]) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as pipe:
            for raw in pipe:
                try:
                    value = msgspec.json.decode(raw)
                except msgspec.DecodeError:
                    continue  # a library that prints; its words are not for us
                if isinstance(value, dict):
                    on_line(value)


def end(children: Sequence[Child], within_s: float = 4.0) -> None:
    """Ask all to end, then kill what is left, and wait until none is."""
    for child in children:
        child.signal(signal.SIGTERM)
    deadline = time.monotonic() + within_s
    for child in children:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.process.wait(max(0.0, deadline - time.monotonic()))
    for child in children:
        child.signal(signal.SIGKILL)  # the whole group: a child of a child may linger
        child.process.wait()
