"""How far peers are behind what we publish, by their own word: the brake on a publisher."""

from __future__ import annotations

from collections import OrderedDict

LAG_S = 0.5
"""A peer's word counts for this long."""
MAX_PEERS = 64


class Backlog:
    """What each peer said last. Who has all says so, or nothing."""

    def __init__(self) -> None:
        self._said: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def said(self, peer: str, lag: int, now: float) -> None:
        """A peer lacks so many of our events; of several streams the worst counts."""
        at, before = self._said.pop(peer, (now, 0))
        self._said[peer] = (now, max(lag, before) if at == now else lag)
        if len(self._said) > MAX_PEERS:
            self._said.popitem(last=False)

    def common(self, peers: int, now: float) -> int:
        """How many events the median of those lacks who spoke lately, of so many peers.

        Where there are several the worst word does not count: one alone, a late comer or a liar,
        must not silence us.
        """
        lags = sorted(lag for at, lag in self._said.values() if now - at <= LAG_S)
        if peers > 1:
            lags = lags[:-1]
        return lags[len(lags) // 2] if lags else 0
