"""Units that share out tasks in virtual time, with loss, partitions and deaths."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable

import pytest

from mtor_swarm import task_events as events
from mtor_swarm.swarm.tasks import allocator as machine
from mtor_swarm.swarm.tasks import allocator_io as io
from mtor_swarm.swarm.tasks.board import OVER
from mtor_swarm.swarm.tasks.play import Play, Player
from mtor_swarm.swarm.tasks.route import Mover
from mtor_swarm.swarm.tasks.task import Task

SEEDS = range(5)


def fleet(count: int, rng: random.Random, **more: object) -> dict[str, io.Own]:
    return {
        f"r{i:02d}": io.Own(
            Mover(x_m=rng.uniform(-20, 20), y_m=rng.uniform(-20, 20), speed_mps=1.0),
            **more,  # type: ignore[arg-type]
        )
        for i in range(count)
    }


def make(seed: int, count: int = 8, loss: float = 0.1, **more: object) -> Play:
    """Units in a ring, each of which hears but two others: it takes hops to hear of the rest."""
    rng = random.Random(seed)
    owns = fleet(count, rng, **more)
    names = list(owns)

    def ring(name: str) -> Iterable[str]:
        at = names.index(name)
        return [names[at - 1], names[(at + 1) % count]]

    return Play(owns, ring, rng=rng, loss=loss)


def errands(rng: random.Random, count: int, **more: object) -> list[Task]:
    return [
        Task(
            id=f"t{i:02d}",
            places=[(rng.uniform(-20, 20), rng.uniform(-20, 20))],
            dwell_s=2.0,
            **more,  # type: ignore[arg-type]
        )
        for i in range(count)
    ]


def states(play: Play) -> set[str]:
    """The states of all tasks, as all live units see them."""
    return {s.state for p in play.players.values() for s in p.allocator.standings.values()}


def of(play: Play, kind: type) -> list[tuple[float, str, object]]:
    return [each for each in play.said if isinstance(each[2], kind)]


def done(play: Play) -> list[str]:
    return sorted(each[2].task for each in of(play, events.TaskDone))  # type: ignore[attr-defined]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("loss", [0.0, 0.3])
def test_all_agree_over_several_hops_and_each_task_is_done_once(seed: int, loss: float) -> None:
    play = make(seed, loss=loss)
    tasks = errands(random.Random(seed), 20)
    play.announce("r00", *tasks)
    assert play.run(60.0, lambda: len(play.owners()) == 20 and play.is_quiet())
    assert all(len(each) == 1 for each in play.owners().values())
    assert play.run(600.0, lambda: states(play) == {"done"})
    assert done(play) == sorted(each.id for each in tasks)
    assert of(play, events.TaskDuplicated) == []


@pytest.mark.parametrize("seed", SEEDS)
def test_the_tasks_of_a_dead_unit_are_owned_again_within_a_second_of_its_death(seed: int) -> None:
    play = make(seed)
    play.announce("r00", *errands(random.Random(seed), 24))
    play.run(8.0)
    victim = next(name for name, p in play.players.items() if p.allocator.way and name != "r00")
    left = set(play.players[victim].allocator.way)
    play.kill(victim)
    play.run(play.notice_s + play.step_s)
    assert play.run(1.0, lambda: left <= play.owners().keys() | set(done(play)))
    assert play.run(600.0, lambda: states(play) == {"done"})


@pytest.mark.parametrize("seed", SEEDS)
def test_a_unit_that_comes_back_does_nothing_again(seed: int) -> None:
    play = make(seed)
    rng = random.Random(seed)
    play.announce("r00", *errands(rng, 16))
    play.run(12.0)
    play.kill("r03")
    play.run(10.0)
    play.revive("r03", io.Own(Mover(x_m=0.0, y_m=0.0, speed_mps=1.0)))
    assert play.run(600.0, lambda: states(play) == {"done"})
    play.run(10.0)
    assert len(done(play)) == len(set(done(play))) == 16
    assert of(play, events.TaskDuplicated) == []


@pytest.mark.parametrize("seed", SEEDS)
def test_both_sides_of_a_partition_go_on_and_what_was_done_twice_is_reported(seed: int) -> None:
    play = make(seed)
    play.announce("r00", *errands(random.Random(seed), 16))
    play.run(2.0)
    names = list(play.players)
    play.part(names[:4], names[4:])
    play.announce("r06", Task(id="there", places=[(0.0, 0.0)]))
    play.run(20.0)
    play.part(names)
    assert play.run(600.0, lambda: states(play) == {"done"})
    play.run(5.0)
    twice = {each for each in done(play) if done(play).count(each) > 1}
    reported = {each[2].task for each in of(play, events.TaskDuplicated)}  # type: ignore[attr-defined]
    assert "there" in done(play)
    assert twice <= reported
    assert all(len(each) == 1 for each in play.owners().values())


def test_of_two_who_are_at_one_task_when_a_partition_heals_one_stops_and_says_so() -> None:
    play = make(1, count=4)
    play.announce("r00", Task(id="x", places=[(0.0, 0.0)], dwell_s=60.0))
    names = list(play.players)
    play.run(3.0)
    owner = next(iter(play.owners()["x"]))
    play.part({owner}, set(names) - {owner})
    play.run(10.0)
    assert len(play.owners()["x"]) == 2
    play.part(names)
    play.run(5.0)
    assert len(play.owners()["x"]) == 1
    assert len(of(play, events.TaskDuplicated)) == 1
    assert play.run(200.0, lambda: states(play) == {"done"})
    assert done(play) == ["x"]


def test_a_task_cancelled_anywhere_is_left_everywhere() -> None:
    play = make(2)
    play.announce("r00", *errands(random.Random(2), 12))
    play.run(4.0)
    for i in range(12):
        play.give("r05", io.Cancel(f"t{i:02d}"))
    play.run(3.0)
    assert states(play) <= {"done", "cancelled"}
    assert play.owners() == {}
    assert all(each.job is None for each in play.players.values())


def test_tasks_are_done_in_the_order_of_their_precedence_and_before_their_deadlines() -> None:
    play = make(3)
    chain = [
        Task(id=f"t{i}", places=[(5.0 * i, 0.0)], after=[f"t{i - 1}"] if i else [])
        for i in range(5)
    ]
    soon = [Task(id=f"s{i}", places=[(float(i), 9.0)], until_s=play.now + 40.0) for i in range(4)]
    play.announce("r00", *reversed(chain), *soon, Task(id="never", until_s=play.now - 1.0))
    assert play.run(300.0, lambda: bool(states(play)) and states(play) <= OVER)
    ends = {each[2].task: each[0] for each in of(play, events.TaskDone)}  # type: ignore[attr-defined]
    assert [ends[f"t{i}"] for i in range(5)] == sorted(ends[f"t{i}"] for i in range(5))
    assert all(ends[f"s{i}"] <= 1040.0 for i in range(4))
    assert "never" not in ends


@pytest.mark.parametrize("seed", SEEDS)
def test_tasks_for_several_units_never_wait_for_each_others(seed: int) -> None:
    play = make(seed, count=6)
    rng = random.Random(seed)
    together = [
        Task(id=f"c{i}", units=k, places=[(rng.uniform(-9, 9), 0.0)], dwell_s=3.0)
        for i, k in enumerate((2, 3, 2, 6, 4, 3))
    ]
    for i, each in enumerate(together):
        play.announce(f"r{i:02d}", each)
    play.announce("r00", *errands(rng, 6), Task(id="crowd", units=7))
    assert play.run(900.0, lambda: len(set(done(play))) == 12)
    play.run(1.0)
    standing = play.players["r01"].allocator.standings["crowd"]
    assert standing.reason == "6 of 7 units here can do it"
    for each in together:
        begun = [b for b in of(play, events.TaskAwarded) if b[2].task == each.id]  # type: ignore[attr-defined]
        assert len(begun[0][2].units) == each.units  # type: ignore[attr-defined]


def test_a_task_goes_to_a_unit_that_has_what_it_needs() -> None:
    play = make(4)
    lifter = skilled(play, "r05", ("lift",))
    play.announce("r01", Task(id="x", needs=["lift"], places=[(19.0, 19.0)]))
    assert play.run(120.0, lambda: states(play) == {"done"})
    assert lifter.done == ["x"]


def skilled(play: Play, name: str, skills: tuple[str, ...]) -> Player:
    player = play.players[name]
    player.own = io.Own(player.own.mover, skills)
    play.give(name, player.own)
    return player


def test_a_recurring_task_comes_again_after_each_time() -> None:
    play = make(5)
    play.announce("r00", Task(id="round", kind="patrol", places=[(0.0, 0.0)], every_s=30.0))
    play.run(200.0)
    ends = [each[0] for each in of(play, events.TaskDone)]
    assert len(ends) >= 4
    assert all(b - a >= 30.0 for a, b in itertools.pairwise(ends))


def test_ten_thousand_tasks_at_once_leave_the_swarm_at_work() -> None:
    play = make(6, count=4, loss=0.0)
    rng = random.Random(6)
    many = [  # seconds of work here would be minutes, were it not bounded
        Task(id=f"t{i}", places=[(rng.uniform(-20, 20), rng.uniform(-20, 20))])
        for i in range(10_000)
    ]
    play.announce("r00", *many)
    assert len(play.refused) == 10_000 - machine.MAX_OPEN
    play.run(20.0)
    assert len(done(play)) > 4
    assert all(len(p.flood.held) < 2000 for p in play.players.values())


def test_the_same_seed_gives_the_same_run() -> None:
    runs = []
    for _ in range(2):
        play = make(7, loss=0.3)
        play.announce("r00", *errands(random.Random(7), 12))
        play.run(30.0)
        runs.append([(at, unit, repr(data)) for at, unit, data in play.said])
    assert runs[0] == runs[1]
