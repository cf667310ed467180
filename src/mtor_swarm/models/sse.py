"""Server-sent events out of bytes, as they come (WHATWG HTML, 9.2). Pure and bounded."""

from __future__ import annotations

import re

from mtor_swarm.errors import ModelError

MAX_EVENT_BYTES = 256 * 1024
_LINE_END = re.compile(rb"\r\n|\n|\r")


class EventStream:
    """Fed a response's bytes, it gives (event name, data) pairs; a comment gives nothing."""

    def __init__(self) -> None:
        self._rest = b""
        self._name = ""
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, raw: bytes) -> list[tuple[str, bytes]]:
        """The events that these bytes complete; ModelError if one grows beyond MAX_EVENT_BYTES."""
        raw = self._rest + raw
        *lines, self._rest = _LINE_END.split(raw)
        if raw.endswith(b"\r"):  # the line feed that may follow belongs to it
            self._rest = lines.pop() + b"\r"
        found = []
        for line in lines:
            if line:
                self._field(line)
            elif self._data:
                found.append((self._name, b"\n".join(self._data)))
            if not line:
                self._name, self._data, self._size = "", [], 0
        if self._size + len(self._rest) > MAX_EVENT_BYTES:
            raise ModelError(f"an event of more than {MAX_EVENT_BYTES} bytes")
        return found

    def _field(self, line: bytes) -> None:
        self._size += len(line)
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._data.append(value)
        elif field == b"event":
            self._name = value.decode("utf-8", "replace")
