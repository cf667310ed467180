"""`mtor_models --config FILE`: the workers of one unit that hold models; may crash alone."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mtor_swarm.config import RealmConfig


def main(argv: Sequence[str] | None = None) -> int:
    """Run the models until SIGTERM or SIGINT; the exit code says whether a restart may help."""
    try:
        from mtor_swarm.realm import host  # takes a while, in which Ctrl-C must end it quietly

        return host.main("mtor_models", compose, argv)
    except KeyboardInterrupt:
        return 130


def compose(config: RealmConfig) -> list[Any]:
    """Perception, whose library is loaded once it is configured, and who shares its process."""
    from mtor_swarm.workers import registry
    from mtor_swarm.workers.perception import PerceptionWorker

    return [PerceptionWorker(config=config), *registry.members(config, "models")]


if __name__ == "__main__":
    sys.exit(main())
