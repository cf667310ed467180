"""What the rooms ask of each other: the Protocols that stand at every seam.

A room is handed one of these and never looks behind it, so that the same code runs on a robot, in
a simulator and in a test. Implementations live at the edges (`swarm/transport`, `realm/bus`,
`models/`, `sim/`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from mtor_swarm.events import Event

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]
else:  # a member of the swarm sees no pictures, and numpy is half of its memory
    Picture = Any
"""An image, shape (height, width, 3), BGR order as OpenCV has it, values 0 to 255."""


class Clock(Protocol):
    """A source of time in seconds; only differences mean anything."""

    def __call__(self) -> float: ...


class Bus(Protocol):
    """Events in and out, whoever carries them (a realm's ROS topics, a swarm's gossip)."""

    def publish(self, event: Event) -> None:
        """Hand the event over; never blocks."""

    def subscribe(
        self, types: Iterable[str], callback: Callable[[Event], None]
    ) -> Callable[[], None]:
        """Call back for each event whose type is in `types`; returns what ends it."""


class Radio(Protocol):
    """Who hears whom: asked for every frame that arrives; a simulated one drops or delays."""

    def delay_s(self, sender: str, receiver: str) -> float | None:
        """Seconds until the frame is heard (0.0 at once), or None if it never is."""


class Signer(Protocol):
    """The private half of an identity."""

    public_key: bytes

    def sign(self, message: bytes) -> bytes:
        """The 64-byte Ed25519 signature (RFC 8032) of `message`."""


class Issuer(Signer, Protocol):
    """Whose commands units obey: with keys, by the certificate that it shows."""

    certificate: bytes


class Verifier(Protocol):
    """Checks signatures, so that pure rooms need no cryptography."""

    def verify(self, public_key: bytes, message: bytes, signature: bytes) -> bool:
        """Whether `signature` is that key's signature of `message`; never raises."""


class Detection(msgspec.Struct, frozen=True):
    """One object in one picture: box in pixels of that picture, origin at its top left."""

    label: str
    score: float
    left: float
    top: float
    width: float
    height: float


class Detector(Protocol):
    """The model behind the capability `detect`."""

    labels: Sequence[str]

    def detect(self, picture: Picture) -> list[Detection]:
        """Everything seen above the confidence that the detector was made with."""

    def close(self) -> None:
        """Let go of the model's memory."""


class Swarm(Protocol):
    """What a watcher of the swarm sees and may do; `swarm/observer.py` is the real one."""

    def snapshot(self) -> dict[str, Any]:
        """Units, members, recent events, shared states and counters, as plain JSON values."""

    def listen(self, callback: Callable[[str, dict[str, Any]], None]) -> Callable[[], None]:
        """Call back (kind, value) from the swarm's thread on every change; returns what ends it.

        Kinds: `event` (an event as `event_to_dict` has it), `unit` (one unit of the snapshot),
        `member` (one member of the snapshot), `shared` (`id` names the state, `key` the item that
        changed).
        """

    def publish(self, event: Event) -> None:
        """Spread an event to the swarm; never blocks."""

    def ask(self, unit: str, kind: str, payload: bytes, timeout_s: float) -> Future[bytes]:
        """Ask one unit's realm directly; the future fails with SwarmError if no answer comes."""
