"""Frames between members: msgpack arrays with a tag, signed facts inside them.

What is signed is the encoding of all fields but the signature, with a context word before it, so
that no signature of one kind can pass for another. Relays carry signed things untouched.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from mtor_swarm.errors import WireError
from mtor_swarm.events import MAX_EVENT_BYTES, fingerprint
from mtor_swarm.ports import Signer, Verifier

VERSION = 1
MAX_FRAME_BYTES = 1024 * 1024
MAX_ITEMS = 8192
"""Facts, doubts or stream heads in one frame."""

Key = Annotated[bytes, Meta(min_length=32, max_length=32)]
Signature = Annotated[bytes, Meta(max_length=64)]
MemberId = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}$")]
Count = Annotated[int, Meta(ge=0, le=2**62)]
Word = Annotated[str, Meta(max_length=64)]
Role = Literal["unit", "observer"]
MAX_VALUE_BYTES = 1024
"""The JSON text of one value in a shared state."""
StateName = Annotated[
    str,
    Meta(
        pattern=r"^((map|set|counter):[a-z0-9_.-]{1,48}"
        r"|stigmergy:[a-z0-9_.-]{1,48}(:(most|least))?)$"
    ),
]
"""A shared state: its kind, its name and, of a stigmergy, which of two values holds."""


class Signed(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Something that its origin vouches for: `key` is the origin's, its fingerprint the id."""

    key: Key
    signature: Signature

    @property
    def origin(self) -> str:
        """The id of the member that says so."""
        return fingerprint(self.key)


class Fact(Signed, frozen=True, kw_only=True):
    """A member on itself: where it listens and who it is, or that it has left.

    `link` is the X25519 key of its links and datagrams, `port` the UDP port on the same host (0:
    it takes none), `certificate` what the swarm's key says of it (empty in a swarm without keys).
    """

    boot: Count
    incarnation: Count
    address: Annotated[str, Meta(pattern=r"^tcp://.+:\d+$", max_length=128)]
    unit: Word
    role: Role
    started_s: Annotated[float, Meta(ge=0, le=1e12)]
    link: Key
    port: Annotated[int, Meta(ge=0, le=65535)] = 0
    certificate: Annotated[bytes, Meta(max_length=512)] = b""
    left: bool = False


class Record(Signed, frozen=True, kw_only=True):
    """An event on its way: the header, and the event's own bytes that relays never read."""

    version: Annotated[int, Meta(ge=1, le=255)]
    boot: Count
    channel: Annotated[str, Meta(min_length=1, max_length=32)]
    seq: Annotated[int, Meta(ge=1, le=2**62)]
    priority: Annotated[int, Meta(ge=0, le=3)]
    stamp: Count
    type: Annotated[str, Meta(min_length=1, max_length=128)]
    payload: Annotated[bytes, Meta(max_length=MAX_EVENT_BYTES)]


class Beacon(Signed, frozen=True, kw_only=True, tag=1):
    """A unit's latest state, worthless once there is a newer one."""

    boot: Count
    seq: Count
    state: Annotated[bytes, Meta(max_length=8192)]


class Entry(Signed, frozen=True, kw_only=True):
    """One write to a shared state, by who signed it; `crdt` says what the fields mean by kind.

    `clock` is what entries of one slot are ranked by, `of` whose add a removal is about, `value`
    JSON text, `gone` a removal.
    """

    boot: Count
    state: StateName
    item: Annotated[str, Meta(max_length=128)]
    of: Annotated[str, Meta(pattern=r"^([0-9a-f]{32})?$")] = ""
    clock: Count
    stamp: Count
    value: Annotated[bytes, Meta(max_length=MAX_VALUE_BYTES)] = b""
    gone: bool = False


class Doubt(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A witness suspects a member, or holds it for dead. `refused`: its port is closed."""

    member: MemberId
    boot: Count
    incarnation: Count
    dead: bool
    witness: MemberId
    refused: bool = False


Facts = Annotated[list[Fact], Meta(max_length=MAX_ITEMS)]
Doubts = Annotated[list[Doubt], Meta(max_length=MAX_ITEMS)]
Head = tuple[MemberId, Count, Annotated[str, Meta(max_length=32)], Count, Count]
"""A stream and how far one is in it: origin, boot, channel, floor (expired up to), head."""


class _Frame(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What one ZeroMQ message holds."""


class Spread(_Frame, frozen=True, tag=2):
    """News on members; `pull` asks for all that the receiver knows of them."""

    facts: Facts
    doubts: Doubts
    pull: bool = False


class Ping(_Frame, frozen=True, tag=3):
    """Are you there? `doubted` is the incarnation that is under suspicion, or -1."""

    number: Count
    doubted: Annotated[int, Meta(ge=-1, le=2**62)] = -1


class Ack(_Frame, frozen=True, tag=4):
    """I am. `member` is who was probed: its own id, or on whose behalf a relay answers."""

    number: Count
    member: MemberId


class PingRequest(_Frame, frozen=True, tag=5):
    """Probe that member for me."""

    number: Count
    member: MemberId


class Events(_Frame, frozen=True, tag=6):
    """Events, pushed or repaired."""

    records: Annotated[list[Record], Meta(max_length=256)]


class Digest(_Frame, frozen=True, tag=7):
    """Hashes of what I have: of the events and of the members. Silence means the same."""

    events: Annotated[bytes, Meta(max_length=16)]
    members: Annotated[bytes, Meta(max_length=16)]


class Heads(_Frame, frozen=True, tag=8):
    """How far I am in each stream: send me what I lack; `reply` asks for yours."""

    heads: Annotated[list[Head], Meta(max_length=MAX_ITEMS)]
    reply: bool


class Ask(_Frame, frozen=True, tag=9):
    """A question to one member."""

    askid: Count
    kind: Word
    payload: bytes


class Answer(_Frame, frozen=True, tag=10):
    """The reply to an ask; if not `ok` the payload is the reason as text."""

    askid: Count
    ok: bool
    payload: bytes


class StateDelta(_Frame, frozen=True, tag=21):
    """Entries of shared states, pushed or repaired."""

    entries: Annotated[list[Entry], Meta(max_length=256)]


class StateDigest(_Frame, frozen=True, tag=22):
    """A hash of each shared state that I have. Silence means the same."""

    hashes: Annotated[
        list[tuple[StateName, Annotated[bytes, Meta(max_length=16)]]], Meta(max_length=64)
    ]


class StateHeld(_Frame, frozen=True, tag=23):
    """The 8-byte ids of my entries in these states: send me what I lack; `reply` wants yours."""

    held: Annotated[
        list[tuple[StateName, Annotated[bytes, Meta(max_length=65536)]]], Meta(max_length=64)
    ]
    reply: bool


SharedFrame = StateDelta | StateDigest | StateHeld
Frame = (
    Spread
    | Ping
    | Ack
    | PingRequest
    | Events
    | Digest
    | Heads
    | Ask
    | Answer
    | Beacon
    | SharedFrame
)
_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Frame] = msgspec.msgpack.Decoder(Frame)


def encode(frame: Frame) -> bytes:
    """The frame's bytes; WireError if they are over the size limit."""
    raw = _encoder.encode(frame)
    if len(raw) > MAX_FRAME_BYTES:
        raise WireError(f"a frame of {len(raw)} bytes; {MAX_FRAME_BYTES} at most: send less")
    return raw


def decode(raw: bytes) -> Frame:
    """The frame in these bytes, whatever they are; WireError if they hold none."""
    if len(raw) > MAX_FRAME_BYTES:
        raise WireError(f"{len(raw)} bytes where a frame has {MAX_FRAME_BYTES} at most")
    try:
        return _decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError) as error:
        raise WireError(f"not a frame: {error}") from None


def sign(thing: Any, signer: Signer) -> Any:
    """The same fact, record or beacon, signed."""
    return msgspec.structs.replace(thing, signature=signer.sign(_body(thing)))


def is_genuine(thing: Signed, verifier: Verifier) -> bool:
    """Whether the signature is that of the key inside."""
    return verifier.verify(thing.key, _body(thing), thing.signature)


def _body(thing: Signed) -> bytes:
    unsigned = msgspec.structs.replace(thing, signature=b"")
    return type(thing).__name__.encode() + b"\0" + _encoder.encode(unsigned)
