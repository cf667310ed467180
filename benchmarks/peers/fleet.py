"""The members of one measurement: their processes, and what they have said so far."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

NODES = Path(__file__).parent
BUFFER = 8 << 20
STEP_S = 0.02


class Fleet:
    """So many processes of one backend. Everything said is kept with its time and member."""

    def __init__(self, backend: str, number: int, folder: Path, options: dict[str, Any]) -> None:
        self.number = number
        self.folder = folder
        self.ready: set[int] = set()
        self.alive: list[tuple[float, int, int]] = []
        self.down: list[tuple[float, int, str]] = []
        self.published: dict[int, float] = {}
        self.got: dict[int, dict[int, float]] = {}
        self.flooding = 0.0
        self.flooded: dict[int, tuple[float, int]] = {}
        self.doubled = 0
        self.watching = True
        """Off while the members' own traffic is measured: some have to be asked who is alive."""
        self.lock = threading.Lock()
        self._control = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._control.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        self._control.bind(str(folder / "control.sock"))
        threading.Thread(target=self._hear, daemon=True).start()
        self.children = [self._start(backend, index, options) for index in range(number)]

    def _start(self, backend: str, index: int, options: dict[str, Any]) -> subprocess.Popen[bytes]:
        told = {"index": index, "number": self.number, "folder": str(self.folder)}
        command = [sys.executable, str(NODES / f"node_{backend}.py")]
        env = {**os.environ, "OMP_NUM_THREADS": "1"}
        with (self.folder / f"n{index}.log").open("wb") as log:
            return subprocess.Popen(
                [*command, json.dumps({**told, "options": options})],
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def _hear(self) -> None:
        while True:
            said = json.loads(self._control.recv(65536))
            with self.lock:
                self._note(said, said["at"], said["index"])

    def _note(self, said: dict[str, Any], at: float, index: int) -> None:
        what = said["what"]
        if what == "got":
            had = self.got.setdefault(said["number"], {})
            self.doubled += index in had
            had.setdefault(index, at)
        elif what == "published":
            self.published[said["number"]] = at
        elif what == "alive":
            self.alive.append((at, index, said["count"]))
        elif what == "down":
            self.down.append((at, index, said["who"]))
        elif what == "flooding":
            self.flooding = at
        elif what == "flooded":
            self.flooded[index] = (at, said["count"])
        else:
            self.ready.add(index)

    def tell(self, index: int, do: str, **more: Any) -> None:
        """Tell one node; a full queue there is waited for."""
        raw = json.dumps({"do": do, **more}).encode()
        for _ in range(200):
            try:
                self._control.sendto(raw, str(self.folder / f"n{index}.sock"))
                return
            except OSError:
                time.sleep(0.01)

    def start(self) -> float:
        """Let all begin; when that was."""
        began = time.monotonic()
        for index in range(self.number):
            self.tell(index, "start")
        return began

    def last_words(self) -> str:
        """The end of the first log that has one: why nothing works."""
        for index in range(self.number):
            lines = (self.folder / f"n{index}.log").read_text(errors="replace").splitlines()
            if lines:
                return f"n{index}: {lines[-1]}"
        return ""

    def close(self) -> None:
        """End every process."""
        for child in self.children:
            if child.poll() is None:
                child.send_signal(signal.SIGCONT)
                child.kill()
        for child in self.children:
            child.wait()


def wait(met: Callable[[], bool], most_s: float) -> bool:
    """Until that is so; False if the time is over before."""
    end = time.monotonic() + most_s
    while not met():
        if time.monotonic() > end:
            return False
        time.sleep(STEP_S)
    return True
