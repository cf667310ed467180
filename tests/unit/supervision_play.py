"""A supervisor played in virtual time."""

from __future__ import annotations

import random

from mtor_swarm.config import SupervisionConfig
from mtor_swarm.events import WorkerChanged
from mtor_swarm.realm.supervision import Supervisor
from mtor_swarm.realm.supervision_io import (
    Activate,
    Ask,
    Configure,
    LivelinessLost,
    ProcessEnded,
    Report,
    SetTimer,
    StateKnown,
    Tick,
    TransitionDone,
    TransitionFailed,
    Worked,
    WorkerFailed,
    WorkerSeen,
)

CONFIG = SupervisionConfig(failures_in_window=3, configure_timeout_s=60.0)


class Play:
    """A supervisor and the time, with what it wants in short words."""

    def __init__(self, *workers: str, config: SupervisionConfig = CONFIG) -> None:
        self.now = 100.0
        self.name = workers[0]
        self.supervisor = Supervisor(workers, config, rng=random.Random(1), now=self.now)
        self.turns: dict[str, int] = {}
        self.timer: float | None = None
        self.reports: list[WorkerChanged] = []

    def _handle(self, event) -> list[str]:
        wants = []
        for action in self.supervisor.handle(event, self.now):
            if isinstance(action, SetTimer):
                self.timer = action.at_s
            elif isinstance(action, Report):
                self.reports.append(action.change)
            else:
                if isinstance(action, Ask | Configure | Activate):
                    self.turns[action.worker] = action.turn
                wants.append(f"{action.__class__.__name__.lower()} {action.worker}")
        return wants

    def seen(self, name="") -> list[str]:
        return self._handle(WorkerSeen(name or self.name))

    def lost(self, name="", *, doubted=False) -> list[str]:
        return self._handle(LivelinessLost(name or self.name, doubted))

    def is_(self, label: str, name="") -> list[str]:
        name = name or self.name
        return self._handle(StateKnown(name, self.turns[name], label))

    def done(self, name="") -> list[str]:
        name = name or self.name
        return self._handle(TransitionDone(name, self.turns[name]))

    def refused(self, reason="no", name="") -> list[str]:
        name = name or self.name
        return self._handle(TransitionFailed(name, self.turns[name], reason))

    def said(self, reason: str, name="") -> list[str]:
        return self._handle(WorkerFailed(name or self.name, reason))

    def ended(self, fault="crash", reason="killed by SIGSEGV", name="") -> list[str]:
        return self._handle(ProcessEnded(name or self.name, fault, reason))

    def worked(self, *, ok=True, seconds=0.1, late=False, sort="", name="") -> list[str]:
        return self._handle(Worked(name or self.name, ok, seconds, late, sort))

    def wait(self) -> list[str]:
        """Until the timer that was set."""
        assert self.timer is not None
        self.now, self.timer = self.timer, None
        return self._handle(Tick())

    def state(self, name="") -> str:
        return self.supervisor.states()[name or self.name][0]

    def reason(self, name="") -> str:
        return self.supervisor.states()[name or self.name][1]

    def up(self, name="") -> None:
        assert self.seen(name) == [f"ask {name or self.name}"]
        self.is_("unconfigured", name)
        self.done(name)
        self.done(name)
        assert self.state(name) == "active"
