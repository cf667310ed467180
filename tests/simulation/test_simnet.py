"""The simulator of the gossip: scenarios hold, and what does not hold is found."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys

import msgspec
import pytest

from mtor_swarm.config import GossipConfig
from mtor_swarm.events import Event
from mtor_swarm.swarm.gossip import effects as fx
from mtor_swarm.swarm.gossip.membership import MemberInfo
from mtor_swarm.swarm.simnet import scenario
from mtor_swarm.swarm.simnet.health import disagreement
from mtor_swarm.swarm.simnet.ledger import MAX_VIOLATIONS
from mtor_swarm.swarm.simnet.play import Play

CALM = scenario.Scenario(about="x", for_s=2.0, settle_s=5.0)


@pytest.mark.parametrize("name", scenario.shipped())
def test_every_shipped_scenario_holds(name: str) -> None:
    report = Play(name, scenario.load(name), 16, 1).run()
    assert report.violations == []
    assert report.deliveries > 0
    assert sum(report.latency_histogram) > 0


@pytest.mark.parametrize("name", ["calm", "half-dies"])
def test_a_swarm_too_large_for_the_tables_of_its_members_holds_as_well(name: str) -> None:
    gossip = GossipConfig(members_known=24)
    told = msgspec.structs.replace(scenario.load(name), gossip=gossip, for_s=8.0)
    report = Play(name, told, 60, 1).run()
    assert report.violations == []


@pytest.mark.parametrize("members", [13, 14, 15])
def test_a_port_found_closed_just_before_a_restart_buries_nobody(members: int) -> None:
    assert Play("churn", scenario.load("churn"), members, 1).run().violations == []


def test_a_death_is_not_told_back_and_forth() -> None:
    report = Play("half-dies", scenario.load("half-dies"), 14, 1).run()
    assert report.frames_s < 100


def test_a_run_counts_what_came_how_far_and_how_often() -> None:
    report = Play("calm", CALM, 12, 3).run()
    assert report.deliveries == report.events * 11
    assert 1 <= report.hops.p50 <= report.hops.most <= 12
    assert report.copies >= 1.0
    assert report.bytes_s > 0


def test_the_same_seed_gives_the_same_trace_in_any_process() -> None:
    code = (
        "from mtor_swarm.swarm.simnet import play, scenario;"
        "s = scenario.Scenario(about='x', for_s=3.0, loss=0.2, steps=["
        "scenario.Part(at_s=0.5, share=0.3, for_s=1.0), scenario.Kill(at_s=1.0, share=0.2)],"
        "false_deaths=True);"
        "print(play.Play('s', s, 10, {seed}).run().trace)"
    )

    def trace(seed: int, hash_seed: str) -> str:
        env = {**os.environ, "PYTHONHASHSEED": hash_seed}
        words = [sys.executable, "-c", code.replace("{seed}", str(seed))]
        return subprocess.run(words, env=env, capture_output=True, text=True, check=True).stdout

    assert trace(1, "1") == trace(1, "2")
    assert trace(1, "1") != trace(2, "1")


def test_progress_is_told_up_to_the_end() -> None:
    told: list[tuple[float, float]] = []
    Play("calm", CALM, 4, 1).run(lambda now, end: told.append((now, end)))
    assert told[-1][0] == told[-1][1]
    assert all(a[0] <= b[0] for a, b in itertools.pairwise(told))


def begun(members: int = 4) -> Play:
    """A swarm that has met and said one event."""
    made = Play("calm", CALM, members, 1)
    made._meet(lambda: None)
    made.ledger.publish(
        made._live()[0], Event(id="e", source="x", type="mtor.unit.changed", time="")
    )
    made.world.run(made.world.now + 1.0)
    assert made.ledger.violations == []
    return made


def deliver(made: Play, seq: int) -> None:
    origin, other = made._live()[:2]
    event = Event(
        id="e", source="x", type="x", time="", origin=origin.id, boot=1, channel="events", seq=seq
    )
    made.ledger.told(other, fx.Deliver(event))


@pytest.mark.parametrize(
    ("seq", "wanted"),
    [(1, "twice or out of order"), (3, "a silent hole"), (2, "nobody published it")],
)
def test_a_wrong_delivery_is_found(seq: int, wanted: str) -> None:
    made = begun()
    deliver(made, seq)
    assert wanted in made.ledger.violations[0]


def test_an_event_that_someone_lacks_is_found_in_the_end() -> None:
    made = begun()
    made._live()[2].notes.clear()
    assert not made.ledger.settled(made._live())
    made.ledger.close(made._live())
    assert "m2 has 0 of 1" in made.ledger.violations[0]


def test_a_false_death_is_found_and_a_true_one_is_timed() -> None:
    made = begun()
    viewer, other = made._live()[:2]
    info = MemberInfo(
        id=other.id,
        unit="m1",
        role="unit",
        address="",
        boot=1,
        incarnation=1,
        state="dead",
        started_s=0.0,
    )
    seen = fx.MemberSeen(info, "alive")
    made.world.network.side = {other.name: 1}
    made.ledger.told(viewer, seen)
    made.world.network.side = {}
    assert made.ledger.false_deaths == 0
    made.ledger.told(viewer, seen)
    assert made.ledger.false_deaths == 1
    assert "holds m1 for dead" in made.ledger.violations[0]
    made.ledger.fell(other)
    made.ledger.told(viewer, seen)
    assert list(made.ledger.detection_s) == [0.0]
    made.ledger.told(viewer, fx.MemberSeen(msgspec.structs.replace(info, boot=0), "alive"))
    assert made.ledger.false_deaths == 1


def test_an_exception_is_found_and_the_run_goes_on() -> None:
    made = begun()
    made.world.give(made._live()[0], "no input")  # type: ignore[arg-type]
    assert "m0 raised on str: KeyError" in made.ledger.violations[0]


def test_of_many_violations_the_first_are_kept_and_the_rest_counted() -> None:
    made = begun()
    for _ in range(MAX_VIOLATIONS + 3):
        deliver(made, 1)
    assert made._report(0.0, 0.0).violations[-1] == "and 3 more"


def test_views_that_do_not_agree_are_told() -> None:
    made = begun()
    live = made._live()
    assert disagreement(live, 1024) == ""
    assert disagreement([], 0) == ""
    made.world.kill([live[3]])
    left = made._live()
    assert "still holds" in disagreement(left, 1024)
    del left[0].machine.members.views[left[1].id]
    assert disagreement(left, 1024) == "m0 does not see 1 of the others alive"


def test_members_that_never_meet_are_told() -> None:
    made = Play("calm", msgspec.structs.replace(CALM, settle_s=0.5), 3, 1)
    made.world.network.side = {"m2": 1}
    report = made.run()
    assert "the members did not meet" in report.violations[0]
    assert "the views do not agree" in report.violations[1]


@pytest.mark.parametrize("seed", range(3))
def test_where_three_datagrams_in_ten_are_lost_events_are_not_late(seed: int) -> None:
    told = scenario.parse("about = 'x'\nfor_s = 15\nloss = 0.3\nevents.rate_hz = 4")
    report = Play("lossy", told, 16, seed).run()
    assert report.ok
    assert report.latency_s.count == 15 * report.events
    assert report.latency_s.p50 < 0.01
    assert report.latency_s.p99 < 0.03
    late = report.latency_histogram[14:]  # over 56 ms
    assert sum(late) <= 1
