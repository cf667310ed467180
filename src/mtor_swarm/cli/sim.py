"""`mtor sim`: a whole swarm in the embedded simulator, from one command.

Starts the simulator, one `mtor up` per unit and the viewer, watches as a member that only
listens, and leaves nothing behind. The judge's verdict comes through the simulator's own pipe,
which no unit can read; it is told to the swarm once it is final.
"""

from __future__ import annotations

import argparse
import math
import signal
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from mtor_swarm.cli.fleet import BASE_PORT
from mtor_swarm.cli.stage import Stage
from mtor_swarm.errors import SwarmError
from mtor_swarm.events import MissionDone

TEACH = """\
examples:
  mtor sim                                        six units search for a cat; open the address
  mtor sim --headless --until mission.done --timeout 180 --seed 7 --json out.json
  mtor sim --units 12 --seed 3                    more units, another field
  mtor sim --headless --until mission.done --kill random@10
                                                  kill -9 a whole unit at 10 s: the rest carry on
  mtor sim --engine kinematic --headless --until mission.done --partition 20@10
                                                  no ROS, virtual time: a minute in seconds

While it runs, in another terminal: mtor units, mtor events, mtor say "all units hold".
Exit codes: 0 done (or ended by Ctrl-C), 1 not done in time, 2 wrong use or input.
"""


def register(sub: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `mtor sim`."""
    parser = sub.add_parser(
        "sim",
        help="run a swarm in the embedded simulator",
        description="Run a swarm in the embedded simulator: real ROS 2, real gossip, real eyes.",
        epilog=TEACH,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--units", type=int, default=6, help="how many units, r1 to rN (default 6)")
    add("--seed", type=int, default=7, help="where units and cat stand (default 7)")
    add("--world", type=Path, help="an SDF world (default: the field that is shipped)")
    add("--no-target", action="store_true", help="a world without the cat")
    add("--headless", action="store_true", help="no viewer")
    add("--port", type=int, default=8080, help="the viewer's port (default 8080)")
    add("--base-port", type=int, default=BASE_PORT, help=f"r1's port (default {BASE_PORT})")
    add("--until", choices=["mission.done"], help="end when this happens")
    add("--timeout", type=float, default=0.0, help="end after so many simulated seconds, exit 1")
    add("--mission", default="search", help="a shipped mission's name, or a file (default search)")
    add(
        "--engine",
        choices=["mujoco", "kinematic"],
        default="mujoco",
        help="mujoco: physics, real processes; kinematic: one process, virtual time, headless",
    )
    add("--partition", default="", metavar="FOR@S", help="kinematic: part the swarm, as 20@30")
    add("--kill", default="", metavar="UNIT@S", help="kill -9 a unit (or `random`) at S seconds")
    add("--json", type=Path, help="write what happened to this file")
    add("--keep", type=Path, help="keep configs, logs and state in this folder")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run until done, timeout, Ctrl-C or a failure; the exit code."""
    _check(args)
    if args.engine == "kinematic":
        return _play(args)
    stage = Stage(
        units=args.units,
        seed=args.seed,
        world=args.world,
        target=not args.no_target,
        viewer_port=None if args.headless else args.port,
        base_port=args.base_port,
        kill=args.kill,
        folder=args.keep,
        mission=args.mission,
    )
    show = Show()
    code = 2
    signal.signal(signal.SIGTERM, _interrupt)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup wants it
        signal.signal(signal.SIGHUP, _interrupt)
    try:
        stage.start(show.line)
        code = _watch(stage, show, args)
    except KeyboardInterrupt:
        show.line("ending: every process is stopped")
        code = 0 if args.until is None else 130
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not leave half behind
        report = stage.report() if args.json else {}
        stage.stop()
        show.end()
    if args.json:
        _write(args.json, msgspec.json.format(msgspec.json.encode({**report, "exit": code})))
    return code


def _play(args: argparse.Namespace) -> int:
    """The run on the kinematic engine, which needs no processes; the exit code."""
    from mtor_swarm.cli.lockstep import play

    show = Show()
    code, report = play(args, show.line)
    if args.json:
        _write(args.json, msgspec.json.format(msgspec.json.encode({**report, "exit": code})))
    return code


def _check(args: argparse.Namespace) -> None:
    """SwarmError for what would only go wrong later, perhaps after a long run."""
    if args.engine == "kinematic":
        if not args.headless:
            raise SwarmError("--engine kinematic has no viewer to show: add --headless")
    elif args.partition:
        raise SwarmError("--partition: only with --engine kinematic, whose network is virtual")
    elif not 1 <= args.units <= 24:
        raise SwarmError(f"--units {args.units}: 1 to 24 units run on one machine's ROS domain")
    if not 1 <= args.base_port <= 65536 - args.units:
        raise SwarmError(f"--base-port {args.base_port}: {args.units} ports from 1 to 65535")
    if not 1 <= args.port <= 65535:
        raise SwarmError(f"--port {args.port}: a port is 1 to 65535")
    if not 0 <= args.timeout < math.inf:
        raise SwarmError(f"--timeout {args.timeout:g}: seconds above 0, or 0 for none")
    if args.json:
        _write(args.json, b"")


def _write(file: Path, raw: bytes) -> None:
    try:
        file.write_bytes(raw)
    except OSError as error:
        raise SwarmError(f"--json {file}: cannot be written: {error.strerror}") from None


def _watch(stage: Stage, show: Show, args: argparse.Namespace) -> int:
    """Follow the run; 0 when done, 1 at the timeout."""
    while True:
        stage.wait(0.5)
        stage.check()
        for line in stage.news():
            show.line(line)
        show.status(stage.status())
        verdict = stage.verdict
        if verdict and args.until:
            show.line(f"done: {verdict['reason']} ({verdict['seconds']:.1f} s)")
            return 0
        if args.timeout and stage.mission_s() >= args.timeout and not verdict:
            stage.tell(
                MissionDone(verdict="timeout", mission=stage.mission, seconds=stage.mission_s())
            )
            show.line(f"timeout: the mission was not done within {args.timeout:.0f} s")
            return 1


class Show:
    """What a person sees: lines as things happen, and on a terminal one line that is alive."""

    def __init__(self) -> None:
        self._live = sys.stdout.isatty()
        self._start = time.monotonic()

    def line(self, text: str) -> None:
        """A line that stays."""
        clear = "\r\x1b[K" if self._live else ""
        print(f"{clear}{time.monotonic() - self._start:7.1f} s  {text}", flush=True)

    def status(self, text: str) -> None:
        """The line that is overwritten; only on a terminal."""
        if self._live:
            print(f"\r\x1b[K{text[:120]}", end="", flush=True)

    def end(self) -> None:
        """Leave the terminal clean."""
        if self._live:
            print("\r\x1b[K", end="", flush=True)


def _interrupt(_number: int, _frame: Any) -> None:
    raise KeyboardInterrupt
