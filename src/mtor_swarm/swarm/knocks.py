"""Connections below ZeroMQ, that it has no calls for.

Whether anything listens at an address is found out without waiting, by a knock at the port. A
refused connection is proof that the process there has ended; silence proves nothing.
"""

from __future__ import annotations

import errno
import os
import socket

from mtor_swarm.swarm.addresses import is_ip, split

MAX_KNOCKS = 64
NONE = -1


class Knocks:
    """The knocks that wait for an answer, by their sockets' descriptors."""

    def __init__(self) -> None:
        self._waiting: dict[int, tuple[socket.socket, str]] = {}

    def __contains__(self, descriptor: object) -> bool:
        return descriptor in self._waiting

    def knock(self, address: str) -> tuple[bool, int]:
        """Whether the port is closed; else a descriptor to wait for (writable), then `answer`.

        A host that would have to be looked up, or one knock too many, is not knocked at: the probe
        will tell.
        """
        host, port = split(address)
        known = any(each == address for _, each in self._waiting.values())
        if known or len(self._waiting) >= MAX_KNOCKS or not is_ip(host):
            return False, NONE
        try:
            made = socket.socket(
                socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM
            )
        except OSError:  # no descriptor left
            return False, NONE
        made.setblocking(False)
        try:
            code = made.connect_ex((host, int(port)))
        except (OSError, OverflowError):
            code = 0
        if code != errno.EINPROGRESS:
            made.close()
            return code == errno.ECONNREFUSED, NONE
        self._waiting[made.fileno()] = (made, address)
        return False, made.fileno()

    def answer(self, descriptor: int) -> tuple[str, bool]:
        """The address that was knocked at, and whether its port is closed."""
        made, address = self._waiting.pop(descriptor)
        code = made.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        made.close()
        return address, code == errno.ECONNREFUSED

    def close(self) -> None:
        """Wait for none of them."""
        for made, _ in self._waiting.values():
            made.close()
        self._waiting.clear()


def hang_up(descriptor: int, port: int) -> None:
    """End a connection that was made to our port; its owner finds it ended by the other side."""
    try:
        with socket.socket(fileno=os.dup(descriptor)) as other:
            # By now the descriptor may be another's: only what we listened for is ours to end.
            if other.getsockname()[1:2] == (port,):
                other.shutdown(socket.SHUT_RDWR)
    except OSError:
        return
