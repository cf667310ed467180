"""`mtor_sim`: the embedded simulator as a process, with the judge that no unit can read.

Its parent reads JSON lines from its standard output: `ready`, `moved`, `verdict` once each,
`status` twice a second. It ends on SIGTERM, SIGINT, with its parent, or when nobody reads it.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from typing import Any

from mtor_swarm.errors import SwarmError
from mtor_swarm.realm.processes import die_with_parent

TICK_S = 0.01
STATUS_EVERY_S = 0.5
JUDGE_EVERY_S = 0.1
MOVED_MPS = 0.05

EPILOG = """\
examples:
  mtor_sim --world sim/worlds/field.sdf                 the world with the units that it has
  mtor_sim --world field --units 12 --seed 3            twelve units, placed by a seed
  mtor_sim --world field --units amy,bob --no-target    two units by name, and no cat
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run until told to end; 0 then, 2 for wrong use or input."""
    args = _parser().parse_args(argv)
    die_with_parent()
    try:
        return _run(args)
    except (KeyboardInterrupt, BrokenPipeError):
        return 0
    except SwarmError as error:
        print(f"mtor_sim: {error}", file=sys.stderr)
        return 2
    finally:
        _forget_stdout()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mtor_sim",
        description="The embedded simulator: physics, sensors and the judge of the mission.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--world", required=True, metavar="FILE", help="an SDF file, or a shipped one's name")
    add("--units", default="", metavar="N|NAMES", help="place so many, or these, in the world")
    add("--seed", type=int, default=0, help="for places and for the noise of sensors (default 0)")
    add("--no-target", action="store_true", help="take the target out of the world")
    add("--mission", default="search", help="what is judged: a mission's name or file (search)")
    add("--camera-hz", type=float, default=4.0, help="pictures a second of a unit (default 4)")
    add("--ray-camera", action="store_true", help="the coarse camera that needs no OpenGL")
    add("--truth", action="store_true", help="put the ground truth into each status line")
    return parser


def _run(args: argparse.Namespace) -> int:
    if not 0 < args.camera_hz <= 60:
        raise SwarmError(f"--camera-hz {args.camera_hz:g}: above 0 and up to 60")
    if args.seed < 0:
        raise SwarmError(f"--seed {args.seed}: 0 or above")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _interrupt)
    from mtor_swarm.sim import compose, reading, resources
    from mtor_swarm.sim.engine import Engine

    path = resources.world_path(args.world)
    text = resources.text_of(path)
    if args.units or args.no_target:
        there = [each.name for each in reading.read_text(text, str(path)).units]
        units = _units(args.units) if args.units else there
        text = compose.compose(path, units, args.seed, target=not args.no_target).encode()
    world = reading.read_text(text, str(path))
    engine = Engine(world, seed=args.seed)
    judge = _judge(world, args.mission)
    from mtor_swarm.sim.ros import RosSide  # only now: a bad world is told at once

    ros = RosSide(engine, camera_hz=args.camera_hz, ray_cast=args.ray_camera)
    try:
        ros.start()
        _Run(engine, ros, judge, truth=args.truth).loop()
    finally:
        ros.close()
    return 0


def _units(text: str) -> list[str]:
    """Names from `--units`: a count or a list."""
    from mtor_swarm.sim.compose import MAX_UNITS, unit_names

    if text.isdecimal():
        return unit_names(min(int(text), MAX_UNITS + 1))  # which is refused in its own words
    return [each.strip() for each in text.split(",")]


def _judge(world: Any, name: str) -> Any:
    """What watches the mission on a flat map of the world; None if its target is not there.

    Nor for a warehouse: who judges that must hear what units say, which the parent does.
    """
    from mtor_swarm import config as settings
    from mtor_swarm.sim.kinematic import Kinematic
    from mtor_swarm.sim.verdicts import Shadow
    from mtor_swarm.workers.missions import mission_path

    mission = settings.load(mission_path(name), settings.MissionConfig)
    flat = Kinematic.of(world)
    if mission.kind == "warehouse" or (mission.target and mission.target not in flat.things):
        return None
    return Shadow(mission, flat)


class _Run:
    """Steps the simulation in real time and tells what happens."""

    def __init__(self, engine: Any, ros: Any, judge: Any, *, truth: bool) -> None:
        from mtor_swarm.sim.plan import TARGET

        self._engine, self._ros, self._tell_truth = engine, ros, truth
        target = engine.world.model(TARGET)
        self._target = target.pose.position[:2] if target else None
        self._judge = judge
        self._moved = self._noted = False
        self._status_at = self._judged_s = 0.0
        self._pictures = 0

    def loop(self) -> None:
        """Until a signal comes."""
        from mtor_swarm.sim.pace import Pace

        engine = self._engine
        start = time.monotonic()
        pace = Pace(start)
        step_s = engine.world.step_s
        _tell("ready", units=list(engine.units), target=self._target is not None)
        while True:
            now = time.monotonic()
            steps = int(pace.due_s(now, engine.time_s) / step_s)
            if steps:
                # In short runs, so that sensors keep their rates while time is caught up.
                self._ros.step(min(steps, max(1, round(2 * TICK_S / step_s))))
            if engine.time_s - self._judged_s >= JUDGE_EVERY_S:
                self._judged_s = engine.time_s
                self._watch()
            if now - self._status_at >= STATUS_EVERY_S:
                self._status(now - start, now - self._status_at, pace.factor)
                self._status_at = now
            if steps * step_s <= 2 * TICK_S:
                time.sleep(max(0.0, now + TICK_S - time.monotonic()))

    def _watch(self) -> None:
        truth = self._engine.truth()
        if not self._moved and any(abs(each.speed_mps) > MOVED_MPS for each in truth.values()):
            self._moved = True
            _tell("moved", sim_s=round(self._engine.time_s, 3))
        reason = self._judge.watch(self._engine.time_s, truth) if self._judge else ""
        if reason:
            self._judge = None
            _tell("verdict", verdict="done", sim_s=round(self._engine.time_s, 3), reason=reason)

    def _status(self, wall_s: float, since_s: float, factor: float) -> None:
        cameras = self._ros.cameras
        line: dict[str, Any] = {
            "sim_s": round(self._engine.time_s, 3),
            "wall_s": round(wall_s, 3),
            "rtf": round(factor, 3),
            "frames_per_s": round((cameras.taken - self._pictures) / since_s, 1),
            "camera": cameras.fault or cameras.about,
            "dropped": dict(self._ros.counts),
        }
        self._pictures = cameras.taken
        if self._tell_truth:
            line["truth"] = {
                unit: [each.x_m, each.y_m, each.yaw_rad, each.speed_mps, each.turn_rps]
                for unit, each in self._engine.truth().items()
            }
            line["target"] = self._target
        _tell("status", **line)
        if not self._noted and line["camera"]:
            self._noted = True
            print(f"mtor_sim: {line['camera']}", file=sys.stderr, flush=True)


def _tell(kind: str, **values: object) -> None:
    print(json.dumps({"kind": kind, **values}), flush=True)


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _forget_stdout() -> None:
    """Nobody may read any more: do not let Python's own flush at exit complain."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
