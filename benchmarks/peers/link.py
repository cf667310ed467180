"""A node's link to the measuring process."""

from __future__ import annotations

import json
import socket
import sys
import time
from typing import Any

PAYLOAD_BYTES = 200
FLOOD = 10_000_000
"""Numbers from here on are of the flood: counted, not told one by one."""


class Link:
    """Says what happens here, and hears what is to be done."""

    def __init__(self) -> None:
        told = json.loads(sys.argv[1])
        self.index: int = told["index"]
        self.number: int = told["number"]
        self.folder: str = told["folder"]
        self.options: dict[str, Any] = told["options"]
        self.flooded = 0
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(f"{self.folder}/n{self.index}.sock")
        self.socket.connect(f"{self.folder}/control.sock")

    def say(self, what: str, **more: Any) -> None:
        more.setdefault("at", time.monotonic())
        self.socket.send(json.dumps({"what": what, "index": self.index, **more}).encode())

    def hear(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.socket.recv(65536))
        return found

    def wait_for_start(self) -> None:
        self.say("ready")
        while self.hear()["do"] != "start":
            pass

    def got(self, number: int) -> None:
        """An event came: told at once, those of the flood by their count at its end."""
        if number < FLOOD:
            self.say("got", number=number)
            return
        self.flooded += 1
        if number % FLOOD == 0:
            self.say("flooded", count=self.flooded)

    def ip(self, index: int | None = None) -> str:
        at = self.index if index is None else index
        return f"127.0.{1 + at // 200}.{1 + at % 200}"

    @property
    def name(self) -> str:
        return f"n{self.index}"


def payload(number: int) -> bytes:
    return (b"%09d" % number).ljust(PAYLOAD_BYTES, b".")


def number_of(raw: bytes) -> int:
    return int(bytes(raw[:9]))
