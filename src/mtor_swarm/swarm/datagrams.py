"""Small frames as sealed datagrams: UDP loses some, but never stalls as a stream does.

A packet is name (8 bytes), counter (8), and sealed with ChaCha20-Poly1305 (RFC 8439): flags (1),
the highest counter heard from the receiver (8), the frame. Names and keys come by HKDF (RFC 5869)
from the X25519 secret of both link keys (RFC 7748), both ids and boots, one set a direction.
Counters start at the microsecond, so that none repeats under a key, even if a boot count came from
a backup. Replays are told by a window (RFC 6479), losses by the counters.

Whether datagrams arrive is known from what comes back. Where that is not sure, a frame is also
kept, and handed back to go over ZeroMQ if nobody confirms; who never confirms gets no more.
"""

from __future__ import annotations

import collections
import errno
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

from mtor_swarm.swarm.gossip.effects import Lossy, Reach
from mtor_swarm.swarm.identity import Identity

MAX_BYTES = 1200
"""The largest frame that rides one: with all headers it fits IPv6's least MTU (RFC 8200: 1280)."""
MAX_PACKET = 2048
MAX_SESSIONS = 4096
BUFFER_BYTES = 1 << 20
MAX_BATCH = 256
MAX_KEPT = 1024
ASKING = 1
"""Flag: the sender wants to know that this arrived."""
SURE_S = 10.0
WAITED_S = 0.5
KEPT_S = 0.1
ASK_S = 0.05
"""Asks are so far apart, that a burst is not taken for silence."""
GIVE_UP = 6
"""So many asks in a row that were not confirmed: datagrams are blocked there."""
TRIAL_S = 2.0
LOSS_PACKETS = 20
NO_LOSS = 0.004
"""Below this a loss is told as none."""
_HEAD = struct.Struct(">8sQ")
_BODY = struct.Struct(">BQ")


class Window:
    """Which counters of a peer came: each one once, none older than `WIDTH` below the newest."""

    WIDTH = 1024

    def __init__(self) -> None:
        self.highest = 0
        self._seen = 0

    def ahead(self, counter: int) -> int:
        """How far a counter is ahead of the highest one; of the very first one: 1."""
        return counter - self.highest if self.highest else 1

    def admit(self, counter: int) -> bool:
        """Whether this counter is new; from now on it is not."""
        ahead = counter - self.highest
        if ahead > 0:
            old = self._seen << ahead if ahead < self.WIDTH else 0
            self._seen = (old | 1) & ((1 << self.WIDTH) - 1)
            self.highest = counter
        elif -ahead >= self.WIDTH or self._seen >> -ahead & 1:
            return False
        else:
            self._seen |= 1 << -ahead
        return True


class Loss:
    """The share of a peer's datagrams that never came, smoothed over some `packets` of them.

    It begins with what is lost of everybody's, since one peer alone sends few.
    """

    def __init__(self, packets: int, share: float = 0.0) -> None:
        self.share = share
        self.fresh = 0
        self._part = 1 / packets
        self._told = 0.0

    def took(self, ahead: int) -> None:
        """A packet came whose counter is so far ahead of the highest one before; late: below 1."""
        self.fresh += 1
        if ahead < 1:
            self.share = max(0.0, self.share - self._part)
        else:
            kept = 1 - self._part
            self.share = (1 - (1 - self.share) * kept ** (ahead - 1)) * kept

    def news(self) -> float | None:
        """The share if it is another than the one told last, by enough to matter."""
        share = self.share if self.share >= NO_LOSS else 0.0
        far = abs(share - self._told) >= max(0.03, self._told / 4)
        if not far and not (self._told and not share):
            return None
        self._told = share
        return share


class Confirmations:
    """Whether what we send to a peer arrives, by what it confirms. Pure: times are handed in."""

    def __init__(self, start: int = 0) -> None:
        self._sent = self._awaited = self._confirmed = start
        self._sure_until = -math.inf
        self._waits_since: float | None = None
        self._asked = 0
        self._asked_at = -math.inf
        self._tried = -TRIAL_S

    @property
    def blocked(self) -> bool:
        """Nothing arrives there."""
        return self._asked >= GIVE_UP

    def is_trial_due(self, now: float) -> bool:
        """Whether to see if datagrams still are blocked; not again for a while."""
        due = now - self._tried >= TRIAL_S
        if due:
            self._tried = now
        return due

    def send(self, now: float) -> tuple[int, bool, bool]:
        """The next packet's counter, whether it is unsure to arrive, and whether it asks."""
        self._sent = self._awaited = self._sent + 1
        if self._waits_since is None:
            self._waits_since = now
        unsure = now > self._sure_until or now - self._waits_since > WAITED_S
        asks = unsure and now - self._asked_at >= ASK_S
        if asks:
            self._asked_at = now
            self._asked += 1
        return self._sent, unsure, asks

    def confirm(self) -> int:
        """The counter of a packet that only confirms, and waits for nothing itself."""
        self._sent += 1
        return self._sent

    def is_confirmed(self, counter: int) -> bool:
        """Whether that packet, or a later one, arrived."""
        return counter <= self._confirmed

    def heard(self, highest: int, now: float) -> None:
        """The peer says that our packets arrive, up to `highest`."""
        if not self._confirmed < highest <= self._sent:
            return
        self._confirmed = highest
        self._asked, self._asked_at, self._sure_until = 0, -math.inf, now + SURE_S
        self._waits_since = now if highest < self._awaited else None


class Session:
    """One peer's datagrams, both ways, for as long as both boots and both link keys last."""

    def __init__(self, me: Identity, secret: X25519PrivateKey, peer: Reach, wall_s: float) -> None:
        self.member, self.boot, self.link = peer.member, peer.boot, peer.link
        self.address, self.place = "", ("", 0)
        self.out = Confirmations(int(wall_s * 1e6))
        self.window = Window()
        self.loss = Loss(LOSS_PACKETS)
        shared = secret.exchange(X25519PublicKey.from_public_bytes(peer.link))
        mine = f"{me.member_id} {me.boot}"
        theirs = f"{peer.member} {peer.boot}"
        self._name_out, self._seal = _derive(shared, f"{mine} {theirs}")
        self.name, self._open = _derive(shared, f"{theirs} {mine}")

    def lossy(self) -> list[Lossy]:
        """The share of losses, if it is another than was told."""
        share = self.loss.news()
        return [] if share is None else [Lossy(self.member, share)]

    def seal(self, counter: int, asks: bool, frame: bytes) -> bytes:
        """The packet that carries this frame, which may be empty."""
        head = _HEAD.pack(self._name_out, counter)
        body = _BODY.pack(ASKING if asks else 0, self.window.highest) + frame
        return head + self._seal.encrypt(bytes(4) + head[8:], body, head)

    def open(self, packet: bytes) -> tuple[int, bool, int, bytes] | None:
        """Counter, whether it asks, counter confirmed, frame; None if it is not that peer's."""
        head = packet[: _HEAD.size]
        try:
            _, counter = _HEAD.unpack(head)
            body = self._open.decrypt(bytes(4) + head[8:], packet[_HEAD.size :], head)
            flags, heard = _BODY.unpack_from(body)
        except (InvalidTag, struct.error):
            return None
        return counter, bool(flags & ASKING), heard, body[_BODY.size :]


def _derive(shared: bytes, direction: str) -> tuple[bytes, ChaCha20Poly1305]:
    info = f"mtor datagram 1 {direction}".encode()
    made = HKDF(SHA256(), 40, salt=None, info=info).derive(shared)
    return made[:8], ChaCha20Poly1305(made[8:])


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
        self._owing: set[str] = set()
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
            try:
                old = Session(self._identity, self._secret, peer, time.time())
            except ValueError:  # a link key that is no point to agree on
                self._count("link keys refused")
                return
            old.loss.share = self._loss.share
            self._sessions[peer.member] = self._by_name[old.name] = old
            if len(self._sessions) > MAX_SESSIONS:
                self.forget(next(iter(self._sessions)))
        old.address, old.place = peer.address, (host, peer.port)
        self._by_address[peer.address] = old

    def forget(self, member: str) -> None:
        """Open nothing more of that member's, and send it nothing."""
        old = self._sessions.pop(member, None)
        if old is not None:
            self._by_name.pop(old.name, None)
            self._owing.discard(member)
            self._unlist(old)

    def _unlist(self, old: Session) -> None:
        """Send nothing more there for it; somebody else may be there by now."""
        if self._by_address.get(old.address) is old:
            del self._by_address[old.address]
        old.address = ""

    def send(self, address: str, frame: bytes, now: float) -> bool:
        """Whether the frame is on its way; if not, it must go over ZeroMQ."""
        session = self._by_address.get(address)
        if session is None or len(frame) > MAX_BYTES:
            return False
        if session.out.blocked:
            if session.out.is_trial_due(now):
                counter, _, _ = session.out.send(now)
                self._put(session, session.seal(counter, True, b""))
            return False
        counter, unsure, asks = session.out.send(now)
        if not self._put(session, session.seal(counter, asks, frame)):
            return False
        if unsure and len(self._kept) < MAX_KEPT:
            self._kept.append((now + KEPT_S, counter, session, frame))
        return True

    def _put(self, session: Session, packet: bytes) -> bool:
        self._owing.discard(session.member)
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
        opened = session.open(packet)
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
        session.out.heard(heard, now)
        if asks:
            self._owing.add(session.member)
        return session, frame

    def settle(self, now: float) -> list[tuple[str, bytes]]:
        """Confirm what asked and was not answered; what must go over ZeroMQ, with the address."""
        for member in list(self._owing):
            session = self._sessions[member]
            self._put(session, session.seal(session.out.confirm(), False, b""))
        late: list[tuple[str, bytes]] = []
        while self._kept and self._kept[0][0] <= now:
            _, counter, session, frame = self._kept.popleft()
            if not session.out.is_confirmed(counter) and session.address:
                self._count("datagrams unconfirmed")
                late.append((session.address, frame))
        return late

    @property
    def due(self) -> float:
        """When `settle` must be called at the latest."""
        return self._kept[0][0] if self._kept else math.inf

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
