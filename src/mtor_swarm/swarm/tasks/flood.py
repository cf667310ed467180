"""A carrier of facts for where there is no gossip: the newest of each key floods a graph.

Each member tells each neighbour what that one has not yet said that it has, so that loss, double
and late frames, and links that come and go cost time and nothing else. Real swarms use the shared
states of gossip in its place; simulations and benchmarks use this one, which is a hundredth of
the work.
"""

from __future__ import annotations

from typing import NamedTuple

MAX_ITEMS = 64
"""In one frame."""


class Item(NamedTuple):
    """A fact, and which of those under its key it is: the greatest `version` holds."""

    key: str
    version: tuple[int, str]
    raw: bytes | None


class Frame(NamedTuple):
    """What one member says to a neighbour: facts, and which it has got from it."""

    items: tuple[Item, ...]
    got: tuple[tuple[str, tuple[int, str]], ...]


class Flood:
    """One member's copy of the facts, and what each neighbour is owed."""

    def __init__(self, unit: str) -> None:
        self.unit = unit
        self.held: dict[str, Item] = {}
        self._owed: dict[str, dict[str, None]] = {}
        self._got: dict[str, dict[str, tuple[int, str]]] = {}

    def neighbours(self, now: set[str]) -> None:
        """Who is in reach: newcomers are owed all that is held."""
        for gone in self._owed.keys() - now:
            del self._owed[gone]
            self._got.pop(gone, None)
        for each in sorted(now - self._owed.keys()):
            self._owed[each] = dict.fromkeys(self.held)

    def write(self, key: str, raw: bytes | None) -> None:
        """A fact of our own."""
        number = self.held[key].version[0] if key in self.held else 0
        self._take(Item(key, (number + 1, self.unit), raw), "")

    def frame(self, to: str) -> Frame | None:
        """What to say to a neighbour now; None: nothing."""
        keys = list(self._owed[to])[:MAX_ITEMS]
        got = self._got.pop(to, {})
        if not keys and not got:
            return None
        return Frame(tuple(self.held[key] for key in keys), tuple(got.items()))

    def heard(self, sender: str, frame: Frame) -> list[Item]:
        """Take in a neighbour's frame; the facts that are news here."""
        owed = self._owed.get(sender, {})
        for key, version in frame.got:
            if key in owed and self.held[key].version == version:
                del owed[key]
        news = []
        for each in frame.items:
            self._got.setdefault(sender, {})[each.key] = each.version
            held = self.held.get(each.key)
            if held is None or each.version > held.version:
                self._take(each, sender)
                news.append(each)
            elif each.version == held.version:
                owed.pop(each.key, None)
        return news

    def _take(self, item: Item, sender: str) -> None:
        self.held[item.key] = item
        for neighbour, owed in self._owed.items():
            if neighbour != sender:
                owed[item.key] = None
            else:
                owed.pop(item.key, None)
