"""The bundle: the tasks that one unit bids for, by the consensus-based bundle algorithm (CBBA).

Choi, Brunet, How: "Consensus-Based Decentralized Auctions for Robust Task Allocation" (IEEE T-RO
25(4), 2009). A unit takes in greedily what adds most to its score and where no higher bid stands;
when it is outbid it lets go of that task and of all that it took in later, and takes in anew. All
come to what a central greedy choice would give (at least half of the best, by that paper), within
N_min · D rounds of telling the neighbours, N_min the lesser of the numbers of tasks and of places
in bundles, D the neighbour graph's diameter. Here each unit's bids are its own word, told on and
replaced by its newer one, which says what the paper's table of winners, bids and time stamps says.

Bids within a bundle never rise (Johnson, Choi, How, "Allowing non-submodular score functions in
distributed task allocation", CDC 2012), so that deadlines and ranges keep no one from agreeing.

A task for k units goes to the k highest bids. A unit is in one such task at a time, and fills the
first that lacks someone before it bids for the next, so that no two wait for each other's units.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mtor_swarm.swarm.tasks import route
from mtor_swarm.swarm.tasks.board import Rank, Standing
from mtor_swarm.swarm.tasks.route import Mover
from mtor_swarm.swarm.tasks.task import MAX_BUNDLE, Bid, Row

LEAST_BID = 1e-9
DIGITS = 9
"""Of a bid, so that a row stays short."""

Standings = Mapping[str, Standing]


class Bundle:
    """One unit's bids, in the order in which they were taken in; `way` is the order of doing."""

    def __init__(self, unit: str, most: int = MAX_BUNDLE) -> None:
        self.unit = unit
        self.most = most
        self.bids: list[Bid] = []
        self.way: list[str] = []

    @property
    def begun(self) -> Bid | None:
        """What the unit is doing."""
        return next((each for each in self.bids if each.begun), None)

    def clear(self) -> None:
        """Let go of all but what is begun."""
        self._only([each for each in self.bids if each.begun])

    def drop(self, task: str) -> None:
        """Let go of one task and keep the others."""
        self._only([each for each in self.bids if each.task != task])

    def begin(self, task: str) -> None:
        """The task is being done: it comes first from now on."""
        self.bids = [
            Bid(b.task, b.turn, b.bid, begun=True) if b.task == task else b for b in self.bids
        ]
        self.way.remove(task)
        self.way.insert(0, task)

    def release(self, standings: Standings, rows: Mapping[str, Row]) -> None:
        """Let go of what is over and, from the first that we are outbid for, of all the rest."""
        fillable = self._fillable(standings, rows)
        kept: list[Bid] = []
        lost = False
        for each in self.bids:
            standing = standings.get(each.task)
            if not standing or not standing.is_for_bids or standing.turn != each.turn:
                continue
            gets = self._gets(standing, Rank(each.begun, each.bid, self.unit))
            if each.begun:
                kept += [each] * gets
                continue
            lost |= not gets or (standing.task.units > 1 and each.task not in fillable)
            if not lost:
                kept.append(each)
        self._only(kept)

    def build(
        self, standings: Standings, rows: Mapping[str, Row], mover: Mover, now: float
    ) -> int:
        """Take in tasks while there is room and one that we would get; how many we took in."""
        mine = {each.task for each in self.bids}
        together = any(standings[each].task.units > 1 for each in mine)
        fillable = set() if together else self._fillable(standings, rows)
        row = rows[self.unit]
        choice = [
            each
            for name, each in standings.items()
            if each.is_for_bids
            and name not in mine
            and each.suits(self.unit, row)
            and (each.task.units == 1 or name in fillable)
        ]
        stops = {n: route.stop(standings[n].task, mover, now) for n in self.way}
        jobs = np.array([route.stop(each.task, mover, now) for each in choice]).reshape(-1, 8)
        taken = 0
        while choice and len(self.bids) < self.most:
            way = np.array([stops[name] for name in self.way]).reshape(-1, 8)
            gains, places = route.gains(mover, way, jobs, first=int(self.begun is not None))
            cap = self.bids[-1].bid if self.bids and not self.bids[-1].begun else np.inf
            best = self._best(choice, gains, cap)
            if best is None:
                break
            index, bid = best
            standing = choice.pop(index)
            stops[standing.task.id] = jobs[index].tolist()
            jobs = np.delete(jobs, index, axis=0)
            self.bids.append(Bid(standing.task.id, standing.turn, bid))
            self.way.insert(int(places[index]), standing.task.id)
            taken += 1
            if standing.task.units > 1:
                keep = [i for i, each in enumerate(choice) if each.task.units == 1]
                choice, jobs = [choice[i] for i in keep], jobs[keep]
        return taken

    def _best(
        self, choice: list[Standing], gains: route.Table, cap: float
    ) -> tuple[int, float] | None:
        """Which adds most of those that we would get, and our bid for it."""
        for index in np.argsort(-gains, kind="stable"):
            bid = round(min(float(gains[index]), cap), DIGITS)
            if not bid >= LEAST_BID:
                return None
            if self._gets(choice[index], Rank(False, bid, self.unit)):
                return int(index), bid
        return None

    def _gets(self, standing: Standing, rank: Rank) -> bool:
        """Whether we are among those who get the task with that bid."""
        others = [each for each in standing.ranks if each.unit != self.unit]
        last = standing.task.units - 1
        return len(others) <= last or rank > others[last]

    def _fillable(self, standings: Standings, rows: Mapping[str, Row]) -> set[str]:
        """The tasks for several units that we may bid for, to the first that lacks someone."""
        tasks = [
            each
            for each in standings.values()
            if each.task.units > 1 and each.is_for_bids and each.suits(self.unit, rows[self.unit])
        ]
        tasks.sort(key=lambda each: (-each.task.reward, each.task.announced_s, each.task.id))
        found = set()
        for each in tasks:
            if sum(each.suits(unit, row) for unit, row in rows.items()) < each.task.units:
                continue
            found.add(each.task.id)
            if sum(rank.unit != self.unit for rank in each.ranks) < each.task.units:
                break
        return found

    def _only(self, bids: list[Bid]) -> None:
        self.bids = bids
        names = {each.task for each in bids}
        self.way = [each for each in self.way if each in names]
