"""Who works here, asked from outside: `mtor worker list` and `mtor worker logs`.

A member of the swarm asks a unit's gossip (kind `workers`), which passes it on to the desk here.
What processes run and what they wrote last, the runner of the realm knows.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import Future
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from mtor_swarm.errors import AskError, SwarmError
from mtor_swarm.realm.errands import Seen

KIND = "workers"
"""What this is called among the asks that members of the swarm ask each other."""
MAX_LINES = 200
NOBODY = "nobody keeps its lines: the unit was not started by `mtor up`"


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """List the workers; or the last lines that a worker's process wrote."""

    do: Literal["list", "logs"]
    worker: Annotated[str, Meta(max_length=64)] = ""
    lines: Annotated[int, Meta(ge=1, le=MAX_LINES)] = 50


class Row(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One worker: what state it is in and why, what it answers, where it runs.

    `health` is between 0 and 1, 1 if all its work is well; None where that is not judged. `pid`
    is 0 where nobody knows: the unit was not started by `mtor up`.
    """

    worker: str
    state: str
    kind: str = ""
    fault: str = ""
    reason: str = ""
    health: float | None = None
    answers: list[str] = []
    process: str = ""
    pid: int = 0
    memory_mib: float = 0.0


class Reply(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The rows, or the lines and whose they are."""

    rows: list[Row] = []
    process: str = ""
    lines: list[str] = []


class RollCall:
    """Answers such queries for one realm; from any thread."""

    def __init__(
        self,
        rows: Callable[[], Future[list[Row]]],
        look: Callable[[str, int], Future[Seen]],
    ) -> None:
        """`rows` tells all but `pid` and memory; `look` is as `RunnerLink.look`."""
        self._rows = rows
        self._look = look

    def asked(self, raw: bytes) -> Future[bytes]:
        """The reply, encoded; it fails with AskError if there is none to that."""
        answer: Future[bytes] = Future()
        try:
            query = msgspec.json.decode(raw, type=Query)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            answer.set_exception(AskError(f"no question about workers: {error}"))
            return answer
        self._rows().add_done_callback(lambda rows: self._with_rows(query, rows, answer))
        return answer

    def _with_rows(self, query: Query, rows: Future[list[Row]], answer: Future[bytes]) -> None:
        if rows.cancelled():
            answer.cancel()
        elif query.do == "list":
            self._list(rows.result(), answer)
        else:
            self._logs(query, rows.result(), answer)

    def _list(self, rows: list[Row], answer: Future[bytes]) -> None:
        def seen(done: Future[Seen]) -> None:
            running = {} if done.cancelled() else done.result().running
            found = [
                msgspec.structs.replace(
                    row, pid=running[row.process].pid, memory_mib=running[row.process].memory_mib
                )
                if row.process in running
                else row
                for row in rows
            ]
            _settle(answer, Reply(rows=found))

        self._look("", 0).add_done_callback(seen)

    def _logs(self, query: Query, rows: list[Row], answer: Future[bytes]) -> None:
        # After one took the place of another, NAME may live on as NAME_2 alone.
        replicas = re.compile(rf"{re.escape(query.worker)}(_\d+)?")
        process = next((row.process for row in rows if replicas.fullmatch(row.worker)), None)
        if process is None:
            known = ", ".join(row.worker for row in rows)
            _settle(answer, AskError(f"there is no worker {query.worker}; there are {known}"))
            return

        def seen(done: Future[Seen]) -> None:
            if done.cancelled():
                _settle(answer, AskError(NOBODY))
            elif (lines := done.result().lines) is None:
                _settle(answer, AskError(f"the process {process} has never run"))
            else:
                _settle(answer, Reply(process=process, lines=lines))

        self._look(process, query.lines).add_done_callback(seen)


def _settle(answer: Future[bytes], reply: Reply | SwarmError) -> None:
    """Answer, unless nobody waits for it any more."""
    if not answer.set_running_or_notify_cancel():
        return
    if isinstance(reply, SwarmError):
        answer.set_exception(reply)
    else:
        answer.set_result(msgspec.json.encode(reply))
