"""What people type, understood or refused: never guessed.

    order      = [addressees] verb | verb [addressees]
    addressees = everyone [("but" | "except") units] | units
    units      = unit ("and" unit)*;    unit = name | "unit" number

Case and punctuation do not matter. An order without addressees is understood for a stop only, and
then means everyone: the one reading that cannot harm.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from mtor_swarm.errors import CommandError

Verb = Literal["hold", "release", "search", "return", "worker"]
MAX_TEXT = 500
EXAMPLES = '"all units hold", "r1 and r3 search", "all but r2 return to base", "unit 2 resume"'

_VERBS: dict[Verb, tuple[str, ...]] = {
    "hold": ("stop", "halt", "hold", "hold position", "freeze", "wait"),
    "release": ("release", "resume", "go on", "continue", "carry on"),
    "search": ("search",),
    "return": ("return", "come back", "return to base", "come back to base"),
}
_PHRASES: dict[tuple[str, ...], Verb] = {
    tuple(phrase.split()): verb for verb, phrases in _VERBS.items() for phrase in phrases
}
_EVERYONE: tuple[tuple[str, ...], ...] = (
    *(tuple(each.split()) for each in ("all units", "all robots", "every unit", "every robot")),
    *((each,) for each in ("all", "everyone", "everybody")),
)
_UNIT_WORDS = ("unit", "units", "robot", "robots")
_EXCEPT = ("but", "except", "without")
_FILLERS = ("please", "now")
# fmt: off
_NUMBERS = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
    "nineteen", "twenty",
]
# fmt: on


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wants of whom, understood but not yet signed."""

    verb: Verb
    units: list[str]
    args: dict[str, Any] = {}
    text: str = ""


def parse(text: str, known_units: Sequence[str]) -> Draft:
    """What the text asks of whom; CommandError says what was not understood, and how to say it."""
    if len(text) > MAX_TEXT:
        raise CommandError(f"{len(text)} characters; an order has {MAX_TEXT} at most")
    words = [word for word in re.findall(r"\w+", text.lower()) if word not in _FILLERS]
    verb, rest = _verb(text, words)
    if not known_units:
        raise CommandError("no unit is known yet, so nobody can be addressed: is the swarm up?")
    if not rest and verb != "hold":
        raise CommandError(f"{_quote(text)}: who? Say for example {EXAMPLES}")
    units = _addressees(rest, known_units)
    return Draft(verb=verb, units=units, text=text)


def _verb(text: str, words: list[str]) -> tuple[Verb, list[str]]:
    """The verb at either end, the longest phrase first, and the words that are left."""
    for phrase in sorted(_PHRASES, key=len, reverse=True):
        size = len(phrase)
        if tuple(words[:size]) == phrase:
            return _PHRASES[phrase], words[size:]
        if tuple(words[-size:]) == phrase:
            return _PHRASES[phrase], words[:-size]
    raise CommandError(f"{_quote(text)}: not understood. Say for example {EXAMPLES}")


def _addressees(words: list[str], known: Sequence[str]) -> list[str]:
    """The units that the words name, in the order in which they are known."""
    if not words:
        return list(known)
    for everyone in _EVERYONE:
        if tuple(words[: len(everyone)]) == everyone:
            rest = words[len(everyone) :]
            break
    else:
        named = _units(words, known)
        return [unit for unit in known if unit in named]
    if not rest:
        return list(known)
    if rest[0] not in _EXCEPT or not rest[1:]:
        raise CommandError(f"{_quote(' '.join(rest))}: not understood. Say for example {EXAMPLES}")
    spared = _units(rest[1:], known)
    units = [unit for unit in known if unit not in spared]
    if not units:
        raise CommandError("all but all of them leaves nobody to address")
    return units


def _units(words: list[str], known: Sequence[str]) -> set[str]:
    """The units of a list such as `r1 and r3` or `units one and three`."""
    named: set[str] = set()
    numbered = False
    wanting = True
    for word in words:
        if word in _UNIT_WORDS and wanting:
            numbered = True
        elif word == "and":
            if not named:
                break
            wanting = True
        else:
            named.add(_unit(word, numbered, known))
            wanting = False
    if wanting:
        raise CommandError(f"{_quote(' '.join(words))}: names no unit. Say for example {EXAMPLES}")
    return named


def _unit(word: str, numbered: bool, known: Sequence[str]) -> str:
    if word in known:
        return word
    if numbered and (word.isdecimal() or word in _NUMBERS):
        number = int(word) if word.isdecimal() else _NUMBERS.index(word)
        found = [unit for unit in known if _number_of(unit) == number]
        if len(found) == 1:
            return found[0]
        if found:
            raise CommandError(f"unit {word} may be {' or '.join(found)}: say which by its name")
        word = f"unit {word}"
    if any(word in phrase for phrase in _PHRASES):
        raise CommandError(f'"{word}" makes two orders in one: give them one after the other')
    near = difflib.get_close_matches(word, known, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    shown = ", ".join(known[:20]) + (", …" if len(known) > 20 else "")
    raise CommandError(f"{_quote(word)} is no unit here; known are {shown}{hint}")


def _number_of(unit: str) -> int | None:
    digits = re.search(r"\d+$", unit)
    return int(digits.group()) if digits else None


def _quote(text: str) -> str:
    return f'"{text.strip()[:80]}"'
