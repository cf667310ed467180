from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from mtor_swarm.config import SwarmConfig
from mtor_swarm.gateway import app as gateway
from mtor_swarm.gateway.guard import HEADERS, MAX_BODY_BYTES
from mtor_swarm.swarm.identity import Identity
from mtor_swarm.swarm.observer import Observer

OURS = "http://127.0.0.1:8080"


def answer(method: str, path: str, **request) -> httpx.Response:
    app = gateway.create_app(
        Observer(SwarmConfig()), plan={"bounds": None, "boxes": []}, operator=Identity.ephemeral()
    )

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url=OURS) as client:
            return await client.request(method, path, **request)

    return asyncio.run(ask())


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example:8080", "", "[", "10.0.0.1"]
)
def test_a_name_that_is_not_loopback_is_refused(host: str) -> None:
    refused = answer("GET", "/api/units", headers={"host": host})
    assert refused.status_code == 403
    assert "127.0.0.1" in refused.text


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost:1", "[::1]:8080", "LOCALHOST"])
def test_a_loopback_name_is_answered(host: str) -> None:
    assert answer("GET", "/api/units", headers={"host": host}).json() == []


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1:8080", ""])
def test_a_strangers_page_cannot_command(origin: str) -> None:
    refused = answer("POST", "/api/commands", json={"text": "stop"}, headers={"origin": origin})
    assert refused.status_code == 403


def test_our_own_page_and_programs_may_command_but_there_must_be_units() -> None:
    for headers in ({"origin": OURS}, {}):
        told = answer("POST", "/api/commands", json={"text": "stop"}, headers=headers)
        assert told.status_code == 422
        assert "no unit is known yet" in told.json()["error"]


def test_every_answer_carries_the_security_headers() -> None:
    for path in ("/", "/static/app.js", "/api/units", "/nowhere"):
        headers = answer("GET", path).headers
        assert {name: headers.get(name) for name in HEADERS} == HEADERS
    assert "unsafe" not in HEADERS["content-security-policy"]


def test_the_page_holds_no_inline_script_or_style_and_loads_nothing_from_elsewhere() -> None:
    page = (gateway.STATIC / "index.html").read_text()
    assert " style=" not in page
    assert "<style" not in page
    assert " on" not in page.replace(" on ", "")
    for file in Path(gateway.STATIC).iterdir():
        text = file.read_text().replace("http://www.w3.org/2000/svg", "")
        assert "innerHTML" not in text
        assert "http://" not in text
        assert "//cdn" not in text


@pytest.mark.parametrize(
    ("status", "request_"),
    [
        (413, {"content": b"x" * (MAX_BODY_BYTES + 1)}),
        (413, {"content": b"x", "headers": {"content-length": "9" * 40}}),
        (411, {"content": b"x", "headers": {"content-length": "-1"}}),
        (415, {"content": b'{"text": "stop"}'}),
        (400, {"content": b"{", "headers": {"content-type": "application/json"}}),
        (400, {"content": b"\xff\xfe", "headers": {"content-type": "application/json"}}),
        (400, {"json": {"text": 7}}),
        (400, {"json": {"text": "stop", "more": 1}}),
        (422, {"json": {"text": "x" * 1000}}),
    ],
)
def test_what_is_no_command_is_refused_with_a_reason(status: int, request_: dict) -> None:
    refused = answer("POST", "/api/commands", **request_)
    assert refused.status_code == status
    assert len(refused.text) > 10


@pytest.mark.parametrize(
    "path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static//etc/passwd"]
)
def test_files_outside_the_page_are_not_served(path: str) -> None:
    assert answer("GET", path).status_code in (404, 405)


def test_a_unit_without_a_picture_says_why() -> None:
    missing = answer("GET", "/api/units/r9/thumbnail.jpg")
    assert missing.status_code == 404
    assert "r9" in missing.json()["error"]


def test_nobody_there_is_told_as_alone() -> None:
    health = answer("GET", "/api/health").json()
    assert health["status"] == "alone"
    assert health["viewer"]["clients"] == 0
