"""A real realm under `mtor up`, and somebody who listens, asks and commands from beside it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from pathlib import Path

import msgspec
import psutil
import rclpy
from std_msgs.msg import String

from mtor_swarm import config as configs
from mtor_swarm import events
from mtor_swarm.config import RealmConfig, SupervisionConfig, WorkerConfig
from mtor_swarm.events import Command, Event, UnitChanged
from mtor_swarm.realm.ask_client import AskClient
from mtor_swarm.realm.bus import COMMAND_QOS, STATE_QOS, RealmBus
from tests.realm_faults import faulty
from tests.ros.realm_stage import Stage

UP = "import sys; from mtor_swarm.cli import up; sys.exit(up.run(sys.argv[1], models=False))"
BOUND_S = 90.0
ROOT = Path(__file__).parents[2]
LIMITS = SupervisionConfig(
    heartbeat_lease_s=1.5,
    restart_first_s=0.05,
    restart_most_s=0.2,
    failures_in_window=4,
    restarts_in_window=1000,
    quarantine_s=2.0,
)


def install(folder: Path) -> None:
    """The faulty kinds, as pip would leave them on Python's path."""
    info = folder / "faulty-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: faulty\nVersion: 1.0\n")
    lines = [f"{kind} = {faulty.__name__}:{cls}\n" for kind, cls in faulty.KINDS.items()]
    (info / "entry_points.txt").write_text("[mtor_swarm.workers]\n" + "".join(lines))


class Realm:
    """One unit's realm; `changes` are the orchestrator's words on its workers, in order."""

    def __init__(
        self, folder: Path, *, configure_timeout_s: float = 60.0, **workers: WorkerConfig
    ) -> None:
        install(folder)
        limits = msgspec.structs.replace(LIMITS, configure_timeout_s=configure_timeout_s)
        config = RealmConfig(
            unit="r1", state_dir=str(folder / "state"), supervision=limits, workers=workers
        )
        (folder / "realm.yaml").write_text(configs.dump(config))
        self.folder, self.config = folder, config
        self.stage = Stage()
        self.changes: list[dict] = []
        self.capabilities: list[dict] = []
        self.said: list[Event] = []
        node = self.stage.add(rclpy.create_node("beside", namespace="/r1"))
        self._bus = RealmBus(node)
        self._bus.subscribe(("*",), self._heard)
        self.states: dict[str, str] = {}
        node.create_subscription(String, "workers", self._shown, STATE_QOS)
        self._commands = node.create_publisher(String, "command", COMMAND_QOS)
        self._asks = AskClient(node, "/r1/beside")
        self._printed = (folder / "printed").open("w")
        path = os.pathsep.join([str(folder), str(ROOT), os.environ.get("PYTHONPATH", "")])
        self.process = subprocess.Popen(
            [sys.executable, "-c", UP, str(folder / "realm.yaml")],
            stdin=subprocess.DEVNULL,
            stdout=self._printed,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": path},
        )

    def close(self) -> None:
        """End all of it."""
        self._asks.close()
        self.stage.close()
        self.process.terminate()
        try:
            self.process.wait(30.0)
        finally:
            self.process.kill()
            self._printed.close()

    def until(self, condition) -> None:
        """Turn until it is so."""
        try:
            self.stage.until(condition, BOUND_S)
        except AssertionError:
            tail = "\n".join(self.printed().splitlines()[-60:])
            raise AssertionError(f"it did not come to pass; {self.changes[-8:]}\n{tail}") from None

    def printed(self) -> str:
        """All that the realm's processes wrote."""
        return (self.folder / "printed").read_text(errors="replace")

    def state(self, worker: str) -> str:
        """What was last heard of a worker, before we were there too."""
        if worker in self.states:
            return self.states[worker]
        return next((e["state"] for e in reversed(self.changes) if e["worker"] == worker), "")

    def faults(self, worker: str) -> set[str]:
        """All that was ever wrong with a worker."""
        return {e["fault"] for e in self.changes if e["worker"] == worker and e["fault"]}

    def reasons(self, worker: str) -> str:
        """All the reasons that were told."""
        return "\n".join(e["reason"] for e in self.changes if e["worker"] == worker)

    def up(self, *workers: str) -> None:
        """Until they work."""
        self.until(lambda: all(self.state(each) == "active" for each in workers))

    def again(self, worker: str, fault: str) -> None:
        """Until it worked again after this fault."""

        def so() -> bool:
            states = [(e["state"], e["fault"]) for e in self.changes if e["worker"] == worker]
            found = [n for n, each in enumerate(states) if each[1] == fault]
            return bool(found) and ("active", "") in states[found[0] :]

        self.until(so)

    def command(self, do: str, worker: str, config: WorkerConfig | None = None) -> str:
        """A command as gossip passes it on, once checked."""
        self.until(lambda: self._commands.get_subscription_count() >= 3)
        self.until(lambda: self._bus._subscription.get_publisher_count() >= 5)  # acknowledgements
        args = {"do": do, "worker": worker}
        if config is not None:
            args["config"] = msgspec.to_builtins(config)
        command = Command(
            id=uuid.uuid4().hex, verb="worker", units=["r1"], issuer="", issued_s=0.0, args=args
        )
        event = events.make(command, source="/r2/tester", wall_s=0.0, type="mtor.command.issued")
        self._commands.publish(String(data=events.to_json(event)))
        return command.id

    def acknowledged(self, id: str, status: str) -> str:
        """Until it is; the reason."""

        def found() -> list[str]:
            return [
                each.data.get("reason", "")
                for each in tuple(self.said)
                if each.type == "mtor.command.acknowledged"
                and (each.data["command"], each.data["status"]) == (id, status)
            ]

        self.until(found)
        return found()[-1]

    def add(self, worker: str, kind: str, **more) -> None:
        """Have it added by command, and wait until it works."""
        self.acknowledged(self.command("add", worker, WorkerConfig(kind=kind, **more)), "done")

    def tell(self, worker: str, what: str) -> None:
        """Have a faulty worker, the only one that answers, do what it does."""
        while self.answer(b"greeted?").payload != b"yes":  # not every event before is heard
            self._publish(worker, "greet")
        self._publish(worker, what)

    def _publish(self, worker: str, what: str) -> None:
        told = UnitChanged(doing=f"{worker} {what}", was="")
        self._bus.publish(events.make(told, source="/r2/tester", wall_s=0.0, unit="r2"))

    def ask(self, payload: bytes, **more):
        """A question to `echo`; a Future of its answer."""
        return self._asks.ask("echo", payload, kind="text/plain", **{"timeout_s": 60.0, **more})

    def cancel(self, asking) -> None:
        """That answer is no longer wanted."""
        self._asks.cancel(asking.askid)

    def answer(self, payload: bytes, **more):
        """The answer to a question."""
        future = self.ask(payload, **more)
        self.until(future.done)
        return future.result()

    def pid(self, process: str) -> int:
        """The process of this name, once it is there."""
        found: list[int] = []

        def look() -> bool:
            time.sleep(0.02)
            for each in psutil.Process(self.process.pid).children():
                try:
                    words = each.cmdline()
                except psutil.Error:
                    continue
                if words[-2:] == ["--process", process] or f"mtor_swarm.cli.{process}" in words:
                    found.append(each.pid)
            return bool(found)

        self.until(look)
        return found[0]

    def _shown(self, message: String) -> None:
        self.states = msgspec.json.decode(message.data, type=dict[str, str])

    def _heard(self, event: Event) -> None:
        if event.source == "/r1/orchestrator" and event.type == "mtor.worker.changed":
            self.changes.append(event.data)
        elif event.type == "mtor.capability.changed":
            self.capabilities.append(event.data)
        elif event.type != "mtor.unit.changed":
            self.said = [*self.said[-200:], event]
