"""ZeroMQ sockets: one ROUTER that listens, one DEALER for each member we talk to.

The only file that knows zmq; small frames ride datagrams where those arrive. Nothing that a peer
sends raises past it: what is no frame is counted and dropped. A link that drops is told at once,
with whether anything listens there any more.

With keys every link is encrypted (CURVE), and its key names the sender of each frame. A key that
is not known yet is a stranger's: of it a Spread alone is heard, one whose first fact shows a
certificate for that very key. So no list of members has to be copied around.
"""

from __future__ import annotations

import contextlib
import re
import select
import socket
import struct
import time
from collections.abc import Callable, Collection, Iterator
from functools import partial

import zmq
from zmq.utils import z85

from mtor_swarm.config import SwarmConfig
from mtor_swarm.errors import SwarmError, WireError
from mtor_swarm.ports import Radio
from mtor_swarm.swarm import addresses
from mtor_swarm.swarm.certificates import CertificateError
from mtor_swarm.swarm.counters import Counters
from mtor_swarm.swarm.datagrams import Datagrams
from mtor_swarm.swarm.gossip import wire
from mtor_swarm.swarm.gossip.effects import LinkLost, Lossy, Reach, Received
from mtor_swarm.swarm.hearing import Hearing
from mtor_swarm.swarm.identity import Identity
from mtor_swarm.swarm.keyring import Keyring
from mtor_swarm.swarm.knocks import NONE, Knocks, hang_up
from mtor_swarm.swarm.waiter import Waiter

HWM = 4096
MAX_BATCH = 256
CURVE_BYTES = 64
"""More than CURVE (ZeroMQ RFC 26) adds to a frame."""
HEARTBEAT_MS = 10_000
"""On both ends, or descriptors of vanished peers pile up; the gossip's probes are quicker."""
HANDSHAKE_MS = 5000
"""Who connects and says nothing is hung up on: each holds a descriptor."""
RECONNECT_MS, RECONNECT_MAX_MS = 50, 1000
HOSTILE = ("certificate forged", "certificate revoked")
"""Who shows such is hung up on; others may yet show a better one."""
IDLE_S = 60.0
"""A link that nobody needs closes after so long."""
_LINK_EVENTS = zmq.EVENT_DISCONNECTED | zmq.EVENT_CONNECT_RETRIED
_FAILED = (
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)
_EVENT = struct.Struct("=H")
"""How a monitor's message begins; pyzmq's own reader imports asyncio, which takes 5 MiB."""
_ID = re.compile(rb"^[0-9a-f]{32}$")
Found = Received | LinkLost | Lossy


class Link:
    """A DEALER, its monitor, and where it goes."""

    def __init__(self, address: str, dealer: zmq.Socket[bytes]) -> None:
        self.address = address
        self.dealer = dealer
        self.used_s = time.monotonic()
        self.monitor = dealer.get_monitor_socket(_LINK_EVENTS)
        dealer.connect(address)

    def close(self) -> None:
        self.dealer.disable_monitor()
        self.monitor.close(0)
        self.dealer.close(0)


class Transport:
    """The sockets of one member. Used by one thread at a time, but for `wake` and `counters`.

    `keys` is this member's folder; without it only loopback is allowed (ConfigError). SwarmError
    if others could not be told where this member is.
    """

    def __init__(
        self,
        config: SwarmConfig,
        identity: Identity,
        radio: Radio | None = None,
        keys: Keyring | None = None,
    ) -> None:
        self.config = config
        self.port = 0
        """Where datagrams come in; 0: nowhere."""
        self.authority = keys.authority() if keys else None
        self.introduction: Callable[[], wire.Fact | None] = lambda: None
        """What we say of ourselves: with keys, the first thing on every new link."""
        self._identity = identity
        self._keys = keys
        addresses.demand_way(config, keys is not None)
        self.counters = Counters()
        self._count = self.counters.count
        self._links: dict[str, Link] = {}
        self._banished: set[str] = set()
        self._knocks = Knocks()
        self._datagrams: Datagrams | None = None
        self._hearing = Hearing(radio, identity.member_id, self._count)
        self._encoded: tuple[wire.Frame | None, bytes] = (None, b"")

    # --- life

    def open(self) -> str:
        """Bind; the address that others reach us at. SwarmError if the port is taken."""
        self._context = zmq.Context(2)
        self._waiter: Waiter[Found] = Waiter()
        self._waker, self._wakes = socket.socketpair()
        for end in (self._waker, self._wakes):
            end.setblocking(False)
        self._zap = self._context.socket(zmq.ROUTER)
        self._zap.linger = 0
        self._router = self._socket(zmq.ROUTER, self.config.bind)
        self._router.handshake_ivl = HANDSHAKE_MS
        if self._keys is None:
            self._router.router_handover = True
        else:
            self._zap.bind("inproc://zeromq.zap.01")
            self._router.curve_server = True
            self._router.curve_secretkey = z85.encode(self._keys.swarm.secret)
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
        self._hear(self._router, self._frames)
        self._hear(self._zap, self._authenticate)
        self._hear(self._monitor, self._refused)
        self._waiter.add(self._wakes.fileno(), self._woken)
        bound = self._router.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0")
        host, port = addresses.split(bound)
        self._bound_port = int(port)
        if self.config.datagrams and addresses.is_ip(host):
            try:
                self._datagrams = Datagrams(self._identity, host, self._bound_port, self._count)
            except OSError:  # ZeroMQ carries all then
                self._count("datagrams not opened")
            else:
                self.port = self._datagrams.port
                self._waiter.add(self._datagrams.socket.fileno(), self._packets)
        return addresses.advertised(self.config, bound)

    def _socket(self, kind: int, address: str) -> zmq.Socket[bytes]:
        made = self._context.socket(kind)
        # To look a name up may take seconds: that is for a thread where no other link waits.
        made.affinity = 2 if kind == zmq.DEALER and addresses.is_named(address) else 1
        made.linger = 0
        made.ipv6 = addresses.is_ipv6(address)
        made.sndhwm = made.rcvhwm = HWM
        made.maxmsgsize = wire.MAX_FRAME_BYTES + CURVE_BYTES
        made.heartbeat_ivl = HEARTBEAT_MS
        made.heartbeat_timeout = made.heartbeat_ttl = 3 * HEARTBEAT_MS
        return made

    def rekey(self, identity: Identity, keys: Keyring) -> None:
        """Open links and datagrams with a new link key, or a new certificate, from now on."""
        self._identity, self._keys = identity, keys
        for address in list(self._links):
            self.drop(address)
        if self._datagrams is not None:
            self._datagrams.rekey(identity)

    def wake(self) -> None:
        """Make a running `poll` return; from any thread."""
        with contextlib.suppress(OSError):  # full: it wakes anyhow; closed: nobody sleeps
            self._waker.send(b".")

    def close(self) -> None:
        """Close everything."""
        for address in list(self._links):
            self.drop(address)
        self._knocks.close()
        if self._datagrams is not None:
            self._datagrams.close()
        self._router.disable_monitor()
        self._waiter.close()
        for each in (self._monitor, self._router, self._zap):
            each.close(0)
        self._waker.close()
        self._wakes.close()
        self._context.term()

    # --- out

    def send(
        self, address: str, frame: wire.Frame, reliable: bool = False, confirmed: bool = False
    ) -> None:
        """Put a frame on its way; what is small rides a datagram unless it must be `reliable`."""
        if address in self._banished:
            self._count("sends to the revoked")
            return
        try:
            raw = self._raw(frame)
        except WireError:
            self._count("unsendable")
            return
        datagrams = None if reliable else self._datagrams
        if datagrams is None or not datagrams.send(address, raw, time.monotonic(), confirmed):
            self._put(address, raw)

    def _raw(self, frame: wire.Frame) -> bytes:
        """The frame's bytes, made once for all that it goes to in a row."""
        if self._encoded[0] is not frame:
            self._encoded = (frame, wire.encode(frame))
        return self._encoded[1]

    def _put(self, address: str, raw: bytes) -> None:
        """Onto the link there; a full link drops it, counted."""
        try:
            link = self._links.get(address) or self._connect(address)
            link.used_s = time.monotonic()
            link.dealer.send(raw, zmq.NOBLOCK)
        except zmq.Again:
            self._count("links full")
        except (zmq.ZMQError, WireError):
            self._count("unsendable")  # a peer may have told us a senseless address

    def _connect(self, address: str) -> Link:
        if self._keys is None and not addresses.is_loopback(address):
            raise WireError(f"{address}: beyond loopback, and there are no keys")
        dealer = self._socket(zmq.DEALER, address)
        dealer.reconnect_ivl = RECONNECT_MS
        dealer.reconnect_ivl_max = RECONNECT_MAX_MS
        if self._keys is None:
            dealer.routing_id = self._identity.member_id.encode()
        else:
            dealer.curve_serverkey = z85.encode(self._keys.swarm.public)
            dealer.curve_publickey = z85.encode(self._identity.link_public)
            dealer.curve_secretkey = z85.encode(self._identity.link_secret)
        try:
            link = Link(address, dealer)
        except zmq.ZMQError:
            dealer.close(0)
            raise
        if self._keys and (fact := self.introduction()) is not None:
            dealer.send(wire.encode(wire.Spread([fact], [])), zmq.NOBLOCK)
        self._links[address] = link
        self._hear(link.monitor, partial(self._link_events, link))
        return link

    def reach(self, peer: Reach) -> None:
        """How a member is reached from now on."""
        self._banished.discard(peer.address)
        if self._datagrams is not None:
            host = addresses.split(peer.address)[0]
            allowed = self._keys is not None or addresses.is_loopback(peer.address)
            self._datagrams.reach(peer, host if allowed and addresses.is_ip(host) else "")

    def hold(self, wanted: Collection[str]) -> None:
        """Keep links open there, which tell at once when a process dies; let idle ones go."""
        for address in wanted:
            if address not in self._links and address not in self._banished:
                with contextlib.suppress(zmq.ZMQError, WireError):
                    self._connect(address)
        until = time.monotonic() - IDLE_S
        for link in list(self._links.values()):
            if link.used_s < until and link.address not in wanted:
                self.drop(link.address)

    def drop(self, address: str) -> None:
        """Close the link there, if there is one; a later send opens it again."""
        link = self._links.pop(address, None)
        if link is not None:
            self._waiter.remove(link.monitor.FD)
            link.close()

    def banish(self, member: str, address: str) -> None:
        """Close all that leads to a member that is trusted no more, and send it nothing."""
        self.drop(address)
        self._banished.add(address)
        if self._datagrams is not None:
            self._datagrams.forget(member)

    # --- in

    def poll(self, timeout_s: float) -> list[Found]:
        """Sleep until something arrives, `wake` is called or the time is over."""
        now = time.monotonic()
        dues = [now + timeout_s, self._hearing.due]
        if self._datagrams is not None:
            self._datagrams.settle(now)
            dues.append(self._datagrams.due)
        found = self._waiter.wait(max(0.0, min(dues) - now))
        if self._datagrams is not None:
            for address, raw in self._datagrams.overdue(time.monotonic()):
                self._put(address, raw)
        return found + self._hearing.late(time.monotonic())

    def _hear(self, source: zmq.Socket[bytes], call: Callable[[], list[Found]]) -> None:
        """Call when something comes; once now too, for only who found nothing is told of more."""
        self._waiter.add(source.FD, call)
        self._waiter.again(source.FD)

    def _woken(self) -> list[Found]:
        self._wakes.recv(4096)
        return []

    def _messages(self, source: zmq.Socket[bytes]) -> Iterator[list[zmq.Frame]]:
        """All that waits there; if that is much, the rest the next time."""
        for _ in range(MAX_BATCH):
            try:
                yield source.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return
        self._waiter.again(source.FD)

    def _frames(self) -> list[Found]:
        found: list[Found] = []
        for parts in self._messages(self._router):
            try:
                found += self._frame(parts)
            except (WireError, zmq.ZMQError):
                self._count("garbage")
        return found

    def _refused(self) -> list[Found]:
        for _ in self._messages(self._monitor):
            self._count("handshakes refused" if self._keys else "links broken off")
        return []

    def _packets(self) -> list[Found]:
        assert self._datagrams is not None
        now = time.monotonic()
        frames, losses = self._datagrams.receive(now)
        found: list[Found] = [*losses]
        for sender, raw in frames:
            try:
                if self.authority is not None:  # it may have expired since
                    self.authority.at_link(self._datagrams.link_of(sender), time.time())
                found += self._hearing.now(Received(sender, wire.decode(raw)), now)
            except WireError:
                self._count("garbage")
            except CertificateError as error:
                self._count(str(error))
        return found

    def _frame(self, parts: list[zmq.Frame]) -> list[Received]:
        if len(parts) != 2:
            raise WireError("not from a member")
        frame = wire.decode(parts[1].bytes)
        if self.authority is None:
            if not _ID.match(parts[0].bytes):
                raise WireError("not from a member")
            return self._hearing.now(Received(parts[0].bytes.decode(), frame), time.monotonic())
        try:
            link = bytes.fromhex(str(parts[1].get("User-Id")))
            sender = self.authority.speaker(link, frame, time.time())
        except CertificateError as error:
            self._count(str(error))
            if str(error) in HOSTILE:
                hang_up(int(parts[1].get(zmq.SRCFD)), self._bound_port)
            return []
        return self._hearing.now(Received(sender, frame), time.monotonic())

    def _authenticate(self) -> list[Found]:
        """ZAP (ZeroMQ RFC 27): a link is named by its key, unless that key is revoked."""
        for frames in self._messages(self._zap):
            parts = [each.bytes for each in frames]
            if len(parts) < 9 or self.authority is None:
                continue
            status, name = (b"200", b"OK"), parts[8].hex().encode()
            if self.authority.is_revoked_link(parts[8]):
                self._count("certificate revoked")
                status, name = (b"400", b"revoked"), b""
            self._zap.send_multipart([*parts[:2], b"1.0", parts[3], *status, name, b""])
        return []

    def _link_events(self, link: Link) -> list[Found]:
        found: list[Found] = []
        for parts in self._messages(link.monitor):
            if _EVENT.unpack_from(parts[0].bytes)[0] == zmq.EVENT_DISCONNECTED:
                found.append(LinkLost(link.address, False))
                continue
            refused, descriptor = self._knocks.knock(link.address)
            if descriptor != NONE:
                answer = partial(self._knocked, descriptor)
                self._waiter.add(descriptor, answer, select.EPOLLOUT)
            found += [LinkLost(link.address, True)] if refused else []
        return found

    def _knocked(self, descriptor: int) -> list[Found]:
        self._waiter.remove(descriptor)
        return [LinkLost(*self._knocks.answer(descriptor))]
