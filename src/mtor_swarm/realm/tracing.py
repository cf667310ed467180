"""The way of an ask, drawn as a tree: what it waited for, who worked on it, what they did.

An Answer brings its steps in order, each with the seconds since it was asked. A step's `who` is a
worker of the own realm; that of a lender's step has its realm in front, `r3/perception`
(`lent` puts it there). What a worker tells of its own work comes between its `running` and what
follows, under words of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from msgspec.structs import replace

from mtor_swarm.realm.ask_wire import Answer, State, Step

REALM_S_OWN = {*get_args(State), "answered", "failed"}
"""What a realm says of an ask; any other word is a worker's."""
_WORDS = {"running": "running on", "borrowed": "borrowed from", "answered": "answered by"}
_MAX_WHO = 1024


def lent(steps: Sequence[Step], unit: str) -> list[Step]:
    """A lender's steps, as its borrower's realm tells them: its own name in front of each."""
    return [replace(each, who=f"{unit}/{each.who}"[:_MAX_WHO]) for each in steps]


def tree(answer: Answer, capability: str = "") -> list[str]:
    """The lines of the tree, its root first; every text is of one printable line."""
    steps = answer.steps
    fate = "answered" if answer.ok else "failed"
    by = f" by {answer.worker}" if answer.worker else ""
    took = f" in {_span(steps[-1].at_s)}" if steps else ""
    why = "" if answer.ok else f": {answer.reason}"
    asked = f"{capability} " if capability else ""
    lines = [_plain(f"{asked}{answer.askid[:8]}: {fate}{by}{took}{why}")]
    depths = [_depth(each) for each in steps[:-1]] + [0]  # the last is the own realm's word
    for at, step in enumerate(steps):
        after = range(at + 1, len(steps))
        end = next((each for each in after if depths[each] <= depths[at]), None)
        stem = "".join(
            "│  " if _goes_on(depths[at + 1 :], level) else "   " for level in range(depths[at])
        )
        branch = "├─" if end is not None and depths[end] == depths[at] else "└─"
        lasted = f"  +{_span(steps[end].at_s - step.at_s)}" if end is not None else ""
        lines.append(_plain(f"{stem}{branch} {_span(step.at_s)}  {_said(step)}{lasted}"))
    return lines


def _depth(step: Step) -> int:
    """How deep it stands: a lender's under the own realm's, a worker's under its realm's."""
    return min(step.who.count("/"), 1) + (step.what not in REALM_S_OWN)


def _goes_on(depths: Sequence[int], level: int) -> bool:
    """Whether there is more at this level before the tree goes back above it."""
    return next(each for each in depths if each <= level) == level  # the last of all is 0


def _said(step: Step) -> str:
    who = step.who.rpartition("/")[2]
    if step.what not in REALM_S_OWN or not who:
        return step.what
    return f"{_WORDS.get(step.what, step.what)} {who}"


def _span(seconds: float) -> str:
    return f"{1000 * seconds:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def _plain(text: str) -> str:
    return "".join(each if each.isprintable() else "?" for each in text)
