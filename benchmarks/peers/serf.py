"""serf agents (hashicorp/serf, memberlist's `lan` preset), watched through their RPC port.

An agent gathers member events for a second before it tells them, so that its membership is asked
for instead (`stats`), ten times a second while it matters. The RPC link is spared from losses.
"""

from __future__ import annotations

import selectors
import socket
import subprocess
import threading
import time
from typing import Any

from benchmarks.peers.fleet import Fleet
from benchmarks.peers.link import number_of, payload

RPC_PORT = 7373
CONNECT_S = 30.0
ASK_S = 0.1


class SerfFleet(Fleet):
    """As `Fleet`, with agents in the place of nodes and their RPC in the place of links."""

    def _start(self, backend: str, index: int, options: dict[str, Any]) -> subprocess.Popen[bytes]:
        if index == 0:
            self._agents: dict[int, Agent] = {}
        ip = _ip(index)
        names = [f"-node=n{index}", f"-bind={ip}:7946", f"-rpc-addr={ip}:{RPC_PORT}"]
        with (self.folder / f"n{index}.log").open("wb") as log:
            child = subprocess.Popen(
                ["serf", "agent", "-profile=lan", "-log-level=warn", *names],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._agents[index] = Agent(ip)
        if index == self.number - 1:
            self.ready |= set(self._agents)
        return child

    def start(self) -> float:
        for work in (self._listen, self._ask):
            threading.Thread(target=work, daemon=True).start()
        began = time.monotonic()
        for index in range(1, self.number):
            self._agents[index].send("join", {"Existing": [f"{_ip(0)}:7946"], "Replay": False})
        return began

    def tell(self, index: int, do: str, **more: Any) -> None:
        """`publish` alone: a flood is not what serf is for."""
        if do == "publish":
            number = more["number"]
            body = {"Name": "e", "Payload": payload(number), "Coalesce": False}
            self.published[number] = time.monotonic()
            self._agents[index].send("event", body)

    def _ask(self) -> None:
        while True:
            for index, agent in self._agents.items() if self.watching else ():
                if self.children[index].poll() is None:
                    agent.send("stats")
            time.sleep(ASK_S)

    def _listen(self) -> None:
        ready = selectors.DefaultSelector()
        for index, agent in self._agents.items():
            ready.register(agent.socket, selectors.EVENT_READ, index)
        counts: dict[int, int] = {}
        while True:
            for key, _ in ready.select():
                index, at = key.data, time.monotonic()
                bodies = self._agents[index].bodies()
                if bodies is None:
                    ready.unregister(key.fileobj)
                    continue
                for body in bodies:
                    self._body(index, at, body, counts)

    def _body(self, index: int, at: float, body: dict[bytes, Any], counts: dict[int, int]) -> None:
        if body.get(b"Event") == b"user":
            said = {"what": "got", "number": number_of(body[b"Payload"])}
        elif b"serf" in body:
            told = {name: int(value) for name, value in body[b"serf"].items() if value.isdigit()}
            count = told[b"members"] - told[b"failed"] - told[b"left"]
            if counts.get(index) == count:
                return
            counts[index] = count
            said = {"what": "alive", "count": count}
        else:
            return
        with self.lock:
            self._note(said, at, index)


class Agent:
    """The RPC link to one agent: msgpack headers, each with a body where the answer has one."""

    def __init__(self, ip: str) -> None:
        import msgpack

        self._pack = msgpack.packb
        self._unpacker = msgpack.Unpacker(raw=True)
        self._lock = threading.Lock()
        self._sequence = 0
        self.socket = _connect(ip)
        self.send("handshake", {"Version": 1})
        self.send("stream", {"Type": "user"})

    def send(self, command: str, body: dict[str, Any] | None = None) -> None:
        with self._lock:
            self._sequence += 1
            raw = self._pack({"Command": command, "Seq": self._sequence})
            try:
                self.socket.sendall(raw + (self._pack(body) if body is not None else b""))
            except OSError:
                return  # that agent is dead

    def bodies(self) -> list[dict[bytes, Any]] | None:
        """What came; None at the end of the link. Headers are left out: bodies name themselves."""
        try:
            raw = self.socket.recv(65536)
        except OSError:
            raw = b""
        if not raw:
            return None
        self._unpacker.feed(raw)
        return [each for each in self._unpacker if isinstance(each, dict) and b"Seq" not in each]


def _connect(ip: str) -> socket.socket:
    end = time.monotonic() + CONNECT_S
    while True:
        try:
            made = socket.create_connection((ip, RPC_PORT), timeout=5)
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
        else:
            made.settimeout(None)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return made


def _ip(index: int) -> str:
    return f"127.0.{1 + index // 200}.{1 + index % 200}"
