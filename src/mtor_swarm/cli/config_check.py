"""`mtor config check`: is this file right, and if not, where not."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from mtor_swarm import config
from mtor_swarm.errors import ConfigError, SwarmError
from mtor_swarm.models.store import ManifestConfig


def _realm(name: str) -> str:
    realm = config.load(name, config.RealmConfig)
    seeds = ", ".join(realm.swarm.seeds) or "no seed"
    if realm.workers:
        from mtor_swarm.workers import registry

        try:
            registry.check(realm.workers)
        except ConfigError as error:
            raise ConfigError(f"{name}: {error}") from None
    more = f", {len(realm.workers)} more workers" if realm.workers else ""
    return (
        f"realm of {realm.unit} in swarm {realm.swarm.name} ({seeds}), mission {realm.mission}"
        f"{more}"
    )


def _swarm(name: str) -> str:
    swarm = config.load(name, config.SwarmConfig)
    return f"swarm {swarm.name}, {len(swarm.seeds)} seeds, listens at {swarm.bind}"


def _mission(name: str) -> str:
    mission = config.load(name, config.MissionConfig)
    return f"mission {mission.name}: {mission.surround} surround the {mission.target}"


def _models(name: str) -> str:
    return "models " + ", ".join(each.name for each in config.load(name, ManifestConfig).models)


_CHECKS: dict[str, Callable[[str], str]] = {
    "realm": _realm,
    "swarm": _swarm,
    "mission": _mission,
    "models": _models,
}
"""Each kind of file: loads it or raises, and sums it up."""

_TELLTALES = {
    "models": set(ManifestConfig.__struct_fields__),
    "realm": set(config.RealmConfig.__struct_fields__),
    "mission": set(config.MissionConfig.__struct_fields__),
    "swarm": set(config.SwarmConfig.__struct_fields__),
}
"""The keys that each kind may have; the kind with most of a file's keys is meant."""


def register(sub: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `config` and its verb to `mtor`'s commands; it sets `run(args) -> exit code`."""
    top = sub.add_parser("config", help="check config files", description="Check config files.")
    verbs = top.add_subparsers(dest="verb", metavar="VERB", required=True)
    check = verbs.add_parser(
        "check",
        help="name file, line and key of a mistake",
        description="Names file, line and key of the first mistake in each file; exit 1 if any.",
    )
    check.add_argument("files", nargs="+", metavar="FILE", help="files to check")
    check.add_argument(
        "--kind", choices=sorted(_CHECKS), help="what the files are; else guessed from their keys"
    )
    check.set_defaults(run=_check)


def _check(args: argparse.Namespace) -> int:
    wrong = 0
    for name in args.files:
        try:
            kind = args.kind or _guess(name)
            print(f"{name}: OK: {_CHECKS[kind](name)}")
        except SwarmError as error:
            wrong = 1
            print(error, file=sys.stderr)
    return wrong


def _guess(name: str) -> str:
    """The kind of a file, from the keys at its top."""
    keys = set(config.keys(name))
    matches = {kind: len(keys & tell) for kind, tell in _TELLTALES.items()}
    best = max(matches, key=matches.__getitem__)
    if not matches[best]:
        raise ConfigError(f"{name}: cannot tell its kind: --kind {', '.join(_CHECKS)}?")
    return best
