"""What supervision knows of one worker."""

from __future__ import annotations

from typing import Literal

from mtor_swarm.config import SupervisionConfig
from mtor_swarm.realm.health import Health
from mtor_swarm.realm.restarts import Failures
from mtor_swarm.realm.supervision_io import Fault, State

Step = Literal["", "turn", "ask", "configure", "activate"]
"""What a worker is waited for: its turn, or the answer to a request."""


class Record:
    """One worker: its state, what it is waited for, and what speaks against it."""

    def __init__(self, name: str, config: SupervisionConfig, *, built_in: bool) -> None:
        self.name = name
        self.built_in = built_in
        self.state: State = "absent"
        self.step: Step = ""
        self.turn = 0  # raised when answers to what was asked before no longer count
        self.asks = 0
        self.alive = False
        self.gone = False  # its process has ended, and was not started again by us
        self.killed = False  # by us, who know why
        self.due_s: float | None = None
        self.failures = Failures(config)
        self.fault: Fault = ""
        self.cause = ""
        self.plan = ""
        self.health = Health()
        self.ill: tuple[Fault, str] = ("", "")
        self.twins_s: float | None = None
        self.look_s: float | None = None

    @property
    def shown(self) -> tuple[State, Fault, str]:
        """Its state as it is told, what is wrong in a word, and why."""
        if self.state == "active" and self.ill[0]:
            return "degraded", *self.ill
        return self.state, self.fault, f"{self.cause} ({self.plan})" if self.plan else self.cause

    def counted(self, count: int, until_s: float) -> None:
        """So many nodes have this name; one that died may still seem to live `until_s`."""
        if count < 2:
            self.twins_s = None
        elif self.twins_s is None:
            self.twins_s = until_s

    def looked_at(self, now: float) -> bool:
        """Whether how well it works has changed; sets when that may be so again."""
        twins = self.twins_s is not None and self.twins_s <= now
        fault: Fault = "twice" if twins else self.health.fault(now)
        changed = self.state == "active" and fault != self.ill[0]
        if changed:
            reason = "another node has its name: stop one" if twins else self.health.reason(now)
            self.ill = (fault, reason if fault else "")
        due = [self.health.well_s(now), None if twins else self.twins_s]
        self.look_s = min((each for each in due if each is not None), default=None)
        return changed
