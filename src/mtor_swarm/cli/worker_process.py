"""`mtor_worker --config FILE --process NAME`: the configured workers of one process of a unit."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mtor_swarm.config import RealmConfig


def main(argv: Sequence[str] | None = None) -> int:
    """Run the workers until SIGTERM or SIGINT; the exit code says whether a restart may help."""
    own = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    own.add_argument(
        "--process", required=True, metavar="NAME", help="which one: the name of a worker of its "
        "own process, or of the process that several share"
    )  # fmt: skip
    try:
        from mtor_swarm.realm import host  # takes a while, in which Ctrl-C must end it quietly

        return host.main("mtor_worker", compose, argv, own)
    except KeyboardInterrupt:
        return 130


def compose(config: RealmConfig, process: str) -> list[Any]:
    """The nodes of the process; ConfigError if it has none."""
    from mtor_swarm.workers import registry

    return registry.members(config, process, needed=True)


if __name__ == "__main__":
    sys.exit(main())
