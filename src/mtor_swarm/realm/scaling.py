"""How many replicas of a worker run: more where asks wait for long, none where nobody asks.

Pure, a part of the machine of `asks`. One more helps only asks that would wait for longer than it
takes to load: so that time is measured, and the next is thought of when that one is up.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from mtor_swarm.config import WorkerConfig
from mtor_swarm.realm.alarms import Alarm
from mtor_swarm.realm.ask_effects import Outbox, Scale
from mtor_swarm.realm.ask_roster import Roster
from mtor_swarm.realm.ask_wire import Offer

UP_S = 1.0
"""No shorter wait is worth one more replica."""
LOAD_S = 5.0
"""What loading is thought to take before it was seen."""
EXPECTED_S = 15.0
"""So long one that is to run may take to be found, before nobody is said to answer what it may."""
COMING_S = 120.0
"""What is not up after so long is not coming."""
AGAIN_S = 600.0
"""One of which nobody knows what it answers is tried so seldom, while it fails."""
DOWN_S = 60.0
"""When no ask has waited for so long, there is one replica less."""


@dataclass(slots=True, eq=False)
class _Crew:
    """A configured worker with its replicas."""

    name: str
    config: WorkerConfig
    since_s: float
    used_s: float
    waited_s: float
    capabilities: set[str] = field(default_factory=set)
    coming_s: float | None = None
    """Since when one more is on its way."""
    known: bool = False
    """Whether it was up once, and so has said all that it answers."""
    woken_s: float = -math.inf
    """When it was last tried."""
    load_s: float = LOAD_S
    alarm: Alarm | None = None

    def has(self, instance: str) -> bool:
        """Whether that is a replica of it: NAME, NAME_2, NAME_3 and so on."""
        return re.fullmatch(re.escape(self.name) + r"(_\d+)?", instance) is not None


class Scaling:
    """Watches what waits and what is used, and says who should have how many replicas."""

    def __init__(self, out: Outbox, roster: Roster) -> None:
        self._out = out
        self._roster = roster
        self._crews: dict[str, _Crew] = {}

    def staff(self, workers: Mapping[str, WorkerConfig]) -> None:
        """These are the configured workers from now on."""
        now = self._out.now
        for name in set(self._crews) - set(workers):
            self._out.alarms.cancel(self._crews.pop(name).alarm)
        for name, config in workers.items():
            crew = self._crews.setdefault(name, _Crew(name, config, now, now, now))
            crew.config = config
            self._plan(crew)

    def keeps(self, instance: str) -> bool:
        """Whether that one only sleeps when it is gone, and is still to be asked for."""
        crew = self._crews.get(instance)
        return crew is not None and crew.config.least == 0

    def offered(self, offer: Offer) -> None:
        """A worker said what it answers."""
        crew = self._crew_of(offer.worker)
        if crew is not None:
            crew.capabilities.add(offer.capability)

    def up(self, instance: str) -> None:
        """It can be asked."""
        crew = self._crew_of(instance)
        if crew is not None:
            if crew.coming_s is not None:
                crew.load_s = self._out.now - crew.coming_s
                crew.coming_s = None
            crew.known = True
            crew.used_s = crew.waited_s = self._out.now
            self._plan(crew)

    def not_coming(self, worker: str) -> None:
        """What was wanted cannot be."""
        if worker in self._crews:
            self._crews[worker].coming_s = None

    def used(self, capability: str) -> None:
        """Somebody asked."""
        for crew in self._crews.values():
            if capability in crew.capabilities:
                crew.used_s = self._out.now

    def waits(self, capability: str, wait_s: float | None) -> None:
        """An ask waits; for so long, or (None) with nobody at work."""
        crews = [each for each in self._crews.values() if capability in each.capabilities]
        for crew in crews:
            crew.waited_s = self._out.now
        if any(self._is_coming(each) for each in crews):
            return
        for crew in crews or self._strangers(capability):
            count = len(self._running(crew))
            long = wait_s is not None and wait_s > max(UP_S, crew.load_s)
            if wait_s is None and count == 0 == crew.config.least:
                self._wake(crew, 1, f"{capability} is asked for")
            elif long and count < crew.config.most:
                self._wake(crew, count + 1, f"asks for {capability} wait for {wait_s:.0f} s")
                return

    def expects(self) -> bool:
        """Whether one that is to run was not up yet, so that nobody knows what it answers."""
        now = self._out.now
        return any(
            each.config.least and not each.known and now < each.since_s + EXPECTED_S
            for each in self._crews.values()
        )

    def may(self, capability: str) -> bool:
        """Whether one that sleeps, and has not said yet what it answers, may answer this."""
        return bool(self._strangers(capability)) or any(
            not each.capabilities and self._is_coming(each) for each in self._crews.values()
        )

    def load_s(self, capability: str) -> float:
        """How long it takes, or still takes, to load who answers this."""
        crews = [each for each in self._crews.values() if capability in each.capabilities]
        now = self._out.now
        left = [
            each.load_s - (now - each.coming_s if each.coming_s is not None else 0.0)
            for each in crews
        ]
        return max(0.0, min(left, default=LOAD_S))

    def _crew_of(self, instance: str) -> _Crew | None:
        exact = self._crews.get(instance)
        if exact is not None:
            return exact
        return next((each for each in self._crews.values() if each.has(instance)), None)

    def _strangers(self, capability: str) -> list[_Crew]:
        """Those that were never up, and not just tried; who bears this name before others."""
        found = [
            each
            for each in self._crews.values()
            if each.config.least == 0
            and not (each.known or each.capabilities)
            and self._out.now >= each.woken_s + AGAIN_S
        ]
        named = [
            each
            for each in found
            if capability in (each.name, each.config.parameters.get("capability"))
        ]
        return named or found

    def _running(self, crew: _Crew) -> list[str]:
        return [each for each in self._roster.ups() if self._crew_of(each) is crew]

    def _is_coming(self, crew: _Crew) -> bool:
        return crew.coming_s is not None and self._out.now < crew.coming_s + COMING_S

    def _wake(self, crew: _Crew, count: int, reason: str) -> None:
        crew.coming_s = crew.woken_s = self._out.now
        self._out.effects.append(Scale(crew.name, count, reason))

    def _plan(self, crew: _Crew) -> None:
        """Look after it when it may have one too many."""
        self._out.alarms.cancel(crew.alarm)
        crew.alarm = None
        count, config = len(self._running(crew)), crew.config
        if count > max(1, config.least):
            crew.alarm = self._out.alarms.set(crew.waited_s + DOWN_S, lambda _: self._look(crew))
        elif count > config.least and config.idle_s:
            at_s = crew.used_s + config.idle_s
            crew.alarm = self._out.alarms.set(at_s, lambda _: self._look(crew))

    def _look(self, crew: _Crew) -> None:
        now, running = self._out.now, self._running(crew)
        count = len(running)
        slots = [slot for each in running for slot in self._roster.of(each)]
        for slot in slots:
            crew.used_s = max(crew.used_s, now if slot.running else slot.ended_s)
        if not any(len(slot.running) < slot.offer.concurrency for slot in slots):
            crew.waited_s = now  # nobody waited, but none can be spared
        if count > max(1, crew.config.least):
            if now >= crew.waited_s + DOWN_S:
                crew.waited_s = now
                reason = f"no ask waited for {DOWN_S:g} s"
                self._out.effects.append(Scale(crew.name, count - 1, reason))
        elif count > crew.config.least and now >= crew.used_s + crew.config.idle_s:
            crew.used_s = now
            reason = f"nobody asked for {crew.config.idle_s:g} s"
            self._out.effects.append(Scale(crew.name, 0, reason))
        self._plan(crew)
