from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtor_swarm.swarm import certificates
from mtor_swarm.swarm.certificates import (
    SYSOPS,
    Authority,
    Certificate,
    CertificateError,
    revocation,
)
from mtor_swarm.swarm.gossip import wire
from mtor_swarm.swarm.identity import Ed25519Verifier, Identity

NOW = 1_000_000.0
SYSOP, R1, R2, ADA, EYE = (Identity.ephemeral() for _ in range(5))


def certificate(
    whose=R1, unit="r1", role="unit", *, generation=1, signer=SYSOP, by=b"", expires_s=NOW + 9
) -> bytes:
    made = Certificate(whose.public_key, whose.link_public, unit, role, generation, expires_s, by)
    return certificates.make(made, signer)


def fact(whose=R1, unit="r1", role="unit", shown=None, link=b"") -> wire.Fact:
    return wire.Fact(
        whose.public_key,
        b"",
        boot=1,
        incarnation=1,
        address="tcp://127.0.0.1:1",
        unit=unit,
        role=role,
        started_s=NOW,
        link=link or whose.link_public,
        certificate=certificate() if shown is None else shown,
    )


@pytest.fixture
def authority() -> Authority:
    return Authority(SYSOP.public_key, Ed25519Verifier())


def refusal(authority: Authority, raw: bytes, wall_s: float = NOW) -> str:
    with pytest.raises(CertificateError) as refused:
        authority.check(raw, wall_s)
    return str(refused.value)


def test_a_certificate_says_what_was_signed(authority) -> None:
    found = authority.check(certificate(), NOW)
    assert (found.member, found.link) == (R1.member_id, R1.link_public)
    assert (found.unit, found.role, found.generation) == ("r1", "unit", 1)
    assert authority.check(certificate(), NOW) is found


def test_another_swarms_certificate_is_forged_here(authority) -> None:
    assert refusal(authority, certificate(signer=R2)) == "certificate forged"


def test_a_certificate_ends_when_it_says(authority) -> None:
    raw = certificate()
    authority.check(raw, NOW)
    assert refusal(authority, raw, NOW + 10) == "certificate expired"


def test_a_newer_generation_ends_the_older_one(authority) -> None:
    authority.check(certificate(), NOW)
    authority.check(certificate(generation=2), NOW)
    assert refusal(authority, certificate()) == "certificate outdated"


def test_no_certificate_is_missing_and_junk_is_forged(authority) -> None:
    assert refusal(authority, b"") == "certificate missing"
    assert refusal(authority, b"\xc1") == "certificate forged"


@given(junk=st.binary(max_size=300), at=st.integers(0, 400))
def test_whatever_bytes_are_shown_only_the_signed_ones_are_believed(junk, at) -> None:
    authority = Authority(SYSOP.public_key, Ed25519Verifier())
    raw = certificate()
    for shown in (junk, raw[:at] + junk + raw[at + len(junk) :]):
        try:
            assert authority.check(shown, NOW).member == R1.member_id
            assert certificates.read(shown) == certificates.read(raw)
        except CertificateError:
            pass


def test_a_fact_must_say_what_its_certificate_says(authority) -> None:
    assert authority.admit(fact(), NOW) == ""
    for wrong in (
        fact(whose=R2),
        fact(unit="r2"),
        fact(role="observer"),
        fact(link=R2.link_public),
        fact(shown=certificate(role="sysop")),
    ):
        assert authority.admit(wrong, NOW) == "certificate of another"
    assert authority.admit(fact(shown=b""), NOW) == "certificate missing"


@pytest.mark.parametrize("role", ["observer", "viewer", "operator", "sysop"])
def test_people_take_part_as_observers(authority, role) -> None:
    shown = certificate(ADA, "ada", role)
    assert authority.admit(fact(ADA, "ada", "observer", shown), NOW) == ""
    assert authority.admit(fact(ADA, "ada", "unit", shown), NOW) == "certificate of another"


def test_only_operators_and_sysops_may_command(authority) -> None:
    for role, said in [
        ("operator", ""),
        ("sysop", ""),
        ("viewer", "the role viewer may not command"),
        ("unit", "the role unit may not command"),
    ]:
        raw = certificate(ADA, "ada", role)
        assert authority.may_command(raw, ADA.member_id, NOW) == said
        assert authority.may_command(raw, R1.member_id, NOW) == "certificate of another"
    assert authority.may_command(b"", ADA.member_id, NOW) == "certificate missing"


def test_only_sysops_may_say_what_runs_on_a_unit(authority) -> None:
    for role, said in [
        ("sysop", ""),
        ("operator", "the role operator may not command that: it takes a sysop"),
        ("viewer", "the role viewer may not command"),
    ]:
        raw = certificate(ADA, "ada", role)
        assert authority.may_command(raw, ADA.member_id, NOW, SYSOPS) == said


@pytest.mark.parametrize("role", ["unit", "observer", "viewer", "operator", "sysop"])
def test_units_ask_realms_and_of_those_who_watch_only_who_commands(authority, role) -> None:
    commands = role in ("operator", "sysop")
    own = certificate(ADA, "ada", role)
    eye = certificate(EYE, "ada", "observer", signer=ADA, by=own)
    refused = f"who watches as {role} may not ask"
    assert authority.may_ask(own, NOW) == ("" if commands or role == "unit" else refused)
    assert authority.may_ask(eye, NOW) == ("" if commands else refused)
    assert authority.may_ask(b"", NOW) == "certificate missing"


def test_who_has_a_certificate_vouches_for_observers_and_for_nothing_else(authority) -> None:
    ada = certificate(ADA, "ada", "operator")
    eye = certificate(EYE, "ada", "observer", signer=ADA, by=ada)
    assert authority.admit(fact(EYE, "ada", "observer", eye), NOW) == ""
    assert authority.may_command(eye, EYE.member_id, NOW) == "the role observer may not command"
    for role in ("unit", "sysop"):
        raised = certificate(EYE, "ada", role, signer=ADA, by=ada)
        assert refusal(authority, raised) == "certificate beyond its voucher"
    forged = certificate(EYE, "ada", "observer", signer=R1, by=ada)
    assert refusal(authority, forged) == "certificate forged"


def test_who_is_vouched_for_may_not_vouch(authority) -> None:
    ada = certificate(ADA, "", "sysop")
    eye = certificate(EYE, "", "observer", signer=ADA, by=ada)
    made = Certificate(R2.public_key, R2.link_public, "", "observer", 1, NOW + 9, eye)
    with pytest.raises(CertificateError):
        authority.check(certificates.make(made, EYE), NOW)


def test_the_revoked_are_believed_no_more_nor_whom_they_vouch_for(authority) -> None:
    ada = certificate(ADA, "ada", "operator")
    eye = certificate(EYE, "ada", "observer", signer=ADA, by=ada)
    authority.check(eye, NOW)
    gone = revocation(ADA.member_id, SYSOP, NOW)
    assert [authority.revoke(gone), authority.revoke(gone)] == [True, False]
    for raw in (ada, eye, certificate(ADA, "ada", "operator", generation=9)):
        assert refusal(authority, raw) == "certificate revoked"
    assert authority.is_revoked_link(ADA.link_public)
    assert authority.is_revoked_link(EYE.link_public)
    assert not authority.is_revoked_link(R1.link_public)


def test_only_the_swarms_key_revokes(authority) -> None:
    gone = revocation(R1.member_id, SYSOP, NOW)
    for wrong in (
        revocation(R1.member_id, R2, NOW),
        msgspec.structs.replace(gone, item=R2.member_id),
        msgspec.structs.replace(gone, state="map:other"),
        msgspec.structs.replace(gone, gone=True),
    ):
        with pytest.raises(CertificateError, match="revocation forged"):
            authority.revoke(wrong)
    authority.check(certificate(), NOW)


def test_what_is_remembered_is_bounded(authority, monkeypatch) -> None:
    monkeypatch.setattr(certificates, "MAX_KNOWN", 2)
    crowd = [Identity.ephemeral() for _ in range(4)]
    for each in crowd:
        authority.check(certificate(each), NOW)
    assert [authority.at_link(e.link_public, NOW) is not None for e in crowd] == [
        False,
        False,
        True,
        True,
    ]
    for each in crowd[:2]:
        authority.revoke(revocation(each.member_id, SYSOP, NOW))
    with pytest.raises(CertificateError, match="without room"):
        authority.revoke(revocation(crowd[2].member_id, SYSOP, NOW))


def spread(*facts: wire.Fact) -> wire.Spread:
    return wire.Spread(list(facts), [])


def test_a_stranger_is_known_once_it_shows_a_certificate_for_its_link(authority) -> None:
    for silent in (wire.Ping(1), spread()):
        with pytest.raises(CertificateError, match="strangers"):
            authority.speaker(R1.link_public, silent, NOW)
    assert authority.speaker(R1.link_public, spread(fact()), NOW) == R1.member_id
    assert authority.speaker(R1.link_public, wire.Ping(1), NOW) == R1.member_id


def test_nobody_speaks_with_the_certificate_of_another(authority) -> None:
    with pytest.raises(CertificateError, match="strangers"):
        authority.speaker(R2.link_public, spread(fact()), NOW)
    with pytest.raises(CertificateError, match="certificate forged"):
        authority.speaker(R2.link_public, spread(fact(shown=b"x")), NOW)


def test_a_known_link_stays_shut_until_it_shows_something_better(authority) -> None:
    authority.speaker(R1.link_public, spread(fact()), NOW)
    for frame in (wire.Ping(1), spread(fact())):
        with pytest.raises(CertificateError, match="certificate expired"):
            authority.speaker(R1.link_public, frame, NOW + 10)
    newer = fact(shown=certificate(generation=2, expires_s=NOW + 100))
    assert authority.speaker(R1.link_public, spread(newer), NOW + 10) == R1.member_id


def test_nobody_vouches_for_a_link_that_is_anothers(authority) -> None:
    authority.check(certificate(), NOW)
    ada = certificate(ADA, "ada", "viewer")
    made = Certificate(EYE.public_key, R1.link_public, "ada", "observer", 1, NOW + 9, ada)
    assert refusal(authority, certificates.make(made, ADA)) == "certificate beyond its voucher"
    authority.revoke(revocation(ADA.member_id, SYSOP, NOW))
    assert not authority.is_revoked_link(R1.link_public)
    assert authority.speaker(R1.link_public, wire.Ping(1), NOW) == R1.member_id


def test_a_link_that_was_vouched_for_first_is_its_owners_once_that_one_comes(authority) -> None:
    ada = certificate(ADA, "ada", "viewer")
    made = Certificate(EYE.public_key, R1.link_public, "ada", "observer", 1, NOW + 9, ada)
    authority.check(certificates.make(made, ADA), NOW)
    authority.check(certificate(), NOW)
    assert authority.speaker(R1.link_public, wire.Ping(1), NOW) == R1.member_id


def test_a_crowd_that_is_vouched_for_drives_out_nobody_but_its_own(authority, monkeypatch) -> None:
    monkeypatch.setattr(certificates, "MAX_KNOWN", 4)
    authority.check(certificate(), NOW)
    ada = certificate(ADA, "ada", "viewer")
    for _ in range(9):
        eye = Identity.ephemeral()
        authority.check(certificate(eye, "ada", "observer", signer=ADA, by=ada), NOW)
    assert authority.at_link(R1.link_public, NOW) is not None
    assert authority.at_link(eye.link_public, NOW) is not None
