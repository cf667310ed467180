"""What is said about an ask: the question, its parts, its one final answer, and how it fares.

An ask is a question to a capability, known by its `askid` wherever it goes: from a caller to the
orchestrator (topic `asks`), from there to a worker (`NAME/asks`), back (`worked`), and to the
caller (`answers`); to a peer's realm it goes over the swarm. It is msgpack everywhere.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from mtor_swarm.errors import AskError

MAX_PAYLOAD_BYTES = 768 * 1024
"""A picture as JPEG, half a minute of speech; what is larger does not pass between realms."""
MAX_MESSAGE_BYTES = MAX_PAYLOAD_BYTES + 32 * 1024
MAX_STEPS = 32
BETWEEN_REALMS = "ask"
"""The kind of a question between members of the swarm that holds an Ask."""

AskId = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z")]
Word = Annotated[str, Meta(min_length=1, max_length=64)]
Text = Annotated[str, Meta(max_length=1024)]
Payload = Annotated[bytes, Meta(max_length=MAX_PAYLOAD_BYTES)]
Seconds = Annotated[float, Meta(ge=0, le=86400)]
Turn = Annotated[int, Meta(ge=0, lt=2**53)]
"""Which handing out of an ask this is about: a worker gives back the number that it was given, so
that what comes late of an earlier try is told apart. Callers leave it 0."""
State = Literal["queued", "loading", "running", "retried", "borrowed"]


class _Said(msgspec.Struct, frozen=True, array_like=True):
    """A message: an array of its fields, the first of which says which it is."""


class Step(msgspec.Struct, frozen=True, array_like=True):
    """One step of an ask's way (`mtor ask --trace`): what, by whom, seconds after it was asked."""

    what: Word
    who: Text
    at_s: float


class Ask(_Said, frozen=True, kw_only=True, tag=1):
    """A question. `timeout_s` is the time it has left from when it is received."""

    askid: AskId
    capability: Word
    payload: Payload
    kind: Word = "application/json"
    """The media type of the payload (RFC 6838)."""
    caller: Word
    """Who asks, for fairness and limits: a worker's source, a person, a program."""
    priority: Annotated[int, Meta(ge=0, le=3)] = 2
    timeout_s: Seconds = 30.0
    options: dict[Word, Text] = {}
    stream: bool = False
    """Whether the caller wants to hear of it while it lasts: its Status, its Parts."""
    hops: Annotated[int, Meta(ge=0, le=1)] = 0
    """1: it comes from a peer's realm, and goes no further."""
    turn: Turn = 0


class Cancel(_Said, frozen=True, kw_only=True, tag=2):
    """The caller wants no answer any more; the final one says so."""

    askid: AskId
    reason: Text = "cancelled"


class Part(_Said, frozen=True, kw_only=True, tag=3):
    """A piece of a streamed answer, in order of `seq` from 0; a retry begins again at 0."""

    askid: AskId
    seq: Annotated[int, Meta(ge=0)]
    payload: Payload
    kind: Word = "text/plain"
    turn: Turn = 0


class Answer(_Said, frozen=True, kw_only=True, tag=4):
    """The one final answer. If not `ok`, `reason` says why and what to do."""

    askid: AskId
    ok: bool
    payload: Payload = b""
    kind: Word = "application/json"
    reason: Text = ""
    retryable: bool = False
    """From a worker: another one may do better. To a caller: ask again later."""
    retry_s: Seconds | None = None
    """When to come back, if it was refused because too much waits."""
    worker: Text = ""
    steps: Annotated[list[Step], Meta(max_length=MAX_STEPS)] = []
    turn: Turn = 0


class Status(_Said, frozen=True, kw_only=True, tag=5):
    """How an ask fares: its place in the queue (from 1), or who works on it."""

    askid: AskId
    state: State
    place: int = 0
    worker: Text = ""
    wait_s: Seconds | None = None
    """About how long until it is handed out, if it waits and that is known."""


class Offer(_Said, frozen=True, kw_only=True, tag=6):
    """What a worker can be asked, told on topic `offers` while it is configured."""

    worker: Word
    capability: Word
    concurrency: Annotated[int, Meta(ge=1, le=1024)] = 1
    """Asks that it takes at a time; the others wait in the orchestrator's queue."""
    lend: bool = True
    """Whether peers may ask it, unless the realm's `allow_lending` says otherwise."""


Said = Ask | Cancel | Part | Answer | Status | Offer
_decoder: msgspec.msgpack.Decoder[Said] = msgspec.msgpack.Decoder(
    Ask | Cancel | Part | Answer | Status | Offer
)
_encoder = msgspec.msgpack.Encoder()


def encode(said: Said) -> bytes:
    """Its bytes; AskError if they are too many, or a text in it is none."""
    try:
        raw = _encoder.encode(said)
    except UnicodeEncodeError as error:  # half a character, as of a command line that is no UTF-8
        raise AskError(f"{type(said).__name__}: {error}: write it in UTF-8") from None
    if len(raw) > MAX_MESSAGE_BYTES:
        raise AskError(
            f"{type(said).__name__} {getattr(said, 'askid', '')} has {len(raw)} bytes; "
            f"{MAX_MESSAGE_BYTES} at most: send a smaller picture or a shorter text"
        )
    return raw


def decode(raw: bytes) -> Said:
    """The message in these bytes, whatever they are; AskError if they hold none."""
    if len(raw) > MAX_MESSAGE_BYTES:
        raise AskError(f"{len(raw)} bytes where an ask has {MAX_MESSAGE_BYTES} at most")
    try:
        return _decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError) as error:
        raise AskError(f"not an ask, nor anything about one: {error}") from None
