"""Members that find each other on the local network by themselves: mDNS with DNS-SD.

RFC 6762 and RFC 6763, by the `zeroconf` library. Each member announces a service `_mtor._tcp` with
the swarm's name, its id and the protocol's version; what it hears from others of the swarm is one
more seed. It speaks on the interface that the member listens on and on no other, so that a member
on loopback is found on this machine alone. Seeds do without it, and nothing here is believed: who
a member is, the links and the signatures prove.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from mtor_swarm.errors import SwarmError
from mtor_swarm.swarm.gossip.wire import VERSION

if TYPE_CHECKING:
    import zeroconf

SERVICE = "_mtor._tcp.local."
MAX_KNOWN = 256
"""Addresses of which it is remembered that they were told."""
MAX_ADDRESSES = 4
"""Of one member."""
ANSWER_MS = 3000
_NAME = re.compile(r"([0-9a-f]{32})\." + re.escape(SERVICE))


def refusal(properties: Mapping[bytes, bytes | None], swarm: str) -> str:
    """Why an announcement is none of ours; empty if it is."""
    if properties.get(b"swarm") != swarm.encode():
        return "mdns: another swarm"
    if properties.get(b"v") != str(VERSION).encode():
        return "mdns: another version"
    return ""


def reachable(host: str, port: int, mine: str) -> str:
    """The announced place as a member's address; empty if it makes no sense to one at `mine`."""
    place, here = ipaddress.ip_address(host), ipaddress.ip_address(mine)
    if place.is_loopback != here.is_loopback or place.is_multicast or place.is_unspecified:
        return ""
    if "%" in host or not 0 < port < 65536:
        return ""
    return f"tcp://[{host}]:{port}" if place.version == 6 else f"tcp://{host}:{port}"


class Discovery:
    """One member's announcement, and its ear for those of others.

    `found` is called with each new address (`tcp://HOST:PORT`), on a thread of the library's.
    """

    def __init__(
        self, swarm: str, member_id: str, address: str, found: Callable[[str], None]
    ) -> None:
        self.swarm = swarm
        self.member_id = member_id
        host, _, port = address.removeprefix("tcp://").rpartition(":")
        self.host, self.port = host.strip("[]"), int(port)
        self.counters: dict[str, int] = {}
        self._found = found
        self._known: deque[str] = deque([address], MAX_KNOWN)
        self._zeroconf: zeroconf.Zeroconf | None = None

    def start(self) -> None:
        """Announce this member and listen; SwarmError if its interface cannot be used."""
        import zeroconf  # 10 MB and two threads: only for those who want it

        info = zeroconf.ServiceInfo(
            SERVICE,
            f"{self.member_id}.{SERVICE}",
            port=self.port,
            addresses=[self._own_ip().packed],
            properties={"swarm": self.swarm, "id": self.member_id, "v": str(VERSION)},
            server=f"{self.member_id}.local.",
        )
        try:
            found = self._zeroconf = zeroconf.Zeroconf(interfaces=[self.host])
            zeroconf.ServiceBrowser(found, SERVICE, handlers=[self._heard])
        except (OSError, zeroconf.Error) as error:
            self.stop()
            raise SwarmError(
                f"swarm.mdns: no multicast at {self.host}: {error}; give seeds instead"
            ) from None
        assert found.loop is not None
        # Nobody else may have our id, so that there is no need to wait for who might.
        announcing = found.async_register_service(info, cooperating_responders=True)
        asyncio.run_coroutine_threadsafe(announcing, found.loop)

    def _own_ip(self) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
        try:
            return ipaddress.ip_address(self.host)
        except ValueError:
            raise SwarmError(
                f"swarm.mdns: {self.host} is a name: give `bind` or `advertise` an IP address"
            ) from None

    def stop(self) -> None:
        """Take the announcement back and close; safe to call twice."""
        if self._zeroconf is not None:
            self._zeroconf.close()
            self._zeroconf = None

    def _heard(
        self,
        zeroconf: zeroconf.Zeroconf,
        service_type: str,
        name: str,
        state_change: zeroconf.ServiceStateChange,
    ) -> None:
        """The library's call, by these keywords, for each change; on its own thread."""
        from zeroconf import Error

        member = _NAME.fullmatch(name)
        if member is None:
            self._count("mdns: garbled")
            return
        if member[1] == self.member_id or state_change.name == "Removed":
            return
        try:
            info = zeroconf.get_service_info(service_type, name, ANSWER_MS)
        except Error:  # we are closing
            return
        if info is None:
            self._count("mdns: no answer")
        else:
            self._tell(info.properties, info.parsed_addresses(), info.port or 0)

    def _tell(self, properties: Mapping[bytes, bytes | None], hosts: list[str], port: int) -> None:
        wrong = refusal(properties, self.swarm)
        if wrong:
            self._count(wrong)
            return
        for host in hosts[:MAX_ADDRESSES]:
            address = reachable(host, port, self.host)
            if not address:
                self._count("mdns: out of reach")
            elif address not in self._known:
                self._known.append(address)
                try:
                    self._found(address)
                except SwarmError:  # we are stopping, or have much to do: the next one will do
                    self._count("mdns: not taken")

    def _count(self, what: str) -> None:
        self.counters[what] = self.counters.get(what, 0) + 1
