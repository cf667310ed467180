from __future__ import annotations

import pytest

from mtor_swarm.errors import IdentityError
from mtor_swarm.events import fingerprint
from mtor_swarm.swarm.identity import Ed25519Verifier, Identity


def test_an_identity_stays_and_its_boot_count_rises(tmp_path) -> None:
    once = Identity.open(tmp_path)
    once.close()
    again = Identity.open(tmp_path)
    again.close()
    assert (once.member_id, once.boot + 1) == (again.member_id, again.boot)
    assert once.member_id == fingerprint(once.public_key)
    assert (tmp_path / "identity.key").stat().st_mode & 0o777 == 0o600


def test_two_processes_never_run_with_one_identity(tmp_path) -> None:
    held = Identity.open(tmp_path)
    with pytest.raises(IdentityError, match=r"process \d+ runs with this identity"):
        Identity.open(tmp_path)
    held.close()
    Identity.open(tmp_path).close()


@pytest.mark.parametrize("junk", [b"", b"{}", b"\xff", b'{"sign": "AA==", "link": "AA=="}'])
def test_a_corrupt_key_file_is_named_with_the_cure(tmp_path, junk) -> None:
    (tmp_path / "identity.key").write_bytes(junk)
    (tmp_path / "identity.key").chmod(0o600)
    with pytest.raises(IdentityError, match=r"identity\.key: is not a key file"):
        Identity.open(tmp_path)


def test_a_key_that_others_may_read_is_refused(tmp_path) -> None:
    Identity.open(tmp_path).close()
    (tmp_path / "identity.key").chmod(0o644)
    with pytest.raises(IdentityError, match="chmod 600"):
        Identity.open(tmp_path)


def test_an_issued_identity_is_used_with_the_boot_count_of_the_state(tmp_path) -> None:
    (tmp_path / "keys").mkdir()
    issued = Identity.ephemeral()
    issued.save(tmp_path / "keys" / "identity.key")
    found = Identity.open(tmp_path / "state", tmp_path / "keys")
    found.close()
    assert (found.member_id, found.boot) == (issued.member_id, 1)
    relinked = found.with_new_link()
    assert relinked.member_id == found.member_id
    assert relinked.link_public != found.link_public
    with pytest.raises(IdentityError, match="`mtor keys issue` makes it"):
        Identity.open(tmp_path / "state", tmp_path / "none")


def test_a_corrupt_boot_count_is_named(tmp_path) -> None:
    (tmp_path / "boot").write_text("many")
    with pytest.raises(IdentityError, match="is not a boot count"):
        Identity.open(tmp_path)


def test_only_the_right_signature_is_accepted() -> None:
    mine, other = Identity.ephemeral(), Identity.ephemeral()
    verifier = Ed25519Verifier()
    signature = mine.sign(b"x")
    assert verifier.verify(mine.public_key, b"x", signature)
    assert not verifier.verify(mine.public_key, b"y", signature)
    assert not verifier.verify(other.public_key, b"x", signature)
    assert not verifier.verify(b"", b"x", b"")
