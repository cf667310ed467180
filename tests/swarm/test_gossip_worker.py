"""The gossip worker between a real realm bus and a real swarm."""

from __future__ import annotations

import array
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import String

from mtor_swarm import config as configs
from mtor_swarm.config import RealmConfig, SwarmConfig
from mtor_swarm.errors import SwarmError
from mtor_swarm.events import (
    Command,
    CommandAcknowledged,
    DetectionSeen,
    MemberChanged,
    TargetSeen,
    UnitChanged,
    UnitState,
    WorkerChanged,
    command_type,
    make,
    payload,
)
from mtor_swarm.realm import domain
from mtor_swarm.realm.commands import Draft, issue
from mtor_swarm.swarm.identity import Identity, operator_signer
from mtor_swarm.swarm.observer import Observer

from .crew import Crew, Unit
from .crowd import PATIENCE_S, wait_until


@pytest.fixture
def crew(tmp_path: Path) -> Iterator[Crew]:
    with Crew(tmp_path) as crew:
        yield crew


@pytest.fixture
def observer() -> Iterator[Observer]:
    observer = Observer(SwarmConfig())
    observer.start()
    yield observer
    observer.stop()


@pytest.fixture
def r1(crew: Crew, observer: Observer) -> Unit:
    unit = crew.add("r1", seeds=[observer._driver.address])
    observer.wait_for_members(PATIENCE_S)
    return unit


def order(verb: Any, units: list[str], signer: Identity | None = None, **other: Any) -> Command:
    draft = Draft(verb=verb, units=units)
    signer = signer or operator_signer()
    return issue(draft, signer, time.time(), uuid.uuid4().hex, **other)


def send(observer: Observer, command: Command, type: str = "") -> None:
    name = type or command_type(command.verb)
    observer.publish(make(command, source="/test", wall_s=time.time(), type=name))


def types(observer: Observer) -> list[str]:
    return [each["type"] for each in observer.snapshot()["events"]]


def words(observer: Observer, command: Command) -> list[CommandAcknowledged]:
    acks = [
        msgspec.convert(each["data"], CommandAcknowledged)
        for each in observer.snapshot()["events"]
        if each["type"] == "mtor.command.acknowledged"
    ]
    return [each for each in acks if each.command == command.id]


def statuses(observer: Observer, command: Command) -> list[str]:
    return [each.status for each in words(observer, command)]


def units_alive(observer: Observer) -> list[str]:
    units = observer.snapshot()["units"]
    return [name for name, unit in units.items() if unit["member_state"] == "alive"]


def test_what_is_meant_for_the_swarm_leaves_the_realm_and_nothing_else(
    r1: Unit, observer: Observer
) -> None:
    seen = DetectionSeen(frame_width=1, frame_height=1, latency_s=0.0, sightings=[])
    target = TargetSeen(
        label="cat", score=0.9, x_m=1.0, y_m=2.0, seen_from_x_m=0.0, seen_from_y_m=0.0
    )
    own = UnitChanged(doing="a", was="b")
    for unit, data in (("r1", seen), ("r7", target)):
        r1.bus.publish(make(data, source="/x", wall_s=0.0, unit=unit))
    for name, scope in (("smoke.measured", "realm"), ("smoke.seen", "swarm"), ("", "realm")):
        r1.bus.publish(
            make(own, source="/x", wall_s=0.0, unit="r1", type=name, scope=scope)  # type: ignore[arg-type]
        )
    wait_until("the unit's news", lambda: "mtor.unit.changed" in types(observer))
    assert not {"mtor.detection.seen", "smoke.measured"} & set(types(observer))
    assert "smoke.seen" in types(observer)
    assert "mtor.target.seen" not in types(observer)


def test_what_the_swarm_says_reaches_the_realm_once_and_is_not_echoed(crew: Crew) -> None:
    r1, r2 = crew.add("r1"), crew.add("r2")
    r1.bus.publish(make(UnitChanged(doing="a", was="b"), source="/x", wall_s=0.0, unit="r1"))
    wait_until("r2 hears it", lambda: r2.heard("mtor.unit.changed"))
    r2.bus.publish(make(UnitChanged(doing="c", was="d"), source="/x", wall_s=0.0, unit="r2"))
    wait_until("r1 hears the answer", lambda: r1.heard("mtor.unit.changed"))
    assert [each.unit for each in r2.heard("mtor.unit.changed")] == ["r1"]
    assert [each.unit for each in r1.heard("mtor.unit.changed")] == ["r2"]


def test_units_hear_each_others_state_and_who_is_there(crew: Crew) -> None:
    r1, r2 = crew.add("r1"), crew.add("r2")
    r2.state.publish(String(data=json.dumps({"unit": "r2", "doing": "searching"})))

    def told() -> bool:
        states = [msgspec.json.decode(each, type=UnitState) for each in r1.neighbours]
        return any(s.doing == "searching" and s.hears == ["r1"] and s.pose for s in states)

    wait_until("r1 hears what r2 does", told)
    changes = [payload(e, MemberChanged) for e in r1.heard("mtor.member.changed")]
    assert ("r2", "alive") in [(each.unit, each.state) for each in changes]
    crew.through(r2.gossip, "deactivate")
    wait_until(
        "r1 hears that r2 left",
        lambda: any(
            payload(e, MemberChanged).state == "left" for e in r1.heard("mtor.member.changed")
        ),
    )
    crew.through(r2.gossip, "activate")  # a new boot: it is back
    wait_until("r2 is back", lambda: "r2" in crew.known(r1))


def test_a_decision_that_begins_again_learns_who_is_there_and_who_is_gone(crew: Crew) -> None:
    r1, r2 = crew.add("r1"), crew.add("r2")
    wait_until("r1 hears of r2", lambda: r1.neighbours)
    crew.through(r2.gossip, "deactivate")
    wait_until(
        "r1 hears that r2 left",
        lambda: any(
            payload(e, MemberChanged).state == "left" for e in r1.heard("mtor.member.changed")
        ),
    )
    for heard in (r1.neighbours, r1.events):
        heard.clear()
    began = WorkerChanged(worker="decision", state="active", was="inactive")
    r1.bus.publish(make(began, source="/r1/orchestrator", wall_s=0.0, unit="r1"))
    wait_until("it is told", lambda: r1.neighbours and r1.heard("mtor.member.changed"))
    assert msgspec.json.decode(r1.neighbours[-1], type=UnitState).unit == "r2"
    told = payload(r1.heard("mtor.member.changed")[-1], MemberChanged)
    assert (told.unit, told.state) == ("r2", "left")


def test_a_stop_is_obeyed_confirmed_and_a_second_time_dropped(
    r1: Unit, observer: Observer
) -> None:
    command = order("hold", ["r1"])
    send(observer, command)
    wait_until("confirmed", lambda: "confirmed" in statuses(observer, command))
    assert all(each.speed_mps is not None for each in words(observer, command)[1:])
    send(observer, command)
    wait_until("dropped", lambda: r1.gossip.counts["replayed"])
    assert len(r1.stops) == 1


def test_a_restart_forgets_no_command(crew: Crew, r1: Unit, observer: Observer) -> None:
    command = order("release", ["r1"])
    send(observer, command)
    wait_until("obeyed", (r1.gossip._folder / "obeyed").exists)
    crew.through(r1.gossip, "deactivate", "cleanup", "configure", "activate")
    wait_until("it is back", lambda: r1.name in units_alive(observer))
    send(observer, command)
    wait_until("dropped", lambda: r1.gossip.counts["replayed"])
    assert len(r1.commands) == 1


def test_a_command_that_could_not_be_written_down_is_known_while_the_process_lasts(
    crew: Crew, r1: Unit, observer: Observer
) -> None:
    (r1.gossip._folder / "obeyed.new").mkdir()
    command = order("release", ["r1"])
    send(observer, command)
    wait_until("obeyed", lambda: r1.commands and r1.gossip.counts["faults"])
    crew.through(r1.gossip, "deactivate", "cleanup", "configure", "activate")
    wait_until("it is back", lambda: r1.name in units_alive(observer))
    send(observer, command)
    wait_until("dropped", lambda: r1.gossip.counts["replayed"])
    assert len(r1.commands) == 1


def test_a_disk_that_hangs_holds_up_no_stop(r1: Unit, observer: Observer) -> None:
    fresh = r1.gossip._folder / "obeyed.new"
    os.mkfifo(fresh)  # to open it waits for who reads it
    try:
        send(observer, order("release", ["r1"]))
        wait_until("it waits", lambda: r1.commands and r1.gossip._obeyed.kept.running())
        send(observer, order("hold", ["r1"]))
        wait_until("obeyed", lambda: r1.stops)
    finally:
        os.close(os.open(fresh, os.O_RDONLY | os.O_NONBLOCK))  # it waits no more


@pytest.mark.parametrize("reason", ["operators", "is 100 s old", "cannot carry"])
def test_a_command_that_may_not_be_is_refused_with_its_reason(
    r1: Unit, observer: Observer, reason: str
) -> None:
    command = order("hold", ["r1"], Identity.ephemeral() if reason == "operators" else None)
    kind = ""
    if reason == "is 100 s old":
        command = issue(
            Draft(verb="hold", units=["r1"]), operator_signer(), time.time() - 100, "old"
        )
    if reason == "cannot carry":
        kind = "mtor.command.issued"
    send(observer, command, kind)
    wait_until("refused", lambda: statuses(observer, command) == ["refused"])
    assert reason in words(observer, command)[0].reason
    assert r1.stops == []
    assert r1.commands == []


def test_commands_for_others_and_junk_move_nobody(r1: Unit, observer: Observer) -> None:
    send(observer, order("hold", ["r7"]))
    junk = make(UnitChanged(doing="", was=""), source="/x", wall_s=0.0)
    observer.publish(msgspec.structs.replace(junk, type="mtor.stop.issued", data={"id": 7}))
    observer.publish(msgspec.structs.replace(junk, unit="r1"))
    counts = r1.gossip.counts
    wait_until("counted", lambda: counts["junk"] and counts["impostors"])
    assert r1.stops == []
    assert counts["refused"] == 0


def test_a_unit_shows_its_latest_picture_to_whoever_asks(r1: Unit, observer: Observer) -> None:
    def ask(kind: str) -> bytes:
        return observer.ask("r1", kind, b"", PATIENCE_S).result(PATIENCE_S)

    wait_until("r1 is known", lambda: "r1" in observer.snapshot()["units"])
    with pytest.raises(SwarmError, match="r1 has no picture yet"):
        ask("thumbnail")
    with pytest.raises(SwarmError, match="answers no ask of kind 'dance'"):
        ask("dance")

    def shown() -> bool:
        r1.picture.publish(CompressedImage(format="jpeg", data=array.array("B", b"jpeg!")))
        try:
            return ask("thumbnail") == b"jpeg!"
        except SwarmError:
            return False

    wait_until("the picture", shown)


def test_an_address_in_use_is_told_and_harms_nobody(crew: Crew, r1: Unit) -> None:
    from mtor_swarm.workers.gossip import GossipWorker

    taken = RealmConfig(
        unit="r9", state_dir=str(crew.folder / "r9"), swarm=SwarmConfig(bind=r1.address)
    )
    gossip = GossipWorker(config=taken)
    try:
        gossip.trigger_configure()
        gossip.trigger_activate()
        assert not gossip.active
        Identity.open(crew.folder / "r9").close()
    finally:
        gossip.close()
        gossip.destroy_node()


def test_of_two_units_with_one_name_the_later_goes_and_says_why(tmp_path: Path) -> None:
    def start(name: str, seeds: list[str]) -> subprocess.Popen[str]:
        config = RealmConfig(
            unit="r1", state_dir=str(tmp_path / name), swarm=SwarmConfig(seeds=seeds)
        )
        file = tmp_path / f"{name}.yaml"
        file.write_text(configs.dump(config))
        environ = dict(os.environ)
        domain.claim(environ)  # each on a machine of its own, as ROS sees it
        return subprocess.Popen(
            [sys.executable, "-m", "mtor_swarm.cli.core", "--config", str(file)],
            env=environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    observer = Observer(SwarmConfig())
    observer.start()
    seeds = [observer._driver.address]
    first = start("first", seeds)
    later = None
    try:
        wait_until("r1 is there", lambda: "r1" in observer.snapshot()["units"])
        later = start("later", seeds)
        _, said = later.communicate(timeout=PATIENCE_S)
        assert later.returncode == 78
        lines = [each for each in said.splitlines() if "another unit is called r1" in each]
        assert len(lines) == 1
        assert "give this one a name of its own" in lines[0]
        assert first.poll() is None
    finally:
        for each in (first, later):
            if each is not None:
                each.kill()
                each.communicate()
        observer.stop()


def test_nobody_says_events_in_the_name_of_another_unit(crew: Crew, observer: Observer) -> None:
    r1 = crew.add("r1", seeds=[observer._driver.address])
    observer.wait_for_members(PATIENCE_S)
    said = make(UnitChanged(doing="a", was="b"), source="/x", wall_s=0.0, unit="r7")
    observer.publish(said)
    wait_until("it is counted", lambda: r1.gossip.counts["impostors"] == 1)
    assert not r1.heard("mtor.unit.changed")


def test_observers_that_have_gone_are_forgotten(crew: Crew, observer: Observer) -> None:
    r1 = crew.add("r1", seeds=[observer._driver.address])
    brief = Observer(SwarmConfig(seeds=[r1.address]))
    brief.start()
    brief.wait_for_members(PATIENCE_S)
    wait_until("it is there", lambda: len(r1.gossip._members) == 2)
    brief.stop()
    wait_until("it is gone", lambda: len(r1.gossip._members) == 1)
