"""A ROS domain of one's own, so that two simulations or test runs never hear each other.

A domain is claimed by holding a loopback TCP port for as long as the process lives: the kernel
gives it back however the process ends.
"""

from __future__ import annotations

import atexit
import os
import socket

from mtor_swarm.errors import SwarmError

FIRST, LAST = 1, 100
"""Linux hands out ephemeral ports from 32768 on, where DDS domains above 101 would land."""
_PORT_BASE = 17400
_held: list[socket.socket] = []


def claim(environ: dict[str, str] | os._Environ[str] = os.environ) -> int:
    """A free ROS domain id, held until this process ends, and set in `environ` with what it needs.

    UDP only: Fast DDS's shared memory would leave files behind a killed process.
    """
    for domain in range(FIRST, LAST + 1):
        held = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            held.bind(("127.0.0.1", _PORT_BASE + domain))
        except OSError:
            held.close()
            continue
        _held.append(held)
        atexit.register(held.close)
        environ["ROS_DOMAIN_ID"] = str(domain)
        quiet(environ)
        return domain
    raise SwarmError(
        f"ROS domains {FIRST} to {LAST} are all in use on this machine; end some runs"
    )


def quiet(environ: dict[str, str] | os._Environ[str] = os.environ) -> None:
    """ROS stays inside this machine, and leaves no shared-memory files."""
    environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    environ["FASTDDS_BUILTIN_TRANSPORTS"] = "UDPv4"
