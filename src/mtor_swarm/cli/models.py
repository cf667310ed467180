"""`mtor models`: what models there are, fetching their weights, checking and trying them."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from mtor_swarm.cli import models_try
from mtor_swarm.errors import ModelError
from mtor_swarm.models.store import Entry, Store

_HELP = """\
Models are named in a manifest, config/models.yaml: licence, labels, checksums and where their
weights come from. Weights are fetched once into $MTOR_CACHE (else ~/.cache/mtor_swarm), checked
and converted there, and shared by every unit on this machine. A machine without a network takes
them from a folder: MTOR_MODELS=/folder mtor models fetch.
"""


def register(sub: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `models` and its verbs to `mtor`'s commands; each sets `run(args) -> exit code`."""
    models = sub.add_parser(
        "models",
        help="list, fetch, verify and try models",
        description=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = models.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name, run, told in (
        ("list", _list, "show every model: capability, licence, state, size"),
        ("fetch", _fetch, "fetch, verify and convert weights that are absent or corrupt"),
        ("verify", _verify, "check stored weights against their checksums; exit 1 if corrupt"),
        ("try", models_try.run, "compare models on your own files: speed, memory, accuracy"),
    ):
        verb = verbs.add_parser(
            name,
            help=told,
            description=models_try.HELP if name == "try" else f"{told[0].upper()}{told[1:]}.",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        verb.add_argument(
            "--manifest", default="", metavar="FILE", help="another manifest than the one shipped"
        )
        if name == "fetch":
            verb.add_argument(
                "names", nargs="*", metavar="NAME", help="models to fetch; none: all of them"
            )
        elif name == "try":
            models_try.add(verb)
        verb.set_defaults(run=run)


def _list(args: argparse.Namespace) -> int:
    table = Table("name", "capability", "licence", "state", "size", box=None)
    for each in Store(args.manifest).entries():
        size = f"{each.size / 1e6:.1f} MB" if each.size else ""
        table.add_row(each.name, each.capability, each.licence, each.state, size)
    Console().print(table)
    return 0


def _fetch(args: argparse.Namespace) -> int:
    store = Store(args.manifest)
    failed = 0
    for name in args.names or store.names:
        try:
            path = _fetch_one(store, name)
        except ModelError as error:
            _say(str(error), stderr=True)
            failed = 1
        else:
            _say(f"{name}: {path}")
    return failed


def _fetch_one(store: Store, name: str) -> Path:
    console = Console(stderr=True)
    if not console.is_terminal:  # a log: a line a step
        return store.fetch(name, lambda text: _say(f"{name}: {text}", stderr=True))
    columns = (BarColumn(20), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(name, total=None)
        return store.fetch(name, lambda text: bar.update(task, description=f"{name}: {text}"))


def _verify(args: argparse.Namespace) -> int:
    entries = Store(args.manifest).entries()
    for each in entries:
        _say(_verdict(each), stderr=each.state == "corrupt")
    return int(any(each.state == "corrupt" for each in entries))


def _verdict(entry: Entry) -> str:
    if entry.state == "present":
        return f"{entry.name}: sound ({entry.path})"
    return f"{entry.name}: {entry.state} ({entry.path}): run `mtor models fetch {entry.name}`"


def _say(text: str, *, stderr: bool = False) -> None:
    """A line as it is: no markup, no wrapping of paths."""
    Console(stderr=stderr).print(text, markup=False, highlight=False, soft_wrap=True)
