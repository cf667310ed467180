"""The gateway among slow, broken and hostile pages and members: the rest goes on."""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from mtor_swarm.events import Event, TargetSeen, make
from mtor_swarm.gateway import app
from mtor_swarm.gateway.desk import MAX_FOLLOWED
from mtor_swarm.gateway.hub import MAX_WAITING
from tests.system.gateway_scene import PATIENCE_S, Scene, until

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def scene() -> Iterator[Scene]:
    with Scene("r1") as made:
        yield made


def live(scene: Scene, **options: Any) -> ClientConnection:
    return connect(f"ws://127.0.0.1:{scene.gateway.port}/ws", **options)


def hear(page: ClientConnection, kind: str) -> Any:
    while True:
        message = json.loads(page.recv(timeout=PATIENCE_S))
        if message["kind"] == kind:
            return message[kind]


def get(scene: Scene, path: str) -> Any:
    return httpx.get(f"{scene.gateway.url}{path}", timeout=PATIENCE_S).json()


def big(number: int) -> Event:
    """An event as large as events may be."""
    seen = TargetSeen(
        label="x" * 60_000, score=1, x_m=number, y_m=0, seen_from_x_m=0, seen_from_y_m=0
    )
    return make(seen, source="/test", wall_s=time.time(), unit="r1")


def flood(scene: Scene, numbers: range) -> None:
    assert scene.observer is not None
    for number in numbers:
        scene.observer._on_event(big(number))


def test_a_page_hears_that_the_gateway_lives_where_nothing_happens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(app, "PULSE_S", 0.01)
    with Scene() as empty, live(empty) as page:
        assert hear(page, "snapshot")["now_s"] <= hear(page, "pulse")["now_s"] <= time.time()


def test_a_page_that_does_not_read_is_left_behind_and_the_others_are_not(scene: Scene) -> None:
    # A snapshot is small enough for the library's bound of 1 MiB, though the events are not.
    with live(scene) as quick, live(scene, max_queue=1) as slow:
        hear(quick, "snapshot")
        hear(slow, "snapshot")
        sent = 0

        def left_behind() -> int:
            nonlocal sent
            flood(scene, range(sent, sent + 10))
            sent += 10
            while hear(quick, "events")[-1]["data"]["x_m"] != sent - 1:
                pass
            return int(get(scene, "/api/health")["viewer"]["slow_dropped"])

        assert until("it is left behind", left_behind) >= MAX_WAITING
        flood(scene, range(sent, sent + 1))
        while not (told := hear(slow, "snapshot"))["dropped"]:
            pass
        assert told["events"][-1]["data"]["x_m"] <= sent


def test_a_page_that_breaks_off_in_the_middle_leaves_nothing_behind(
    scene: Scene, capfd: pytest.CaptureFixture[str]
) -> None:
    with live(scene) as page:
        for round_ in range(10):
            with live(scene, max_queue=1) as broken:
                flood(scene, range(5))
                if round_ % 2:
                    hear(broken, "snapshot")
                off = struct.pack("ii", 1, 0)
                broken.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, off)
                broken.socket.shutdown(socket.SHUT_RDWR)
        until(
            "only one is left",
            lambda: get(scene, "/api/health")["viewer"]["clients"] == 1,
        )
        hear(page, "snapshot")
    assert "Traceback" not in capfd.readouterr().err


def test_a_defect_in_telling_hangs_up_on_the_page_instead_of_leaving_it_without_news(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "SNAPSHOT_EVENTS", "not a number")
    with live(scene) as page, pytest.raises(ConnectionClosed):
        page.recv(timeout=PATIENCE_S)


def test_a_flood_of_commands_is_bounded_and_the_last_stop_is_followed(scene: Scene) -> None:
    url = f"{scene.gateway.url}/api/commands"
    with httpx.Client(timeout=PATIENCE_S) as client, ThreadPoolExecutor(8) as crowd:
        codes = crowd.map(
            lambda _: client.post(url, json={"text": "r1 search"}).status_code, range(200)
        )
        assert set(codes) <= {202, 503}
        stop = client.post(url, json={"text": "all units hold"})
    assert stop.status_code == 202
    followed = get(scene, "/api/commands")
    assert len(followed) == MAX_FOLLOWED
    assert followed[-1]["id"] == stop.json()["id"]
    until("it arrives", lambda: any(each.verb == "hold" for each in scene.units["r1"].commands))


@pytest.mark.parametrize("name", ["r99", "%2e%2e%2fetc", "x" * 5000, "%00", "<script>"])
def test_the_picture_of_a_unit_that_nobody_knows_is_a_clear_no(scene: Scene, name: str) -> None:
    answer = httpx.get(f"{scene.gateway.url}/api/units/{name}/thumbnail.jpg", timeout=PATIENCE_S)
    assert answer.status_code == 404
    assert "jpeg" not in answer.headers["content-type"]
    assert len(answer.content) < 200


@pytest.mark.parametrize("path", ["/static/../app.py", "/static/%2e%2e/app.py", "/docs", "/nope"])
def test_nothing_but_its_own_pages_is_served(scene: Scene, path: str) -> None:
    with socket.create_connection(("127.0.0.1", scene.gateway.port), PATIENCE_S) as raw:
        raw.sendall(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode()
        )
        answer = b"".join(iter(lambda: raw.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 404")
    assert b"content-security-policy" in answer
