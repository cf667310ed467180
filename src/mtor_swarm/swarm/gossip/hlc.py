"""Hybrid logical clock: wall time that never runs against causality.

Kulkarni, Demirbas, Madappa, Avva, Leone: "Logical Physical Clocks" (OPODIS 2014). A stamp is one
integer, 48 bits of Unix milliseconds and 16 bits of counter, so that stamps compare as numbers.
"""

from __future__ import annotations

MAX_AHEAD_S = 60.0
"""A stamp further ahead of our wall clock than this is refused: it would drag everyone along."""
_COUNTER = 1 << 16
MAX_STAMP = (1 << 63) - 1


class Clock:
    """The hybrid clock of one member; the wall time (Unix seconds) is handed in."""

    def __init__(self) -> None:
        self.last = 0

    def tick(self, wall_s: float) -> int:
        """The stamp of something that happens here now: above all that was seen before."""
        self.last = max(self.last + 1, at(wall_s))
        return self.last

    def observe(self, stamp: int, wall_s: float) -> bool:
        """Take note of another's stamp; False, and no change, if it is too far in the future."""
        if not 0 <= stamp <= at(wall_s + MAX_AHEAD_S):
            return False
        self.last = max(self.last, stamp)
        return True


def text(stamp: int) -> str:
    """The stamp as text that sorts as the stamps do: `milliseconds-counter`, both in hex."""
    return f"{stamp // _COUNTER:012x}-{stamp % _COUNTER:04x}"


def seconds(stamp: int) -> float:
    """The stamp's wall time, in Unix seconds."""
    return stamp // _COUNTER / 1000


def at(wall_s: float) -> int:
    """The least stamp of that wall time, in Unix seconds."""
    return int(wall_s * 1000) * _COUNTER
