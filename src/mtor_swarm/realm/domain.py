"""A ROS domain of one's own, so that two simulations or test runs never hear each other.

A domain is claimed by holding a loopback TCP port for as long as the process lives: the kernel
gives it back however the process ends.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import re
import socket
import time
from pathlib import Path

from mtor_swarm import paths
from mtor_swarm.errors import SwarmError

FIRST, LAST = 1, 100
"""Linux hands out ephemeral ports from 32768 on, where DDS domains above 101 would land."""
_PORT_BASE = 17400
SETTLED_S = 10.0
"""Fast DDS makes a lock's file, then locks it: younger ones may be between the two."""
_SEGMENT_LOCK = re.compile(r"^(fastdds_[0-9a-f]+)_el$")
_KNOWN = ("", "kilted")
"""Distributions (none: our wheels) whose Fast DDS is known to read the profile: where it were not
read, ROS would reach beyond this machine."""
_FAST = ("", "rmw_fastrtps_cpp")
_held: list[socket.socket] = []


def claim(environ: dict[str, str] | os._Environ[str] = os.environ) -> int:
    """A free ROS domain id, held until this process ends; set in `environ` with what it needs."""
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
    """ROS stays inside this machine; where Fast DDS can be told so, over UDP alone.

    Of LOCALHOST its rmw makes a transport over shared memory as well, which takes two to three
    seconds to find a process that was started again, and leaves files behind one that was killed.
    """
    environ["FASTDDS_BUILTIN_TRANSPORTS"] = "UDPv4"
    if environ.get("ROS_DISTRO", "") in _KNOWN and environ.get("RMW_IMPLEMENTATION", "") in _FAST:
        environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "SYSTEM_DEFAULT"  # as the profile says
        environ["FASTDDS_DEFAULT_PROFILES_FILE"] = str(paths.share() / "config" / "fastdds.xml")
    else:
        environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"


def sweep(folder: Path = Path("/dev/shm")) -> int:
    """Remove the shared memory that Fast DDS left behind processes that were killed; how many.

    Half a megabyte each, which nobody else removes. Who lives holds a lock on its segment's `_el`
    file, as Fast DDS's own `fastdds shm clean` relies on.
    """
    swept = 0
    for path in folder.glob("fastdds_*_el"):
        match = _SEGMENT_LOCK.match(path.name)
        with contextlib.suppress(OSError):  # another's, in use, or just swept by somebody else
            if match is None or time.time() - path.stat().st_mtime < SETTLED_S:
                continue
            with path.open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                (folder / match[1]).unlink(missing_ok=True)
                path.unlink()
                swept += 1
    return swept
