"""Network namespaces for tests: a loopback or a wire of one's own, that loses what it is told."""

from __future__ import annotations

import os
import shutil
import subprocess

from tests.swarm.crowd import wait_until

CHAIN = "table inet room {{ chain in {{ type filter hook input priority 0; {rule} }}; }}"


def lacking() -> str:
    """What a room needs and is not here; empty if nothing is missing."""
    if os.geteuid():
        return "root, for network namespaces"
    for tool, package in (("ip", "iproute2"), ("nft", "nftables"), ("nsenter", "util-linux")):
        if shutil.which(tool) is None:
            return f"{tool} (Debian package {package})"
    tried = subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False)
    return tried.stderr.decode().strip() if tried.returncode else ""


class Room:
    """A namespace; it ends with the process that holds it open, and that with the test."""

    def __init__(self) -> None:
        self._holder = subprocess.Popen(["unshare", "--net", "cat"], stdin=subprocess.PIPE)
        mine = os.readlink("/proc/self/ns/net")
        wait_until("a namespace", lambda: os.readlink(f"/proc/{self.pid}/ns/net") != mine)
        self.run("ip", "link", "set", "lo", "up")
        self.run("sysctl", "-qw", "net.core.somaxconn=4096")

    def __enter__(self) -> Room:
        return self

    def __exit__(self, *ended: object) -> None:
        assert self._holder.stdin is not None
        self._holder.stdin.close()
        self._holder.wait()

    @property
    def pid(self) -> int:
        return self._holder.pid

    @property
    def within(self) -> list[str]:
        """What runs a command in here."""
        return ["nsenter", "--target", str(self.pid), "--net"]

    def run(self, *command: str) -> None:
        subprocess.run([*self.within, *command], check=True)

    def lose(self, share: float, link: str = "lo") -> None:
        """Drop that share of what arrives; the senders see nothing of it, as on a radio."""
        self.run("nft", "flush", "ruleset")
        if share:
            chance = f"numgen random mod 1000 < {round(share * 1000)}" if share < 1 else ""
            self.run("nft", CHAIN.format(rule=f'iif "{link}" {chance} drop;'))


def wire(one: Room, other: Room) -> list[str]:
    """Lay a wire between two rooms; their addresses."""
    ends = [["wire", "netns", str(each.pid)] for each in (one, other)]
    subprocess.run(
        ["ip", "link", "add", *ends[0], "type", "veth", "peer", "name", *ends[1]], check=True
    )
    addresses = ["10.77.0.1", "10.77.0.2"]
    for room, address in zip((one, other), addresses, strict=True):
        room.run("ip", "address", "add", f"{address}/24", "dev", "wire")
        room.run("ip", "link", "set", "wire", "up")
    return addresses
