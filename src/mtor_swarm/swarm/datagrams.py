"""Small frames as sealed datagrams: UDP loses some, but never stalls as a stream does.

A packet is name (8 bytes), counter (8), and sealed with ChaCha20-Poly1305 (RFC 8439): flags (1),
the highest counter heard from the receiver (8), which of the 32 up to it came (4), the frame.
Names come from both ids, boots and link keys, one a direction; keys by HKDF (RFC 5869) from those
and the X25519 secret of both link keys (RFC 7748). Counters start at the microsecond, so that none
repeats under a key, even if a boot count came from a backup.

Where a frame is not sure to arrive (`delivery`) it is also kept, and handed back to go over ZeroMQ
if nobody confirms; who never confirms gets no more.
"""

from __future__ import annotations

import collections
import errno
import hashlib
import math
import socket
import struct
import time
from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from mtor_swarm.swarm.delivery import (
    DATAGRAM_BYTES,
    LOSS_PACKETS,
    Confirmations,
    Loss,
    Window,
)
from mtor_swarm.swarm.gossip.effects import Lossy, Reach
from mtor_swarm.swarm.identity import Identity

MAX_PACKET = 2048
MAX_SESSIONS = 4096
BUFFER_BYTES = 1 << 20
MAX_BATCH = 256
MAX_KEPT = 1024
ASKING = 1
"""Flag: the sender wants to know that this arrived."""
KEPT_S, KEPT_MOST_S = 0.1, 1.0
"""So long a frame is kept at least, and at most where confirmations take their time."""
SETTLE_S = 0.02
"""A confirmation waits so long for a frame to ride on, and lets more urgent things go first."""
SLOWNESS = 4
"""How many times the usual time a confirmation may take."""
_HEAD = struct.Struct(">8sQ")
_BODY = struct.Struct(">BQI")


class Session:
    """One peer's datagrams, both ways, for as long as both boots and both link keys last.

    The keys are agreed on when they are first needed: of many members few are spoken to.
    """

    def __init__(self, me: Identity, peer: Reach, wall_s: float) -> None:
        self.member, self.boot, self.link = peer.member, peer.boot, peer.link
        self.address, self.place = "", ("", 0)
        self.out = Confirmations(int(wall_s * 1e6))
        self.window = Window()
        self.loss = Loss(LOSS_PACKETS)
        mine = f"{me.member_id} {me.boot} {me.link_public.hex()}"
        theirs = f"{peer.member} {peer.boot} {peer.link.hex()}"
        self._directions = (
            f"mtor datagram 1 {mine} {theirs}".encode(),
            f"mtor datagram 1 {theirs} {mine}".encode(),
        )
        self._name_out, self.name = (
            hashlib.blake2b(each, digest_size=8).digest() for each in self._directions
        )
        self._keys: tuple[ChaCha20Poly1305, ChaCha20Poly1305] | None = None

    def agree(self, secret: X25519PrivateKey) -> bool:
        """Make the keys, unless they are there; False if the peer's link key is no good."""
        if self._keys is None:
            try:
                shared = secret.exchange(X25519PublicKey.from_public_bytes(self.link))
            except ValueError:  # a point of small order
                return False
            out, back = (_derive(shared, each) for each in self._directions)
            self._keys = (out, back)
        return True

    def lossy(self) -> list[Lossy]:
        """The share of losses, if it is another than was told."""
        share = self.loss.news()
        return [] if share is None else [Lossy(self.member, share)]

    def seal(self, counter: int, asks: bool, frame: bytes) -> bytes:
        """The packet that carries this frame, which may be empty; once they agreed."""
        assert self._keys is not None
        head = _HEAD.pack(self._name_out, counter)
        said = (ASKING if asks else 0, self.window.highest, self.window.came)
        body = _BODY.pack(*said) + frame
        return head + self._keys[0].encrypt(bytes(4) + head[8:], body, head)

    def open(self, packet: bytes) -> tuple[int, bool, tuple[int, int], bytes] | None:
        """Counter, whether it asks, what it confirms, frame; None if it is not that peer's."""
        assert self._keys is not None
        head = packet[: _HEAD.size]
        try:
            _, counter = _HEAD.unpack(head)
            body = self._keys[1].decrypt(bytes(4) + head[8:], packet[_HEAD.size :], head)
            flags, highest, came = _BODY.unpack_from(body)
        except (InvalidTag, struct.error):
            return None
        return counter, bool(flags & ASKING), (highest, came), body[_BODY.size :]


def _derive(shared: bytes, direction: bytes) -> ChaCha20Poly1305:
    return ChaCha20Poly1305(HKDF(SHA256(), 32, salt=None, info=direction).derive(shared))


class Datagrams:
    """The UDP socket of one member, and a session with each peer that takes datagrams."""

    def __init__(
        self, identity: Identity, host: str, port: int, count: Callable[[str], None]
    ) -> None:
        self._identity = identity
        self._secret = X25519PrivateKey.from_private_bytes(identity.link_secret)
        self._count = count
        self._sessions: dict[str, Session] = {}
        self._by_name: dict[bytes, Session] = {}
        self._by_address: dict[str, Session] = {}
        self._owing: dict[str, float] = {}
        self._usual_s = KEPT_S / SLOWNESS
        self._loss = Loss(5 * LOSS_PACKETS)
        self._kept: collections.deque[tuple[float, int, Session, bytes]] = collections.deque()
        self.socket = _bound(host, port)
        self.port = int(self.socket.getsockname()[1])

    def reach(self, peer: Reach, host: str) -> None:
        """How a member is reached from now on; `host` is an IP address, empty if there is none."""
        old = self._sessions.get(peer.member)
        if old is not None:
            self._unlist(old)
        if not peer.port or not host:
            return
        if old is None or (old.boot, old.link) != (peer.boot, peer.link):
            self.forget(peer.member)
            old = Session(self._identity, peer, time.time())
            old.loss.share = self._loss.share
            self._sessions[peer.member] = self._by_name[old.name] = old
            if len(self._sessions) > MAX_SESSIONS:
                self.forget(next(iter(self._sessions)))
        old.address, old.place = peer.address, (host, peer.port)
        self._by_address[peer.address] = old

    def link_of(self, member: str) -> bytes:
        """The link key that a member's datagrams are sealed with."""
        return self._sessions[member].link

    def forget(self, member: str) -> None:
        """Open nothing more of that member's, and send it nothing."""
        old = self._sessions.pop(member, None)
        if old is not None:
            self._by_name.pop(old.name, None)
            self._owing.pop(member, None)
            self._unlist(old)

    def _unlist(self, old: Session) -> None:
        """Send nothing more there for it; somebody else may be there by now."""
        if self._by_address.get(old.address) is old:
            del self._by_address[old.address]
        old.address = ""

    def send(self, address: str, frame: bytes, now: float, must: bool = False) -> bool:
        """Whether the frame is on its way; if not, it must go over ZeroMQ.

        What `must` arrive is kept until it is confirmed itself.
        """
        session = self._by_address.get(address)
        if session is None or len(frame) > DATAGRAM_BYTES or not self._agree(session):
            return False
        if session.out.blocked:
            if session.out.is_trial_due(now):
                counter, _, _ = session.out.send(now)
                self._put(session, session.seal(counter, True, b""))
            return False
        counter, unsure, asks = session.out.send(now, must)
        if not self._put(session, session.seal(counter, asks, frame)):
            return False
        if unsure and len(self._kept) < MAX_KEPT:
            patience = min(KEPT_MOST_S, max(KEPT_S, SLOWNESS * self._usual_s))
            self._kept.append((now + patience, counter, session, frame))
        return True

    def _agree(self, session: Session) -> bool:
        good = session.agree(self._secret)
        if not good:
            self._count("link keys refused")
            self.forget(session.member)
        return good

    def _put(self, session: Session, packet: bytes) -> bool:
        self._owing.pop(session.member, None)
        try:
            self.socket.sendto(packet, session.place)
        except OSError as error:
            name = errno.errorcode.get(error.errno or 0, "?")
            self._count(f"datagrams not sent: {name}")
            return False
        return True

    def receive(self, now: float) -> tuple[list[tuple[str, bytes]], list[Lossy]]:
        """Frames that came, each with its sender, and whose share of losses has changed."""
        frames: list[tuple[str, bytes]] = []
        losses: list[Lossy] = []
        for _ in range(MAX_BATCH):
            try:
                packet = self.socket.recv(MAX_PACKET)
            except OSError:  # there is no more
                break
            session, frame = self._opened(packet, now)
            if session is None:
                continue
            if frame:
                frames.append((session.member, frame))
            losses += self._lost(session)
        return frames, losses

    def _lost(self, session: Session) -> list[Lossy]:
        """Whose losses are other than was told: of all from whom little came, as of everybody."""
        told: list[Lossy] = []
        everybodys = self._loss.news()
        if everybodys is not None:
            for each in self._sessions.values():
                if each.window.highest and each.loss.fresh < LOSS_PACKETS:
                    each.loss.share = everybodys
                    told += each.lossy()
                each.loss.fresh = 0
        return told + session.lossy()

    def _opened(self, packet: bytes, now: float) -> tuple[Session | None, bytes]:
        session = self._by_name.get(packet[:8])
        if session is None:
            self._count("datagrams of strangers")
            return None, b""
        opened = session.open(packet) if self._agree(session) else None
        if opened is None:
            self._count("datagrams forged")
            return None, b""
        counter, asks, heard, frame = opened
        ahead = session.window.ahead(counter)
        if not session.window.admit(counter):
            self._count("datagrams replayed")
            return None, b""
        session.loss.took(ahead)
        self._loss.took(ahead)
        took = session.out.heard(*heard, now)
        if took is not None:
            self._usual_s += (took - self._usual_s) / 8
        if asks:
            self._owing.setdefault(session.member, now + SETTLE_S)
        return session, frame

    def settle(self, now: float) -> None:
        """Confirm what asked some time ago and got no other answer."""
        while self._owing:
            member, due = next(iter(self._owing.items()))
            if due > now:
                break
            session = self._sessions[member]
            self._put(session, session.seal(session.out.confirm(), False, b""))

    def overdue(self, now: float) -> list[tuple[str, bytes]]:
        """What nobody has confirmed in time, with where it must go over ZeroMQ.

        Call it after `receive`: the confirmation may have come while we slept.
        """
        late: list[tuple[str, bytes]] = []
        while self._kept and self._kept[0][0] <= now:
            _, counter, session, frame = self._kept.popleft()
            if not session.out.is_confirmed(counter) and session.address:
                self._count("datagrams unconfirmed")
                late.append((session.address, frame))
        return late

    @property
    def due(self) -> float:
        """When `settle` or `overdue` must be called at the latest."""
        kept = self._kept[0][0] if self._kept else math.inf
        return min(kept, next(iter(self._owing.values()), math.inf))

    def rekey(self, identity: Identity) -> None:
        """Agree with every peer anew, on our new link key."""
        self._identity = identity
        self._secret = X25519PrivateKey.from_private_bytes(identity.link_secret)
        for old in list(self._sessions.values()):
            host, port = old.place
            peer = Reach(old.address, old.member, old.boot, old.link, port)
            self.forget(old.member)
            self.reach(peer, host)

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()


def _bound(host: str, port: int) -> socket.socket:
    """A UDP socket at that port if it is free, else at any."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_DGRAM)
    made.setblocking(False)
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        made.setsockopt(socket.SOL_SOCKET, option, BUFFER_BYTES)
    try:
        made.bind((host, port))
    except OSError:
        made.bind((host, 0))
    return made
