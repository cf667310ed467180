"""`mtor_core --config FILE`: gossip, orchestrator, decision and reflex of one unit.

Small, and never with a model library in it, so that what steers a robot cannot fall with a model.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mtor_swarm.config import RealmConfig


def main(argv: Sequence[str] | None = None) -> int:
    """Run the core until SIGTERM or SIGINT; the exit code says whether a restart may help."""
    try:
        from mtor_swarm.realm import host  # takes a while, in which Ctrl-C must end it quietly

        return host.main("mtor_core", compose, argv)
    except KeyboardInterrupt:
        return 130


def compose(config: RealmConfig) -> list[Any]:
    """The nodes of a core; the orchestrator first, since it brings up the others."""
    from mtor_swarm.realm import staff
    from mtor_swarm.realm.orchestrator import Orchestrator
    from mtor_swarm.realm.rollcall import RollCall
    from mtor_swarm.workers import registry
    from mtor_swarm.workers.decision import DecisionWorker
    from mtor_swarm.workers.gossip import GossipWorker
    from mtor_swarm.workers.reflex import ReflexWorker

    kinds = {each.kind for each in config.workers.values()}
    staff.check(config.workers, kinds)  # one that is not installed may fail alone, and later
    orchestrator = Orchestrator(config=config, kinds=registry.kinds)
    gossip = GossipWorker(config=config)
    gossip.join(orchestrator.desk)
    gossip.roll_call = RollCall(orchestrator.roll, orchestrator.roster.look)
    nodes: list[Any] = [orchestrator, ReflexWorker(config=config), gossip]
    nodes.append(DecisionWorker(config=config))
    if config.metrics_port:
        from mtor_swarm.realm.metrics_node import MetricsNode

        nodes.append(MetricsNode(config=config))
    return nodes


if __name__ == "__main__":
    sys.exit(main())
