"""Which workers a unit has, and how that changes while it runs."""

from __future__ import annotations

import random

import pytest

from mtor_swarm.config import RealmConfig, WorkerConfig
from mtor_swarm.errors import CommandError, ConfigError
from mtor_swarm.events import Command
from mtor_swarm.realm import staff
from mtor_swarm.realm.staff import Change

KINDS = ("smoke_alarm", "embed")
ALARM = WorkerConfig(kind="smoke_alarm")
EMBED = WorkerConfig(kind="embed", process="models", most=3)
WORKERS = {"smoke": ALARM, "embed": EMBED}


def change(do: str, worker: str, config: WorkerConfig | None = None) -> Change:
    return Change(do=do, worker=worker, config=config)


def command(args: dict) -> Command:
    return Command(id="1", verb="worker", units=["r1"], issuer="x", issued_s=0.0, args=args)


@pytest.mark.parametrize(
    "wanted",
    [change("add", "smoke", WorkerConfig(kind="embed", parameters={"model": "x", "k": [1]})),
     change("remove", "smoke")],
)  # fmt: skip
def test_a_change_survives_its_way_as_a_command(wanted):
    draft = staff.draft(wanted, ["r1"])
    assert (draft.verb, draft.units) == ("worker", ["r1"])
    assert staff.change_of(command(draft.args)) == wanted


@pytest.mark.parametrize(
    "args",
    [
        {},
        {"do": "dance", "worker": "smoke"},
        {"do": "add", "worker": "Smoke Alarm"},
        {"do": "remove", "worker": "smoke\n"},
        {"do": "add", "worker": "smoke", "config": {"kind": "x", "process": "models\n"}},
        {"do": "add", "worker": "smoke", "config": {"kind": "x", "colour": "grey"}},
        {"do": "add", "worker": "smoke", "config": {"kind": "x", "nice": -5}},
        {"do": "remove", "worker": "smoke", "force": True},
    ],
)
def test_what_is_no_change_is_refused(args):
    with pytest.raises(CommandError, match="no change of a worker: "):
        staff.change_of(command(args))


def test_workers_come_change_and_go():
    there = staff.changed({}, change("add", "smoke", ALARM), KINDS)
    assert there == {"smoke": ALARM}
    there = staff.changed(there, change("replace", "smoke", EMBED), KINDS)
    assert there == {"smoke": EMBED}
    assert staff.changed(there, change("restart", "smoke"), KINDS) == there
    assert staff.changed(there, change("remove", "smoke"), KINDS) == {}
    assert there == {"smoke": EMBED}


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (change("add", "smoke", ALARM), "there is a worker smoke already"),
        (change("add", "fire"), "does not say of what kind fire is to be"),
        (
            change("add", "fire", WorkerConfig(kind="x")),
            "no kind x is installed; there are embed,",
        ),
        (change("remove", "fire"), "there is no worker fire; there are embed, perception, smoke"),
        (change("restart", "fire"), "there is no worker fire"),
        (change("remove", "reflex"), "reflex is the core's own: restart the unit"),
        (change("restart", "reflex"), "reflex is the core's own: restart the unit"),
        (change("remove", "perception"), "perception is built in, and can be neither added nor"),
        (change("add", "perception", ALARM), "perception is built in"),
        (change("add", "core", ALARM), "worker core: the process core is not for it"),
        (change("add", "embed_2", ALARM), "embed_2: that is the name of embed's replica 2"),
    ],
)
def test_what_cannot_be_is_refused_and_says_why(wanted, said):
    with pytest.raises(CommandError, match=said):
        staff.changed(WORKERS, wanted, KINDS)


def test_what_is_built_in_may_be_begun_anew_if_it_is_not_the_cores():
    assert staff.changed(WORKERS, change("restart", "perception"), KINDS) == WORKERS


@pytest.mark.parametrize(
    ("workers", "said"),
    [
        ({"gossip": ALARM}, "worker gossip: that is a built-in one's name"),
        ({"a": WorkerConfig(kind="embed", process="core")}, "the process core is not for it"),
        ({"a": WorkerConfig(kind="embed", least=2)}, "least 2 is over most 1"),
        ({f"a{i}": ALARM for i in range(65)}, "65 workers; 64 at most"),
        ({"a": WorkerConfig(kind="")}, "no kind  is installed"),
    ],
)
def test_a_config_of_workers_that_cannot_be_is_named(workers, said):
    with pytest.raises(ConfigError, match=said):
        staff.check(workers, KINDS)


def test_with_no_kind_installed_that_is_said():
    with pytest.raises(ConfigError, match="there are none"):
        staff.check({"a": ALARM}, ())


def test_each_process_knows_its_members_and_each_worker_its_process():
    light = WorkerConfig(kind="embed", process="light")
    workers = {**WORKERS, "a": light, "b": light}
    assert staff.members(workers, "smoke") == {"smoke": ALARM}
    assert staff.members(workers, "light") == {"a": light, "b": light}
    assert staff.members(workers, "models") == {"embed": EMBED}
    assert staff.members(workers, "embed_3") == {"embed_3": EMBED}
    assert staff.members(workers, "embed_4") == {"embed_4": EMBED}, "to replace another"
    assert staff.members(workers, "embed_5") == {}
    assert staff.processes(workers) == {"smoke": ALARM, "light": light}
    for name, process in {"smoke": "smoke", "b": "light", "embed": "models"}.items():
        assert staff.process_of(workers, name) == process
    assert staff.process_of(workers, "embed_2") == "embed_2"
    with pytest.raises(CommandError, match="there is no worker embed_5"):
        staff.process_of(workers, "embed_5")


def test_a_worker_of_a_kind_that_is_gone_stands_in_no_others_way():
    workers = {"old": WorkerConfig(kind="gone"), **WORKERS}
    change = staff.Change(do="remove", worker="smoke")
    assert "smoke" not in staff.changed(workers, change, {"embed", ALARM.kind})


def test_what_changed_holds_until_the_unit_starts_anew(tmp_path):
    config = RealmConfig(unit="r1", workers=WORKERS)
    folder = tmp_path / "r1"
    assert staff.read(config, folder) == WORKERS
    staff.keep({"smoke": ALARM}, folder)
    staff.keep({"smoke": EMBED}, folder)
    assert staff.read(config, folder) == {"smoke": EMBED}
    staff.forget(folder)
    staff.forget(folder)
    assert staff.read(config, folder) == WORKERS
    assert list(folder.iterdir()) == []


def test_a_file_that_is_broken_is_named(tmp_path):
    for junk in (b"{", b'{"Smoke": {}}', random.Random(1).randbytes(64)):
        (tmp_path / staff.FILE).write_bytes(junk)
        with pytest.raises(ConfigError, match=r"workers.json: .*; remove it and start the unit"):
            staff.read(RealmConfig(unit="r1"), tmp_path)
