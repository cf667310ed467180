"""`mtor worker`: its words, its table, and what it makes of what it is told."""

from __future__ import annotations

import io
from concurrent.futures import Future

import msgspec
import pytest
from rich.console import Console

from mtor_swarm.cli import main as cli
from mtor_swarm.cli import worker
from mtor_swarm.config import WorkerConfig
from mtor_swarm.errors import CommandError, ConfigError, SwarmError
from mtor_swarm.realm.rollcall import Reply, Row
from mtor_swarm.realm.staff import Change

UNITS = {
    "r1": {"member_state": "alive"},
    "r2": {"member_state": "dead"},
    "r10": {"member_state": "alive"},
}


def parsed(*words: str):
    return cli._parser(["worker"]).parse_args(["worker", *words])


def test_the_words_of_add_become_a_worker_of_the_config():
    line = "add smoke --kind smoke_alarm --set share=0.2 --set labels=[fire,smoke] --set loud=true"
    args = parsed(*line.split(), "--set", 'name="5"', "--memory-mib", "200", "--idle-s", "60")
    assert worker.change(args) == Change(
        do="add",
        worker="smoke",
        config=WorkerConfig(
            kind="smoke_alarm",
            memory_mib=200,
            idle_s=60.0,
            parameters={"share": 0.2, "labels": ["fire", "smoke"], "loud": True, "name": "5"},
        ),
    )
    again = worker.change(parsed(*line.split(), "--replace"))
    assert again.do == "replace"


@pytest.mark.parametrize("verb", ["remove", "restart"])
def test_the_other_verbs_need_a_name_alone(verb):
    assert worker.change(parsed(verb, "smoke")) == Change(do=verb, worker="smoke")


def test_an_option_out_of_range_is_named():
    with pytest.raises(ConfigError, match=r"mtor worker add: .*`nice`|<= 19"):
        worker.change(parsed("add", "smoke", "--kind", "x", "--nice", "40"))
    with pytest.raises(ConfigError, match="<= 16"):  # before it looks for any unit
        (args := parsed("add", "smoke", "--kind", "x", "--most", "17")).run(args)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["remove", "Smoke"], "write small letters"),
        (["add", "smoke", "--kind", "x", "--set", "share"], "write KEY=VALUE"),
        (["add", "smoke", "--kind", "x", "--set", "=1"], "write KEY=VALUE"),
        (["add", "smoke", "--kind", "x", "--set", "share=[1"], "is not valid YAML"),
        (["add", "smoke"], "required: --kind"),
        (["logs", "smoke", "--lines", "0"], "give a number from 1 to 200"),
        (["logs", "smoke", "--lines", "many"], "give a number from 1 to 200"),
        ([], "required: VERB"),
    ],
)
def test_what_is_wrongly_said_is_refused_at_once(words, said, capsys):
    with pytest.raises(SystemExit) as ended:
        parsed(*words)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_units_are_meant_by_name_or_there_is_but_one():
    assert worker.meant(["r10", "r1"], UNITS) == ["r1", "r10"]
    assert worker.meant(["r2"], UNITS) == ["r2"]
    assert worker.meant([], {"r1": UNITS["r1"], "r2": UNITS["r2"]}) == ["r1"]
    for named, units, said in (
        (["r3"], UNITS, "r3 is no unit here; known are r1, r2, r10"),
        ([], UNITS, "which unit\\? There are r1, r10: say --unit NAME"),
        ([], {"r2": UNITS["r2"]}, "There are none that lives"),
        (["r1"], {}, "known are none"),
    ):
        with pytest.raises(CommandError, match=said):
            worker.meant(named, units)


def test_the_table_shows_a_worker_a_row_and_lets_nobody_move_the_cursor():
    rows = [
        Row(worker="reflex", state="active", process="core", pid=12, memory_mib=70.4),
        Row(
            worker="smoke",
            kind="smoke_alarm",
            state="quarantined",
            fault="crash",
            reason="exit status 3\x1b[2J",
            health=0.4,
            answers=["smoke"],
            process="smoke",
        ),
    ]
    out = io.StringIO()
    Console(file=out, width=160).print(worker.table({"r1": Reply(rows=rows)}))
    _, reflex, smoke = (" ".join(line.split()) for line in out.getvalue().splitlines())
    assert reflex == "r1 reflex built in active core 12 70 MiB"
    assert smoke == (
        "r1 smoke smoke_alarm quarantined (crash) 40% smoke smoke exit status 3?[2J"
    )  # fmt: skip


def answered(value) -> Future:
    future: Future = Future()
    if isinstance(value, Exception):
        future.set_exception(value)
    elif value is not None:
        future.set_result(value)
    else:
        future.cancel()
    return future


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (SwarmError("it is not there"), "r1: it is not there"),
        (None, "r1: it does not answer"),
        (b"\xff", "r1: no reply that is understood here"),
        (b"[]", "r1: no reply that is understood here"),
    ],
)
def test_a_unit_that_does_not_reply_is_named_with_the_reason(value, said):
    reply = worker._reply("r1", answered(value))
    assert isinstance(reply, SwarmError)
    assert str(reply).startswith(said)
    with pytest.raises(SwarmError, match=said):
        worker._complain({"r1": reply, "r2": Reply()})


def test_a_reply_is_read():
    raw = msgspec.json.encode(Reply(lines=["it smokes"]))
    assert worker._reply("r1", answered(raw)) == Reply(lines=["it smokes"])
    assert worker._complain({"r1": Reply()}) == 0
