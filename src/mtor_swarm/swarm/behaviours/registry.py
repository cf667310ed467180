"""Every behaviour by its name, for missions and for people who look for one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mtor_swarm.swarm.behaviours.approach import approach
from mtor_swarm.swarm.behaviours.avoid import avoid
from mtor_swarm.swarm.behaviours.disperse import disperse
from mtor_swarm.swarm.behaviours.hold import hold
from mtor_swarm.swarm.behaviours.search import next_cell
from mtor_swarm.swarm.behaviours.steer import steer
from mtor_swarm.swarm.behaviours.surround import ring_slots

BEHAVIOURS: dict[str, Callable[..., Any]] = {
    "approach": approach,
    "avoid": avoid,
    "disperse": disperse,
    "hold": hold,
    "search": next_cell,
    "steer": steer,
    "surround": ring_slots,
}
