from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from mtor_swarm.cli.main import main
from mtor_swarm.errors import ConfigError, IdentityError
from mtor_swarm.swarm import keyring
from mtor_swarm.swarm.identity import Identity

LATER = time.time() + 86_400  # longer than the longest run of all tests


@pytest.fixture
def home(tmp_path):
    keyring.new_swarm(tmp_path / "home")
    return tmp_path / "home"


def carried(folder, role="unit", unit="r1"):
    identity = Identity.load(folder / "identity.key")
    return keyring.carried(folder, identity, role, unit, time.time())


def test_a_member_carries_what_it_needs_and_not_what_signs(home, tmp_path) -> None:
    made = keyring.issue(home, "r1", None, tmp_path / "r1", LATER)
    _, certificate = carried(tmp_path / "r1")
    assert (certificate.member, certificate.unit, certificate.role) == (made.id, "r1", "unit")
    names = {each.name: each.stat().st_mode & 0o777 for each in (tmp_path / "r1").iterdir()}
    assert set(names) == {"swarm.key", "identity.key", "certificate", "revoked"}
    assert set(names.values()) == {0o600}
    assert (home / "sysop.key").stat().st_mode & 0o777 == 0o600


def test_issuing_again_renews_with_a_new_link_key_and_the_next_generation(home, tmp_path) -> None:
    first = keyring.issue(home, "r1", "operator", tmp_path / "r1", LATER)
    again = keyring.issue(home, "r1", None, tmp_path / "r1", LATER)
    assert (again.id, again.role, again.generation) == (first.id, "operator", 2)
    assert again.link != first.link
    assert [each.generation for each in keyring.ledger(home)] == [2]


def test_a_certificate_alone_renews_the_keys_that_a_member_has(home, tmp_path) -> None:
    keyring.issue(home, "r1", None, tmp_path / "r1", LATER)
    file = tmp_path / "r1.certificate"
    again = keyring.issue(home, "r1", None, file, LATER)
    file.replace(tmp_path / "r1" / "certificate")
    _, certificate = carried(tmp_path / "r1")
    assert (certificate.generation, certificate.link.hex()) == (2, again.link)


def test_a_name_is_one_units_until_that_one_is_revoked(home, tmp_path) -> None:
    first = keyring.issue(home, "r1", None, tmp_path / "r1", LATER)
    with pytest.raises(ConfigError, match=rf"r1 has a certificate \({first.id}\).*mtor keys rev"):
        keyring.issue(home, "r1", None, tmp_path / "other", LATER)
    assert not (tmp_path / "other").exists()
    keyring.revoke(home, "r1", time.time())
    keyring.issue(home, "r1", None, tmp_path / "other", LATER)
    assert [each.revoked for each in keyring.ledger(home)].count(True) == 1
    with pytest.raises(ConfigError, match="r1 there was revoked"):
        keyring.issue(home, "r1", None, tmp_path / "r1", LATER)


def test_a_revoked_members_own_folder_is_refused_once_it_knows(home, tmp_path) -> None:
    keyring.issue(home, "r1", None, tmp_path / "r1", LATER)
    gone = keyring.revoke(home, "r1", time.time())
    keyring.hand_on(home, tmp_path / "r1")
    with pytest.raises(IdentityError, match=r"certificate: certificate revoked"):
        carried(tmp_path / "r1")
    for who in (gone.id, "r1", "nobody"):
        with pytest.raises(ConfigError, match=f"no member {who}"):
            keyring.revoke(home, who, time.time())


def test_a_folder_is_one_members_own(home, tmp_path) -> None:
    keyring.issue(home, "r1", None, tmp_path / "r1", LATER)
    with pytest.raises(IdentityError, match=r"is for r1 .*, not for the identity in use"):
        keyring.carried(tmp_path / "r1", Identity.ephemeral(), "unit", "r1", time.time())
    with pytest.raises(IdentityError, match="is for the unit r1, and this is the unit r2"):
        carried(tmp_path / "r1", unit="r2")
    with pytest.raises(IdentityError, match="certificate expired: have it issued anew"):
        keyring.carried(
            tmp_path / "r1", Identity.load(tmp_path / "r1/identity.key"), "unit", "r1", LATER + 1
        )


def test_an_observer_is_vouched_for_by_the_folders_owner(home, tmp_path) -> None:
    keyring.issue(home, "ada", "operator", tmp_path / "ada", LATER)
    eye = Identity.ephemeral()
    keys, certificate = keyring.carried(tmp_path / "ada", eye, "observer", "mtor", time.time())
    assert (certificate.unit, certificate.role) == ("ada", "observer")
    assert keys.authority().check(keys.certificate, time.time()).member == eye.member_id
    assert len(keys.certificate) <= 512


def test_who_issues_commands_shows_the_folders_certificate(home, tmp_path) -> None:
    keyring.issue(home, "ada", "operator", tmp_path / "ada", LATER)
    ada = keyring.issuer(tmp_path / "ada")
    keys = keyring.read(tmp_path / "ada")
    said = keys.authority().may_command(ada.certificate, ada.member_id, time.time())
    assert said == ""


def test_a_swarm_is_made_once(home) -> None:
    with pytest.raises(ConfigError, match=r"swarm\.key: exists"):
        keyring.new_swarm(home)


@pytest.mark.parametrize(
    ("name", "junk", "said"),
    [
        ("swarm.key", b"zz", r"swarm\.key: is not a swarm key"),
        ("swarm.key", b'{"authority": "AA=="}', r"swarm\.key: is not a swarm key"),
        ("swarm.key", None, r"swarm\.key: No such file.*mtor keys"),
        ("certificate", b"zz", r"certificate: certificate forged: have it issued"),
        ("certificate", None, r"certificate: No such file.*mtor keys issue"),
        ("revoked", b"[1]", r"revoked: is not a list of revocations"),
        ("identity.key", b"{}", r"identity\.key: is not a key file"),
    ],
)
def test_a_file_that_is_missing_or_corrupt_is_named(home, tmp_path, name, junk, said) -> None:
    keyring.issue(home, "r1", None, tmp_path / "r1", LATER)
    (tmp_path / "r1" / name).unlink()
    if junk is not None:
        (tmp_path / "r1" / name).write_bytes(junk)
        (tmp_path / "r1" / name).chmod(0o600)
    with pytest.raises(IdentityError, match=said):
        carried(tmp_path / "r1")


def test_a_list_of_another_swarm_is_refused(home, tmp_path) -> None:
    keyring.new_swarm(tmp_path / "far")
    for place in (home, tmp_path / "far"):
        keyring.issue(place, "r1", None, tmp_path / f"{place.name}-r1", LATER)
    keyring.revoke(tmp_path / "far", "r1", time.time())
    with pytest.raises(ConfigError, match="has the keys of another swarm"):
        keyring.hand_on(tmp_path / "far", tmp_path / "home-r1")
    assert carried(tmp_path / "home-r1")
    keyring.keep_revocations(tmp_path / "home-r1", keyring.revocations(tmp_path / "far"))
    with pytest.raises(IdentityError, match="revoked: revocation forged; copy it anew"):
        carried(tmp_path / "home-r1")


def test_a_key_that_others_may_read_is_refused(home, tmp_path) -> None:
    keyring.issue(home, "r1", None, tmp_path / "r1", LATER)
    for path in (tmp_path / "r1/swarm.key", home / "sysop.key"):
        path.chmod(0o640)
    with pytest.raises(IdentityError, match=r"swarm\.key: others may read it.*chmod 600"):
        keyring.read(tmp_path / "r1")
    with pytest.raises(IdentityError, match=r"sysop\.key: others may read it"):
        keyring.revoke(home, "r1", time.time())


def test_the_owners_folder_is_asked_for_by_name(tmp_path) -> None:
    (tmp_path / "issued.yaml").write_text("members: []")
    with pytest.raises(IdentityError, match=r"sysop\.key: is not there; name the folder"):
        keyring.issue(tmp_path, "r1", None, tmp_path / "r1", LATER)
    with pytest.raises(IdentityError, match=r"issued\.yaml: is not there; `mtor keys new-swarm"):
        keyring.ledger(tmp_path / "none")


def test_what_changes_in_a_folder_is_seen(home, tmp_path) -> None:
    assert keyring.seen(tmp_path / "none") == []
    keyring.issue(home, "r1", None, tmp_path / "r1", LATER)
    before = keyring.seen(tmp_path / "r1")
    keyring.issue(home, "r1", None, tmp_path / "r1", LATER)
    assert keyring.seen(tmp_path / "r1") != before


def test_the_command_line_makes_issues_lists_and_revokes(tmp_path, capsys) -> None:
    home, r1, ada = (str(tmp_path / each) for each in ("home", "r1", "ada"))
    assert main(["keys", "new-swarm", home]) == 0
    assert main(["keys", "issue", home, "--unit", "r1", "--out", r1, "--expires", "2"]) == 0
    assert main(["keys", "issue", home, "--unit", "ada", "--role", "viewer", "--out", ada]) == 0
    assert main(["keys", "revoke", home, "r1", "--into", ada]) == 0
    assert len(keyring.read(ada).revoked) == 1
    capsys.readouterr()
    assert main(["keys", "list", home]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert [("viewer" in each, "revoked" in each) for each in rows[1:]] == [
        (True, False),
        (False, True),
    ]
    assert main(["keys", "revoke", home, "r9"]) == 2
    assert "no member r9; `mtor keys list` tells the ids" in capsys.readouterr().err


def test_a_robot_is_certified_by_a_name_that_its_config_may_have(home, tmp_path) -> None:
    with pytest.raises(ConfigError, match="R 1: no robot's name"):
        keyring.issue(home, "R 1", None, tmp_path / "r1", LATER)
    assert not (tmp_path / "r1").exists()
    keyring.issue(home, "Ada Lovelace", "operator", tmp_path / "ada", LATER)
    assert keyring.issue(home, "Ada Lovelace", None, tmp_path / "ada", LATER).role == "operator"


@pytest.mark.parametrize("days", ["0", "nan", "-1", "99999", "soon"])
def test_a_senseless_expiry_is_refused(days) -> None:
    with pytest.raises(SystemExit):
        main(["keys", "issue", "x", "--unit", "r1", "--out", "y", "--expires", days])


def test_nobodys_keys_are_overwritten(home, tmp_path) -> None:
    far = tmp_path / "far"
    keyring.new_swarm(far)
    keyring.issue(far, "r1", None, tmp_path / "far-r1", LATER)
    before = {each: each.read_bytes() for each in tmp_path.rglob("*") if each.is_file()}
    for place, said in [(home, "owner's"), (far, "owner's"), (tmp_path / "far-r1", "another")]:
        with pytest.raises(ConfigError, match=said):
            keyring.issue(home, "r1", None, place, LATER)
    after = {each: each.read_bytes() for each in tmp_path.rglob("*") if each.is_file()}
    assert after == before


def test_many_may_be_issued_at_the_same_time(home, tmp_path) -> None:
    names = [f"r{i}" for i in range(16)]
    with ThreadPoolExecutor(len(names)) as pool:
        for each in names:
            pool.submit(keyring.issue, home, each, None, tmp_path / each, LATER)
    assert {each.unit for each in keyring.ledger(home)} == {*names}


def test_who_is_revoked_stays_so_whatever_an_older_copy_says(home, tmp_path) -> None:
    for unit in ("r1", "r2"):
        keyring.issue(home, unit, None, tmp_path / unit, LATER)
    keyring.revoke(home, "r1", time.time())
    keyring.hand_on(home, tmp_path / "r2")
    (home / "revoked").unlink()
    keyring.hand_on(home, tmp_path / "r2")
    keyring.issue(home, "r2", None, tmp_path / "r2", LATER)
    assert len(keyring.read(tmp_path / "r2").revoked) == 1


def test_a_disk_that_refuses_is_named(home, tmp_path, capsys) -> None:
    (tmp_path / "file").write_text("")
    keys = ["keys", "issue", str(home), "--unit", "r1", "--out"]
    assert main([*keys, str(tmp_path / "file")]) == 2
    assert main([*keys, str(tmp_path / "file" / "r1")]) == 2
    assert main(["keys", "new-swarm", str(tmp_path / "file")]) == 2
    assert capsys.readouterr().err.count("choose another place") == 3
    keyring.issue(home, "r1", None, tmp_path / "r1", LATER)
    (tmp_path / "r1/identity.key").unlink()
    (tmp_path / "r1/identity.key").mkdir(mode=0o700)
    with pytest.raises(IdentityError, match=r"identity\.key: Is a directory; make it readable"):
        carried(tmp_path / "r1")


def test_what_another_writes_into_the_folder_meanwhile_is_no_hindrance(home) -> None:
    (home / "revoked.new").mkdir()
    keyring.keep_revocations(home, [])
    assert keyring.revocations(home) == []
