"""The folder `swarm.keys`: the swarm's CURVE pair and who is allowed in.

`swarm.key` is the server half of every link of the swarm: who has it may bind. `allow.yaml` lists
the members by id with the public key that each one's links open with.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from mtor_swarm import config
from mtor_swarm.errors import ConfigError, IdentityError
from mtor_swarm.swarm.identity import Identity, check_mode, write_safely

MAX_MEMBERS = 8192


class Allowed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One member that may join: its id, and the public key of its links in hex."""

    id: Annotated[str, Meta(pattern=r"^[0-9a-f]{32}$")]
    link: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]


class AllowList(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file `allow.yaml`."""

    members: Annotated[list[Allowed], Meta(max_length=MAX_MEMBERS)] = []


class Keyring(msgspec.Struct, frozen=True):
    """A keys folder, read: the swarm's pair, and member ids by their links' public keys."""

    public: bytes
    secret: bytes
    allowed: dict[bytes, str]


def read(folder: str | Path) -> Keyring:
    """The folder's keys; IdentityError or ConfigError names the file and the cure."""
    swarm, allow = Path(folder) / "swarm.key", Path(folder) / "allow.yaml"
    try:
        check_mode(swarm)
        public, secret = (bytes.fromhex(each) for each in swarm.read_text().split())
    except OSError as error:
        raise IdentityError(
            f"{swarm}: {error.strerror}; `mtor keys new-swarm {folder}` makes one"
        ) from None
    except ValueError:
        raise IdentityError(f"{swarm}: is not a swarm key; copy it anew") from None
    if (len(public), len(secret)) != (32, 32):
        raise IdentityError(f"{swarm}: is not a swarm key; copy it anew")
    listed = config.load(allow, AllowList)
    return Keyring(public, secret, {bytes.fromhex(e.link): e.id for e in listed.members})


def new_swarm(folder: str | Path) -> None:
    """Make a keys folder with a new swarm key and nobody allowed; never overwrites one."""
    place = Path(folder)
    if (place / "swarm.key").exists():
        raise ConfigError(f"{place / 'swarm.key'}: exists; choose another folder")
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    made = Identity.ephemeral()
    text = f"{made.link_public.hex()}\n{made.link_secret.hex()}\n"
    write_safely(place / "swarm.key", text.encode())
    write_safely(place / "allow.yaml", config.dump(AllowList()).encode())


def allow(folder: str | Path, member: str, link_public: bytes) -> None:
    """Let a member in: add it to the list, or give it a new link key."""
    path = Path(folder) / "allow.yaml"
    others = [each for each in config.load(path, AllowList).members if each.id != member]
    listed = AllowList([*others, Allowed(member, link_public.hex())])
    write_safely(path, config.dump(listed).encode())
