"""Writes to the disk on a thread of its own, in order: whoever hands over never waits."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future

from mtor_swarm.errors import SwarmError


class Scribe:
    """Does one write after the other, and has a thread only while there are any.

    At most `most` wait or are done; one more fails at once. No end of the process waits for them,
    as it would for a ThreadPoolExecutor's, however long the disk hangs.
    """

    def __init__(self, name: str, most: int) -> None:
        self._name = name
        self._most = most
        self._lock = threading.Lock()
        self._jobs: deque[tuple[Future[None], Callable[[], object]]] = deque()

    def submit(self, write: Callable[[], object]) -> Future[None]:
        """Hand over; never blocks. The future has what `write` raised, or SwarmError: no room."""
        done: Future[None] = Future()
        with self._lock:
            if len(self._jobs) >= self._most:
                done.set_exception(
                    SwarmError(
                        f"{self._most} writes wait for the disk, so this one was not made and "
                        "would not survive a restart: look at the disk"
                    )
                )
                return done
            self._jobs.append((done, write))
            if len(self._jobs) == 1:
                threading.Thread(target=self._run, name=self._name, daemon=True).start()
        return done

    def _run(self) -> None:
        more = True
        while more:
            done, write = self._jobs[0]  # it keeps its place until it is done
            done.set_running_or_notify_cancel()
            try:
                write()
                done.set_result(None)
            except Exception as error:  # its owner's to tell
                done.set_exception(error)
            with self._lock:
                self._jobs.popleft()
                more = bool(self._jobs)
