"""`mtor gateway` and the process `mtor_gateway`: an observing member of the swarm, with a page."""

from __future__ import annotations

import argparse
import errno
import json
import signal
import socket
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import uvicorn

from mtor_swarm.cli.watching import SEEDS, add_keys, observing
from mtor_swarm.errors import ConfigError, SwarmError
from mtor_swarm.gateway.app import create_app
from mtor_swarm.gateway.guard import LOOPBACK
from mtor_swarm.realm.processes import die_with_parent
from mtor_swarm.swarm import keyring
from mtor_swarm.swarm.identity import operator_signer
from mtor_swarm.swarm.observer import Observer

MAX_CONNECTIONS = 256
MAX_SPOKEN_BYTES = 1024
"""Of a WebSocket message from a page; it has nothing to say."""


_HELP = """\
Joins a running swarm as an observer and serves its viewer, a page for browsers on this machine:
the map, each unit's state, picture and workers, the events, and a box for orders, STOP first. The
swarm does not need it: end it and start it again as you like. mtor sim starts one by itself.

  mtor gateway                                      the swarm that mtor sim runs here
  mtor gateway --seed tcp://10.0.0.7:7400 --keys K  a swarm elsewhere, by any of its members
  ssh -L 8080:127.0.0.1:8080 BASE                   see BASE's from here, at 127.0.0.1:8080

Orders are signed with your operator's key, as by `mtor say`. Exit codes: 0 ended by Ctrl-C, 1 the
port is in use, 2 wrong use or input.
"""


class PortError(SwarmError):
    """The port cannot be had: says which and what to do."""

    exit_code = 1


def register(sub: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `gateway` to `mtor`'s commands."""
    parser = sub.add_parser(
        "gateway",
        help="serve the viewer of a running swarm",
        description=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _arguments(parser)
    parser.set_defaults(run=run)


def main(argv: Sequence[str] | None = None) -> int:
    """The process `mtor_gateway`; the exit code."""
    parser = argparse.ArgumentParser(prog="mtor_gateway", description=__doc__)
    _arguments(parser)
    try:
        return run(parser.parse_args(argv))
    except SwarmError as error:
        print(f"mtor_gateway: {error}", file=sys.stderr)
        return int(getattr(error, "exit_code", 2))


def _arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--seed",
        action="append",
        default=[],
        metavar="ADDRESS",
        help="a member to meet the swarm at, tcp://HOST:PORT; may be given several times "
        "(default: where mtor sim runs)",
    )
    add("--world", default="", metavar="FILE", help="the SDF world whose map is drawn")
    add("--port", type=int, default=8080, help="where the page is served; 0: any free port")
    add("--host", default="127.0.0.1", help="127.0.0.1, localhost or ::1: this machine only")
    add_keys(parser)
    add(
        "--operator-key",
        default="",
        metavar="FILE",
        help="the key that signs commands, made on first use (default: this user's, as for "
        "`mtor say`); its fingerprint must be among the units' `operators`",
    )
    add("--die-with-parent", action="store_true", help="end when the starting process ends")


def run(args: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM; prints one JSON line once the page can be opened."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)
    if args.die_with_parent:
        die_with_parent()
    plan = _plan(args.world)
    listening = _listen(args.host, args.port)
    operator = (
        keyring.issuer(args.keys) if args.keys else operator_signer(args.operator_key or None)
    )
    observer = Observer(observing(args.seed or SEEDS, args.keys), name="viewer")
    observer.start()
    try:
        config = uvicorn.Config(
            create_app(observer, plan=plan, operator=operator),
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=MAX_CONNECTIONS,
            ws_max_size=MAX_SPOKEN_BYTES,
            ws_per_message_deflate=False,  # for each page anew, and all pages are on this machine
            timeout_graceful_shutdown=1,
        )
        _Server(config, {"operator": operator.member_id}).run(sockets=[listening])
    finally:
        observer.stop()
    return 0


class _Server(uvicorn.Server):
    """Says on stdout, for whoever started us, that the page can be opened."""

    def __init__(self, config: uvicorn.Config, told: dict[str, str]) -> None:
        super().__init__(config)
        self._told = told

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        assert sockets
        host, port = sockets[0].getsockname()[:2]
        url = f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
        print(json.dumps({"kind": "ready", "url": url, **self._told}), flush=True)


def _listen(host: str, port: int) -> socket.socket:
    """A socket bound to the port; PortError or ConfigError says what to do instead."""
    if host not in LOOPBACK:
        raise ConfigError(
            f"--host {host}: the viewer has no accounts yet, so it serves this machine only: "
            "use 127.0.0.1, and an SSH tunnel from elsewhere"
        )
    if not 0 <= port <= 65535:
        raise ConfigError(f"--port {port}: a port is a number from 0 to 65535")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen()
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise PortError(
                f"port {port} on {host} is in use: end what runs there (`ss -ltnp` names it), "
                "or choose another with --port"
            ) from None
        raise PortError(f"port {port} on {host}: {error.strerror}; choose another") from None
    return listening


def _plan(world: str) -> dict[str, Any]:
    """The map of the world file; without one the page draws the units alone."""
    if not world:
        return {"bounds": None, "boxes": []}
    from mtor_swarm.sim.plan import load

    return load(world)


def _end(number: int, frame: object) -> NoReturn:
    """Signals end us in good order: uvicorn raises them again once it has shut down."""
    raise SystemExit(0)


if __name__ == "__main__":
    sys.exit(main())
