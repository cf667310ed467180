"""The swarm acts as one: flocking, gathering, covering, patrolling, voting, crossing, their cost.

Each part is a module with `run(quick) -> list[Figure]`. Seeds are fixed.
"""

from __future__ import annotations

from benchmarks import allocation
from benchmarks.behaviours import (
    costs,
    covering,
    crossing,
    flocking,
    gathering,
    patrolling,
    scaling,
    voting,
)
from benchmarks.form import Figure

PARTS = (flocking, gathering, covering, patrolling, voting, crossing, costs, scaling, allocation)


def run(quick: bool) -> list[Figure]:
    """All parts, one after another."""
    return [figure for part in PARTS for figure in part.run(quick)]
