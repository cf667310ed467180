"""Frames between members: msgpack arrays with a tag, signed facts inside them.

What is signed is the encoding of all fields but the signature, with a context word before it, so
that no signature of one kind can pass for another. Relays carry signed things untouched.
"""

from __future__ import annotations

import functools
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from mtor_swarm.errors import WireError
from mtor_swarm.events import fingerprint
from mtor_swarm.ports import Signer, Verifier

VERSION = 1
MAX_FRAME_BYTES = 1024 * 1024
MAX_ITEMS = 8192
"""Ages of members or stream heads in one frame."""
MAX_TOLD = 256
"""Facts or doubts in one frame, about 1,100 bytes each at most."""

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


_name_of = functools.lru_cache(maxsize=16384)(fingerprint)


class Signed(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Something that its origin vouches for: `key` is the origin's, its fingerprint the id."""

    key: Key
    signature: Signature

    @property
    def origin(self) -> str:
        """The id of the member that says so."""
        return _name_of(self.key)


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

    @property
    def about(self) -> tuple[int, int]:
        """What tells one fact of a member from the others: its boot and incarnation."""
        return (self.boot, self.incarnation)


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


class Doubt(Signed, frozen=True, kw_only=True):
    """A witness on another member: silent. `sure`: its port is closed, or its time is over.

    It is about one fact, that of this boot and incarnation, and about no other.
    """

    member: MemberId
    boot: Count
    incarnation: Count
    sure: bool = False

    @property
    def about(self) -> tuple[int, int]:
        """The fact that is doubted, by boot and incarnation."""
        return (self.boot, self.incarnation)


Facts = Annotated[list[Fact], Meta(max_length=MAX_TOLD)]
Doubts = Annotated[list[Doubt], Meta(max_length=MAX_TOLD)]
Channel = Annotated[str, Meta(max_length=32)]
Head = tuple[MemberId, Count, Channel, Count]
"""A stream and how far one is in it: origin, boot, channel, sequence number."""
Span = tuple[MemberId, Count, Channel, Count, Count]
"""A part of a stream: origin, boot, channel, first and last sequence number."""
Names = Annotated[list[Annotated[bytes, Meta(min_length=8, max_length=8)]], Meta(max_length=256)]
"""Records, by the first 8 bytes of their signatures."""


class _Frame(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What one ZeroMQ message holds."""


class Spread(_Frame, frozen=True, tag=2):
    """News on members; `pull` asks for those that the receiver knows."""

    facts: Facts
    doubts: Doubts
    pull: bool = False


class Ping(_Frame, frozen=True, tag=3):
    """Are you there? With it the doubt that stands against you, for you to refute."""

    number: Count
    doubt: Doubt | None = None


class Ack(_Frame, frozen=True, tag=4):
    """I am. From a relay `member` says who is."""

    number: Count
    member: Annotated[str, Meta(pattern=r"^([0-9a-f]{32})?$")] = ""


class PingRequest(_Frame, frozen=True, tag=5):
    """Probe that member for me."""

    number: Count
    member: MemberId


class Beacon(_Frame, frozen=True, tag=1):
    """A unit's latest state, worthless once there is a newer one; `beacons` has what is signed."""

    said: Annotated[bytes, Meta(max_length=8448)]
    signature: Signature


class Events(_Frame, frozen=True, tag=6):
    """Signed events (`records` has what is in one), pushed; or what was wanted.

    Of what was wanted, `upto` says how far in each stream this is all that I have; `more`: there
    is more than fits, ask on. Of what is pushed, `hops` says how many it has made.
    """

    records: Annotated[list[msgspec.Raw], Meta(max_length=256)]
    upto: Annotated[list[Head], Meta(max_length=256)] = []
    more: bool = False
    hops: Annotated[int, Meta(ge=0, le=255)] = 0


class Digest(_Frame, frozen=True, tag=7):
    """Hashes of what I have: of the events and of the members. Silence means the same.

    While events flow, `heads` are the streams that moved last.
    """

    events: Annotated[bytes, Meta(max_length=16)]
    members: Annotated[bytes, Meta(max_length=16)]
    heads: Annotated[list[Head], Meta(max_length=16)] = []


class Heads(_Frame, frozen=True, tag=8):
    """How far I am; `reply` asks how far you are; `whole`: there are no other streams here."""

    heads: Annotated[list[Head], Meta(max_length=256)]
    reply: bool
    whole: bool


class Ask(_Frame, frozen=True, tag=9):
    """A question to one member, who may forget it after `timeout_s`."""

    askid: Count
    kind: Word
    payload: bytes
    timeout_s: Annotated[float, Meta(ge=0, le=86400)] = 0.0


class Answer(_Frame, frozen=True, tag=10):
    """The reply to an ask; if not `ok` the payload is the reason as text."""

    askid: Count
    ok: bool
    payload: bytes


class AnswerPart(_Frame, frozen=True, tag=26):
    """A piece of the answer to an ask, before its end; `seq` counts from 0."""

    askid: Count
    seq: Count
    payload: bytes


class AskOver(_Frame, frozen=True, tag=27):
    """The asker wants no answer any more."""

    askid: Count


class Known(_Frame, frozen=True, tag=11):
    """How new what I know of these members is: member, boot, incarnation, rank.

    Tell me what is newer. `whole`: of live ones that are not among them I know nothing.
    """

    ages: Annotated[
        list[tuple[MemberId, Count, Count, Annotated[int, Meta(ge=0, le=3)]]],
        Meta(max_length=MAX_ITEMS),
    ]
    whole: bool = False


class Neighbour(_Frame, frozen=True, tag=12):
    """A link of the overlay: asked for, granted, or ended.

    `links` is how many the asker has, `members` its digest of them, so that both ends of a new
    link soon know the same.
    """

    word: Literal["ask", "yes", "no"]
    links: Annotated[int, Meta(ge=0, le=255)] = 0
    members: Annotated[bytes, Meta(max_length=16)] = b""


class Want(_Frame, frozen=True, tag=16):
    """Send me these parts of streams, the most urgent first."""

    spans: Annotated[list[Span], Meta(max_length=256)]


class Have(_Frame, frozen=True, tag=17):
    """Plumtree's lazy push: I have these records, which may not have reached you."""

    names: Names


class Graft(_Frame, frozen=True, tag=18):
    """From now on push me what takes their trees; `want`: and send me these records."""

    names: Names
    want: bool


class Prune(_Frame, frozen=True, tag=19):
    """I get this tree's events from others: from now on only tell me that you have them."""

    tree: MemberId


class Quiet(_Frame, frozen=True, tag=20):
    """I hear this unit's beacons from others: leave them out for a while."""

    member: MemberId


class Sprout(_Frame, frozen=True, tag=25):
    """The common tree grows anew from this root: pass it on, and prune where you had it."""

    root: MemberId
    number: Count
    hops: Annotated[int, Meta(ge=0, le=255)]


class StateDelta(_Frame, frozen=True, tag=21):
    """Entries of shared states, pushed or repaired."""

    entries: Annotated[list[Entry], Meta(max_length=256)]


StateHashes = Annotated[
    list[tuple[StateName, Annotated[bytes, Meta(max_length=16)]]], Meta(max_length=64)
]


class StateDigest(_Frame, frozen=True, tag=22):
    """A hash of all shared states that I have; if asked for by one that has others, of each.

    Silence means the same.
    """

    whole: Annotated[bytes, Meta(max_length=16)]
    each: StateHashes | None = None


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
    | AnswerPart
    | AskOver
    | Beacon
    | Known
    | Want
    | Have
    | Graft
    | Prune
    | Quiet
    | Sprout
    | Neighbour
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
    """The same fact or entry, signed."""
    return msgspec.structs.replace(thing, signature=signer.sign(_body(thing)))


def is_genuine(thing: Signed, verifier: Verifier) -> bool:
    """Whether the signature is that of the key inside."""
    return verifier.verify(thing.key, _body(thing), thing.signature)


def _body(thing: Signed) -> bytes:
    unsigned = msgspec.structs.replace(thing, signature=b"")
    return type(thing).__name__.encode() + b"\0" + _encoder.encode(unsigned)
