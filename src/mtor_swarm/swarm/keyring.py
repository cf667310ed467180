"""Keys folders: what a member carries, and what the swarm's owner keeps at home.

A member's folder has `swarm.key` (the swarm's public key, and the CURVE pair that every member of
it listens with), `identity.key` (the member's own), `certificate` (what the swarm's key says of
it) and `revoked` (who is trusted no more). The owner's has `sysop.key`, which signs, and
`issued.yaml`, which remembers: that folder goes on no robot.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from mtor_swarm import config
from mtor_swarm.errors import ConfigError, IdentityError
from mtor_swarm.events import now_text
from mtor_swarm.swarm import certificates
from mtor_swarm.swarm.certificates import Authority, Certificate, CertificateError, Role
from mtor_swarm.swarm.gossip.wire import Entry, Key
from mtor_swarm.swarm.identity import Ed25519Verifier, Identity, check_mode, write_safely

MAX_ISSUED = 8192


class SwarmKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`swarm.key`, as JSON: the swarm's Ed25519 public key, and its listeners' CURVE pair."""

    authority: Key
    public: Key
    secret: Key


class Issued(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of `issued.yaml`: who has a certificate. `expires_s`: wall time (Unix)."""

    unit: str
    role: Role
    id: Annotated[str, Meta(pattern=r"^[0-9a-f]{32}$")]
    key: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
    link: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
    generation: Annotated[int, Meta(ge=1)] = 1
    expires_s: Annotated[float, Meta(ge=0)] = 0.0
    revoked: bool = False


class Ledger(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file `issued.yaml`."""

    members: Annotated[list[Issued], Meta(max_length=MAX_ISSUED)] = []


class Keyring(msgspec.Struct, frozen=True):
    """A member's keys folder, read."""

    folder: Path
    swarm: SwarmKey
    certificate: bytes
    revoked: list[Entry]

    def authority(self) -> Authority:
        """Whom this member believes; IdentityError if `revoked` holds what is not genuine."""
        found = Authority(self.swarm.authority, Ed25519Verifier())
        for entry in self.revoked:
            try:
                found.revoke(entry)
            except CertificateError as error:
                path = self.folder / "revoked"
                raise IdentityError(f"{path}: {error}; copy it anew") from None
        return found


def read(folder: str | Path) -> Keyring:
    """A member's folder; IdentityError names the file and the cure."""
    place = Path(folder)
    certificate = place / "certificate"
    try:
        raw = certificate.read_bytes()
    except OSError as error:
        raise IdentityError(
            f"{certificate}: {error.strerror}; `mtor keys issue` makes a folder with one"
        ) from None
    return Keyring(place, swarm_key(place), raw, revocations(place))


def encode(key: SwarmKey) -> bytes:
    """What the file `swarm.key` holds."""
    return msgspec.json.encode(key)


def swarm_key(place: Path) -> SwarmKey:
    """The folder's `swarm.key`; IdentityError if it is missing, unsafe or corrupt."""
    path = place / "swarm.key"
    try:
        check_mode(path)
        return msgspec.json.decode(path.read_bytes(), type=SwarmKey)
    except OSError as error:
        raise IdentityError(
            f"{path}: {error.strerror}; `mtor keys new-swarm` and `issue` make one"
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise IdentityError(f"{path}: is not a swarm key; copy it anew") from None


def revocations(place: Path) -> list[Entry]:
    """The folder's list of who is trusted no more, not yet believed; none if there is no file."""
    path = place / "revoked"
    if not path.exists():
        return []
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[Entry])
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        raise IdentityError(f"{path}: is not a list of revocations; copy it anew") from None


def keep_revocations(place: Path, revoked: Iterable[Entry]) -> None:
    """Write the list, each member once."""
    once = {each.item: each for each in revoked}
    # All who run with one folder hear of a revocation at the same time.
    write_safely(place / "revoked", msgspec.json.encode(list(once.values())), f".{os.getpid()}")


def own(keys: Keyring, identity: Identity, wall_s: float) -> Certificate:
    """The certificate in the folder; IdentityError if it would not be believed."""
    path = keys.folder / "certificate"
    try:
        found = keys.authority().check(keys.certificate, wall_s)
    except CertificateError as error:
        raise IdentityError(
            f"{path}: {error}: have it issued anew (by this machine's clock it is "
            f"{now_text(wall_s)})"
        ) from None
    if (found.key, found.link) != (identity.public_key, identity.link_public):
        raise IdentityError(
            f"{path}: is for {found.unit} ({found.member}), not for the identity in use "
            f"({identity.member_id}): each member has a keys folder of its own"
        )
    return found


def vouch(keys: Keyring, identity: Identity, wall_s: float) -> Keyring:
    """The folder as an observer of its owner's uses it, with an identity of the observer's own."""
    owner = Identity.load(keys.folder / "identity.key")
    mine = own(keys, owner, wall_s)
    certificate = Certificate(
        identity.public_key,
        identity.link_public,
        mine.unit,
        "observer",
        1,
        mine.expires_s,
        keys.certificate,
    )
    made = certificates.make(certificate, owner)
    return msgspec.structs.replace(keys, certificate=made)


def carried(
    folder: str | Path, identity: Identity, role: str, unit: str, wall_s: float
) -> tuple[Keyring, Certificate]:
    """What a member with this identity shows: its folder's certificate, or one vouched for.

    IdentityError if the folder is another unit's.
    """
    keys = read(folder)
    if role == "observer":
        keys = vouch(keys, identity, wall_s)
    found = own(keys, identity, wall_s)
    if role == "unit" and (found.role, found.unit) != ("unit", unit):
        raise IdentityError(
            f"{keys.folder / 'certificate'}: is for the {found.role} {found.unit}, and this is "
            f"the unit {unit}: each has a folder of its own"
        )
    return keys, found


def issuer(folder: str | Path) -> Identity:
    """The folder's owner, to issue commands; IdentityError if nobody would believe it."""
    keys = read(folder)
    found = Identity.load(keys.folder / "identity.key")
    own(keys, found, time.time())
    found.certificate = keys.certificate
    return found


def seen(folder: str | Path) -> list[tuple[int, int]]:
    """What changes when a file of the folder that may change does: times and sizes."""
    found = []
    for name in ("certificate", "identity.key", "revoked"):
        with contextlib.suppress(OSError):
            at = (Path(folder) / name).stat()
            found.append((at.st_mtime_ns, at.st_size))
    return found


# --- the owner's folder


def new_swarm(folder: str | Path) -> None:
    """Make the owner's folder: a swarm of its own, with nobody in it; never overwrites one."""
    place = Path(folder)
    for name in ("swarm.key", "sysop.key"):
        if (place / name).exists():
            raise ConfigError(f"{place / name}: exists; choose another folder")
    sysop = Identity.ephemeral()
    made = SwarmKey(sysop.public_key, sysop.link_public, sysop.link_secret)
    with _writing(place):
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        sysop.save(place / "sysop.key")
        write_safely(place / "swarm.key", encode(made))
        _record(place, [])


def issue(
    folder: str | Path, unit: str, role: Role | None, out: str | Path, expires_s: float
) -> Issued:
    """Certify a member until then (wall time) and put what it carries into the folder `out`.

    Without a role it keeps the one that it has, or is a unit.

    A folder that has an identity keeps it and gets a certificate of the next generation, under a
    new link key. With `out` a name that ends in `.certificate`, a member that was issued before
    gets that file alone, for the keys that it has.
    """
    place, target = Path(folder), Path(out)
    with _writing(place):
        return _issue(place, unit, role, target, expires_s)


def _issue(place: Path, unit: str, role: Role | None, target: Path, expires_s: float) -> Issued:
    sysop, listed = _sysop(place), ledger(place)
    alone = target.suffix == ".certificate"
    named = unit in {each.unit for each in listed} or re.fullmatch(config.UNIT_NAME, unit)
    if (role or "unit") == "unit" and not named:
        raise ConfigError(f"{unit}: no robot's name: a to z, 0 to 9, _; a letter first; up to 32")
    if alone:
        entry = _named(place, listed, unit)
        entry = msgspec.structs.replace(entry, generation=entry.generation + 1)
    else:
        entry = _equip(place, target, listed, unit)
    role = role or entry.role
    others = [each for each in listed if each.id != entry.id]
    entry = msgspec.structs.replace(entry, role=role, expires_s=expires_s)
    raw = certificates.make(
        Certificate(
            bytes.fromhex(entry.key),
            bytes.fromhex(entry.link),
            unit,
            role,
            entry.generation,
            expires_s,
        ),
        sysop,
    )
    _record(place, [*others, entry])  # first: what is not listed could not be revoked
    write_safely(target if alone else target / "certificate", raw)
    return entry


def revoke(folder: str | Path, who: str, wall_s: float) -> Issued:
    """Trust a member (its id, or its unit's name) no more, for good; the owner's folder says so.

    A running swarm learns it from any keys folder that `revoked` is copied to.
    """
    place = Path(folder)
    with _writing(place):
        sysop, listed = _sysop(place), ledger(place)
        entry = _named(place, listed, who)
        gone = certificates.revocation(entry.id, sysop, wall_s)
        keep_revocations(place, [*revocations(place), gone])
        entry = msgspec.structs.replace(entry, revoked=True)
        _record(place, [entry if each.id == entry.id else each for each in listed])
    return entry


def hand_on(folder: str | Path, target: str | Path) -> None:
    """Bring the owner's list of who is trusted no more into a member's folder."""
    home, place = Path(folder), Path(target)
    read(place)
    with _writing(place):
        _check_target(home, place)
        keep_revocations(place, [*revocations(place), *revocations(home)])


def ledger(folder: str | Path) -> list[Issued]:
    """Who has a certificate, by the owner's folder."""
    path = Path(folder) / "issued.yaml"
    if not path.exists():
        raise IdentityError(f"{path}: is not there; `mtor keys new-swarm {folder}` makes one")
    return config.load(path, Ledger).members


@contextlib.contextmanager
def _writing(place: Path) -> Iterator[None]:
    """ConfigError if the disk refuses. In an owner's folder one at a time: the ledger is whole."""
    owned = place / "sysop.key"
    with contextlib.ExitStack() as held:
        try:
            if owned.exists():
                fcntl.flock(held.enter_context(open(owned, "rb")), fcntl.LOCK_EX)
            yield
        except OSError as error:
            where = error.filename or place
            raise ConfigError(f"{where}: {error.strerror}: choose another place") from None


def _record(place: Path, members: list[Issued]) -> None:
    ordered = sorted(members, key=lambda each: (each.unit, each.id))
    write_safely(place / "issued.yaml", config.dump(Ledger(ordered)).encode())


def _sysop(place: Path) -> Identity:
    path = place / "sysop.key"
    if not path.exists():
        raise IdentityError(
            f"{path}: is not there; name the folder that `mtor keys new-swarm` made"
        )
    return Identity.load(path)


def _equip(place: Path, target: Path, listed: list[Issued], unit: str) -> Issued:
    """Put all but the certificate into a member's folder; what the ledger will say of it."""
    _check_target(place, target)
    path = target / "identity.key"
    identity = Identity.load(path) if path.exists() else Identity.ephemeral()
    known = next((each for each in listed if each.id == identity.member_id), None)
    if known is not None and known.revoked:
        raise ConfigError(f"{target}: {known.unit} there was revoked: choose a new folder")
    identity = identity.with_new_link() if known else identity
    entry = Issued(
        unit=unit,
        role=known.role if known else "unit",
        id=identity.member_id,
        key=identity.public_key.hex(),
        link=identity.link_public.hex(),
        generation=known.generation + 1 if known else 1,
    )
    _check_free(place, [each for each in listed if each.id != entry.id], entry)
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    identity.save(path)
    write_safely(target / "swarm.key", encode(swarm_key(place)))
    keep_revocations(target, [*revocations(target), *revocations(place)])
    return entry


def _check_target(place: Path, target: Path) -> None:
    """Nobody's keys are overwritten."""
    if (target / "sysop.key").exists():
        raise ConfigError(f"{target}: is an owner's folder, which goes on no robot: name another")
    if (target / "swarm.key").exists() and swarm_key(target) != swarm_key(place):
        raise ConfigError(f"{target}: has the keys of another swarm: name another folder")


def _named(place: Path, listed: list[Issued], who: str) -> Issued:
    found = [each for each in listed if who in (each.id, each.unit) and not each.revoked]
    if len(found) != 1:
        why = "no member" if not found else "more than one member"
        raise ConfigError(f"{place / 'issued.yaml'}: {why} {who}; `mtor keys list` tells the ids")
    return found[0]


def _check_free(place: Path, others: list[Issued], entry: Issued) -> None:
    """One name, one unit: two would fight over it."""
    for each in others:
        if each.unit == entry.unit and not each.revoked:
            raise ConfigError(
                f"{place / 'issued.yaml'}: {entry.unit} has a certificate ({each.id}): name its "
                f"folder to renew it, or revoke it first: `mtor keys revoke {place} {entry.unit}`"
            )
