"""Starts real members and waits for what they say; ends them all however the test ends."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence

PATIENCE_S = 60.0


class Process:
    """One `member.py` and all that it said so far; `within` is a command that runs it."""

    def __init__(self, unit: str, within: Sequence[str] = (), **options) -> None:
        self.unit = unit
        self.said: list[dict] = []
        self._changed = threading.Condition()
        self.child = subprocess.Popen(
            [
                *within,
                *(sys.executable, "-m", "tests.swarm.member"),
                json.dumps({"unit": unit, **options}),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.child.stdout is not None
        for line in self.child.stdout:
            with self._changed:
                self.said.append(json.loads(line))
                self._changed.notify_all()

    def wait(self, what: str, met: Callable[[list[dict]], bool]) -> list[dict]:
        with self._changed:
            assert self._changed.wait_for(lambda: met(self.said), PATIENCE_S), (
                f"{self.unit} never said {what}: {self.said[-20:]}"
            )
            return list(self.said)

    @property
    def address(self) -> str:
        said = self.wait("ready", lambda said: any(e["kind"] == "ready" for e in said))
        return next(e["address"] for e in said if e["kind"] == "ready")

    def write(self, line: str = "publish") -> None:
        assert self.child.stdin is not None
        self.child.stdin.write(line + "\n")
        self.child.stdin.flush()

    def states(self) -> dict[str, str]:
        with self._changed:
            return {e["unit"]: e["state"] for e in self.said if e["kind"] == "member"}

    def wait_states(self, wanted: dict[str, str]) -> None:
        self.wait(
            str(wanted),
            lambda said: (
                wanted.items()
                <= {e["unit"]: e["state"] for e in said if e["kind"] == "member"}.items()
            ),
        )

    def numbers(self, unit: str) -> list[int]:
        with self._changed:
            return [
                e["data"]["n"] for e in self.said if e["kind"] == "event" and e["unit"] == unit
            ]

    def end(self) -> None:
        self.child.kill()
        self.child.wait()
        self._reader.join()
        for pipe in (self.child.stdin, self.child.stdout):
            assert pipe is not None
            pipe.close()


class Crowd:
    """The members of one test."""

    def __init__(self) -> None:
        self.members: list[Process] = []

    def add(self, unit: str, **options) -> Process:
        member = Process(unit, **options)
        self.members.append(member)
        return member

    def grow(self, number: int, **swarm) -> list[Process]:
        first = self.add("u0", swarm=swarm)
        more = {**swarm, "seeds": [first.address]}
        made = [first, *(self.add(f"u{i}", swarm=more) for i in range(1, number))]
        for each in made:
            each.wait_states({other.unit: "alive" for other in made if other is not each})
        return made

    def __enter__(self) -> Crowd:
        return self

    def __exit__(self, *ended: object) -> None:
        for each in self.members:
            each.end()


def wait_until(what: str, met: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not met():
        assert time.monotonic() < end, f"never: {what}"
        time.sleep(0.02)
