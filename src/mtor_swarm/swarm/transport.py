"""ZeroMQ sockets: one ROUTER that listens, one DEALER for each member we talk to.

The only file that knows zmq. Nothing that a peer sends raises past it: what is no frame is counted
and dropped. A link that drops is told at once, with whether anything listens there any more.
"""

from __future__ import annotations

import contextlib
import errno
import heapq
import ipaddress
import itertools
import re
import socket
import time

import zmq
from zmq.utils import z85
from zmq.utils.monitor import recv_monitor_message

from mtor_swarm.config import SwarmConfig
from mtor_swarm.errors import ConfigError, SwarmError, WireError
from mtor_swarm.ports import Radio
from mtor_swarm.swarm import keyring
from mtor_swarm.swarm.gossip import wire
from mtor_swarm.swarm.gossip.effects import LinkLost, Received
from mtor_swarm.swarm.identity import Identity

HWM = 4096
MAX_DELAYED = 4096
MAX_BATCH = 256
HEARTBEAT_MS = 1000
RECONNECT_MS = 50
RECONNECT_MAX_MS = 1000
_LINK_EVENTS = zmq.EVENT_DISCONNECTED | zmq.EVENT_CONNECT_RETRIED
_FAILED = (
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)
_ID = re.compile(rb"^[0-9a-f]{32}$")


class Link:
    """A DEALER, its monitor, and where it goes."""

    def __init__(self, address: str, dealer: zmq.Socket[bytes]) -> None:
        self.address = address
        self.dealer = dealer
        self.monitor = dealer.get_monitor_socket(_LINK_EVENTS)
        dealer.connect(address)

    def close(self) -> None:
        self.dealer.disable_monitor()
        self.monitor.close(0)
        self.dealer.close(0)


class Transport:
    """The sockets of one member. Used by one thread at a time, but for `wake`."""

    def __init__(
        self, config: SwarmConfig, identity: Identity, radio: Radio | None = None
    ) -> None:
        self.config = config
        self.identity = identity
        self.radio = radio
        self.counters: dict[str, int] = {}
        self.keys = keyring.read(config.keys) if config.keys else None
        if self.keys is None:
            _only_loopback(config)
        self._links: dict[str, Link] = {}
        self._by_monitor: dict[object, Link] = {}
        self._knocks: dict[int, tuple[socket.socket, str]] = {}
        self._delayed: list[tuple[float, int, Received]] = []
        self._order = itertools.count()

    def open(self) -> str:
        """Bind; the address that others reach us at. SwarmError if the port is taken."""
        self._context = zmq.Context()
        self._poller = zmq.Poller()
        self._waker, self._wakes = socket.socketpair()
        self._waker.setblocking(False)
        self._wakes.setblocking(False)
        self._zap = self._context.socket(zmq.ROUTER)
        self._zap.linger = 0
        self._router = self._socket(zmq.ROUTER)
        self._router.router_handover = True
        if self.keys is not None:
            self._zap.bind("inproc://zeromq.zap.01")
            self._router.curve_server = True
            self._router.curve_secretkey = z85.encode(self.keys.secret)
            self._router.zap_domain = b"mtor"
        self._monitor = self._router.get_monitor_socket(_FAILED)
        try:
            self._router.bind(self.config.bind)
        except zmq.ZMQError as error:
            self.close()
            raise SwarmError(
                f"{self.config.bind}: cannot listen there: {error.strerror}; choose another "
                "port in swarm.bind (`*` takes a free one) or stop what holds it"
            ) from None
        for each in (self._router, self._zap, self._monitor, self._wakes.fileno()):
            self._poller.register(each, zmq.POLLIN)
        bound = self._router.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0")
        return bound.replace("//0.0.0.0:", f"//{_own_address(self.config)}:")

    def _socket(self, kind: int) -> zmq.Socket[bytes]:
        made = self._context.socket(kind)
        made.linger = 0
        made.sndhwm = made.rcvhwm = HWM
        made.maxmsgsize = wire.MAX_FRAME_BYTES
        made.heartbeat_ivl = HEARTBEAT_MS
        made.heartbeat_timeout = made.heartbeat_ttl = 3 * HEARTBEAT_MS
        return made

    def wake(self) -> None:
        """Make a running `poll` return; from any thread."""
        with contextlib.suppress(OSError):  # full: it wakes anyhow; closed: nobody sleeps
            self._waker.send(b".")

    def send(self, address: str, frame: wire.Frame) -> None:
        """Put a frame on the link there; a full link drops it, counted."""
        try:
            link = self._links.get(address) or self._connect(address)
            link.dealer.send(wire.encode(frame), zmq.NOBLOCK)
        except zmq.Again:
            self._count("links full")
        except (zmq.ZMQError, WireError):
            self._count("unsendable")  # a peer may have told us a senseless address

    def _connect(self, address: str) -> Link:
        if self.keys is None and not _is_loopback(address):
            raise WireError(f"{address}: beyond loopback, and there are no keys")
        dealer = self._socket(zmq.DEALER)
        dealer.routing_id = self.identity.member_id.encode()
        dealer.reconnect_ivl = RECONNECT_MS
        dealer.reconnect_ivl_max = RECONNECT_MAX_MS
        if self.keys is not None:
            dealer.curve_serverkey = z85.encode(self.keys.public)
            dealer.curve_publickey = z85.encode(self.identity.link_public)
            dealer.curve_secretkey = z85.encode(self.identity.link_secret)
        try:
            link = Link(address, dealer)
        except zmq.ZMQError:
            dealer.close(0)
            raise
        self._links[address] = self._by_monitor[link.monitor] = link
        self._poller.register(link.monitor, zmq.POLLIN)
        return link

    def drop(self, address: str) -> None:
        """Close the link there, if there is one; a later send opens it again."""
        link = self._links.pop(address, None)
        if link is not None:
            self._poller.unregister(link.monitor)
            del self._by_monitor[link.monitor]
            link.close()

    def poll(self, timeout_s: float) -> list[Received | LinkLost]:
        """Sleep until something arrives, `wake` is called or the time is over."""
        now = time.monotonic()
        if self._delayed:
            timeout_s = min(timeout_s, self._delayed[0][0] - now)
        ready = self._poller.poll(max(0, int(timeout_s * 1000 + 0.999)))
        found: list[Received | LinkLost] = []
        for each, _ in ready:
            if each is self._router:
                found += self._frames()
            elif each is self._zap:
                self._authenticate()
            elif each is self._monitor:
                recv_monitor_message(self._monitor)
                self._count("handshakes refused")
            elif each in self._by_monitor:
                found += self._link_event(self._by_monitor[each])
            elif each in self._knocks:
                found.append(self._knocked(int(each)))
            elif each == self._wakes.fileno():
                self._wakes.recv(4096)
        while self._delayed and self._delayed[0][0] <= time.monotonic():
            found.append(heapq.heappop(self._delayed)[2])
        return found

    def _frames(self) -> list[Received | LinkLost]:
        found: list[Received | LinkLost] = []
        for _ in range(MAX_BATCH):
            try:
                parts = self._router.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                break
            try:
                item = self._frame(parts)
            except (WireError, zmq.ZMQError):
                self._count("garbage")
                continue
            if item is not None:
                found.append(item)
        return found

    def _frame(self, parts: list[zmq.Frame]) -> Received | None:
        if len(parts) != 2 or not _ID.match(parts[0].bytes):
            raise WireError("not from a member")
        sender = parts[0].bytes.decode()
        if self.keys is not None and parts[1].get("User-Id") != sender:
            raise WireError(f"{sender}: another's name")
        item = Received(sender, wire.decode(parts[1].bytes))
        if self.radio is None:
            return item
        delay_s = self.radio.delay_s(sender, self.identity.member_id)
        if delay_s is None or len(self._delayed) >= MAX_DELAYED:
            self._count("not heard")
            return None
        if delay_s <= 0:
            return item
        heapq.heappush(self._delayed, (time.monotonic() + delay_s, next(self._order), item))
        return None

    def _authenticate(self) -> None:
        """ZAP (ZeroMQ RFC 27): the name of the member whose link key this is, or refusal."""
        parts = self._zap.recv_multipart()
        if len(parts) < 9 or self.keys is None:
            return
        member = self.keys.allowed.get(parts[8], "")
        status = (b"200", b"OK") if member else (b"400", b"not in allow.yaml")
        if not member:
            self._count("keys refused")
        reply = [*parts[:2], b"1.0", parts[3], *status, member.encode(), b""]
        self._zap.send_multipart(reply)

    def _link_event(self, link: Link) -> list[Received | LinkLost]:
        found: list[Received | LinkLost] = []
        event = recv_monitor_message(link.monitor)["event"]
        if event == zmq.EVENT_DISCONNECTED:
            found.append(LinkLost(link.address, False))
        elif event == zmq.EVENT_CONNECT_RETRIED:
            refused = self._knock(link.address)
            found += [LinkLost(link.address, True)] if refused else []
        return found

    def _knock(self, address: str) -> bool:
        """See whether the port is closed; an answer that takes time comes from `poll`."""
        if len(self._knocks) >= 64 or address in (a for _, a in self._knocks.values()):
            return False
        host, _, port = address.removeprefix("tcp://").rpartition(":")
        if not _is_ip(host):
            return False  # looking up a name could block; the probe will tell
        family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
        knock = socket.socket(family, socket.SOCK_STREAM)
        knock.setblocking(False)
        try:
            code = knock.connect_ex((host.strip("[]"), int(port)))
        except (OSError, OverflowError):
            code = 0
        if code != errno.EINPROGRESS:
            knock.close()
            return code == errno.ECONNREFUSED
        self._knocks[knock.fileno()] = (knock, address)
        self._poller.register(knock.fileno(), zmq.POLLOUT)
        return False

    def _knocked(self, descriptor: int) -> LinkLost:
        knock, address = self._knocks.pop(descriptor)
        self._poller.unregister(descriptor)
        code = knock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        knock.close()
        return LinkLost(address, code == errno.ECONNREFUSED)

    def _count(self, what: str) -> None:
        self.counters[what] = self.counters.get(what, 0) + 1

    def close(self) -> None:
        """Close everything."""
        for address in list(self._links):
            self.drop(address)
        for knock, _ in self._knocks.values():
            knock.close()
        self._router.disable_monitor()
        for each in (self._monitor, self._router, self._zap):
            each.close(0)
        self._waker.close()
        self._wakes.close()
        self._context.term()


def _only_loopback(config: SwarmConfig) -> None:
    for key, address in [("bind", config.bind), *(("seeds", each) for each in config.seeds)]:
        if not _is_loopback(address):
            raise ConfigError(
                f"swarm.{key}: {address} is not on this machine, and without swarm.keys only "
                "loopback is allowed: `mtor keys new-swarm` makes the keys"
            )


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def _is_loopback(address: str) -> bool:
    host = address.removeprefix("tcp://").rpartition(":")[0].strip("[]")
    return host == "localhost" or (_is_ip(host) and ipaddress.ip_address(host).is_loopback)


def _own_address(config: SwarmConfig) -> str:
    """Bound to every interface: the address of the one that leads to the first seed."""
    seed = config.seeds[0] if config.seeds else "tcp://192.0.2.1:1"
    host, _, port = seed.removeprefix("tcp://").rpartition(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as route:
        try:
            route.connect((host, int(port)))  # UDP: picks the route, sends nothing
        except OSError:
            return "127.0.0.1"
        return str(route.getsockname()[0])
