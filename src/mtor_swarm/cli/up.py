"""`mtor up FILE`: one unit's realm, brought back when it dies, gone when this is gone."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path

import msgspec

from mtor_swarm import config as configs
from mtor_swarm.config import RealmConfig
from mtor_swarm.errors import ConfigError
from mtor_swarm.paths import unit_state
from mtor_swarm.realm import logs, staff
from mtor_swarm.realm.errands import Wanted
from mtor_swarm.realm.processes import EX_CONFIG, Program, python
from mtor_swarm.realm.runner import Runner, Terminal

MODELS_NICE = 10
"""When the machine is short of time, what steers goes before what looks."""
_HELP = """\
Runs one unit: its core (gossip, orchestrator, decision, reflex) and its models (perception), each
in a process of its own. What dies is started again, at first after half a second, then ever more
rarely. Every line they write is shown with its process in front: [r1.core], [r1.models];
with MTOR_LOG=json in the environment each is an object of JSON instead.
Ctrl-C ends both; `kill -9` of this process takes both along.

  mtor config check realm.yaml     is the config right?
  mtor up realm.yaml               run the unit
  mtor units                       who is in the swarm, seen from another terminal
"""


def register(sub: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `up` to `mtor`'s commands; it sets `run(args) -> exit code`."""
    up = sub.add_parser(
        "up",
        help="run one unit and bring back what dies",
        description=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    up.add_argument("config", metavar="FILE", help="the realm's config, as config/realm.yaml")
    up.add_argument(
        "--no-models", action="store_true", help="the core alone: a small board, a sensor node"
    )
    up.set_defaults(run=lambda args: run(args.config, models=not args.no_models))


def run(config_path: str | Path, *, models: bool = True) -> int:
    """Run the realm until SIGINT, SIGTERM or SIGHUP: 0, or EX_CONFIG if a person must act first.

    To be called from the main thread: the processes die with the thread that started them.
    """
    try:
        config = configs.load(config_path, RealmConfig)
    except ConfigError as error:
        print(f"mtor up: {error}", file=sys.stderr, flush=True)
        return EX_CONFIG
    _lead_own_group()
    staff.forget(unit_state(config.state_dir, config.unit))
    runner = Runner(
        programs(config.unit, config_path, models=models),
        config.supervision,
        say=logs.JsonLines(Terminal()) if logs.wanted() else None,
        worker=lambda wanted: worker(config.unit, config_path, wanted),
    )
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, lambda *_: runner.stop())
    return runner.run()


def programs(unit: str, config_path: str | Path, *, models: bool = True) -> list[Program]:
    """What a realm's processes are, the core first."""
    core = _program(f"{unit}.core", "core", config_path)
    found = [msgspec.structs.replace(core, linked=True)]
    if models:
        found.append(_program(f"{unit}.models", "models_process", config_path, nice=MODELS_NICE))
    return found


def worker(unit: str, config_path: str | Path, wanted: Wanted) -> Program:
    """What a process of configured workers is, which the core wants."""
    name, process = f"{unit}.{wanted.process}", wanted.process
    program = _program(name, "worker_process", config_path, "--process", process, nice=wanted.nice)
    return msgspec.structs.replace(program, memory_mib=wanted.memory_mib)


def _program(
    name: str, module: str, config_path: str | Path, *arguments: str, nice: int = 0
) -> Program:
    path = str(Path(config_path).absolute())
    return Program(
        name=name,
        argv=python(f"mtor_swarm.cli.{module}", "--config", path, *arguments),
        nice=nice,
        environ={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


def _lead_own_group() -> None:
    """One process group a realm, so that a unit can be killed whole.

    At a terminal the shell has seen to that, and leaving its group would mean leaving Ctrl-C.
    """
    if os.getpgrp() != os.getpid() and not os.isatty(0):
        os.setpgid(0, 0)
