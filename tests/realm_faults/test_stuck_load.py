"""A worker that is never done with loading."""

from __future__ import annotations

from mtor_swarm.config import WorkerConfig
from tests.realm_faults.realm import Realm


def test_one_that_is_never_done_with_loading_is_ended_and_the_command_refused_with_why(tmp_path):
    realm = Realm(tmp_path, configure_timeout_s=8.0)
    try:
        reason = realm.acknowledged(
            realm.command("add", "stuck", WorkerConfig(kind="stuck")), "refused"
        )
        assert "it is there, but failed" in reason
        realm.until(lambda: realm.faults("stuck") & {"hang", "load"})
        realm.acknowledged(realm.command("remove", "stuck"), "done")
        realm.until(lambda: realm.state("stuck") == "removed")
    finally:
        realm.close()
