"""How often and how soon what failed is tried again: back-off with jitter, windows, a budget."""

from __future__ import annotations

import random
from collections import deque

from mtor_swarm.config import SupervisionConfig


def delay_s(failures: int, config: SupervisionConfig, rng: random.Random) -> float:
    """Seconds until the next try after so many failures in a row: doubling, with half of jitter.

    Jitter, so that what fell together does not rise together (Brooker, "Exponential backoff and
    jitter", 2015: "equal jitter"). None after no failure.
    """
    if failures <= 0:
        return 0.0
    doublings = min(failures - 1, 30)  # 2.0 ** more than this overflows nobody's patience
    whole = min(config.restart_first_s * 2.0**doublings, config.restart_most_s)
    return whole * rng.uniform(0.5, 1.0)


class Failures:
    """When one worker failed within the window: too often means quarantine."""

    def __init__(self, config: SupervisionConfig) -> None:
        self._config = config
        self._at_s: deque[float] = deque(maxlen=config.failures_in_window)

    def __len__(self) -> int:
        return len(self._at_s)

    def add(self, now: float) -> None:
        """One more; those before the window no longer count."""
        self._at_s.append(now)
        while self._at_s[0] <= now - self._config.window_s:
            self._at_s.popleft()

    @property
    def too_many(self) -> bool:
        """Whether quarantine is due."""
        return len(self) >= self._config.failures_in_window

    def forget(self) -> None:
        """A clean slate."""
        self._at_s.clear()


class Budget:
    """Restarts that the realm as a whole may make within a window, whoever fails.

    What a unit needs for its safety is restarted always (`needed`), but counts.
    """

    def __init__(self, config: SupervisionConfig) -> None:
        self._config = config
        self._at_s: deque[float] = deque(maxlen=config.restarts_in_window)

    def take(self, now: float, *, needed: bool = False) -> bool:
        """Whether one more may be made now; if so, it is counted."""
        while self._at_s and self._at_s[0] <= now - self._config.window_s:
            self._at_s.popleft()
        if len(self._at_s) == self._at_s.maxlen and not needed:
            return False
        self._at_s.append(now)
        return True

    @property
    def again_s(self) -> float:
        """When the next may be made, after `take` said no."""
        return self._at_s[0] + self._config.window_s
