"""Signed events on their way: a header that its origin signed, and the event's own bytes.

The signature is over the header's bytes as they travel, and the header has the payload's hash. So
a record is decoded once, checked without encoding anything, and passed on as the bytes that came;
and a header alone, its payload gone, still proves that its origin got that far.
"""

from __future__ import annotations

import functools
import hashlib
from typing import Annotated

import msgspec
from msgspec import Meta

from mtor_swarm.errors import WireError
from mtor_swarm.events import MAX_EVENT_BYTES, fingerprint
from mtor_swarm.ports import Signer, Verifier
from mtor_swarm.swarm.gossip.wire import VERSION, Count, Key, Signature

StreamKey = tuple[str, int, str]
"""Origin, boot, channel: what order holds in."""
CONTEXT = b"Record\0"
"""Signed before the header, so that no signature of another kind can pass for a record's."""


class Header(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What the origin signs. `digest` is the BLAKE2b hash of the payload, 16 bytes."""

    key: Key
    version: Annotated[int, Meta(ge=1, le=255)]
    boot: Count
    channel: Annotated[str, Meta(min_length=1, max_length=32)]
    seq: Annotated[int, Meta(ge=1, le=2**62)]
    priority: Annotated[int, Meta(ge=0, le=3)]
    stamp: Count
    type: Annotated[str, Meta(min_length=1, max_length=128)]
    digest: Annotated[bytes, Meta(min_length=16, max_length=16)]


class Packed(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A record as it travels; without a payload it only proves its sequence number."""

    header: Annotated[bytes, Meta(max_length=512)]
    signature: Signature
    payload: Annotated[bytes, Meta(max_length=MAX_EVENT_BYTES)] | None

    @property
    def name(self) -> bytes:
        """What peers call it among themselves: no two records are signed the same."""
        return self.signature[:8]


class Record(msgspec.Struct, frozen=True):
    """A record, decoded: `raw` is what is passed on."""

    key: StreamKey
    header: Header
    packed: Packed
    raw: bytes

    @property
    def seq(self) -> int:
        """Its place in its stream."""
        return self.header.seq

    @property
    def priority(self) -> int:
        """0 is the most urgent."""
        return self.header.priority


_name_of = functools.lru_cache(maxsize=4096)(fingerprint)
_encoder = msgspec.msgpack.Encoder()
_packed = msgspec.msgpack.Decoder(Packed)
_header = msgspec.msgpack.Decoder(Header)


def make(
    signer: Signer,
    key: StreamKey,
    seq: int,
    *,
    priority: int,
    stamp: int,
    type: str,
    payload: bytes,
) -> Record:
    """A record of our own, signed."""
    _, boot, channel = key
    digest = _digest(payload)
    header = Header(signer.public_key, VERSION, boot, channel, seq, priority, stamp, type, digest)
    signed = _encoder.encode(header)
    packed = Packed(signed, signer.sign(CONTEXT + signed), payload)
    return Record(key, header, packed, _encoder.encode(packed))


def unpack(raw: bytes | msgspec.Raw) -> Packed:
    """The outer parts of a record, enough to see whether it is had; WireError if it is none."""
    try:
        return _packed.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"not a record: {error}") from None


def read(packed: Packed, raw: bytes | msgspec.Raw) -> Record:
    """All of a record; WireError if the header is none or the payload is not the header's."""
    try:
        header = _header.decode(packed.header)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"not a record's header: {error}") from None
    if packed.payload is not None and _digest(packed.payload) != header.digest:
        raise WireError("a record with another's payload")
    return Record((_name_of(header.key), header.boot, header.channel), header, packed, bytes(raw))


def is_genuine(record: Record, verifier: Verifier) -> bool:
    """Whether the origin signed it."""
    packed = record.packed
    return verifier.verify(record.header.key, CONTEXT + packed.header, packed.signature)


def proof_of(raw: bytes) -> Record:
    """A record that was read before, without its payload."""
    packed = msgspec.structs.replace(_packed.decode(raw), payload=None)
    return read(packed, _encoder.encode(packed))


def _digest(payload: bytes) -> bytes:
    return hashlib.blake2b(payload, digest_size=16).digest()
