"""Roles: who surrounds the target, agreed without a leader.

Every unit sorts the same claims, which the beacons carry, by cost and then by name; whoever is
among the first takes the role. The cost that a unit tells is already lower if it has the role, so
that it does not flap between two that are equally near. A unit that is dead, silent or held drops
out of the claims, and the next one is in at once.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

STICKY_M = 1.0
"""How much nearer another unit must be to take over a role from the one that has it."""


class Claim(msgspec.Struct, frozen=True):
    """What one unit offers: its name, its cost in metres (None: it does not take part)."""

    unit: str
    cost_m: float | None
    able: bool = True


def cost(distance_m: float, has_role: bool) -> float:
    """The cost that a unit tells the others: its distance, less if the role is already its."""
    return distance_m - STICKY_M if has_role else distance_m


def chosen(claims: Iterable[Claim], count: int) -> list[str]:
    """The names of the (at most `count`) units that take the role, the cheapest first."""
    offers = sorted(
        (each.cost_m, each.unit) for each in claims if each.able and each.cost_m is not None
    )
    return [unit for _, unit in offers[:count]]
