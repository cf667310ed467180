"""The machine of asks played in virtual time."""

from __future__ import annotations

from mtor_swarm.config import AsksConfig, WorkerConfig
from mtor_swarm.realm.ask_effects import (
    Borrow,
    Drained,
    NotComing,
    Scale,
    SetTimer,
    Staff,
    Tick,
    ToCaller,
    ToWorker,
    Unborrow,
    Unlent,
    Worked,
    WorkerActive,
    WorkerDraining,
    WorkerGone,
)
from mtor_swarm.realm.ask_wire import Answer, Ask, Cancel, Offer, Part, Status
from mtor_swarm.realm.asks import NEWS_S, START_S, Asks

ALONE = AsksConfig(borrow=False)


def askid(number: int) -> str:
    return f"{number:032x}"


class Play:
    """A machine and the time; what it wants is kept in `handed`, `told`, `borrowed`, `health`."""

    def __init__(self, config: AsksConfig = ALONE) -> None:
        self.now = 100.0
        self.asks = Asks(config, "r1", now=self.now - START_S)
        self.last = 0
        self.timer: float | None = None
        self.handed: list[tuple[str, Ask]] = []
        self.cancelled: list[tuple[str, str]] = []
        self.told: list[Status | Part | Answer] = []
        self.borrowed: list[Ask] = []
        self.unborrowed: list[str] = []
        self.health: list[Worked] = []
        self.drained: list[str] = []
        self.scaled: list[tuple[str, int]] = []

    def feed(self, event) -> None:
        for effect in self.asks.handle(event, self.now):
            if isinstance(effect, SetTimer):
                self.timer = effect.at_s
            elif isinstance(effect, ToWorker) and isinstance(effect.said, Ask):
                self.handed.append((effect.worker, effect.said))
            elif isinstance(effect, ToWorker):
                self.cancelled.append((effect.worker, effect.said.askid))
            elif isinstance(effect, ToCaller):
                self.told.append(effect.said)
            elif isinstance(effect, Borrow):
                self.borrowed.append(effect.ask)
            elif isinstance(effect, Unborrow):
                self.unborrowed.append(effect.cancel.askid)
            elif isinstance(effect, Worked):
                self.health.append(effect)
            elif isinstance(effect, Scale):
                self.scaled.append((effect.worker, effect.count))
            else:
                assert isinstance(effect, Drained)
                self.drained.append(effect.worker)

    def wait(self, seconds: float) -> None:
        """Let time pass, and its timers come."""
        end = self.now + seconds
        while self.timer is not None and self.timer <= end:
            self.now, self.timer = max(self.now, self.timer), None
            self.feed(Tick())
        self.now = end

    # What happens.

    def worker(self, name: str, capability: str = "see", *, room: int = 1, lend=True, up=True):
        offer = Offer(worker=name, capability=capability, concurrency=room, lend=lend)
        self.feed(offer)
        if up:
            self.feed(WorkerActive(name))
            self.wait(NEWS_S)

    def staff(self, **workers: WorkerConfig) -> None:
        self.feed(Staff(workers))

    def not_coming(self, name: str) -> None:
        self.feed(NotComing(name))

    def ask(self, capability: str = "see", *, payload=b"?", caller="a", **more) -> str:
        self.last += 1
        asked = Ask(
            askid=askid(self.last), capability=capability, payload=payload, caller=caller, **more
        )
        self.feed(asked)
        return asked.askid

    def cancel(self, which: str) -> None:
        self.feed(Cancel(askid=which))

    def turn(self, which: str) -> int:
        """The number of the last try of that ask."""
        asks = [ask for _, ask in self.handed] + self.borrowed
        return max((ask.turn for ask in asks if ask.askid == which), default=0)

    def part(self, which: str, seq: int, *, turn=None, text="") -> None:
        turn = self.turn(which) if turn is None else turn
        self.feed(Part(askid=which, seq=seq, payload=text.encode(), turn=turn))

    def answer(self, which: str, *, turn=None, ok=True, **more) -> None:
        turn = self.turn(which) if turn is None else turn
        self.feed(Answer(askid=which, ok=ok, turn=turn, **more))

    def fail(self, which: str, reason="it broke", **more) -> None:
        self.answer(which, ok=False, retryable=True, reason=reason, **more)

    def unlent(self, which: str, *, full: bool = False) -> None:
        self.feed(Unlent(which, self.turn(which), full))

    def drain(self, name: str) -> None:
        self.feed(WorkerDraining(name))

    def gone(self, name: str, reason="it died", *, forget=False) -> None:
        self.feed(WorkerGone(name, reason, forget))

    # What came of it.

    def has(self, name: str) -> list[str]:
        """The asks that this worker was given, in order."""
        return [ask.askid for worker, ask in self.handed if worker == name]

    def finals(self, which: str) -> list[Answer]:
        return [each for each in self.told if isinstance(each, Answer) and each.askid == which]

    def final(self, which: str) -> Answer:
        """Its answer, which must be the only one."""
        (answer,) = self.finals(which)
        return answer

    def statuses(self, which: str) -> list[str]:
        """What its caller heard, in short words."""
        said = [each for each in self.told if isinstance(each, Status) and each.askid == which]
        return [" ".join(filter(None, (s.state, s.worker, str(s.place or "")))) for s in said]

    def parts(self, which: str) -> list[tuple[int, str]]:
        said = [each for each in self.told if isinstance(each, Part) and each.askid == which]
        return [(each.seq, each.payload.decode()) for each in said]
