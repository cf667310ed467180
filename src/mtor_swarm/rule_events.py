"""What rules tell of themselves (`realm/rules`): the data of events `mtor.rule.…`."""

from __future__ import annotations

import msgspec


class RuleFired(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule waits for has come, and it takes its steps.

    `event` and `of` are the id and the type of what it fired on; empty: the state. `after` are the
    rules that led to that event, first to last.
    """

    rule: str
    event: str = ""
    of: str = ""
    after: list[str] = []


class RuleFailed(msgspec.Struct, frozen=True, kw_only=True):
    """A rule, or one of its steps, could not do what it says; the others go on.

    `where` is the file, line and key. `more` counts what went wrong there and was not told since.
    """

    rule: str
    where: str
    reason: str
    more: int = 0


SWARM: dict[str, type[msgspec.Struct]] = {
    "mtor.rule.fired": RuleFired,
    "mtor.rule.failed": RuleFailed,
}
"""Each type and what is in it; they go to the whole swarm, since people should hear of them."""
