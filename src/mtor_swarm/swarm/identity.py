"""A member's keys and boot count: who it is, across restarts.

Ed25519 (RFC 8032) signs what a member says; a CURVE25519 pair opens its ZeroMQ links. Both lie in
one file that only its owner may read; a lock keeps two processes from being the same member.
"""

from __future__ import annotations

import fcntl
import functools
import os
import stat
from pathlib import Path
from typing import IO

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from mtor_swarm.errors import IdentityError
from mtor_swarm.events import fingerprint
from mtor_swarm.paths import state_home


class _File(msgspec.Struct, frozen=True):
    """What the key file holds, as JSON (bytes in base64)."""

    sign: bytes
    link: bytes


class Identity:
    """The private half of a member. `open` or `ephemeral` makes one."""

    def __init__(self, keys: _File, boot: int, lock: IO[str] | None = None) -> None:
        self._held = keys
        self._key = Ed25519PrivateKey.from_private_bytes(keys.sign)
        self.public_key = self._key.public_key().public_bytes_raw()
        self.member_id = fingerprint(self.public_key)
        self.boot = boot
        self.certificate = b""
        """What the swarm's key says of it, where it issues commands."""
        self.link_secret = keys.link
        self.link_public = (
            X25519PrivateKey.from_private_bytes(keys.link).public_key().public_bytes_raw()
        )
        self._lock = lock

    @classmethod
    def ephemeral(cls) -> Identity:
        """A new identity that is kept nowhere: for observers."""
        return cls(_new_keys(), 1)

    @classmethod
    def load(cls, path: str | Path, boot: int = 0) -> Identity:
        """The identity in a key file, to sign and to vouch with; IdentityError names the file."""
        file = Path(path)
        if not file.exists():
            raise IdentityError(f"{file}: is not there; `mtor keys issue` makes it")
        try:
            return cls(_keys(file), boot)
        except OSError as error:
            raise IdentityError(f"{file}: {error.strerror}; make it readable") from None

    @classmethod
    def open(cls, state_dir: str | Path, keys: str | Path = "") -> Identity:
        """The identity of a member, locked, its boot count one up.

        It is kept in that folder, made on first use; in a swarm with keys it is the one that was
        issued in the folder `keys`.
        """
        folder = Path(state_dir)
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = _locked(folder / "identity.lock")
        except OSError as error:
            raise IdentityError(
                f"{folder}: cannot hold an identity: {error.strerror}; make it writable"
            ) from None
        try:
            issued = Path(keys) / "identity.key"
            held = cls.load(issued)._held if keys else _keys(folder / "identity.key")
            return cls(held, _next_boot(folder / "boot"), lock)
        except OSError as error:
            lock.close()
            raise IdentityError(f"{error.filename or folder}: {error.strerror}") from None
        except IdentityError:
            lock.close()
            raise

    def save(self, path: Path) -> None:
        """Write the key file."""
        write_safely(path, msgspec.json.encode(self._held))

    def with_new_link(self) -> Identity:
        """The same member, with a new key for its links."""
        return Identity(msgspec.structs.replace(self._held, link=_new_keys().link), self.boot)

    def sign(self, message: bytes) -> bytes:
        """The 64-byte signature of `message`."""
        return self._key.sign(message)

    def close(self) -> None:
        """Let another process have this identity."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def operator_signer(path: str | Path | None = None) -> Identity:
    """The key that this user's commands are signed with, made on first use.

    Every `mtor say` and viewer of the user shares it, at the same time too; by default it is
    `operator.key` in the user's state.
    """
    file = Path(path) if path else state_home() / "operator.key"
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with open(file.with_name(file.name + ".lock"), "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # two first uses at once make one key
            return Identity(_keys(file), boot=0)
    except OSError as error:
        raise IdentityError(f"{file}: {error.strerror}; make its folder writable") from None


@functools.lru_cache(maxsize=1024)
def _public(raw: bytes) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(raw)


class Ed25519Verifier:
    """Checks signatures; never raises."""

    def verify(self, public_key: bytes, message: bytes, signature: bytes) -> bool:
        try:
            _public(public_key).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


def write_safely(path: Path, raw: bytes, mark: str = "") -> None:
    """Write a private file so that a crash leaves the old one or the new one, whole.

    Where several may write at the same time, each takes a `mark` of its own.
    """
    fresh = path.with_name(f"{path.name}{mark}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(raw)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def check_mode(path: Path) -> None:
    """IdentityError if others may read or write this private file."""
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise IdentityError(f"{path}: others may read it (mode {mode:o}): chmod 600 {path}")


def _new_keys() -> _File:
    return _File(
        Ed25519PrivateKey.generate().private_bytes_raw(),
        X25519PrivateKey.generate().private_bytes_raw(),
    )


def _keys(path: Path) -> _File:
    if not path.exists():
        write_safely(path, msgspec.json.encode(_new_keys()))
    check_mode(path)
    try:
        keys = msgspec.json.decode(path.read_bytes(), type=_File)
    except (msgspec.DecodeError, UnicodeDecodeError):
        keys = _File(b"", b"")
    if len(keys.sign) != 32 or len(keys.link) != 32:
        raise IdentityError(
            f"{path}: is not a key file; put the right one back, or delete it to be a new member"
        )
    return keys


def _next_boot(path: Path) -> int:
    try:
        boot = int(path.read_text()) if path.exists() else 0
    except ValueError:
        boot = -1
    if boot < 0:
        raise IdentityError(
            f"{path}: is not a boot count; write a number above the last one, or delete it "
            "together with identity.key to be a new member"
        )
    write_safely(path, f"{boot + 1}\n".encode())
    return boot + 1


def _locked(path: Path) -> IO[str]:
    lock = open(path, "a+", encoding="utf-8")  # noqa: SIM115 - held for as long as we live
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.seek(0)
        holder = lock.read(32).strip() or "?"
        lock.close()
        raise IdentityError(
            f"{path.parent}: process {holder} runs with this identity; stop it, or give this "
            "unit a state_dir of its own"
        ) from None
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock
