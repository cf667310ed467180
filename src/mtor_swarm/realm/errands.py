"""What the core asks of the runner of its realm's processes, and what it is told in return.

Each message is a JSON object in a packet of its own over a socket pair (unix(7), SOCK_SEQPACKET)
whose one end the core inherits: the number of its file descriptor stands in `MTOR_RUNNER`. A realm
without a runner, started by a launch file say, has no such end, and its processes are fixed.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future

import msgspec

from mtor_swarm.realm.supervision_io import Fault

ENVIRON = "MTOR_RUNNER"
MAX_BYTES = 64 * 1024
"""64 workers with long names take a tenth of it."""
MAX_LOOKS = 32
"""Looks that wait for the runner's answer; of more, the oldest is given up."""


class _Errand(msgspec.Struct, frozen=True, kw_only=True, tag_field="do"):
    """A message, known by what stands in `do`."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A process that the realm is to have: how much it gives way, what memory it may hold."""

    process: str
    nice: int = 0
    memory_mib: int = 0


class Want(_Errand, frozen=True, kw_only=True, tag="want"):
    """To the runner: all processes that are to be there, beside its own. The others are ended.

    One that ended stays away until it is asked for by `Start`, or by a core that began anew.
    """

    processes: list[Wanted]


class Start(_Errand, frozen=True, kw_only=True, tag="start"):
    """To the runner: this process is to run now, if it does not."""

    process: str


class End(_Errand, frozen=True, kw_only=True, tag="end"):
    """To the runner: end this process. One that `hangs` shows where first, and is given no time.

    One of the runner's own is started again at once, as far as its failures allow.
    """

    process: str
    hangs: bool = False


class Ended(_Errand, frozen=True, kw_only=True, tag="ended"):
    """To the core: this process ended: why, in one word and in full."""

    process: str
    fault: Fault
    reason: str


class Look(_Errand, frozen=True, kw_only=True, tag="look"):
    """To the runner: which processes run, and what did this one write last? Answered by Seen."""

    token: int
    process: str = ""
    lines: int = 0


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """A process that runs now."""

    pid: int
    memory_mib: float


class Seen(_Errand, frozen=True, kw_only=True, tag="seen"):
    """To the core: all processes that run, and the last lines of the one that was named.

    `lines` is None if there is no such process, nor has been lately.
    """

    token: int
    running: dict[str, Running]
    lines: list[str] | None = None


Errand = Want | Start | End | Ended | Look | Seen
_decoder: msgspec.json.Decoder[Errand] = msgspec.json.Decoder(Errand)
_encoder = msgspec.json.Encoder()


def pair() -> tuple[socket.socket, socket.socket]:
    """Both ends; neither ever waits for the other to read."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(end: socket.socket, errand: Errand) -> bool:
    """Whether it could be sent: False if the other end is gone or has stopped to read."""
    try:
        end.send(_encoder.encode(errand), socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
    except OSError:
        return False
    return True


def receive(end: socket.socket) -> Errand | None:
    """The next message; None if the other end is gone, or speaks another language."""
    try:
        raw = end.recv(MAX_BYTES)
        return _decoder.decode(raw) if raw else None
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


class RunnerLink:
    """The core's end: sends errands; a thread hands over what the runner tells."""

    def __init__(self, fd: int, tell: Callable[[Ended], None]) -> None:
        """Over the inherited descriptor `fd`; `tell` is called on a thread of the link's own."""
        os.set_inheritable(fd, False)
        self._end = socket.socket(fileno=fd)
        self._tell = tell
        self._looks: dict[int, Future[Seen]] = {}
        self._tokens = itertools.count()
        self.lost = 0
        self._thread = threading.Thread(target=self._listen, name="runner link", daemon=True)
        self._thread.start()

    @classmethod
    def inherited(cls, tell: Callable[[Ended], None]) -> RunnerLink | None:
        """The link of this process, which has one at most; None if nobody runs it who could."""
        fd = os.environ.pop(ENVIRON, "")
        try:
            return cls(int(fd), tell) if fd else None
        except (OSError, ValueError):  # somebody passed on our environment, but not the descriptor
            return None

    def send(self, errand: Errand) -> None:
        """Ask for it; `lost` counts what a runner that is gone or stuck did not take."""
        self.lost += not send(self._end, errand)

    def look(self, process: str = "", lines: int = 0) -> Future[Seen]:
        """Which processes run, and what this one wrote last; cancelled if nobody can tell."""
        token, future = next(self._tokens), Future[Seen]()
        self._looks[token] = future
        if len(self._looks) > MAX_LOOKS:
            self._looks.pop(next(iter(self._looks))).cancel()
        if not send(self._end, Look(token=token, process=process, lines=lines)):
            self.lost += 1
            future.cancel()
        return future

    def close(self) -> None:
        """Ask for nothing more, and hear nothing more."""
        with contextlib.suppress(OSError):
            self._end.shutdown(socket.SHUT_RDWR)  # wakes the thread, as close(2) does not
        self._thread.join()
        self._end.close()

    def _listen(self) -> None:
        while (errand := receive(self._end)) is not None:
            if isinstance(errand, Ended):
                self._tell(errand)
            elif isinstance(errand, Seen):
                future = self._looks.pop(errand.token, None)
                if future is not None and future.set_running_or_notify_cancel():
                    future.set_result(errand)
        for future in tuple(self._looks.values()):
            future.cancel()
