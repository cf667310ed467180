"""A real little swarm and a real gateway over loopback, for the gateway's tests.

Run as a program it is one more unit, in a process that can be killed: `UNIT SEED X Y`.
"""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

import msgspec
import uvicorn

from mtor_swarm.config import SwarmConfig
from mtor_swarm.errors import SwarmError
from mtor_swarm.events import (
    Command,
    CommandAcknowledged,
    Event,
    Pose,
    UnitState,
    fingerprint,
    make,
    payload,
)
from mtor_swarm.gateway.app import create_app
from mtor_swarm.realm import commands
from mtor_swarm.swarm.driver import SwarmDriver
from mtor_swarm.swarm.exchange import Tell
from mtor_swarm.swarm.gossip.wire import Role
from mtor_swarm.swarm.identity import Ed25519Verifier, Identity
from mtor_swarm.swarm.observer import Observer

PATIENCE_S = 60.0
PLAN = {
    "bounds": [-6.0, -4.0, 6.0, 4.0],
    "boxes": [
        {"name": "wall", "x": 0.0, "y": 4.0, "yaw": 0.0, "sx": 12.0, "sy": 0.2, "color": "#888888"}
    ],
}


def until(what: str, met: Callable[[], Any]) -> Any:
    """Wait for the condition, generously; its value."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        value = met()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"waited {PATIENCE_S:g} s: {what}")


class Unit:
    """A real member that says what a test tells it to, and checks commands as a realm does."""

    def __init__(
        self, name: str, seeds: list[str], operators: tuple[str, ...] = (), role: Role = "unit"
    ) -> None:
        self.name = name
        self.commands: list[Command] = []
        self.picture: bytes | None = None
        self.slow = False
        self.asked = 0
        self._operators = operators
        self.driver = SwarmDriver(
            SwarmConfig(seeds=seeds),
            Identity.ephemeral(),
            unit=name,
            role=role,
            on_event=self._heard,
            on_member=lambda member, was: None,
            on_beacon=lambda member, state: None,
            on_ask=self._asked,
        )
        self.driver.start()
        self._state: UnitState | None = None
        self._ended = threading.Event()
        self._beacons = threading.Thread(target=self._show, daemon=True)
        self._beacons.start()

    def stop(self) -> None:
        self._ended.set()
        self._beacons.join()
        self.driver.stop()

    def beacon(self, x_m: float, y_m: float, yaw_rad: float = 0.0, **state: Any) -> None:
        pose = Pose(x_m, y_m, yaw_rad)
        self._state = UnitState(unit=self.name, pose=pose, **state)
        self.driver.beacon(self._state)

    def say(self, data: msgspec.Struct) -> None:
        self.driver.publish(
            make(data, source=f"/{self.name}/test", wall_s=time.time(), unit=self.name)
        )

    def acknowledge(self, status: str, **more: Any) -> None:
        """Answer the last command."""
        self.say(CommandAcknowledged(command=self.commands[-1].id, status=status, **more))

    def _show(self) -> None:
        """Say it again and again, as units do: beacons may be lost."""
        while not self._ended.wait(0.25):
            if self._state is not None:
                self.driver.beacon(self._state)

    def _heard(self, event: Event) -> None:
        if event.type not in ("mtor.stop.issued", "mtor.command.issued"):
            return
        command = payload(event, Command)
        # As if it had come at once: on a loaded machine a test's command may be late.
        now_s = command.issued_s
        if commands.check(command, self.name, self._operators, Ed25519Verifier(), now_s):
            self.commands.append(command)

    def _asked(self, member: str, kind: str, question: bytes, tell: Tell) -> bytes | Future[bytes]:
        self.asked += 1
        if self.slow:
            return Future()  # for ever
        if self.picture is None:
            raise SwarmError(f"{self.name} has no camera")
        return self.picture


class Served:
    """The gateway on a port of loopback, in a thread of its own."""

    def __init__(self, observer: Observer, operator: Identity, port: int = 0) -> None:
        listening = socket.create_server(("127.0.0.1", port))
        self.port = listening.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        config = uvicorn.Config(
            create_app(observer, plan=PLAN, operator=operator),
            log_level="warning",
            ws_max_size=1024,
            ws_per_message_deflate=False,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([listening],))
        self._thread.start()
        until("the gateway serves", lambda: self._server.started)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join()


class Scene:
    """Some units, an observer and a gateway; everything ends with the scene."""

    def __init__(self, *names: str) -> None:
        self.operator = Identity.ephemeral()
        self.units: dict[str, Unit] = {}
        self.observer: Observer | None = None
        try:
            for name in names:
                self.join(name)
            self.observer = Observer(SwarmConfig(seeds=self.seeds), name="viewer")
            self.observer.start()
            self.observer.wait_for_members(PATIENCE_S, len(names))
            self.gateway = Served(self.observer, self.operator)
        except BaseException:
            self.close()
            raise

    @property
    def seeds(self) -> list[str]:
        return [unit.driver.address for unit in self.units.values()][:1]

    def join(self, name: str) -> Unit:
        operators = (fingerprint(self.operator.public_key),)
        unit = self.units[name] = Unit(name, self.seeds, operators)
        return unit

    @contextmanager
    def serve(self, observer: Observer) -> Iterator[Served]:
        """One more gateway, of what another observer knows."""
        served = Served(observer, self.operator)
        try:
            yield served
        finally:
            served.stop()

    def known(self, name: str) -> dict[str, Any]:
        """What the observer knows of a unit."""
        assert self.observer is not None
        found: dict[str, Any] = self.observer.snapshot()["units"].get(name, {})
        return found

    def close(self) -> None:
        if hasattr(self, "gateway"):
            self.gateway.stop()
        if self.observer is not None:
            self.observer.stop()
        for unit in self.units.values():
            unit.stop()

    def __enter__(self) -> Scene:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


if __name__ == "__main__":
    lone = Unit(sys.argv[1], [sys.argv[2]])
    lone.beacon(float(sys.argv[3]), float(sys.argv[4]), doing="searching")
    sys.stdin.read()
    lone.stop()
