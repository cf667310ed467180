"""What becomes of a frame between two simulated members: lost, late, twice, or out of earshot."""

from __future__ import annotations

import random

from mtor_swarm.ports import Radio
from mtor_swarm.swarm.delivery import DATAGRAM_BYTES

RETRANSMIT_S = 0.2
"""The least retransmission timeout of Linux's TCP; it doubles with each loss (RFC 6298)."""
RETRANSMITS = 6


class Network:
    """The state of all links. `side` parts the swarm: members of unequal sides hear nothing."""

    def __init__(self, rng: random.Random, radio: Radio | None = None) -> None:
        self.rng = rng
        self.radio = radio
        self.loss = 0.0
        self.duplication = 0.0
        self.delay_s = (0.0005, 0.003)
        self.streams = True
        self.side: dict[str, int] = {}

    def hears(self, sender: str, receiver: str) -> bool:
        """Whether anything gets from one to the other (their names)."""
        return not self.side or self.side.get(sender, 0) == self.side.get(receiver, 0)

    def is_stream(self, size: int, reliable: bool) -> bool:
        """Whether a frame of so many bytes rides a stream; none does if `streams` is off."""
        return self.streams and (reliable or size > DATAGRAM_BYTES)

    def delays(self, stream: bool) -> list[float]:
        """When the copies of a frame arrive, in seconds from now.

        A datagram is lost with the probability `loss`; on a stream that costs a retransmission.
        """
        chance = self.rng.random
        late = self._late()
        if stream:
            for attempt in range(RETRANSMITS):
                if not self.loss or chance() >= self.loss:
                    return [late]
                late += RETRANSMIT_S * 2**attempt
            return []
        found = [] if self.loss and chance() < self.loss else [late]
        if self.duplication and chance() < self.duplication:
            late = self._late()
            found += [] if self.loss and chance() < self.loss else [late]
        return found

    def _late(self) -> float:
        least, most = self.delay_s
        return least + (most - least) * self.rng.random()

    def radio_delay_s(self, sender: str, receiver: str) -> float | None:
        """What the radio adds (ids, not names); None: out of earshot."""
        return 0.0 if self.radio is None else self.radio.delay_s(sender, receiver)
