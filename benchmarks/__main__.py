"""`python -m benchmarks NAME [--quick] [--json FILE]`."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from benchmarks import form


def names() -> list[str]:
    """The benchmarks that there are."""
    form_of_it = {"__init__", "__main__", "form", "ears"}
    return sorted(
        each.stem for each in Path(__file__).parent.glob("*.py") if each.stem not in form_of_it
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run one benchmark; 0 if every goal is reached, 1 if not, 2 if there is no such benchmark."""
    known = ", ".join(names()) or "none yet"
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", metavar="NAME", help=f"which one: {known}")
    parser.add_argument("--quick", action="store_true", help="fewer runs, rougher figures")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file")
    args = parser.parse_args(argv)
    if args.name not in names():
        parser.error(f"no benchmark {args.name!r}; there are: {known}")
    module = importlib.import_module(f"benchmarks.{args.name}")
    figures: list[form.Figure] = module.run(args.quick)
    title = (module.__doc__ or args.name).splitlines()[0]
    form.show(title, figures, Console())
    if args.json:
        args.json.write_text(form.as_json(figures), encoding="utf-8")
    return int(not all(each.ok for each in figures))


if __name__ == "__main__":
    sys.exit(main())
