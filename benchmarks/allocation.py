"""Who does which task: bids between neighbours against what one who knows all would choose.

Units, tasks and radio ranges are at random; the seeds are 0, 1, 2, …; all figures are over all
cases of a row. `N_min` is the lesser of the numbers of tasks and of places in bundles, `D` the
neighbour graph's diameter, a round each unit's telling its neighbours once.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np

from benchmarks.allocating import best, rounds, wired
from benchmarks.form import Figure
from mtor_swarm.swarm.tasks import allocator_io as io
from mtor_swarm.swarm.tasks.play import Play
from mtor_swarm.swarm.tasks.route import Mover
from mtor_swarm.swarm.tasks.task import MAX_BUNDLE, Task

Best = Callable[[rounds.Case], float]


def quality(
    title: str, size: tuple[int, int, int], of: Best, goals: tuple[float, float | None], runs: int
) -> list[Figure]:
    """Score as a share of the best, with and without loss, for (units, tasks, bundle)."""
    units, tasks, bundle = size
    figures = []
    for loss in (0.0, 0.3):
        shares, central, spans, conflicts = [], [], [], 0
        for seed in range(runs):
            rng = random.Random(seed)
            case = rounds.case(units, tasks, rng)
            result = rounds.settle(case, bundle, rng, loss)
            most = of(case)
            shares.append(result.score / most)
            central.append(best.greedy(case, bundle) / most)
            bound = min(tasks, units * bundle) * rounds.diameter(case.near)
            spans.append(result.rounds / bound)
            conflicts += result.conflicts
        name = f"{title}, {round(100 * loss)} % loss"
        mean, worst = goals
        figures += [
            Figure(
                name=f"{name}: mean of {runs}", value=float(np.mean(shares)), goal=mean,
                better="more", baseline=float(np.mean(central)),
            ),
            Figure(
                name=f"{name}: worst", value=min(shares), goal=worst, better="more",
                baseline=min(central),
            ),
            Figure(name=f"{name}: tasks with two owners", value=conflicts, goal=0),
            Figure(
                name=f"{name}: most rounds, of N_min·D", value=max(spans),
                goal=None if loss else 1.0,
            ),
        ]  # fmt: skip
    return figures


def over_gossip(runs: int) -> list[Figure]:
    """32 units and 64 tasks over real gossip machines at 10 % loss; and a unit's death."""
    ends = [wired.agreement(seed, 32, 64, 0.1, MAX_BUNDLE) for seed in range(runs)]
    times = [each for each, _ in ends]
    shares = [
        score / best.greedy(rounds.case(32, 64, random.Random(seed)), MAX_BUNDLE)
        for seed, (_, score) in enumerate(ends)
    ]
    heirs = [wired.inheritance(seed, 8, 24, 0.1, MAX_BUNDLE) for seed in range(4 * runs)]
    name = "over gossip, 10 % loss"
    return [
        Figure(
            name=f"{name}: 32 × 64 agreed, median", value=float(np.median(times)), unit="s"
        ),
        Figure(
            name=f"{name}: 32 × 64 agreed, worst of {runs}", value=max(times), unit="s", goal=1
        ),
        Figure(
            name=f"{name}: 32 × 64, of central greedy", value=float(np.mean(shares)), goal=0.98,
            better="more",
        ),
        Figure(
            name=f"{name}: a dead unit's tasks owned again, worst of {len(heirs)}",
            value=max(heirs), unit="s", goal=1,
        ),
    ]  # fmt: skip


def killed(runs: int) -> list[Figure]:
    """Units that drive to their tasks, of which one is killed on the way, at 30 % loss."""
    complete = sum(_completes(random.Random(seed)) for seed in range(runs))
    return [
        Figure(
            name=f"a unit killed on the way, 30 % loss: missions completed, of {runs}",
            value=100 * complete / runs, unit="%", goal=100, better="more",
        )
    ]  # fmt: skip


def _completes(rng: random.Random) -> bool:
    def place() -> tuple[float, float]:
        return rng.uniform(0, 40), rng.uniform(0, 40)

    names = [f"r{i}" for i in range(8)]
    owns = {}
    for name in names:
        x_m, y_m = place()
        owns[name] = io.Own(Mover(x_m=x_m, y_m=y_m, speed_mps=1.0))
    play = Play(owns, lambda _: names, rng=rng, loss=0.3)
    play.announce("r0", *(Task(id=f"t{i}", places=[place()]) for i in range(24)))
    play.run(rng.uniform(2.0, 20.0))
    play.kill(rng.choice(names[1:]))
    first = play.players["r0"].allocator
    return play.run(600.0, lambda: all(s.state == "done" for s in first.standings.values()))


def run(quick: bool) -> list[Figure]:
    """All of them."""
    few, many = (20, 2) if quick else (200, 200)
    return [
        *quality("one task a unit, 10 × 10, of Hungarian's", (10, 10, 1), best.hungarian,
                 (0.9, 0.5), few),
        *quality("6 × 8, of the best by trying all", (6, 8, MAX_BUNDLE), best.everything,
                 (0.9, 0.5), few),
        *quality("32 × 64, of central greedy", (32, 64, MAX_BUNDLE),
                 lambda case: best.greedy(case, MAX_BUNDLE), (0.98, None), many),
        *over_gossip(2 if quick else 20),
        *killed(few // 2),
    ]  # fmt: skip
