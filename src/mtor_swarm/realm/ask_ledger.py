"""Asks from their arrival to their final answer, and what their callers hear of them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from msgspec.structs import replace

from mtor_swarm.realm.alarms import Alarm
from mtor_swarm.realm.ask_effects import Outbox, ToCaller
from mtor_swarm.realm.ask_queue import Pending
from mtor_swarm.realm.ask_waiting import Waiting
from mtor_swarm.realm.ask_wire import MAX_STEPS, Answer, State, Status, Step

PLACES_S = 1.0
"""How often those who wait and listen hear of their place, if it changed."""
MAX_OWN_STEPS = MAX_STEPS - 8
"""The rest is for those of who answered."""
MAX_DONE, MAX_DONE_BYTES = 1024, 8 * 1024 * 1024
"""Final answers that are kept, for callers that did not hear them."""


class Ledger:
    """Who asked what, how it fares, and what the answer was. Each is ended once."""

    def __init__(self, out: Outbox, waiting: Waiting) -> None:
        self._out = out
        self._waiting = waiting
        self._open: dict[str, Pending] = {}
        self._done: OrderedDict[str, Answer] = OrderedDict()
        self._done_bytes = 0
        self._places: Alarm | None = None

    def __len__(self) -> int:
        return len(self._open)

    def get(self, askid: str) -> Pending | None:
        """The ask of this id, if it has no final answer yet."""
        return self._open.get(askid)

    def again(self, askid: str) -> bool:
        """Whether it was asked before; then its caller hears how it fares, or fared."""
        pending = self._open.get(askid)
        said = self._done.get(askid) if pending is None else pending.status
        if said is not None:
            self._out.counts["asked again"] += 1
            self._out.effects.append(ToCaller(said))
        return said is not None

    def open(self, pending: Pending) -> None:
        """It is to be answered."""
        self._open[pending.ask.askid] = pending

    def tell(
        self,
        pending: Pending,
        state: State,
        *,
        worker: str = "",
        place: int = 0,
        wait_s: float | None = None,
    ) -> None:
        """How it fares now; its caller hears of it, if it listens and that is news."""
        step = Step(state, worker, self._out.now - pending.asked_s)
        last = pending.steps[-1] if pending.steps else None
        if (last is None or (last.what, last.who) != (state, worker)) and (
            len(pending.steps) < MAX_OWN_STEPS
        ):
            pending.steps.append(step)
        was = pending.status
        changed = (state, worker, place) != (was.state, was.worker, was.place)
        pending.status = Status(
            askid=pending.ask.askid,
            state=state,
            place=place,
            worker=worker,
            wait_s=None if wait_s is None else round(wait_s, 1),
        )
        if changed and pending.ask.stream:
            self._out.effects.append(ToCaller(pending.status))
        if place and pending.ask.stream and self._places is None:
            self._places = self._out.alarms.set(self._out.now + PLACES_S, self._tell_places)

    def _tell_places(self, _: float) -> None:
        self._places = None
        for queue in self._waiting.queues():
            for place, pending in enumerate(queue, start=1):
                if pending.ask.stream:
                    was = pending.status
                    share = place / was.place if was.place else 1.0
                    wait_s = None if was.wait_s is None else was.wait_s * share
                    self.tell(pending, was.state, place=place, wait_s=wait_s)

    def end(
        self,
        pending: Pending,
        reason: str,
        *,
        retryable: bool = False,
        retry_s: float | None = None,
    ) -> None:
        """It has no answer, for this reason."""
        refusal = Answer(
            askid=pending.ask.askid,
            ok=False,
            reason=reason[:1024],
            retryable=retryable,
            retry_s=retry_s,
        )
        self.finish(pending, refusal)

    def finish(self, pending: Pending, answer: Answer, *, steps: Sequence[Step] = ()) -> None:
        """Its one final answer; `steps` are those of who answered, since it was asked."""
        if pending.waiting:
            self._waiting.remove(pending)
        self._out.alarms.cancel(pending.alarm)
        self._open.pop(pending.ask.askid, None)
        what = "answered" if answer.ok else "failed"
        last = Step(what, answer.worker, self._out.now - pending.asked_s)
        every = [*pending.steps, *steps][: MAX_STEPS - 1]
        answer = replace(answer, turn=0, steps=[*every, last])
        self._out.counts[what] += 1
        self._out.effects.append(ToCaller(answer))
        self._keep(answer)

    def _keep(self, answer: Answer) -> None:
        self._done[answer.askid] = answer
        self._done_bytes += len(answer.payload)
        while len(self._done) > MAX_DONE or self._done_bytes > MAX_DONE_BYTES:
            _, old = self._done.popitem(last=False)
            self._done_bytes -= len(old.payload)
