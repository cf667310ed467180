"""Waiting for many sockets at the price of one system call (epoll).

zmq_poll asks every socket in turn, each time it is called. A ZeroMQ socket's own descriptor
(ZMQ_FD) can be waited for instead, but tells only that something may have come, and once: whoever
is woken must read until there is nothing left, or ask to be called `again`.
"""

from __future__ import annotations

import select
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Waiter(Generic[T]):
    """Whom to call when which descriptor is ready; what they find is gathered."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._calls: dict[int, Callable[[], list[T]]] = {}
        self._again: set[int] = set()

    def add(
        self, descriptor: int, call: Callable[[], list[T]], mask: int = select.EPOLLIN
    ) -> None:
        """Call when it can be read, or what else the `mask` says."""
        self._epoll.register(descriptor, mask)
        self._calls[descriptor] = call

    def remove(self, descriptor: int) -> None:
        """Wait for it no more; before it is closed."""
        self._epoll.unregister(descriptor)
        del self._calls[descriptor]
        self._again.discard(descriptor)

    def again(self, descriptor: int) -> None:
        """There is more to read there than was read: call again, without waiting."""
        self._again.add(descriptor)

    def wait(self, longest_s: float) -> list[T]:
        """Sleep until a descriptor is ready or the time is over; what the calls found."""
        again, self._again = self._again, set()
        ready = self._epoll.poll(0.0 if again else longest_s)
        found: list[T] = []
        for descriptor in again.union(each for each, _ in ready):
            call = self._calls.get(descriptor)
            if call is not None:  # an earlier call may have removed it
                found += call()
        return found

    def close(self) -> None:
        """Let go of everything."""
        self._epoll.close()
        self._calls.clear()
