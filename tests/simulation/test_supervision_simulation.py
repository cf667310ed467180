"""An hour of faults on the machine of supervision, in virtual time."""

from __future__ import annotations

import random

import pytest

from mtor_swarm.config import SupervisionConfig
from mtor_swarm.realm import supervision_io as io
from mtor_swarm.realm.supervision import Supervisor

HOUR_S = 3600.0
FAULT_S = 5.0
CONFIG = SupervisionConfig(configure_timeout_s=20.0, restarts_in_window=30)
BORN, MORE = ("reflex", "gossip"), ("a", "b", "c", "d")


class World:
    """Processes of one worker each, which start, answer, crash, hang and come back."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.now = 0.0
        self.queue: list[tuple[float, int, io.Input]] = []
        self.labels = dict.fromkeys((*BORN, *MORE), "")
        self.timer: float | None = None
        self.starts: list[float] = []
        self.most_queued = 0
        self.supervisor = Supervisor(BORN, CONFIG, rng=self.rng, now=0.0)
        for name in (*BORN, *MORE):
            self.feed(io.WorkerAdded(name))
            self.start(name)

    def later(self, seconds: float, what: io.Input) -> None:
        self.queue.append((self.now + seconds, len(self.queue), what))
        self.queue.sort(key=lambda each: each[:2])

    def start(self, name: str) -> None:
        if not self.labels[name]:
            self.labels[name] = "unconfigured"
            self.later(self.rng.uniform(0.3, 1.5), io.WorkerSeen(name))

    def feed(self, event: io.Input) -> None:
        for action in self.supervisor.handle(event, self.now):
            self.do(action)

    def do(self, action: io.Action) -> None:
        if isinstance(action, io.SetTimer):
            self.timer = action.at_s
        elif isinstance(action, io.Start):
            self.starts.append(self.now)
            self.start(action.worker)
        elif isinstance(action, io.Kill):
            self.end(action.worker, "hang" if self.labels[action.worker] else "")
        elif isinstance(action, io.Ask) and self.labels[action.worker] not in ("", "hung"):
            label = self.labels[action.worker]
            self.later(0.01, io.StateKnown(action.worker, action.turn, label))
        elif isinstance(action, io.Configure | io.Activate):
            self.turn(action)

    def turn(self, action: io.Configure | io.Activate) -> None:
        name, turn = action.worker, action.turn
        if self.labels[name] in ("", "hung"):
            return
        if self.rng.random() < 0.1:
            self.later(0.1, io.TransitionFailed(name, turn, "truncated"))
            return
        self.labels[name] = "inactive" if isinstance(action, io.Configure) else "active"
        self.later(self.rng.uniform(0.1, 2.0), io.TransitionDone(name, turn))

    def end(self, name: str, fault: io.Fault) -> None:
        self.labels[name] = ""
        self.later(0.05, io.ProcessEnded(name, fault, fault))

    def fault(self) -> None:
        name = self.rng.choice(MORE)
        if self.labels[name] in ("", "hung"):
            return
        if self.rng.random() < 0.6:
            self.end(name, "crash")
        else:
            self.labels[name] = "hung"
            self.later(CONFIG.heartbeat_lease_s, io.LivelinessLost(name))

    def run(self, until_s: float, *, faults: bool) -> None:
        next_fault_s = self.now
        while True:
            due = [self.queue[0][0] if self.queue else until_s, self.timer or until_s, until_s]
            self.now = min(*due, next_fault_s if faults else until_s)
            if self.now >= until_s:
                return
            self.most_queued = max(self.most_queued, len(self.queue))
            if faults and self.now >= next_fault_s:
                next_fault_s += FAULT_S
                self.fault()
            elif self.queue and self.queue[0][0] <= self.now:
                self.feed(self.queue.pop(0)[2])
            else:
                self.timer = None
                self.feed(io.Tick())


@pytest.mark.parametrize("seed", range(5))
def test_an_hour_of_faults_leaves_nobody_without_a_way_back_and_no_restart_beyond_the_budget(seed):
    world = World(seed)
    world.run(HOUR_S, faults=True)
    assert len(world.starts) > 100, "that was no hour of faults"
    for at in world.starts:
        window = [each for each in world.starts if at <= each < at + CONFIG.window_s]
        assert len(window) <= CONFIG.restarts_in_window
    assert world.most_queued < 100
    world.run(HOUR_S + 5 * CONFIG.quarantine_s, faults=False)
    states = world.supervisor.states()
    assert {state for state, _ in states.values()} == {"active"}, states
