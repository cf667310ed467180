"""The gateway: where people and programs come in. It is handed a swarm and knows no more of it.

| path | answer |
|---|---|
| `GET /` | the viewer, one page; its files under `/static/` |
| `GET /api/units`, `/api/members`, `/api/events` | what is known now, as JSON lists |
| `GET /api/plan` | the map: `bounds` and `boxes`, frame `map`, metres |
| `GET /api/health` | whether anybody is there, and what was dropped here |
| `GET /api/counts` | what each unit refused, dropped and lost, asked for directly |
| `GET /api/units/{unit}/thumbnail.jpg` | the unit's latest picture, asked for directly |
| `GET /api/commands` | the last commands and who has answered what |
| `POST /api/commands` `{"text": "all units hold"}` | issues a command |
| `WebSocket /ws` | a snapshot, then changes, or a pulse, each `{"kind": KIND, KIND: value}` |
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
from fastapi import FastAPI, Query, Request, Response, WebSocket, WebSocketDisconnect
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles

from mtor_swarm.errors import CommandError, SwarmError
from mtor_swarm.gateway.answers import Answers
from mtor_swarm.gateway.desk import Desk
from mtor_swarm.gateway.guard import Guard
from mtor_swarm.gateway.hub import MAX_CLIENTS, Client, Hub, message
from mtor_swarm.gateway.thumbnails import Thumbnails
from mtor_swarm.ports import Issuer, Swarm
from mtor_swarm.realm.orders import in_order
from mtor_swarm.swarm import diagnosis
from mtor_swarm.swarm.counters import COUNTERS
from mtor_swarm.swarm.picture import GONE

STATIC = Path(__file__).parent / "static"
SNAPSHOT_EVENTS = 300
SNAPSHOT_BYTES = 512 * 1024
"""Of events in a snapshot: a page that fell behind must be able to catch up."""
MAX_COUNTED = 64
"""Units whose counts are told, the first by name: each is asked by itself."""
PULSE_S = 2.0
"""A page that has heard nothing for three of these shows that it is cut off."""
POLICY_VIOLATION, TRY_AGAIN_LATER = 1008, 1013
"""Close codes of RFC 6455 and its registry."""


def create_app(swarm: Swarm, *, plan: dict[str, Any], operator: Issuer) -> FastAPI:
    """The gateway of a swarm. `plan` is the map, `operator` signs the commands issued here."""
    gateway = _Gateway(swarm, plan, operator)
    app = FastAPI(
        title="mtor_swarm",
        docs_url=None,  # its pages load scripts from a CDN
        redoc_url=None,
        lifespan=gateway.lifespan,
    )
    app.add_middleware(Guard)
    app.mount("/static", StaticFiles(directory=STATIC))
    for path, endpoint in (
        ("/", gateway.page),
        ("/api/units", gateway.units),
        ("/api/members", gateway.members),
        ("/api/events", gateway.events),
        ("/api/plan", gateway.plan),
        ("/api/health", gateway.health),
        ("/api/counts", gateway.counts),
        ("/api/commands", gateway.commands),
        ("/api/units/{unit}/thumbnail.jpg", gateway.thumbnail),
    ):
        app.add_api_route(path, endpoint, methods=["GET", "HEAD"], response_model=None)
    app.add_api_route("/api/commands", gateway.command, methods=["POST"], response_model=None)
    app.add_api_websocket_route("/ws", gateway.live)
    return app


class _Order(msgspec.Struct, forbid_unknown_fields=True):
    text: str


class _Gateway:
    """The endpoints."""

    def __init__(self, swarm: Swarm, plan: dict[str, Any], operator: Issuer) -> None:
        self._swarm = swarm
        self._plan = plan
        self._hub = Hub(swarm)
        self._desk = Desk(swarm, operator, self._hub.tell)
        self._thumbnails = Thumbnails(swarm)
        self._counters = Answers(swarm, COUNTERS)

    @contextlib.asynccontextmanager
    async def lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        """Listen to the swarm for as long as the app is served."""
        self._hub.start(self._desk.hear)
        try:
            yield
        finally:
            self._hub.stop()

    async def page(self) -> Response:
        return FileResponse(STATIC / "index.html", headers={"cache-control": "no-cache"})

    async def units(self) -> Response:
        return _json(list(self._swarm.snapshot()["units"].values()))

    async def members(self) -> Response:
        return _json(list(self._swarm.snapshot()["members"].values()))

    async def events(
        self, type: str = "", limit: Annotated[int, Query(ge=1, le=1000)] = 300
    ) -> Response:
        found = [e for e in self._swarm.snapshot()["events"] if type in ("", e["type"])]
        return _json(found[-limit:])

    async def plan(self) -> Response:
        return _json(self._plan)

    async def health(self) -> Response:
        known = self._swarm.snapshot()
        states = [unit["member_state"] for unit in known["units"].values()]
        return _json(
            {
                "status": "ok" if "alive" in states else "alone",
                "units": {state: states.count(state) for state in sorted(set(states))},
                "viewer": self._hub.counters(),
                "swarm": known["counters"],
            }
        )

    async def counts(self) -> Response:
        """By unit; those that have nothing to tell or do not answer are left out."""
        units = self._swarm.snapshot()["units"]
        there = [each for each in in_order(units) if units[each]["member_state"] not in GONE]
        asked = there[:MAX_COUNTED]
        told = await asyncio.gather(*(self._counted(unit) for unit in asked))
        return _json({unit: rows for unit, rows in zip(asked, told, strict=True) if rows})

    async def _counted(self, unit: str) -> list[dict[str, Any]]:
        try:
            counts = diagnosis.read(await self._counters.get(unit))
        except SwarmError:
            return []
        return [
            {"what": what, "count": counts[what], **diagnosis.meaning(what)._asdict()}
            for what in diagnosis.in_order(counts)
        ]

    async def thumbnail(self, unit: str, quiet: bool = False) -> Response:
        """The picture, or why there is none: 404, but 200 where `quiet`.

        Browsers report every 404 as an error, and a camera that starts late is none.
        """
        try:
            if unit not in self._swarm.snapshot()["units"]:
                raise SwarmError(f"no unit {unit[:64]} is known here: /api/units names them")
            picture = await self._thumbnails.get(unit)
        except SwarmError as error:
            return _json({"error": str(error)}, 200 if quiet else 404)
        return Response(picture, media_type="image/jpeg", headers={"cache-control": "no-store"})

    async def commands(self) -> Response:
        return _json(self._desk.recent())

    async def command(self, request: Request) -> Response:
        if request.headers.get("content-type", "").split(";")[0] != "application/json":
            return _json({"error": "send the command as application/json"}, 415)
        try:
            order = msgspec.json.decode(await request.body(), type=_Order)
            return _json(self._desk.issue(order.text), 202)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return _json({"error": f'send {{"text": "all units hold"}}: {error}'}, 400)
        except CommandError as error:
            return _json({"error": str(error)}, 422)
        except SwarmError as error:
            return _json({"error": str(error)}, 503)

    async def live(self, socket: WebSocket) -> None:
        """Tell a page everything until it leaves. It has nothing to say here itself."""
        await socket.accept()
        client = self._hub.join()
        if client is None:
            reason = f"{MAX_CLIENTS} viewers are connected already: close one"
            await socket.close(TRY_AGAIN_LATER, reason)
            return
        telling = asyncio.create_task(self._tell(socket, client))
        listening = asyncio.create_task(socket.receive())
        both = (telling, listening)
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._hub.leave(client)
            for each in both:
                each.cancel()
            told, heard = await asyncio.gather(*both, return_exceptions=True)
        if isinstance(heard, dict) and heard["type"] != "websocket.disconnect":
            await socket.close(POLICY_VIOLATION, "this socket only tells")
        elif isinstance(told, Exception) and not isinstance(told, WebSocketDisconnect):
            raise told  # a defect: the page is hung up on and comes back

    async def _tell(self, socket: WebSocket, client: Client) -> None:
        """Tell whatever changes, and that we are alive where nothing does."""
        while True:
            try:
                text = await asyncio.wait_for(client.take(self._snapshot), PULSE_S)
            except asyncio.TimeoutError:
                text = message("pulse", {"now_s": time.time()})
            await socket.send_text(text)

    def _snapshot(self, dropped: int) -> str:
        known = self._swarm.snapshot()
        everything = {
            "units": list(known["units"].values()),
            "members": list(known["members"].values()),
            "events": _latest(known["events"]),
            "commands": self._desk.recent(),
            "plan": self._plan,
            "dropped": dropped,
            "now_s": time.time(),
        }
        return message("snapshot", everything)


def _latest(events: list[dict[str, Any]]) -> list[msgspec.Raw]:
    """The last events that a snapshot has room for, as JSON."""
    found: list[msgspec.Raw] = []
    room = SNAPSHOT_BYTES
    for event in reversed(events[-SNAPSHOT_EVENTS:]):
        text = msgspec.json.encode(event)
        room -= len(text)
        if room < 0:
            break
        found.append(msgspec.Raw(text))
    return found[::-1]


def _json(value: Any, status: int = 200) -> Response:
    headers = {"cache-control": "no-store"}
    return Response(msgspec.json.encode(value), status, headers, "application/json")
