"""What the kernel counts: bytes on the loopback, CPU and memory of processes; and packet loss."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

LOSS_TABLE = (
    "table inet loss {{ chain in {{ type filter hook input priority 0; policy accept; "
    '{spared} iif "lo" numgen random mod 1000 < {per_mille} drop; }}; }}'
)


def loopback_up() -> None:
    """Make a fresh network namespace usable by many members."""
    for command in (
        ["ip", "link", "set", "lo", "up"],
        ["sysctl", "-qw", "net.unix.max_dgram_qlen=8192"],
        ["sysctl", "-qw", "net.core.somaxconn=4096"],
    ):
        subprocess.run(command, check=True)


def set_loss(share: float, spared_port: int = 0) -> None:
    """Drop that share of the packets on arrival, as on a radio: senders see nothing of it."""
    subprocess.run(["nft", "flush", "ruleset"], check=True)
    if share:
        port = spared_port
        spared = f"tcp sport {port} accept; tcp dport {port} accept;" if port else ""
        rule = LOSS_TABLE.format(per_mille=round(share * 1000), spared=spared)
        subprocess.run(["nft", rule], check=True)


def loopback_bytes() -> int:
    """Bytes sent on the loopback of this namespace so far."""
    for line in Path("/proc/net/dev").read_text().splitlines():
        name, _, counts = line.partition(":")
        if name.strip() == "lo":
            return int(counts.split()[8])
    return 0


def cpu_s(pid: int) -> float:
    """CPU time of all threads of a process (its CPU clock: nanoseconds, where stat has ticks)."""
    return time.clock_gettime((~pid << 3) | 2)


def pss_mib(pid: int) -> float:
    """Memory of a process, what is shared counted by its share."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0
