"""Every behaviour by its name, for missions and for people who look for one.

A package adds one by an entry point in the group `mtor_swarm.behaviours`, whose name is the
behaviour's and whose object is a function of a `Scene` and of keyword parameters::

    entry_points={"mtor_swarm.behaviours": ["swirl = swirl:swirl"]}

What a docstring says after `Source:`, `Inputs:` and `Guarantees:` is what people are told of it.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable
from functools import cached_property
from importlib.metadata import entry_points
from typing import Any, Literal, get_args

import msgspec

from mtor_swarm.errors import ConfigError, explain
from mtor_swarm.swarm.behaviours.aggregation import aggregation
from mtor_swarm.swarm.behaviours.attraction import attraction
from mtor_swarm.swarm.behaviours.containment import containment
from mtor_swarm.swarm.behaviours.coverage import coverage
from mtor_swarm.swarm.behaviours.cross_inhibition import cross_inhibition
from mtor_swarm.swarm.behaviours.disperse import dispersion
from mtor_swarm.swarm.behaviours.flocking import flocking
from mtor_swarm.swarm.behaviours.follow import follow
from mtor_swarm.swarm.behaviours.foraging import foraging
from mtor_swarm.swarm.behaviours.formation import formation
from mtor_swarm.swarm.behaviours.gauci import gauci
from mtor_swarm.swarm.behaviours.go_home import go_home
from mtor_swarm.swarm.behaviours.levy_walk import levy_walk
from mtor_swarm.swarm.behaviours.majority import majority
from mtor_swarm.swarm.behaviours.orca import orca
from mtor_swarm.swarm.behaviours.patrol import patrol
from mtor_swarm.swarm.behaviours.pursuit import pursuit
from mtor_swarm.swarm.behaviours.random_walk import random_walk
from mtor_swarm.swarm.behaviours.rendezvous import rendezvous
from mtor_swarm.swarm.behaviours.search import search
from mtor_swarm.swarm.behaviours.surround import surround
from mtor_swarm.swarm.behaviours.vasarhelyi import vasarhelyi
from mtor_swarm.swarm.behaviours.vicsek import vicsek
from mtor_swarm.swarm.behaviours.voter import voter

GROUP = "mtor_swarm.behaviours"
Answer = Literal["velocity", "drive", "opinion"]


class Behaviour(msgspec.Struct, frozen=True, dict=True):
    """A behaviour, and what its docstring says of it.

    Its `answer` is for each unit a *velocity* (N, 2) in frame `map`, m/s; a *drive* (N, 2): speed
    ahead in m/s and turn rate in rad/s, for wheels; or an *opinion* (N,), a whole number.
    """

    name: str
    function: Callable[..., Any]
    answer: Answer = "velocity"

    @cached_property
    def parameters(self) -> dict[str, Any]:
        """Its parameters with their defaults; `inspect.Parameter.empty` for those it must have."""
        given = inspect.signature(self.function).parameters.values()
        return {each.name: each.default for each in given if each.kind is each.KEYWORD_ONLY}

    @property
    def source(self) -> str:
        """The paper that it follows."""
        return self._told("Source")

    @property
    def inputs(self) -> str:
        """What it looks at, with shapes, units and frames."""
        return self._told("Inputs")

    @property
    def guarantees(self) -> str:
        """What holds of every answer."""
        return self._told("Guarantees")

    def check(self, parameters: dict[str, Any]) -> None:
        """ConfigError if the behaviour does not take these, or needs more."""
        known = self.parameters
        if strange := sorted(set(parameters) - set(known)):
            raise ConfigError(
                f"behaviour {self.name} takes no {', '.join(strange)}; it takes {', '.join(known)}"
            )
        needed = {name for name, value in known.items() if value is inspect.Parameter.empty}
        if missing := sorted(needed - set(parameters)):
            raise ConfigError(f"behaviour {self.name} needs {', '.join(missing)}")

    def _told(self, word: str) -> str:
        module = sys.modules.get(self.function.__module__)
        for text in (inspect.getdoc(self.function), module and inspect.getdoc(module)):
            if found := re.search(rf"\b{word}: (.*?)(?=\n\n|\b[A-Z]\w+: |\Z)", text or "", re.S):
                return " ".join(found[1].split())
        return ""


_DRIVES: set[Callable[..., Any]] = {gauci}
_OPINIONS: set[Callable[..., Any]] = {cross_inhibition, majority, voter}
_ALL: tuple[Callable[..., Any], ...] = (
    aggregation,
    attraction,
    containment,
    coverage,
    cross_inhibition,
    dispersion,
    flocking,
    follow,
    foraging,
    formation,
    gauci,
    go_home,
    levy_walk,
    majority,
    orca,
    patrol,
    pursuit,
    random_walk,
    rendezvous,
    search,
    surround,
    vasarhelyi,
    vicsek,
    voter,
)


def _answer(function: Callable[..., Any]) -> Answer:
    return "drive" if function in _DRIVES else "opinion" if function in _OPINIONS else "velocity"


BEHAVIOURS = {each.__name__: Behaviour(each.__name__, each, _answer(each)) for each in _ALL}
"""Those that come with the house."""


def names() -> list[str]:
    """All that there are, others' too; imports none of theirs."""
    return sorted({*BEHAVIOURS, *(each.name for each in entry_points(group=GROUP))})


def found(name: str) -> Behaviour:
    """The behaviour of this name; ConfigError if there is none, or two, or it cannot be loaded.

    An entry point's function may have an attribute `answer`, if that is no velocity.
    """
    points = {each.value: each for each in entry_points(group=GROUP, name=name)}
    if len(points) + (name in BEHAVIOURS) > 1:
        raise ConfigError(
            f"there are two behaviours {name}, one by {', '.join(points)}: remove it"
        )
    if name in BEHAVIOURS:
        return BEHAVIOURS[name]
    if not points:
        raise ConfigError(f"there is no behaviour {name}; there are {', '.join(names())}")
    (point,) = points.values()
    try:
        function = point.load()
    except Exception as error:  # a third party's import may raise anything
        raise ConfigError(f"behaviour {name} ({point.value}): {explain(error)}") from error
    answer: Any = getattr(function, "answer", "velocity")
    if not callable(function) or answer not in get_args(Answer):
        raise ConfigError(
            f"behaviour {name} ({point.value}) is no function that answers one of "
            f"{', '.join(get_args(Answer))}"
        )
    return Behaviour(name, function, answer)
