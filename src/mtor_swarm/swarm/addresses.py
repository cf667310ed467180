"""Addresses of members: `tcp://HOST:PORT`, HOST a name, an IPv4 or a bracketed IPv6 address."""

from __future__ import annotations

import functools
import ipaddress
import socket

from mtor_swarm.config import SwarmConfig
from mtor_swarm.errors import ConfigError, SwarmError


def split(address: str) -> tuple[str, str]:
    """Host, without brackets, and port."""
    host, _, port = address.removeprefix("tcp://").rpartition(":")
    return host.strip("[]"), port


@functools.lru_cache(4096)
def is_ip(host: str) -> bool:
    """Whether the host is an IP address, that nobody has to look up."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(address: str) -> bool:
    """Whether the address is on this machine for certain."""
    host, _ = split(address)
    return host == "localhost" or (is_ip(host) and ipaddress.ip_address(host).is_loopback)


def is_named(address: str) -> bool:
    """Whether the host must be looked up."""
    return not is_ip(split(address)[0])


def is_ipv6(address: str) -> bool:
    """Whether the host is an IPv6 address."""
    return ":" in split(address)[0]


def demand_way(config: SwarmConfig, has_keys: bool) -> None:
    """SwarmError if others may not reach who listens as the config says, or not yet."""
    if not has_keys:
        demand_loopback(config)
    elif split(config.bind)[0] in ("*", "0.0.0.0", "::"):
        advertised(config, "tcp://[::]:0" if is_ipv6(config.bind) else "tcp://0.0.0.0:0")


def demand_loopback(config: SwarmConfig) -> None:
    """ConfigError if a swarm without keys would go beyond this machine."""
    said = [("bind", config.bind), *(("seeds", each) for each in config.seeds)]
    said += [("advertise", config.advertise)] if config.advertise else []
    for key, address in said:
        if not is_loopback(address):
            raise ConfigError(
                f"swarm.{key}: {address} is not on this machine, and without swarm.keys only "
                "loopback is allowed: `mtor keys new-swarm` makes the keys"
            )


def advertised(config: SwarmConfig, bound: str) -> str:
    """Where others reach who listens at `bound`: what the config says, else our own address.

    Bound to every interface, that is the address of the one that leads to the first seed;
    SwarmError if none does yet.
    """
    if config.advertise:
        return config.advertise.replace(":*", f":{split(bound)[1]}")
    host, port = split(bound)
    if not is_ip(host) or not ipaddress.ip_address(host).is_unspecified:
        return bound
    own = _towards(config.seeds[0] if config.seeds else "tcp://192.0.2.1:1")
    if not own:
        seed = config.seeds[0] if config.seeds else "other networks"
        raise SwarmError(
            f"swarm.bind: {config.bind}: no way leads from here to {seed} yet, so that nobody can "
            "be told where this member is: bring the network up, or say it in swarm.advertise"
        )
    return f"tcp://[{own}]:{port}" if ":" in own else f"tcp://{own}:{port}"


def _towards(seed: str) -> str:
    host, port = split(seed)
    family = socket.AF_INET6 if is_ipv6(seed) else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as route:
        try:
            route.connect((host, int(port)))  # UDP: picks the route, sends nothing
        except (OSError, OverflowError):
            return ""
        return str(route.getsockname()[0])
