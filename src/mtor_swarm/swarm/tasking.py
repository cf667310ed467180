"""Tasks in the swarm's shared state `map:tasks`, for who announces, cancels or looks at them."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from mtor_swarm.errors import SwarmError
from mtor_swarm.swarm.sharing import SharedStates
from mtor_swarm.swarm.tasks import allocator_io as io
from mtor_swarm.swarm.tasks.allocator import Allocator
from mtor_swarm.swarm.tasks.board import Board, Standing

STATE = "map:tasks"


def say(
    shared: SharedStates, by: str, given: io.Announce | io.Cancel, now: float
) -> list[msgspec.Struct]:
    """Announce or cancel; the events to be said of it. SwarmError names what cannot be.

    Of several tasks those that can be are announced all the same. `now` is Unix time.
    """
    allocator = Allocator(by, bidder=False)
    _fill(allocator.board, shared)
    allocator.standings = allocator.board.standings(now)
    effects = allocator.handle(given, now)
    for each in effects:
        if isinstance(each, io.Write) and each.raw is not None:
            shared.put(STATE, each.key, msgspec.Raw(each.raw))
    refused = [each.reason for each in effects if isinstance(each, io.Refused)]
    if refused:
        more = f"; and {len(refused) - 1} more" if len(refused) > 1 else ""
        raise SwarmError(refused[0] + more)
    return [each.data for each in effects if isinstance(each, io.Say)]


def standings(shared: SharedStates, alive: Iterable[str], now: float) -> dict[str, Standing]:
    """How each task stands, for one who sees these units alive."""
    board = Board()
    for unit in alive:
        board.judge(unit, True, now)
    _fill(board, shared)
    return board.standings(now)


def _fill(board: Board, shared: SharedStates) -> None:
    for entry in shared.entries(STATE):
        board.put(entry.item, None if entry.gone else entry.value)
