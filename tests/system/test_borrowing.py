"""Three realms of real processes: one asks, two lend, and one of these is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from mtor_swarm import config as configs
from mtor_swarm.config import RealmConfig, SwarmConfig, WorkerConfig
from mtor_swarm.realm import ask_wire
from mtor_swarm.realm.ask_wire import BETWEEN_REALMS, Answer, Ask
from mtor_swarm.swarm.observer import Observer
from tests.swarm.crowd import PATIENCE_S, wait_until
from tests.system import lender_kind

ROOT = Path(__file__).parents[2]
LENDERS = ("r2", "r3")


def install(folder: Path) -> None:
    """The kind of worker that the lenders have, as pip would leave it on Python's path."""
    info = folder / "lenders-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lenders\nVersion: 1.0\n")
    point = f"helper = {lender_kind.__name__}:Helper"
    (info / "entry_points.txt").write_text(f"[mtor_swarm.workers]\n{point}\n")


class Swarm:
    """The three, and an observer who asks r1."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        install(folder)
        self.observer = Observer(SwarmConfig())
        self.observer.start()
        self.processes = {name: self._up(name) for name in ("r1", *LENDERS)}

    def _up(self, name: str) -> subprocess.Popen[bytes]:
        config = RealmConfig(
            unit=name,
            state_dir=str(self.folder / name),
            swarm=SwarmConfig(seeds=[self.observer._driver.address]),
            workers={"helper": WorkerConfig(kind="helper")} if name in LENDERS else {},
        )
        path = self.folder / f"{name}.yaml"
        path.write_text(configs.dump(config))
        paths = [str(self.folder), str(ROOT), os.environ.get("PYTHONPATH", "")]
        with (self.folder / f"{name}.log").open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "mtor_swarm.cli.main", "up", "--no-models", str(path)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join(paths),
                    lender_kind.FOLDER: str(self.folder),
                },
            )

    def signal(self, name: str, number: int) -> None:
        """All of a realm at once."""
        os.killpg(self.processes[name].pid, number)

    def close(self) -> None:
        self.observer.stop()
        for process in self.processes.values():
            process.send_signal(signal.SIGCONT)
            process.terminate()
        for process in self.processes.values():
            process.wait(PATIENCE_S)

    def lend(self) -> set[str]:
        """Who lends, as far as the observer has heard."""
        units = self.observer.snapshot()["units"].items()
        alive = {name: each["state"] for name, each in units if each["member_state"] == "alive"}
        return {name for name, state in alive.items() if "name" in (state or {}).get("offers", {})}

    def ask(self) -> Future[bytes]:
        ask = Ask(
            askid=uuid.uuid4().hex,
            capability="name",
            payload=b"",
            caller="test",
            timeout_s=PATIENCE_S,
        )
        return self.observer.ask("r1", BETWEEN_REALMS, ask_wire.encode(ask), PATIENCE_S)

    def began(self) -> list[str]:
        """Which lenders began to answer, one for each ask."""
        return [each.name.split()[0] for each in self.folder.glob("r? *")]


@pytest.fixture
def swarm(tmp_path: Path) -> Iterator[Swarm]:
    swarm = Swarm(tmp_path)
    try:
        yield swarm
    finally:
        swarm.close()


def answer(future: Future[bytes]) -> Answer:
    found = ask_wire.decode(future.result(PATIENCE_S))
    assert isinstance(found, Answer)
    return found


def costs_a_retry(swarm: Swarm, number: int) -> None:
    """What r2 is at work on when that signal comes is answered by r3."""
    wait_until("both lend", lambda: swarm.lend() == {*LENDERS})
    wait_until("r1 borrows from both", lambda: lenders(swarm) == {*LENDERS})
    before = Counter(swarm.began())
    (swarm.folder / "hold").touch()
    asks = [swarm.ask() for _ in range(8)]
    wait_until("all are begun", lambda: len(swarm.began()) == sum(before.values()) + len(asks))
    held = Counter(swarm.began()) - before
    swarm.signal("r2", number)
    wait_until(
        "r3 has those of r2 too",
        lambda: (Counter(swarm.began()) - before)["r3"] == held["r3"] + held["r2"],
    )
    (swarm.folder / "hold").unlink()
    found = [answer(each) for each in asks]
    assert {(each.ok, each.payload) for each in found} == {(True, b"r3")}
    retried = ["retried" in [step.what for step in each.steps] for each in found]
    assert sum(retried) == held["r2"] > 0


def lenders(swarm: Swarm) -> set[str]:
    """Who answers some asks, none of which may be left without an answer."""
    found = [answer(each) for each in [swarm.ask() for _ in range(8)]]
    return {each.worker.removesuffix("/helper") for each in found}


@pytest.mark.timeout(300)
def test_a_lender_that_stands_still_or_dies_costs_a_retry_and_not_an_answer(swarm: Swarm) -> None:
    costs_a_retry(swarm, signal.SIGSTOP)
    swarm.signal("r2", signal.SIGCONT)
    costs_a_retry(swarm, signal.SIGKILL)
