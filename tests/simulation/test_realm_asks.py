"""An hour of asks in virtual time: workers die, lie and dawdle; each ask has one final answer."""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections import Counter

import pytest

from mtor_swarm.config import AsksConfig, WorkerConfig
from mtor_swarm.realm.ask_effects import (
    Borrow,
    NotComing,
    Scale,
    SetTimer,
    Staff,
    Tick,
    ToCaller,
    ToWorker,
    Unlent,
    WorkerActive,
    WorkerDraining,
    WorkerGone,
)
from mtor_swarm.realm.ask_tries import STUCK_S
from mtor_swarm.realm.ask_wire import Answer, Ask, Cancel, Offer, Part, Status
from mtor_swarm.realm.asks import Asks

HOUR_S = 3600.0
SLACK_S = 1e-6
CAPABILITIES = ("see", "hear", "speak")


class Rough:
    """A realm in which everything goes wrong at times, by a seed."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.now = 0.0
        self.asks = Asks(AsksConfig(waiting_most=64, waiting_each=24), "r1", now=0.0)
        self.later: list = []
        self.order = itertools.count()
        self.timer: float | None = None
        self.up: set[str] = set()
        self.running: dict[str, dict[int, float]] = {}
        self.finals: Counter[str] = Counter()
        self.asked: dict[str, tuple[float, float]] = {}
        self.cancelled: set[str] = set()
        self.outcomes: Counter[str] = Counter()
        self.scaled: Counter[int] = Counter()
        self.rooms = {f"w{n}": (CAPABILITIES[n % 3], 1 + n % 2) for n in range(5)}
        self.rooms["sleeper"] = ("dream", 2)
        self.feed(Staff({"sleeper": WorkerConfig(kind="k", least=0, idle_s=10.0)}))

    def at(self, delay_s: float, what, *args) -> None:
        heapq.heappush(self.later, (self.now + delay_s, next(self.order), what, args))

    def run(self, until_s: float) -> None:
        while self.later or self.timer is not None:
            next_s = min(self.timer or math.inf, self.later[0][0] if self.later else math.inf)
            if next_s > until_s:
                break
            self.now = next_s
            if self.timer is not None and self.timer <= next_s:
                self.timer = None
                self.feed(Tick())
            else:
                _, _, what, args = heapq.heappop(self.later)
                what(*args)

    def feed(self, event) -> None:
        for effect in self.asks.handle(event, self.now):
            if isinstance(effect, SetTimer):
                self.timer = max(effect.at_s, self.now)
            elif isinstance(effect, ToCaller):
                self.hear(effect.said)
            elif isinstance(effect, ToWorker) and isinstance(effect.said, Ask):
                self.work(effect.worker, effect.said)
            elif isinstance(effect, Borrow):
                self.at(0.0, self.lend, effect.ask)
            elif isinstance(effect, Scale):
                self.at(0.0, self.scale, effect)

    # Callers.

    def caller(self) -> None:
        ask = Ask(
            askid=f"{self.rng.getrandbits(128):032x}",
            capability=self.rng.choice([*CAPABILITIES * 4, "fly", "dream"]),
            payload=b"?" * self.rng.randrange(50),
            caller=self.rng.choice("abc"),
            priority=self.rng.randrange(4),
            timeout_s=self.rng.choice([0.0, 0.5, 5.0, 30.0, 90.0]),
            stream=self.rng.random() < 0.5,
            hops=int(self.rng.random() < 0.2),
        )
        self.asked[ask.askid] = (self.now, self.now + ask.timeout_s)
        self.feed(ask)
        if self.rng.random() < 0.1:
            self.at(self.rng.expovariate(0.5), self.cancel, ask.askid)
        if self.rng.random() < 0.05 and not self.finals[ask.askid]:
            self.feed(ask)
        self.at(self.rng.expovariate(1.5), self.caller)

    def cancel(self, askid: str) -> None:
        self.feed(Cancel(askid=askid))
        self.feed(Cancel(askid=askid))

    def hear(self, said: Status | Part | Answer) -> None:
        assert said.askid in self.asked
        assert not self.finals[said.askid], "nothing follows the final answer"
        if isinstance(said, Answer):
            self.finals[said.askid] += 1
            self.outcomes["ok" if said.ok else said.reason.split(",")[0][:20]] += 1
            assert self.now <= self.asked[said.askid][1] + SLACK_S
            assert [each.at_s for each in said.steps] == sorted(each.at_s for each in said.steps)

    # Workers.

    def toggle(self, name: str) -> None:
        if name not in self.up:
            self.come(name)
        elif self.rng.random() < 0.3:
            self.feed(WorkerDraining(name))
            self.at(1.0, self.gone, name)
        else:
            self.gone(name)
        self.at(self.rng.expovariate(1 / 40), self.toggle, name)

    def come(self, name: str) -> None:
        capability, room = self.rooms[name]
        self.up.add(name)
        self.running[name] = {}
        self.feed(Offer(worker=name, capability=capability, concurrency=room))
        self.feed(WorkerActive(name))

    def gone(self, name: str) -> None:
        self.up.discard(name)
        self.feed(WorkerGone(name, "killed"))

    def work(self, name: str, ask: Ask) -> None:
        assert name in self.up, "only a worker that is up is given anything"
        held = [until_s for until_s in self.running[name].values() if until_s > self.now]
        assert len(held) < self.rooms[name][1], "a worker has no more than it offered"
        self.running[name][ask.turn] = self.now + ask.timeout_s + STUCK_S
        how = self.rng.random()
        took_s = self.rng.expovariate(1.0)
        if ask.stream:
            for seq in range(3):
                self.at(
                    took_s * seq / 3,
                    self.say,
                    Part(askid=ask.askid, seq=seq, payload=b".", turn=ask.turn),
                )
        if how < 0.03:
            return  # it never lets go
        if how < 0.08:
            took_s += 60.0
        ok, retry_s = how > 0.2, 1.0 if how < 0.1 else None
        answer = Answer(
            askid=ask.askid, ok=ok, retryable=not ok and how < 0.17, retry_s=retry_s, turn=ask.turn
        )
        self.at(took_s, self.end, name, answer)
        if how > 0.9:
            self.at(took_s + 1.0, self.say, answer)
        if how > 0.95:
            self.at(took_s / 2, self.say, Answer(askid="f" * 32, ok=True, turn=ask.turn))

    def end(self, name: str, answer: Answer) -> None:
        self.running[name].pop(answer.turn, None)
        self.say(answer)

    def say(self, said: Part | Answer) -> None:
        self.feed(said)

    def scale(self, wanted: Scale) -> None:
        self.scaled[wanted.count] += 1
        if wanted.count == 0:
            self.up.discard(wanted.worker)
            self.feed(WorkerGone(wanted.worker, "it sleeps", forget=True))
        elif self.rng.random() < 0.1:
            self.feed(NotComing(wanted.worker))
        else:
            self.at(3.0, self.come, wanted.worker)

    # Peers.

    def lend(self, ask: Ask) -> None:
        how = self.rng.random()
        if how < 0.4:
            self.feed(Unlent(ask.askid, ask.turn))
        elif how < 0.9:
            self.feed(Status(askid=ask.askid, state="borrowed", worker="r3"))
            ok = how < 0.7
            answer = Answer(askid=ask.askid, ok=ok, retryable=not ok, turn=ask.turn)
            self.at(self.rng.expovariate(2.0), self.say, answer)


@pytest.mark.parametrize("seed", range(4))
def test_each_ask_has_one_final_answer_in_its_time_whatever_dies(seed):
    rough = Rough(seed)
    for number, name in enumerate(["w0", "w1", "w2", "w3", "w4"]):
        rough.at(float(number), rough.toggle, name)
    rough.at(0.0, rough.caller)
    rough.run(HOUR_S)
    asked = len(rough.asked)
    assert asked > HOUR_S
    rough.later.clear()  # nobody asks, answers or dies any more
    rough.run(HOUR_S + 200.0)
    assert set(rough.finals.values()) == {1}
    assert len(rough.finals) == asked
    assert rough.asks.measures() == {"open": 0, "waiting": 0, "handed": 0, "borrowed": 0}
    assert rough.asks._out.alarms.next_s is None, "nothing is left to wake it"
    assert rough.outcomes["ok"] > asked / 3, rough.outcomes
    assert rough.scaled[0] > 10 < rough.scaled[1], "it was put to sleep and woken"
    assert {"retried", "overdue", "stuck", "busy", "late answers"} <= set(rough.asks.counts)
