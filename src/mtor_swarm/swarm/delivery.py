"""What the counters of datagrams tell: which came before, how many are lost, whether any arrive.

Pure: times are handed in. Replays are told by a window (RFC 6479). That ours arrive we know from
what comes back: with every packet a peer says how far it has ours, and one that we have had no
word from for a while is asked for it.
"""

from __future__ import annotations

import math

DATAGRAM_BYTES = 1187
"""The largest frame that rides one: with all headers it fits IPv6's least MTU (RFC 8200: 1280)."""
SURE_S = 10.0
WAITED_S = 0.5
ASK_S = 0.05
"""Asks are so far apart, that a burst is not taken for silence."""
GIVE_UP = 6
"""So many asks in a row that were not confirmed: datagrams are blocked there."""
TRIAL_S = 2.0
SAID = 32
"""So many of the last packets a confirmation tells of, one by one."""
LOSS_PACKETS = 20
NO_LOSS = 0.004
"""Below this a loss is told as none."""


class Window:
    """Which counters of a peer came: each one once, none older than `WIDTH` below the newest."""

    WIDTH = 1024

    def __init__(self) -> None:
        self.highest = 0
        self._seen = 0

    @property
    def came(self) -> int:
        """Which of the last `SAID` came: bit 0 is the highest one, bit 1 the one before it."""
        return self._seen & ((1 << SAID) - 1)

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
        self._came = 0
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

    def send(self, now: float, must: bool = False) -> tuple[int, bool, bool]:
        """The next packet's counter, whether it is unsure to arrive, and whether it asks.

        What `must` arrive always asks, and is unsure until it is confirmed itself.
        """
        self._sent = self._awaited = self._sent + 1
        if self._waits_since is None:
            self._waits_since = now
        unsure = must or now > self._sure_until or now - self._waits_since > WAITED_S
        counts = unsure and now - self._asked_at >= ASK_S
        if counts:
            self._asked_at = now
            self._asked += 1
        return self._sent, unsure, counts or must

    def confirm(self) -> int:
        """The counter of a packet that only confirms, and waits for nothing itself."""
        self._sent += 1
        return self._sent

    def is_confirmed(self, counter: int) -> bool:
        """Whether that packet arrived, as far as the peer has told."""
        behind = self._confirmed - counter
        return 0 <= behind < SAID and bool(self._came >> behind & 1)

    def heard(self, highest: int, came: int, now: float) -> float | None:
        """The peer has our packets up to `highest`, and before it those whose bits are in `came`.

        Seconds since we asked, if it is clear which ask that answers.
        """
        if not self._confirmed < highest <= self._sent:
            return None
        took = now - self._asked_at if self._asked == 1 else None
        self._confirmed, self._came = highest, came
        self._asked, self._asked_at, self._sure_until = 0, -math.inf, now + SURE_S
        self._waits_since = now if highest < self._awaited else None
        return took
