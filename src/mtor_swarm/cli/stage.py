"""The stage of `mtor sim`: one folder, one ROS domain, every process of a simulated swarm."""

from __future__ import annotations

import math
import os
import queue
import random
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from mtor_swarm import config as settings
from mtor_swarm import paths
from mtor_swarm.cli.children import Child, end
from mtor_swarm.cli.fleet import seeds as seeds_of
from mtor_swarm.cli.fleet import write_realms
from mtor_swarm.config import MissionConfig, SwarmConfig
from mtor_swarm.errors import SwarmError
from mtor_swarm.events import Event, MissionDone, make
from mtor_swarm.realm import domain
from mtor_swarm.sim.judge import Truth
from mtor_swarm.sim.verdicts import Delivered
from mtor_swarm.swarm.observer import Observer
from mtor_swarm.workers.missions import mission_path

MAX_EVENTS = 20_000
_TOLD = {"mtor.unit.changed", "mtor.target.seen", "mtor.worker.changed", "mtor.mission.done"}


class Stage:
    """Starts, watches and ends a simulated swarm."""

    def __init__(
        self,
        *,
        units: int,
        seed: int,
        world: Path | None,
        target: bool,
        viewer_port: int | None,
        base_port: int,
        kill: str,
        folder: Path | None,
        mission: str = "search",
    ) -> None:
        """`mission`: a shipped one's name, or its file; ConfigError if there is none such."""
        config = settings.load(mission_path(mission), MissionConfig)
        self.mission = config.name
        self._mission = str(mission_path(mission).resolve())
        self.units = [f"r{number}" for number in range(1, units + 1)]
        self.verdict: dict[str, Any] | None = None
        self._orders = Delivered(config, self.units) if config.kind == "warehouse" else None
        """The judge of a warehouse, who must hear what units say they did."""
        self._done: list[Event] = []
        self._seed, self._world = seed, world
        self._target = target and bool(config.target)
        self._viewer_port, self._base_port = viewer_port, base_port
        self._kill = _parse_kill(kill, self.units)
        self._kept = folder is not None
        self._folder = _folder(folder)
        self._children: dict[str, Child] = {}
        self._lost: set[str] = set()
        self._observer: Observer | None = None
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._events: list[dict[str, Any]] = []
        self._dropped = 0
        self._news: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._engine: dict[str, Any] = {}
        self._marks: dict[str, float] = {}
        self._said: dict[tuple[Any, ...], tuple[Any, ...]] = {}
        self._start = time.monotonic()

    def start(self, tell: Callable[[str], None]) -> None:
        """Start everything; SwarmError says what stands in the way."""
        self._check_ports()
        environment = dict(os.environ)
        environment["ROS_DOMAIN_ID"] = str(domain.claim())
        domain.quiet(environment)
        environment["ROS_LOG_DIR"] = str(self._folder / "ros-log")
        _fetch_weights(tell)
        world = self._compose()
        meet_at = seeds_of(self.units, self._base_port)
        self._spawn(
            "engine",
            "mtor_swarm.cli.engine",
            ["--world", str(world), "--truth", "--mission", self._mission],
            environment,
            self._hear,
        )
        realms = write_realms(self._folder, self.units, self._base_port, self._mission)
        for unit, file in realms.items():
            self._spawn(unit, "mtor_swarm.cli.main", ["up", str(file)], environment)
        if self._viewer_port is not None:
            seeds = [word for seed in meet_at for word in ("--seed", seed)]
            port = ["--port", str(self._viewer_port), "--world", str(world)]
            self._spawn(
                "viewer", "mtor_swarm.cli.gateway", [*seeds, *port], environment, self._hear
            )
        self._observer = Observer(SwarmConfig(seeds=meet_at), name="sim")
        self._observer.start()
        self._observer.listen(self._see)
        where = environment["ROS_DOMAIN_ID"]
        tell(f"{len(self.units)} units, seed {self._seed}, ROS domain {where}")

    def stop(self) -> None:
        """End every process, and take the folder away unless it is to be kept."""
        if self._observer is not None:
            self._observer.stop()
        end(list(self._children.values()))
        if not self._kept:
            shutil.rmtree(self._folder, ignore_errors=True)

    def wait(self, most_s: float) -> None:
        """Until something happens, or `most_s` have gone by."""
        self._wake.wait(most_s)
        self._wake.clear()
        if self._kill and self.mission_s() >= self._kill[1]:
            unit, _ = self._kill
            self._kill = None
            self._news.put(f"kill -9 {unit}, the whole unit")
            self._children[unit].signal(signal.SIGKILL)

    def check(self) -> None:
        """SwarmError if the run cannot go on; a unit that is gone is told and left gone."""
        for name, child in self._children.items():
            code = child.ended()
            if code is None or name in self._lost:
                continue
            self._lost.add(name)
            if name in ("engine", "viewer"):
                raise SwarmError(f"the {name} ended (exit {code}): {child.last_words(3)}")
            self._news.put(f"{name} is gone (exit {code}); the others carry on")
        if len(self._lost & set(self.units)) == len(self.units):
            last = self._children[self.units[-1]].last_words(3)
            raise SwarmError(f"every unit is gone; the last said: {last}")

    def news(self) -> list[str]:
        """What happened since the last call, a line each."""
        lines = []
        while not self._news.empty():
            lines.append(self._news.get())
        return lines

    def status(self) -> str:
        """The run in one line."""
        if "sim_s" not in self._engine:
            return "starting ..."
        doing = {}
        for name, view in self._snapshot()["units"].items():
            doing[name] = (view.get("state") or {}).get("doing", view.get("member_state", ""))
        units = "  ".join(f"{name} {what}" for name, what in sorted(doing.items()))
        return f"{self._engine['sim_s']:6.1f} s  x{self._engine.get('rtf', 0):.2f}  {units}"

    def mission_s(self) -> float:
        """Simulated seconds since the simulator began."""
        return float(self._engine.get("sim_s", 0.0))

    def truth(self) -> dict[str, list[float]]:
        """Where each unit truly is: x and y (m), yaw (rad), speed (m/s), turn rate (rad/s)."""
        found: dict[str, list[float]] = self._engine.get("truth", {})
        return found

    def tell(self, done: MissionDone) -> None:
        """Tell the swarm the verdict, now that it is final."""
        assert self._observer is not None
        event = make(done, source="/judge", wall_s=time.time())
        with self._lock:
            self._events.append(msgspec.to_builtins(event))
        if done.verdict == "done":
            self.verdict = msgspec.to_builtins(done)
        try:
            self._observer.publish(event)
        except SwarmError as error:
            self._news.put(f"the verdict could not be told: {error}")

    def report(self) -> dict[str, Any]:
        """What happened, JSON-ready: times, events, members, dropped counts."""
        snapshot = self._snapshot()
        with self._lock:
            events = list(self._events)
        return {
            "verdict": (self.verdict or {}).get("verdict", "none"),
            "seed": self._seed,
            "units": self.units,
            "lost": sorted(self._lost),
            "mission_s": self.mission_s(),
            "wall_s": time.monotonic() - self._start,
            "marks_s": self._marks,
            "engine": self._engine,
            "members": snapshot["members"],
            "unit_states": snapshot["units"],
            "counters": {**snapshot["counters"], "events_not_kept": self._dropped},
            "events": events,
        }

    # -- start-up --

    def _check_ports(self) -> None:
        wanted = {self._base_port + number: unit for number, unit in enumerate(self.units)}
        if self._viewer_port is not None:
            wanted[self._viewer_port] = "the viewer"
        for port, whose in wanted.items():
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError:
                    option = "--port" if whose == "the viewer" else "--base-port"
                    raise SwarmError(
                        f"port {port} ({whose}) is in use: is another `mtor sim` running? "
                        f"End it, or choose another with {option}"
                    ) from None

    def _compose(self) -> Path:
        from mtor_swarm.sim.compose import compose

        base = self._world or paths.share() / "sim" / "worlds" / "field.sdf"
        world = self._folder / "world.sdf"
        world.write_text(compose(base, self.units, self._seed, target=self._target))
        return world

    def _spawn(
        self,
        name: str,
        module: str,
        arguments: list[str],
        environment: dict[str, str],
        on_line: Callable[[dict[str, object]], None] | None = None,
    ) -> None:
        log = self._folder / f"{name}.log"
        self._children[name] = Child(
            name, module, arguments, log=log, environment=environment, on_line=on_line
        )

    # -- what comes in, from threads --

    def _hear(self, line: dict[str, Any]) -> None:
        """A line from the simulator or the viewer."""
        kind = line.get("kind")
        if kind == "ready" and "url" in line:
            self._news.put(f"viewer: {line['url']}")
        elif kind == "status":
            self._engine = line
            self._judge()
        elif kind == "moved":
            self._marks["first_move_wall"] = time.monotonic() - self._start
            self._marks["moved_sim"] = float(line["sim_s"])
        elif kind == "verdict" and self.verdict is None:
            self._decide(str(line.get("reason", "")))
        self._wake.set()

    def _judge(self) -> None:
        """Hold what units say of orders against the truth; other missions the engine judges."""
        if self._orders is None or self.verdict is not None:
            return
        with self._lock:
            said, self._done = self._done, []
        truth = {unit: Truth(*each) for unit, each in self.truth().items()}
        reason = self._orders.watch(self.mission_s(), truth, said)
        if reason:
            self._decide(reason)

    def _decide(self, reason: str) -> None:
        self.tell(
            MissionDone(
                verdict="done", mission=self.mission, seconds=self.mission_s(), reason=reason
            )
        )

    def _see(self, kind: str, value: dict[str, Any]) -> None:
        """A change that the observer saw."""
        if kind != "event":
            return
        with self._lock:
            if len(self._events) < MAX_EVENTS:
                self._events.append({**value, "heard_s": time.monotonic() - self._start})
            else:
                self._dropped += 1
            if value["type"] == "mtor.task.done" and len(self._done) < MAX_EVENTS:
                self._done.append(msgspec.convert(value, Event))
        if value["type"] in _TOLD and self._is_news(value):
            self._marks.setdefault(value["type"], time.monotonic() - self._start)
            self._news.put(_sentence(value))
            self._wake.set()

    def _is_news(self, event: dict[str, Any]) -> bool:
        """Whether it says more than the last one of its kind from there: people read along."""
        data = event["data"]
        about = (event["type"], event.get("unit"), data.get("worker", data.get("label")))
        said = (data.get("state"), data.get("reason"))
        fresh = self._said.get(about) != said
        self._said[about] = said
        return fresh or event["type"] == "mtor.unit.changed"

    def _snapshot(self) -> dict[str, Any]:
        if self._observer is None:
            return {"units": {}, "members": {}, "counters": {}}
        return self._observer.snapshot()


def _sentence(event: dict[str, Any]) -> str:
    data, unit = event["data"], event.get("unit", "")
    if event["type"] == "mtor.unit.changed":
        return f"{unit} {data['doing']} (was {data['was']})"
    if event["type"] == "mtor.target.seen":
        return f"{unit} sees a {data['label']} at {data['x_m']:.1f}, {data['y_m']:.1f}"
    if event["type"] == "mtor.worker.changed":
        return f"{unit} {data['worker']}: {data['state']} {data['reason']}".rstrip()
    return f"mission: {data['verdict']}"


def _fetch_weights(tell: Callable[[str], None]) -> None:
    """The detector's weights, before any unit wants them; without them units search blind."""
    from mtor_swarm.errors import ModelError
    from mtor_swarm.models.store import Store

    try:
        Store().fetch("coco-ssd", progress=tell)
    except ModelError as error:
        tell(f"warning: {error}")


def _folder(kept: Path | None) -> Path:
    """The folder to keep, made if need be, or one for this run alone."""
    try:
        if kept is None:
            return Path(tempfile.mkdtemp(prefix="mtor-sim-"))
        kept.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SwarmError(f"no folder for this run: {error}; choose one with --keep") from None
    return kept


def _parse_kill(text: str, units: list[str]) -> tuple[str, float] | None:
    if not text:
        return None
    unit, _, at = text.partition("@")
    try:
        seconds = float(at)
        if not 0 <= seconds < math.inf:
            raise ValueError
    except ValueError:
        raise SwarmError(f"--kill {text}: write UNIT@SECONDS, as r3@10 or random@10") from None
    unit = random.choice(units) if unit == "random" else unit
    if unit not in units:
        raise SwarmError(f"--kill {text}: no unit {unit}; there are {', '.join(units)}")
    return unit, seconds
