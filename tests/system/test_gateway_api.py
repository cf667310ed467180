"""The gateway over a real little swarm: real members, real ZeroMQ, real HTTP and WebSockets."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
import zmq
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from mtor_swarm.config import SwarmConfig
from mtor_swarm.events import CommandAcknowledged, MissionDone, UnitChanged, make
from mtor_swarm.gateway.hub import MAX_CLIENTS
from mtor_swarm.swarm.observer import Observer
from tests.system.gateway_scene import PATIENCE_S, PLAN, Scene, until

pytestmark = pytest.mark.timeout(300)
JPEG = b"\xff\xd8\xff\xe0 as good as a picture"


@pytest.fixture
def scene() -> Iterator[Scene]:
    with Scene("r1", "r2") as made:
        made.units["r1"].beacon(1.0, 2.0, doing="searching")
        until("r1 is heard", lambda: made.known("r1").get("state"))
        yield made


def live(scene: Scene, **options: Any) -> ClientConnection:
    return connect(f"ws://127.0.0.1:{scene.gateway.port}/ws", **options)


def hear(
    page: ClientConnection, kind: str, met: Callable[[Any], bool] = lambda value: True
) -> Any:
    """The next message of a kind for which the condition holds."""
    while True:
        message = json.loads(page.recv(timeout=PATIENCE_S))
        if message["kind"] == kind and met(message[kind]):
            return message[kind]


def rows(command: dict[str, Any]) -> dict[str, str]:
    return {row["unit"]: row["status"] for row in command["rows"]}


def say(scene: Scene, text: str) -> dict[str, Any]:
    answer = httpx.post(f"{scene.gateway.url}/api/commands", json={"text": text})
    assert answer.status_code == 202, answer.text
    return answer.json()


def test_what_is_known_is_told_as_json(scene: Scene) -> None:
    scene.units["r2"].say(UnitChanged(doing="searching", was="idle"))
    with httpx.Client(base_url=scene.gateway.url) as client:
        until("somebody is well", lambda: client.get("/api/health").json()["status"] == "ok")
        events = until("the event", lambda: client.get("/api/events").json())
        units = {unit["unit"]: unit for unit in client.get("/api/units").json()}
        members = client.get("/api/members").json()
        plan = client.get("/api/plan").json()
        none = client.get("/api/events", params={"type": "mtor.target.seen"}).json()
    assert [event["type"] for event in events] == ["mtor.unit.changed"]
    assert units["r1"]["state"]["pose"] == {"x_m": 1.0, "y_m": 2.0, "yaw_rad": 0.0}
    assert {member["unit"] for member in members} == {"r1", "r2"}
    assert plan == PLAN
    assert none == []


def test_a_page_hears_a_snapshot_first_and_then_what_changes(scene: Scene) -> None:
    with live(scene) as page:
        first = json.loads(page.recv(timeout=PATIENCE_S))
        scene.units["r1"].beacon(3.0, 2.0, doing="searching")
        moved = hear(page, "units", lambda units: units[0]["state"]["pose"]["x_m"] == 3.0)
        scene.units["r2"].say(MissionDone(verdict="done", mission="search", seconds=9.0))
        events = hear(page, "events")
    assert first["kind"] == "snapshot"
    assert {unit["unit"] for unit in first["snapshot"]["units"]} == {"r1", "r2"}
    assert first["snapshot"]["plan"] == PLAN
    assert moved[0]["unit"] == "r1"
    assert events[0]["type"] == "mtor.mission.done"


def test_a_command_is_signed_and_each_unit_is_shown_as_it_answers(scene: Scene) -> None:
    with live(scene) as page:
        issued = say(scene, "all units hold")
        assert rows(issued) == {"r1": "asked", "r2": "asked"}
        for unit in scene.units.values():  # they check the signature as a realm does
            until("the command arrives", lambda unit=unit: unit.commands)
        scene.units["r1"].acknowledge("accepted")
        hear(page, "command", lambda each: rows(each)["r1"] == "accepted")
        scene.units["r1"].acknowledge("confirmed", speed_mps=0.004)
        told = hear(page, "command", lambda each: rows(each)["r1"] == "confirmed")
        assert rows(told)["r2"] != "confirmed"
        scene.units["r2"].acknowledge("confirmed", speed_mps=0.0)
        assert hear(page, "command", lambda each: each["fulfilled"])["id"] == issued["id"]
    assert scene.units["r1"].commands[0].verb == "hold"
    assert httpx.get(f"{scene.gateway.url}/api/commands").json()[-1]["fulfilled"]


def test_nobody_answers_for_another_and_who_says_nothing_is_silent(scene: Scene) -> None:
    with live(scene) as page:
        say(scene, "r2 stop")
        command = until("the command arrives", lambda: scene.units["r2"].commands)[0]
        liar = scene.units["r1"]
        liar.name = "r2"  # r1's key signs what claims to be from r2
        liar.say(CommandAcknowledged(command=command.id, status="confirmed", speed_mps=0.0))
        told = hear(page, "command", lambda each: rows(each)["r2"] != "asked")
    assert rows(told) == {"r2": "silent"}


def test_an_observer_with_a_units_name_does_not_answer_for_it(scene: Scene) -> None:
    spy = Observer(SwarmConfig(seeds=scene.seeds), name="r2")
    spy.start()
    try:
        known = f"{scene.gateway.url}/api/members"
        until("the spy is there", lambda: len(httpx.get(known).json()) == 3)
        with live(scene) as page:
            say(scene, "r2 stop")
            command = until("the command arrives", lambda: scene.units["r2"].commands)[0]
            lie = CommandAcknowledged(command=command.id, status="confirmed", speed_mps=0.0)
            spy.publish(make(lie, source="/spy", wall_s=0.0, unit="r2"))
            hear(page, "events", lambda each: each[-1]["source"] == "/spy")
            told = hear(page, "command", lambda each: rows(each)["r2"] != "asked")
        assert rows(told) == {"r2": "silent"}
    finally:
        spy.stop()


def test_a_stop_is_sent_on_to_units_that_are_found_while_it_is_fresh(scene: Scene) -> None:
    with live(scene) as page:
        issued = say(scene, "all units hold")
        late = scene.join("r10")
        told = hear(page, "command", lambda each: "r10" in rows(each))
        assert list(rows(told)) == ["r1", "r2", "r10"]
        assert told["id"] == issued["id"]
        assert until("it arrives", lambda: late.commands)[0].id == issued["id"]
        late.acknowledge("confirmed", speed_mps=0.0)
        hear(page, "command", lambda each: rows(each)["r10"] == "confirmed")


def test_a_lost_unit_is_addressed_and_named_as_lost(scene: Scene) -> None:
    words = [sys.executable, "-m", "tests.system.gateway_scene", "r9", scene.seeds[0], "2", "1"]
    with subprocess.Popen(words, stdin=subprocess.PIPE) as child:
        until("r9 is there", lambda: scene.known("r9").get("state"))
        child.kill()
    until("r9 is lost", lambda: scene.known("r9")["member_state"] == "dead")
    issued = say(scene, "all units release")
    assert issued["rows"][-1]["unit"] == "r9"
    assert "lost" in issued["rows"][-1]["reason"]


def test_a_refusal_is_shown_with_its_reason(scene: Scene) -> None:
    with live(scene) as page:
        say(scene, "r1 search")
        until("the command arrives", lambda: scene.units["r1"].commands)
        scene.units["r1"].acknowledge("refused", reason="no camera")
        told = hear(page, "command", lambda each: rows(each)["r1"] == "refused")
    assert told["rows"][0]["reason"] == "no camera"


def test_a_unit_that_does_not_exist_is_named(scene: Scene) -> None:
    told = httpx.post(f"{scene.gateway.url}/api/commands", json={"text": "r9 search"})
    assert told.status_code == 422
    assert "r9" in told.json()["error"]
    assert "r1" in told.json()["error"]


def test_what_a_unit_refused_is_told_with_what_it_means(scene: Scene) -> None:
    with zmq.Context() as context, context.socket(zmq.DEALER) as rude:
        rude.connect(scene.units["r2"].driver.address)
        rude.send(b"\xc1")
        url = f"{scene.gateway.url}/api/counts"
        rows = until(
            "it is told",
            lambda: [
                each
                for each in httpx.get(url, timeout=PATIENCE_S).json().get("r2", [])
                if each["what"] == "garbage"
            ],
        )
    assert rows[0]["count"] >= 1
    assert rows[0]["harm"]
    assert "no frame of ours" in rows[0]["text"]


def test_pages_are_shown_what_the_unit_itself_answers(scene: Scene) -> None:
    scene.units["r1"].picture = JPEG
    url = f"{scene.gateway.url}/api/units/r1/thumbnail.jpg"
    with httpx.Client() as client, ThreadPoolExecutor(8) as crowd:
        answers = list(crowd.map(lambda _: client.get(url), range(8)))
    assert {answer.content for answer in answers} == {JPEG}
    assert answers[0].headers["content-type"] == "image/jpeg"


def test_a_unit_without_a_camera_says_so_itself(scene: Scene) -> None:
    answer = httpx.get(f"{scene.gateway.url}/api/units/r2/thumbnail.jpg")
    assert answer.status_code == 404
    assert "r2 has no camera" in answer.json()["error"]


def test_a_strangers_page_and_a_rebound_name_get_no_socket(scene: Scene) -> None:
    port = scene.gateway.port
    for host, origin in (("127.0.0.1", "http://evil.example"), ("evil.example", None)):
        ours = socket.create_connection(("127.0.0.1", port))
        with pytest.raises(InvalidStatus) as told:
            connect(f"ws://{host}:{port}/ws", sock=ours, origin=origin)
        assert told.value.response.status_code == 403
    with live(scene, origin=scene.gateway.url) as page:
        hear(page, "snapshot")


@pytest.mark.parametrize("said", ["hello", b"\x00\xff", "x" * 100_000])
def test_a_page_that_talks_is_hung_up_on_and_the_rest_goes_on(scene: Scene, said: Any) -> None:
    with live(scene) as page:
        page.send(said)
        with pytest.raises(ConnectionClosed):
            hear(page, "nothing")
    with live(scene) as page:
        hear(page, "snapshot")


def test_one_page_too_many_is_told_so(scene: Scene) -> None:
    pages = [live(scene) for _ in range(MAX_CLIENTS)]
    try:
        for page in pages:
            hear(page, "snapshot")
        with live(scene) as late, pytest.raises(ConnectionClosed) as told:
            late.recv(timeout=PATIENCE_S)
        assert told.value.rcvd is not None
        assert told.value.rcvd.code == 1013
        assert "close one" in told.value.rcvd.reason
    finally:
        for page in pages:
            page.close()
    health = f"{scene.gateway.url}/api/health"
    until("places are free again", lambda: not httpx.get(health).json()["viewer"]["clients"])


def test_what_was_ordered_here_is_among_the_events(scene: Scene) -> None:
    with live(scene) as page:
        hear(page, "snapshot")
        say(scene, "r1 stop")
        told = hear(page, "events", lambda each: each[0]["type"] == "mtor.stop.issued")
    assert told[0]["data"]["text"] == "r1 stop"
    with live(scene) as page:
        events = hear(page, "snapshot")["events"]
    assert [each["id"] for each in events if each["type"] == "mtor.stop.issued"] == [told[0]["id"]]
