"""Plays a scenario: members meet, things befall them, and in the end all must be well again."""

from __future__ import annotations

import gc
import heapq
import itertools
import random
from collections import Counter
from collections.abc import Callable, Sequence

from mtor_swarm.events import Event
from mtor_swarm.swarm.simnet import scenario as sc
from mtor_swarm.swarm.simnet.health import disagreement
from mtor_swarm.swarm.simnet.ledger import Ledger
from mtor_swarm.swarm.simnet.report import (
    Report,
    copies_of,
    figures,
    histogram,
    hops_of,
    rounds_of,
)
from mtor_swarm.swarm.simnet.world import Member, World

SEEDS = 3
MEET_MOST_S = 60.0
LOOK_S = 0.5
"""How often it is looked whether all is well."""
NAP_S = 0.05
"""The least that an overloaded member is late."""

OnProgress = Callable[[float, float], None]
"""Told now and the latest end, in virtual seconds."""


class Play:
    """One run of a scenario with a seed."""

    def __init__(self, name: str, scenario: sc.Scenario, members: int, seed: int) -> None:
        self.name = name
        self.scenario = scenario
        self.number = members
        self.seed = seed
        self.rng = random.Random(seed)
        self.ledger = Ledger(scenario.false_deaths)
        self.world = World(self.rng.randrange(2**32), self.ledger, scenario.gossip)
        self.ledger.world = self.world
        self.base = scenario.loss
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._names = itertools.count()
        self._published = 0
        self._calm_at = 0.0
        self._whole_at: float | None = None

    def run(self, progress: OnProgress = lambda now, end: None) -> Report:
        """Meet, play, settle; the report, with every invariant that did not hold.

        Millions of objects live until the end: to look for garbage among them gains nothing.
        """
        collects = gc.isenabled()
        gc.disable()
        try:
            return self._run(progress)
        finally:
            if collects:
                gc.enable()

    def _run(self, progress: OnProgress) -> Report:
        end = MEET_MOST_S + self.scenario.for_s + self.scenario.settle_s
        met_s = self._meet(lambda: progress(self.world.now, end))
        start = self.world.now
        end = start + self.scenario.for_s + self.scenario.settle_s
        self._plan(start)
        self.world.network.loss = self.base
        self._until(start + self.scenario.for_s, lambda: progress(self.world.now, end))
        settled_s = self._settle(lambda: progress(self.world.now, end))
        progress(end, end)
        return self._report(met_s, settled_s)

    # --- the three parts

    def _meet(self, progress: Callable[[], None]) -> float:
        for _ in range(self.number):
            self._join()
        while disagreement(self._live(), self._bound()):
            if self.world.now >= MEET_MOST_S:
                self.ledger.violated("the members did not meet")
                break
            self.world.run(self.world.now + LOOK_S / 5)
            progress()
        return self.world.now

    def _settle(self, progress: Callable[[], None]) -> float:
        """Time until all is well; what then is not is a violation."""
        start = self.world.now
        end = start + self.scenario.settle_s
        while self._unwell() and self.world.now < end:
            self._until(self.world.now + LOOK_S, progress)
        took = self.world.now - start
        amiss = disagreement(self._live(), self._bound())
        if amiss:
            self.ledger.violated(f"the views do not agree: {amiss}")
        self.ledger.close(self._live())
        return took

    def _unwell(self) -> bool:
        live = self._live()
        return not self.ledger.settled(live) or bool(disagreement(live, self._bound()))

    def _until(self, until: float, progress: Callable[[], None]) -> None:
        agenda = self._agenda
        told = self.world.now
        while agenda and agenda[0][0] <= until:
            at, _, action = heapq.heappop(agenda)
            self.world.run(at)
            action()
            if self.world.now - told > LOOK_S:
                told = self.world.now
                self._look(progress)
        while self.world.now < until:
            self.world.run(min(until, self.world.now + LOOK_S))
            self._look(progress)

    def _look(self, progress: Callable[[], None]) -> None:
        """Note when the views agree for the first time after the last thing that befell them."""
        if self._whole_at is None and self.world.now > self._calm_at:
            agree = not disagreement(self._live(), self._bound())
            self._whole_at = self.world.now if agree else None
        progress()

    def _report(self, met_s: float, settled_s: float) -> Report:
        ledger, world, live = self.ledger, self.world, self._live()
        latency = figures(ledger.latency_s)
        counters: Counter[str] = Counter()
        for each in live:
            counters.update(each.machine.out.counters)
        hidden = [f"and {ledger.hidden} more"] if ledger.hidden else []
        per = max(1, self.number) * world.now
        return Report(
            scenario=self.name,
            members=self.number,
            seed=self.seed,
            loss=self.base,
            virtual_s=world.now,
            steps=world.steps,
            trace=world.trace(),
            live=len(live),
            met_s=met_s,
            whole_s=(self._whole_at or world.now) - self._calm_at if self._calm_at else 0.0,
            settled_s=settled_s,
            events=len(ledger.spreads),
            deliveries=sum(each.delivered for each in ledger.spreads.values()),
            gaps=ledger.gaps,
            latency_s=latency,
            hops=hops_of(ledger),
            copies=copies_of(ledger),
            repair_rounds=rounds_of(ledger, self.scenario.gossip.digest_busy_s),
            detection_s=figures(ledger.detection_s),
            false_deaths=ledger.false_deaths,
            frames_s=ledger.frames / per,
            bytes_s=ledger.bytes / per,
            counters=dict(sorted(counters.items())),
            violations=ledger.violations + hidden,
            latency_histogram=histogram(ledger.latency_s),
        )

    # --- what befalls them

    def _plan(self, start: float) -> None:
        for step in self.scenario.steps:
            self._at(start + step.at_s, lambda step=step: self._do(step))  # type: ignore[misc]
            self._calm_at = max(self._calm_at, start + step.at_s + getattr(step, "for_s", 0.0))
        if self.scenario.events.rate_hz:
            self._at(start, lambda: self._publish(start + self.scenario.for_s))

    def _at(self, at: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (at, next(self._order), action))

    def _do(self, step: sc.Step) -> None:
        network, now = self.world.network, self.world.now
        if isinstance(step, sc.Loss):
            network.loss = step.share
            self._undo(step.for_s, lambda: setattr(network, "loss", self.base))
        elif isinstance(step, sc.Delay):
            was, network.delay_s = network.delay_s, (step.least_s, step.most_s)
            self._undo(step.for_s, lambda: setattr(network, "delay_s", was))
        elif isinstance(step, sc.Duplicate):
            network.duplication = step.share
            self._undo(step.for_s, lambda: setattr(network, "duplication", 0.0))
        elif isinstance(step, sc.Part):
            network.side = {each.name: 1 for each in self._some(step.share)}
            self._undo(step.for_s, network.side.clear)
        elif isinstance(step, sc.Kill):
            self._kill(self._some(step.share))
        elif isinstance(step, sc.Stop):
            for each in self._some(step.share):
                self.ledger.fell(each, now + step.for_s)
                self.world.stall(each, now + step.for_s)
        elif isinstance(step, sc.Overload):
            for each in self._some(step.share):
                self._nap(each, step, now + step.for_s)
        elif isinstance(step, sc.Churn):
            self._churn(step, now + step.for_s)
        else:
            for _ in range(round(step.share * len(self._live()))):
                self._join()

    def _undo(self, for_s: float, action: Callable[[], None]) -> None:
        if for_s:
            self._at(self.world.now + for_s, action)

    def _publish(self, until: float) -> None:
        """One event of a member chosen at random, and the next one after a random while."""
        traffic, now = self.scenario.events, self.world.now
        at = now + self.rng.expovariate(traffic.rate_hz)
        if at < until:
            self._at(at, lambda: self._publish(until))
        ready = [each for each in self._live() if each.stalled_until <= now]
        if not ready:
            return
        self._published += 1
        event = Event(
            id=f"e{self._published}",
            source="simnet",
            type="mtor.unit.changed",
            time="",
            data={"n": self._published, "fill": "." * traffic.size_bytes},
        )
        self.ledger.publish(self.rng.choice(ready[: traffic.publishers or None]), event)

    def _kill(self, gone: Sequence[Member]) -> None:
        for each in gone:
            self.ledger.fell(each)
        self.world.kill(gone)

    def _nap(self, member: Member, step: sc.Overload, until: float) -> None:
        """Late now, and again after it has had about as much time to run."""
        late = self.rng.uniform(NAP_S, max(NAP_S, step.late_s))
        self.world.stall(member, self.world.now + late)
        again = self.world.now + late + self.rng.uniform(0.0, late)
        if again < until:
            self._at(again, lambda: self._nap(member, step, until))

    def _churn(self, step: sc.Churn, until: float) -> None:
        victim = self.rng.choice(self._live())
        self._kill([victim])
        self._at(self.world.now + step.down_s, lambda: self._restart(victim))
        if self.world.now + step.every_s < until:
            self._at(self.world.now + step.every_s, lambda: self._churn(step, until))

    def _restart(self, gone: Member) -> None:
        self.world.add(gone.name, self._seeds(), boot=gone.boot + 1)

    def _join(self) -> None:
        self.world.add(f"m{next(self._names)}", self._seeds())

    def _seeds(self) -> list[str]:
        """Some members to meet the others at: the first ones at the start, else any."""
        live = self._live()
        if self.world.now == 0.0:
            return [each.name for each in live[:SEEDS]]
        return [each.name for each in self.rng.sample(live, min(SEEDS, len(live)))]

    def _some(self, share: float) -> list[Member]:
        live = self._live()
        return self.rng.sample(live, round(share * len(live)))

    def _live(self) -> list[Member]:
        return self.world.up()

    def _bound(self) -> int:
        return self.scenario.gossip.members_known
