"""`mtor simnet`: the gossip alone, thousands of members in virtual time."""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from mtor_swarm import paths
from mtor_swarm.cli import simnet_show
from mtor_swarm.errors import SwarmError
from mtor_swarm.swarm.simnet import failures, scenario
from mtor_swarm.swarm.simnet.failures import Failure
from mtor_swarm.swarm.simnet.play import Play
from mtor_swarm.swarm.simnet.report import Report

MOST_MEMBERS = 20_000
LARGE, SAMPLE = 1024, 64
"""In a swarm larger than that a member knows so many others, unless it is told otherwise."""
_HELP = """\
Runs the same code that runs on a robot, many times over, in virtual time, and checks at every step
that each event comes once and in order, that nobody alive is held for dead, that all stays within
its bounds; and in the end that nobody lacks anything. Same seed, same trace.

  mtor simnet                                            100 members, nothing befalls them
  mtor simnet --scenario partition --members 1000        a third is cut off, then healed
  mtor simnet --scenario churn --loss 0.1 --runs 20      seeds 1 to 20
  mtor simnet --scenario my.toml --seed 7 --plot a.png   a scenario of your own, and a picture

Seeds that failed are kept and played first the next time. Exit code 1: an invariant failed.
"""


def register(sub: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `simnet` to `mtor`'s commands; it sets `run(args) -> exit code`."""
    parser = sub.add_parser(
        "simnet",
        help="simulate the gossip of thousands of members",
        description=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    names = ", ".join(scenario.shipped())
    add("--scenario", default="calm", metavar="NAME", help=f"one of {names}, or a file.toml")
    add("--members", type=_members, default=100, metavar="N", help="how many members (100)")
    add("--known", type=_known, metavar="N", help="members that each knows (64 in large swarms)")
    add("--loss", type=_share, metavar="SHARE", help="share of datagrams lost, 0 to 1")
    add("--seed", type=int, default=1, help="the first run's seed (1)")
    add("--runs", type=_members, default=1, metavar="N", help="so many runs, each its seed (1)")
    add("--json", type=Path, metavar="FILE", help="write the reports to this file")
    add("--plot", type=Path, metavar="FILE.png", help="draw the latencies into this file")
    add("--failures", type=Path, metavar="FILE", help="where failed seeds are kept")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Play; 1 if an invariant failed in any run."""
    if args.plot and args.plot.suffix != ".png":
        raise SwarmError(f"{args.plot}: --plot writes PNG files: name it so")
    for path in (args.json, args.plot):
        if path:
            _check(path)
    told = scenario.load(args.scenario)
    if args.loss is not None:
        told = msgspec.structs.replace(told, loss=args.loss)
    known = args.known or (SAMPLE if args.members > LARGE else None)
    if known:
        gossip = msgspec.structs.replace(told.gossip, members_known=known)
        told = msgspec.structs.replace(told, gossip=gossip)
    kept_in = args.failures or paths.state_home() / "simnet_failures.json"
    kept = failures.read(kept_in)

    def failure(seed: int) -> Failure:
        return Failure(
            scenario=args.scenario,
            members=args.members,
            loss=args.loss,
            known=args.known,
            seed=seed,
        )

    wanted = range(args.seed, args.seed + args.runs)
    again = [each.seed for each in kept if each == failure(each.seed) and each.seed not in wanted]
    console = Console()
    if again:
        console.print(f"first the seeds that failed before: {', '.join(map(str, again))}")
    reports = []
    for seed in [*again, *wanted]:
        report = _play(args, told, seed, console)
        reports.append(report)
        simnet_show.table(report, console)
        kept = [each for each in kept if each != failure(seed)]
        if not report.ok:
            kept.append(failure(seed))
        if kept or kept_in.exists():
            failures.write(kept_in, kept)
    if args.json:
        _write(args.json, msgspec.json.format(msgspec.json.encode(reports)))
    if args.plot:
        _write(args.plot, simnet_show.png(reports))
    failed = [str(each.seed) for each in reports if not each.ok]
    if failed:
        console.print(f"failed: seed {', '.join(failed)}; kept in {kept_in}", style="bold red")
    return int(bool(failed))


def _play(
    args: argparse.Namespace, told: scenario.Scenario, seed: int, console: Console
) -> Report:
    began = time.monotonic()
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    quiet = not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=quiet) as bar:
        task = bar.add_task(f"{args.scenario}, {args.members} members, seed {seed}")
        play = Play(args.scenario, told, args.members, seed)
        report = play.run(lambda now, end: bar.update(task, completed=now, total=end))
    took = time.monotonic() - began
    console.print(f"{report.virtual_s:.0f} virtual seconds in {took:.1f} s", highlight=False)
    return report


def _check(path: Path) -> None:
    """SwarmError for a file that could not be written after a long run."""
    is_new = not path.exists()
    try:
        path.open("ab").close()
        if is_new:
            path.unlink()
    except OSError as error:
        raise SwarmError(f"{path}: cannot be written: {error.strerror}") from None


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise SwarmError(f"{path}: cannot be written: {error.strerror}") from None


def _members(text: str) -> int:
    return int(_between(text, int, 1, MOST_MEMBERS))


def _known(text: str) -> int:
    return int(_between(text, int, 16, 8192))


def _share(text: str) -> float:
    return _between(text, float, 0, 1)


def _between(text: str, kind: type[int] | type[float], least: int, most: int) -> float:
    try:
        number = kind(text)
    except ValueError:
        number = math.nan
    if not least <= number <= most:  # nor is what is not a number
        raise argparse.ArgumentTypeError(f"{text} is no number from {least} to {most}")
    return number
