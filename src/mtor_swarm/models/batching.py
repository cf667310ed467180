"""Several questions in one pass of a model, with a bounded wait; what is urgent goes first.

`Batching` is the pure part: what waits, when the next pass is due and what goes into it. `Batcher`
is the one thread that runs the passes, so that a model that knows one thread meets no other.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Generic, TypeVar

import msgspec

from mtor_swarm.errors import ModelError
from mtor_swarm.ports import Clock

Item = TypeVar("Item")
Result = TypeVar("Result")

URGENT_IN_A_ROW = 8
"""So many passes of what is urgent, then one of what waits: even a flood starves nobody."""


class _Waiting(msgspec.Struct, Generic[Item]):
    item: Item
    due_s: float


class Batching(Generic[Item]):
    """What waits for a model's next pass. Pure: `now` is seconds on any one clock."""

    def __init__(self, *, most: int, wait_s: float = 0.0, waiting_most: int = 256) -> None:
        """A pass takes at most `most` items. One that is not full waits `wait_s` for more.

        With `wait_s` 0 passes grow by themselves: what comes during one goes into the next.
        """
        self.most, self._wait_s, self._waiting_most = most, wait_s, waiting_most
        self._urgent: deque[_Waiting[Item]] = deque()
        self._plain: deque[_Waiting[Item]] = deque()
        self._in_a_row = 0
        self.refused = 0

    def __len__(self) -> int:
        """How many wait."""
        return len(self._urgent) + len(self._plain)

    def add(self, item: Item, now: float, *, urgent: bool = False) -> bool:
        """Let it wait; False, and counted, if too many do. What is urgent waits for no company."""
        if len(self) >= self._waiting_most:
            self.refused += 1
            return False
        if urgent:
            self._urgent.append(_Waiting(item, now))
        else:
            self._plain.append(_Waiting(item, now + self._wait_s))
        return True

    def due_s(self, now: float) -> float | None:
        """When the next pass should begin: `now` or before, later, or None if nothing waits."""
        if self._urgent or len(self._plain) >= self.most:
            return now
        return self._plain[0].due_s if self._plain else None

    def take(self) -> list[Item]:
        """The next pass, oldest first. Urgent items have a pass to themselves.

        Company would make theirs longer: they pay for no one's question but their own.
        """
        others_turn = bool(self._plain) and self._in_a_row >= URGENT_IN_A_ROW
        queue = self._urgent if self._urgent and not others_turn else self._plain
        self._in_a_row = self._in_a_row + 1 if queue is self._urgent else 0
        return [queue.popleft().item for _ in range(min(len(queue), self.most))]


class Batcher(Generic[Item, Result]):
    """A thread that owns a model and answers what is submitted, several items a pass.

    `passes` and `items` count its work, `refused` what was turned away.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Item]], Sequence[Result]],
        *,
        most: int,
        wait_s: float = 0.0,
        waiting_most: int = 256,
        name: str = "batcher",
        clock: Clock = time.monotonic,
    ) -> None:
        """`run` gets 1 to `most` items and returns as many results, in their order."""
        self.passes = self.items = 0
        self._run, self._clock, self._name = run, clock, name
        self._changed = threading.Condition()
        self._batching: Batching[tuple[Item, Future[Result]]] = Batching(
            most=most, wait_s=wait_s, waiting_most=waiting_most
        )
        self._stopped = False
        self._thread = threading.Thread(target=self._passes, name=name, daemon=True)
        self._thread.start()

    @property
    def refused(self) -> int:
        """Items that were turned away because too many waited."""
        return self._batching.refused

    def submit(self, item: Item, *, urgent: bool = False) -> Future[Result]:
        """The item's result, when its pass is done; never blocks.

        ModelError if too many wait or it is stopped. A future that is cancelled before its pass
        is left out of it. A pass that fails with several items is run again item by item, so
        that one bad item spoils no other's answer.
        """
        future: Future[Result] = Future()
        with self._changed:
            if self._stopped:
                raise ModelError(f"{self._name}: stopped")
            if not self._batching.add((item, future), self._clock(), urgent=urgent):
                raise ModelError(f"{self._name}: {len(self._batching)} wait already: ask later")
            self._changed.notify()
        return future

    def results(self, items: Sequence[Item], timeout_s: float) -> list[Result]:
        """The items' results, in their order; waits for them.

        Whatever one of them raises; ModelError if they are not there in time. None of the others
        is then worked on.
        """
        until_s = self._clock() + timeout_s
        futures: list[Future[Result]] = []
        try:
            for item in items:
                futures.append(self.submit(item))
            return [each.result(max(0.0, until_s - self._clock())) for each in futures]
        except FutureTimeout:
            raise ModelError(f"{self._name}: no result in {timeout_s:.1f} s") from None
        finally:
            for each in futures:
                each.cancel()

    def stop(self, timeout_s: float = 10.0) -> bool:
        """End after the pass in hand; what waits fails. False if the pass is not done in time."""
        with self._changed:
            self._stopped = True
            left = [self._batching.take() for _ in range(len(self._batching))]
            self._changed.notify()
        for _, future in (each for batch in left for each in batch):
            if future.set_running_or_notify_cancel():
                future.set_exception(ModelError(f"{self._name}: stopped"))
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _passes(self) -> None:
        while batch := self._next():
            live = [each for each in batch if each[1].set_running_or_notify_cancel()]
            if live:
                self._answer(live)

    def _next(self) -> list[tuple[Item, Future[Result]]]:
        """Wait until a pass is due; nothing in it when stopped."""
        with self._changed:
            while not self._stopped:
                now = self._clock()
                due_s = self._batching.due_s(now)
                if due_s is not None and due_s <= now:
                    return self._batching.take()
                self._changed.wait(None if due_s is None else due_s - now)
            return []

    def _answer(self, live: Sequence[tuple[Item, Future[Result]]]) -> None:
        self.passes += 1
        self.items += len(live)
        try:
            results = self._run([item for item, _ in live])
            if len(results) != len(live):
                raise ModelError(f"{self._name}: {len(results)} results for {len(live)} items")
        except Exception as error:  # a model's libraries raise anything
            if len(live) == 1:
                live[0][1].set_exception(error)
            else:
                for each in live:
                    self._answer([each])
            return
        for (_, future), result in zip(live, results, strict=True):
            future.set_result(result)
