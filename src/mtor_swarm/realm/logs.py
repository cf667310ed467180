"""Log lines as JSON, one object a line, when the environment has `MTOR_LOG=json`.

Each has `time` (UTC, ISO 8601), `level`, `unit`, `worker` and `message`; while an event or an ask
is handled, its id too. What other code writes (ROS's libraries, a model's) is wrapped by
`JsonLines`, so that whatever `mtor up` prints can be read by a program.
"""

from __future__ import annotations

import contextlib
import contextvars
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")
VARIABLE = "MTOR_LOG"
MAX_LINE_BYTES = 2000
"""`mtor up` cuts longer lines in pieces, and a piece is no JSON."""
_CUT = " … "
_about: contextvars.ContextVar[dict[str, str] | None]
_about = contextvars.ContextVar("about", default=None)


def wanted() -> bool:
    """Whether log lines are to be JSON."""
    return os.environ.get(VARIABLE, "") == "json"


class About:
    """What is logged within is about the event or the ask of this id: `About(event=event.id)`.

    A class, since a generator would cost every event of a realm three times as much.
    """

    __slots__ = ("_ids", "_token")

    def __init__(self, **ids: str) -> None:
        self._ids = ids

    def __enter__(self) -> None:
        self._token = _about.set({**(_about.get() or {}), **self._ids})

    def __exit__(self, *_: object) -> None:
        _about.reset(self._token)


def within(run: Callable[[], T], **ids: str) -> Callable[[], T]:
    """`run`, whenever and on whichever thread it is called, within `About(**ids)`."""

    def inner() -> T:
        with About(**ids):
            return run()

    return inner


def logger(ros: Any) -> Any:
    """A node's logger: as ROS made it, or one that writes JSON to stderr."""
    return JsonLogger(ros.name) if wanted() else ros


def line(**fields: Any) -> str:
    """One line of JSON; its message is cut in the middle if the line would be too long."""
    message, room = str(fields.get("message", "")), MAX_LINE_BYTES
    while True:
        text = json.dumps({**fields, "message": _cut(message, room)}, ensure_ascii=False)
        if not room or len(text.encode(errors="replace")) <= MAX_LINE_BYTES:
            return text
        room = room * 3 // 4


def _cut(text: str, room: int) -> str:
    """Of a long text its beginning, and more of its end: there a trace has its error."""
    head = room // 3
    return text if len(text) <= room else text[:head] + _CUT + text[len(text) - room + head :]


class JsonLogger:
    """Has the calls of a ROS logger that we use."""

    def __init__(self, name: str, write: Callable[[str], object] | None = None) -> None:
        """`name`: as ROS has it, `r1.perception`; `write` takes lines without an end."""
        self.name = name
        self._unit, _, self._worker = name.partition(".")
        self._write = write or (lambda text: print(text, file=sys.stderr, flush=True))

    def debug(self, message: str) -> None:
        """Dropped, as ROS does unless it is told otherwise."""

    def info(self, message: str) -> None:
        """What goes as it should."""
        self._log("info", message)

    def warning(self, message: str) -> None:
        """What may need somebody's attention."""
        self._log("warning", message)

    def error(self, message: str) -> None:
        """What went wrong."""
        self._log("error", message)

    def fatal(self, message: str) -> None:
        """What ends the process."""
        self._log("fatal", message)

    def _log(self, level: str, message: str) -> None:
        self._write(
            line(
                time=now(),
                level=level,
                unit=self._unit,
                worker=self._worker,
                **(_about.get() or {}),
                message=message,
            )
        )


class JsonLines:
    """Makes JSON of the lines that `mtor up` shows, `[r1.core] …`, if they are none yet."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    def __call__(self, text: str) -> None:
        """Say the line, with its process; a line of JSON keeps what it has."""
        name, bracket, rest = text.removeprefix("[").partition("] ")
        process, said = (name, rest) if bracket and text.startswith("[") else ("", text)
        fields: Any = None
        with contextlib.suppress(ValueError, RecursionError):
            fields = json.loads(said)
        if not isinstance(fields, dict):
            unit = process.partition(".")[0]
            fields = {"time": now(), "level": "info", "unit": unit, "message": said}
        self._say(line(**{**fields, "process": process}))


def now() -> str:
    """The wall clock in UTC, to the millisecond."""
    wall_s = time.time()
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(wall_s))
    return f"{stamp}.{int(wall_s % 1 * 1000):03d}Z"
