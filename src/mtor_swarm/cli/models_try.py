"""`mtor models try`: models side by side on a user's own files."""

from __future__ import annotations

import argparse
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from rich.console import Console
from rich.table import Table

from mtor_swarm.errors import ModelError
from mtor_swarm.models import trial
from mtor_swarm.models.store import Store
from mtor_swarm.models.trial import Case, Trial

HELP = """\
Tries every model that knows a capability on the files of a folder, each in a process of its own:
the time it takes to load, the latency of one file, the most memory its process held, and, where
the files are labelled, how much of what is there it found, and how much of what it told is true.

Pictures are labelled by the folder they are in (DIR/cat/1.jpg), or by a text beside them, a label
a line (DIR/1.jpg, DIR/1.txt). Texts are lines of .txt files, which are called after their meaning
(DIR/stop.txt, or DIR/stop/any.txt): with `embed` the nearest of the others tells the label.
"""


def add(verb: argparse.ArgumentParser) -> None:
    """The options of `mtor models try`."""
    verb.add_argument(
        "capability",
        metavar="CAPABILITY",
        help="detect, embed, or a task of transformers (image-classification, …)",
    )
    verb.add_argument(
        "--data", required=True, type=Path, metavar="DIR", help="the folder with your files"
    )
    verb.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="PATH",
        help="weights to try beside those of the manifest: a file or a folder; may be repeated",
    )
    verb.add_argument(
        "--threads", type=int, default=1, metavar="N", help="CPU threads of a model (1)"
    )


def run(args: argparse.Namespace) -> int:
    """Try them, one after the other; exit 1 if one could not be tried, or failed on a file."""
    known = [each for each in Store(args.manifest).entries() if each.capability == args.capability]
    models = [(each.name, str(each.path), each.state) for each in known]
    models += [(each, each, "present") for each in args.model]
    if not models:
        raise ModelError(
            f"no model for {args.capability}: the manifest has none; give one with --model"
        )
    pictures = args.capability == "detect" or args.capability.startswith("image-")
    found = trial.cases(args.data, pictures=pictures)
    trials = []
    for name, path, state in models:
        if state == "present":
            tried = _tried(args.capability, path, found, max(1, args.threads))
        else:
            tried = Trial(model=path, error=f"{state}: run `mtor models fetch {name}`")
        tried.model = name
        trials.append(tried)
    _show(trials, len(found))
    return int(any(each.error for each in trials))


def _tried(capability: str, model: str, found: list[Case], threads: int) -> Trial:
    spawn = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(1, mp_context=spawn) as pool:
            return pool.submit(trial.run, capability, model, found, threads).result()
    except BrokenProcessPool:
        return Trial(model=model, error="its process died: is there enough memory?")


def _show(trials: list[Trial], count: int) -> None:
    table = Table("model", "load", "p50", "p95", "memory", "found", "true", "failed", box=None)
    for each in trials:
        table.add_row(
            each.model,
            f"{each.load_s:.1f} s" if each.load_s else "",
            _ms(each.latency_s(0.5)),
            _ms(each.latency_s(0.95)),
            f"{each.peak_mib:.0f} MiB" if each.peak_mib else "",
            _percent(each.found),
            _percent(each.true),
            f"{each.failed} of {count}" if each.failed else "",
        )
    Console().print(table)
    for each in trials:
        if each.error:
            line = f"{each.model}: {each.error}"
            Console(stderr=True).print(line, markup=False, highlight=False, soft_wrap=True)


def _ms(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds * 1e3:.1f} ms"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"
