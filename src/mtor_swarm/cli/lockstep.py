"""`mtor sim --engine kinematic`: a mission in virtual time, in one process, without ROS."""

from __future__ import annotations

import argparse
import math
import random
import time
from typing import Any

import msgspec

from mtor_swarm import config as settings
from mtor_swarm import paths
from mtor_swarm.config import MissionConfig
from mtor_swarm.errors import SwarmError
from mtor_swarm.sim import verdicts
from mtor_swarm.sim.compose import MAX_UNITS, compose, unit_names
from mtor_swarm.sim.kinematic import Kinematic
from mtor_swarm.sim.lockstep import Lockstep
from mtor_swarm.sim.plan import TARGET
from mtor_swarm.sim.radio import Walls
from mtor_swarm.sim.reading import read_text
from mtor_swarm.workers.missions import mission_path

TIMEOUT_S = 600.0
"""A mission is not waited for any longer, unless `--timeout` says so: nobody sees it hang."""


class Befalls(msgspec.Struct, frozen=True):
    """What befalls a unit, or two halves of the swarm, and when."""

    at_s: float
    unit: str = ""
    for_s: float = 0.0


def parse(text: str, option: str, form: str) -> tuple[str, float]:
    """`WHAT@SECONDS` in its parts; SwarmError shows the form."""
    what, _, at = text.rpartition("@")
    try:
        seconds = float(at)
    except ValueError:
        seconds = math.nan
    if not what or not 0 <= seconds < math.inf:
        raise SwarmError(f"{option} {text}: write {form}")
    return what, seconds


class Run:
    """One run of a mission with a seed, and what befalls it."""

    def __init__(
        self,
        mission: MissionConfig,
        *,
        units: int = 6,
        seed: int = 7,
        world: str = "",
        target: bool = True,
        kill: str = "",
        partition: str = "",
    ) -> None:
        """`kill` as `r3@10`, `partition` as `20@30`: for 20 s from 30 s on. SwarmError if not."""
        if not 1 <= units <= MAX_UNITS:
            raise SwarmError(f"--units {units}: 1 to {MAX_UNITS} with --engine kinematic")
        names = unit_names(units)
        dice = random.Random(seed)
        self._killed = _kill(kill, names, dice) if kill else None
        self._parted = _partition(partition) if partition else None
        self._half = dice.sample(names, units // 2)
        path = world or paths.share() / "sim" / "worlds" / "field.sdf"
        with_target = target and bool(mission.target)
        made = read_text(compose(path, names, seed, target=with_target).encode(), str(path))
        engine = Kinematic.of(made, seed=seed)
        if TARGET in engine.things:
            engine.things[mission.target] = engine.things.pop(TARGET)
            engine.things[mission.target].label = mission.target
        self.seed = seed
        self.lockstep = Lockstep(engine, mission, seed=seed, walls=Walls.of(made))
        self.verdict = verdicts.of(mission, engine)
        self.reason = ""
        self._told = 0
        self.lost: list[str] = []

    def step(self) -> list[str]:
        """One tick; what happened in it, a line each."""
        now, lockstep = self.lockstep.time_s, self.lockstep
        lines = []
        if self._killed and now >= self._killed.at_s:
            lockstep.kill(self._killed.unit)
            self.lost.append(self._killed.unit)
            lines.append(f"kill -9 {self._killed.unit}, the whole unit")
            self._killed = None
        if self._parted and now >= self._parted.at_s + self._parted.for_s:
            lockstep.heal()
            lines.append("the halves of the swarm hear each other again")
            self._parted = None
        elif self._parted and now >= self._parted.at_s and not lockstep.net.network.side:
            lockstep.part(self._half)
            lines.append(f"{', '.join(self._half)} hear nothing of the others, nor these of them")
        before = lockstep.doing()
        lockstep.step()
        for unit, doing in lockstep.doing().items():
            if doing and doing != before[unit]:
                lines.append(f"{unit} {doing} (was {before[unit]})")
        if not self.reason:
            live = {each.name for each in lockstep.live()}
            truth = {u: t for u, t in lockstep.engine.truth().items() if u in live}
            said, self._told = lockstep.events[self._told :], len(lockstep.events)
            self.reason = self.verdict.watch(lockstep.time_s, truth, said)
        return lines

    def run(self, until_s: float) -> bool:
        """Whether the mission was done by then."""
        while not self.reason and self.lockstep.time_s < until_s:
            self.step()
        return bool(self.reason)

    def report(self) -> dict[str, Any]:
        """What happened, JSON-ready; of the same seed and arguments the same, to the bit."""
        lockstep = self.lockstep
        return {
            "verdict": "done" if self.reason else "none",
            "reason": self.reason,
            "mission": lockstep.config.name,
            "engine": "kinematic",
            "seed": self.seed,
            "units": list(lockstep.engine.units),
            "lost": self.lost,
            "mission_s": round(lockstep.time_s, 3),
            "touches": lockstep.engine.touches,
            "counters": dict(sorted(lockstep.counts.items())),
            "trace": lockstep.trace(),
            "unit_states": {
                each.name: msgspec.to_builtins(each.mission.state)
                for each in lockstep.cores.values()
            },
            "events": [msgspec.to_builtins(each) for each in lockstep.events],
        }


def play(args: argparse.Namespace, line: Any) -> tuple[int, dict[str, Any]]:
    """Run what the command line asks for, saying it by `line`; the exit code and the report."""
    mission = settings.load(mission_path(args.mission), MissionConfig)
    run = Run(
        mission,
        units=args.units,
        seed=args.seed,
        world=str(args.world or ""),
        target=not args.no_target,
        kill=args.kill,
        partition=args.partition,
    )
    began, lockstep = time.monotonic(), run.lockstep
    timeout = args.timeout or TIMEOUT_S
    line(f"{args.units} units, seed {args.seed}, mission {mission.name}, in virtual time")
    while lockstep.time_s < timeout and not (run.reason and args.until):
        done = run.reason
        for each in run.step():
            line(f"{lockstep.time_s:6.1f} s  {each}")
        if run.reason and not done:
            line(f"{lockstep.time_s:6.1f} s  done: {run.reason}")
    wall_s = time.monotonic() - began
    line(f"{lockstep.time_s:.1f} s were {lockstep.time_s / max(wall_s, 1e-9):.1f} times real time")
    if not run.reason:
        line(f"timeout: the mission was not done within {timeout:.0f} s")
    return 0 if run.reason else 1, {**run.report(), "wall_s": round(wall_s, 3)}


def _kill(text: str, names: list[str], dice: random.Random) -> Befalls:
    unit, at_s = parse(text, "--kill", "UNIT@SECONDS, as r3@10 or random@10")
    unit = dice.choice(names) if unit == "random" else unit
    if unit not in names:
        raise SwarmError(f"--kill {text}: no unit {unit}; there are {', '.join(names)}")
    return Befalls(at_s, unit)


def _partition(text: str) -> Befalls:
    form = "SECONDS@SECONDS, how long and from when on, as 20@30"
    for_s, at_s = parse(text, "--partition", form)
    try:
        lasts = float(for_s)
    except ValueError:
        lasts = math.nan
    if not 0 < lasts < math.inf:
        raise SwarmError(f"--partition {text}: write {form}")
    return Befalls(at_s, for_s=lasts)
