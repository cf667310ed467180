"""Whether the members of a world agree on who is there, as far as each can know."""

from __future__ import annotations

from mtor_swarm.swarm.gossip.membership import ALIVE, DEAD
from mtor_swarm.swarm.simnet.world import Member


def disagreement(live: list[Member], bound: int) -> str:
    """What does not agree, of the first member that does not; empty if all do.

    With tables that hold all (`bound` of them): everyone sees every live member alive and no one
    else. With tables that hold a sample: nobody keeps a link to one that is gone, and the links
    connect all.
    """
    here = {each.id: each for each in live}
    if len(here) > bound:
        return _parted(live, here)
    for each in live:
        views = each.machine.members.views
        alive = [name for name, view in views.items() if view.rank == ALIVE]
        lacking = len(here) - 1 - len(here.keys() & set(alive))
        if lacking:
            return f"{each.name} does not see {lacking} of the others alive"
        for name, view in views.items():
            if view.rank < DEAD and name not in here:
                return f"{each.name} still holds {name[:8]} for alive"
    return ""


def _parted(live: list[Member], here: dict[str, Member]) -> str:
    if not live:
        return ""
    around: dict[str, set[str]] = {each: set() for each in here}
    for each in live:
        for other in each.machine.overlay.active:
            if other not in here:
                return f"{each.name} keeps a link to {other[:8]}, which is gone"
            around[each.id].add(other)
            around[other].add(each.id)
    found, edge = {live[0].id}, [live[0].id]
    while edge:
        for other in sorted(around[edge.pop()] - found):
            found.add(other)
            edge.append(other)
    away = len(here) - len(found)
    return f"{away} members are cut off from {live[0].name}" if away else ""
