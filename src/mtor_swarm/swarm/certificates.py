"""Whom the swarm's key vouches for: certificates, revocations, and whom a member believes.

A certificate binds a member's two keys to a unit's name and a role, under the swarm's Ed25519 key
(RFC 8032). Whoever has one may vouch for observers of its own, so that each `mtor units` of a
person is a member by itself. Pure: time and the check of signatures are handed in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta

from mtor_swarm.errors import IdentityError
from mtor_swarm.events import fingerprint
from mtor_swarm.ports import Signer, Verifier
from mtor_swarm.swarm.gossip import hlc, wire

Role = Literal["unit", "observer", "viewer", "operator", "sysop"]
COMMANDERS = ("operator", "sysop")
"""The roles whose commands units obey."""
SYSOPS = ("sysop",)
"""And who may say what runs on them."""
REVOKED = "map:revoked"
"""The shared state of members that are trusted no more; the swarm's key alone writes there."""
MAX_KNOWN = 8192
"""Certificates, links, members and revocations that one member remembers, each."""

_K = TypeVar("_K")
_V = TypeVar("_V")


class CertificateError(IdentityError):
    """Why someone is not believed; the text is also the name that it is counted under."""


class Certificate(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Who has these keys: `key` signs (Ed25519), `link` opens links and datagrams (X25519).

    `generation` counts the certificates of one key: the newest one holds. `expires_s` is wall
    time (Unix). `by` is the certificate of the one who vouches; empty: the swarm's key does.
    """

    key: wire.Key
    link: wire.Key
    unit: wire.Word
    role: Role
    generation: wire.Count
    expires_s: Annotated[float, Meta(ge=0, le=1e12)]
    by: Annotated[bytes, Meta(max_length=256)] = b""
    signature: wire.Signature = b""

    @property
    def member(self) -> str:
        """The id of the member that it is for."""
        return fingerprint(self.key)


_encoder = msgspec.msgpack.Encoder()
_certificates = msgspec.msgpack.Decoder(Certificate)


def make(certificate: Certificate, signer: Signer) -> bytes:
    """The bytes of a certificate, signed."""
    signature = signer.sign(_body(certificate))
    return _encoder.encode(msgspec.structs.replace(certificate, signature=signature))


def read(raw: bytes) -> Certificate:
    """The certificate in these bytes, not yet believed; CertificateError if they hold none."""
    try:
        return _certificates.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        why = "certificate forged" if raw else "certificate missing"
        raise CertificateError(why) from None


def _body(certificate: Certificate) -> bytes:
    unsigned = msgspec.structs.replace(certificate, signature=b"")
    return b"mtor certificate 1\0" + _encoder.encode(unsigned)


def revocation(member: str, signer: Signer, wall_s: float) -> wire.Entry:
    """The swarm's key on a member that is trusted no more, for good: a shared state's entry."""
    stamp = hlc.Clock().tick(wall_s)
    entry = wire.Entry(
        signer.public_key,
        b"",
        boot=0,
        state=REVOKED,
        item=member,
        clock=stamp,
        stamp=stamp,
        value=b"true",
    )
    signed: wire.Entry = wire.sign(entry, signer)
    return signed


class Authority:
    """What one member knows of the swarm's key: whom it vouches for, whom no more.

    Everything here is bounded: the oldest is forgotten, and learned again when it is shown. Only
    revocations stay, and one that finds no room is refused (`CertificateError`).
    """

    def __init__(self, key: bytes, verifier: Verifier) -> None:
        self.key = key
        self.revoked: dict[str, wire.Entry] = {}
        """Members that are trusted no more, each with its revocation."""
        self._verifier = verifier
        self._genuine: dict[bytes, Certificate] = {}
        self._newest: dict[str, int] = {}
        self._links: dict[bytes, Certificate] = {}

    def check(self, raw: bytes, wall_s: float) -> Certificate:
        """The certificate in these bytes if it holds; CertificateError says why it does not."""
        certificate = self._genuine.get(raw)
        if certificate is None:
            certificate = self._verified(read(raw), wall_s)
            _keep(self._genuine, raw, certificate)
        if not certificate.by:
            newest = self._newest.get(certificate.member, 0)
            _keep(self._newest, certificate.member, max(newest, certificate.generation))
        self._stands(certificate, wall_s)
        held = self._links.get(certificate.link)
        if certificate.by and held is not None and held.member != certificate.member:
            raise CertificateError("certificate beyond its voucher")  # that link is another's
        _keep(self._links, certificate.link, certificate)
        return certificate

    def at_link(self, link: bytes, wall_s: float) -> Certificate | None:
        """Whose link key this is; None: nobody's that we know; CertificateError if it was."""
        certificate = self._links.get(link)
        if certificate is not None:
            self._stands(certificate, wall_s)
        return certificate

    def speaker(self, link: bytes, frame: wire.Frame, wall_s: float) -> str:
        """Which member a frame is from that came over a link with this key.

        Of a stranger only a Spread is believed whose first fact shows a certificate for that very
        key, which is known from then on; CertificateError says why nothing else is.
        """
        why = CertificateError("strangers")
        try:
            known = self.at_link(link, wall_s)
            if known is not None:
                return known.member
        except CertificateError as error:
            why = error
        if isinstance(frame, wire.Spread) and frame.facts:
            shown = self.check(frame.facts[0].certificate, wall_s)
            if shown.link == link:
                return shown.member
        raise why

    def is_revoked_link(self, link: bytes) -> bool:
        """Whether this was the link key of a member that is trusted no more."""
        certificate = self._links.get(link)
        return certificate is not None and self._revoked(certificate)

    def admit(self, fact: wire.Fact, wall_s: float) -> str:
        """Whether what a member says of itself is what its certificate says: empty, or why not."""
        try:
            found = self.check(fact.certificate, wall_s)
        except CertificateError as error:
            return str(error)
        role = "unit" if found.role == "unit" else "observer"
        said = (fact.key, fact.link, fact.unit, fact.role)
        same = said == (found.key, found.link, found.unit, role)
        return "" if same else "certificate of another"

    def may_command(
        self, raw: bytes, issuer: str, wall_s: float, roles: Sequence[str] = COMMANDERS
    ) -> str:
        """Whether units obey the issuer that shows this certificate: empty, or why not."""
        try:
            found = self.check(raw, wall_s)
        except CertificateError as error:
            return str(error)
        if found.member != issuer:
            return "certificate of another"
        if found.role in roles:
            return ""
        that = f" that: it takes a {' or '.join(roles)}" if found.role in COMMANDERS else ""
        return f"the role {found.role} may not command{that}"

    def may_ask(self, raw: bytes, wall_s: float) -> str:
        """Whether who has this certificate may ask realms for what they can: empty, or why not.

        Units may, and operators and sysops, with the observers that these vouch for.
        """
        try:
            found = self.check(raw, wall_s)
        except CertificateError as error:
            return str(error)
        role = read(found.by).role if found.by else found.role
        may = role in COMMANDERS or (role == "unit" and not found.by)
        return "" if may else f"who watches as {role} may not ask"

    def revoke(self, entry: wire.Entry) -> bool:
        """Believe a revocation; whether it is news."""
        if entry.item in self.revoked:
            return False
        owned = (entry.state, entry.gone, entry.key) == (REVOKED, False, self.key)
        if not owned or not wire.is_genuine(entry, self._verifier):
            raise CertificateError("revocation forged")
        if len(self.revoked) >= MAX_KNOWN:
            raise CertificateError("revocations without room")
        self.revoked[entry.item] = entry
        return True

    def _verified(self, certificate: Certificate, wall_s: float) -> Certificate:
        key = self.key
        if certificate.by:
            voucher = self.check(certificate.by, wall_s)
            if certificate.role != "observer" or voucher.by:
                raise CertificateError("certificate beyond its voucher")
            key = voucher.key
        if not self._verifier.verify(key, _body(certificate), certificate.signature):
            raise CertificateError("certificate forged")
        return certificate

    def _stands(self, certificate: Certificate, wall_s: float) -> None:
        if self._revoked(certificate):
            raise CertificateError("certificate revoked")
        if certificate.by:
            self._stands(read(certificate.by), wall_s)
        if wall_s > certificate.expires_s:
            raise CertificateError("certificate expired")
        if certificate.generation < self._newest.get(certificate.member, 0):
            raise CertificateError("certificate outdated")

    def _revoked(self, certificate: Certificate) -> bool:
        return certificate.member in self.revoked or (
            bool(certificate.by) and read(certificate.by).member in self.revoked
        )


def _keep(known: dict[_K, _V], key: _K, value: _V) -> None:
    """Remember as the newest; of too many forget the oldest, first of those vouched for.

    They cost their voucher nothing, and so would drive out those whom the swarm's key vouches for.
    """
    known.pop(key, None)
    known[key] = value
    if len(known) > MAX_KNOWN:
        vouched = (each for each, it in known.items() if isinstance(it, Certificate) and it.by)
        del known[next(vouched, next(iter(known)))]
