"""Who may issue a command to this unit."""

from __future__ import annotations

import time

from mtor_swarm.errors import CommandError
from mtor_swarm.events import Command
from mtor_swarm.swarm.certificates import COMMANDERS, SYSOPS, Authority


def issuers(command: Command, authority: Authority | None, operators: list[str]) -> list[str]:
    """With keys whoever shows the certificate for it, else `operators`; CommandError says why."""
    if authority is None:
        return operators
    try:
        shown = bytes.fromhex(command.certificate)
    except ValueError:
        shown = b"?"
    roles = SYSOPS if command.verb == "worker" else COMMANDERS
    why = authority.may_command(shown, command.issuer, time.time(), roles)
    if why:
        raise CommandError(f"its issuer {command.issuer[:64]} shows no right to it: {why}")
    return [command.issuer]
