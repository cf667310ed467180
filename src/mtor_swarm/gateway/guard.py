"""What stands before every request: who may ask at all.

There are no accounts yet, so the gateway serves this machine alone. A browser on this machine is
also driven by strangers' pages, hence: the Host header must be a loopback name (DNS rebinding),
an Origin, where there is one, must be our own (a stranger's page commands nothing; programs send
none), and the content security policy lets the page load and run nothing but our own files.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
MAX_BODY_BYTES = 4096
SAFE = ("GET", "HEAD")
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


class Guard:
    """ASGI middleware that refuses what it must and sets the security headers on the rest."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        refused = _refusal(scope)
        if scope["type"] == "websocket":
            if refused:
                await send({"type": "websocket.close", "code": 1008, "reason": refused[1]})
            else:
                await self._app(scope, receive, send)
            return

        async def headed(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        answer = PlainTextResponse(refused[1], refused[0]) if refused else self._app
        await answer(scope, receive, headed)


def _refusal(scope: Scope) -> tuple[int, str] | None:
    """The status and the reason for which a request is refused, if it is."""
    headers = Headers(scope=scope)
    hosts = headers.getlist("host")
    host = hosts[0] if len(hosts) == 1 else ""
    if _hostname(host) not in LOOPBACK:
        return 403, "this viewer answers on this machine only: open it as 127.0.0.1"
    origin = headers.get("origin")
    unsafe = scope["type"] == "websocket" or scope["method"] not in SAFE
    if unsafe and origin is not None and origin != f"http://{host}":
        return 403, "this page may not command the swarm: open the viewer itself"
    if scope["type"] == "http" and scope["method"] not in SAFE:
        length = headers.get("content-length", "")
        if not length.isdecimal():
            return 411, "say how long the body is (Content-Length)"
        if len(length) > 9 or int(length) > MAX_BODY_BYTES:
            return 413, f"the body may have {MAX_BODY_BYTES} bytes"
    return None


def _hostname(host: str) -> str:
    """The name in a Host header without its port, or nothing if it is malformed."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
