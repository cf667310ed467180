"""What the counters of datagrams tell: which came before, how many are lost, whether any arrive.

Pure: times are handed in. Replays are told by a window (RFC 6479). That ours arrive we know from
what comes back: with every packet a peer says how far it has ours, and one that we have had no
word from for a while is asked for it.
"""

from __future__ import annotations

import math

SURE_S = 10.0
WAITED_S = 0.5
ASK_S = 0.05
"""Asks are so far apart, that a burst is not taken for silence."""
GIVE_UP = 6
"""So many asks in a row that were not confirmed: datagrams are blocked there."""
TRIAL_S = 2.0
LOSS_PACKETS = 20
NO_LOSS = 0.004
"""Below this a loss is told as none."""


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
