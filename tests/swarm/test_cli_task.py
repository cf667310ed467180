"""`mtor task` beside members that share out tasks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mtor_swarm.cli.main import main
from mtor_swarm.swarm.tasks import allocator_io as io
from tests.swarm.taskers import Node, crew, wait_for

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(name="nodes", scope="module")
def _nodes() -> Iterator[list[Node]]:
    with crew() as nodes:
        wait_for(lambda: all(len(each.driver.members()) == 3 for each in nodes))
        yield nodes


@pytest.fixture(name="mtor")
def _mtor(nodes: list[Node], capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*words: str) -> tuple[int, str, str]:
        code = main(["task", *words, "--seed", nodes[0].driver.address])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def listed(mtor: Run) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(mtor("list", "--json")[1])
    return found


def test_a_task_is_announced_listed_and_cancelled(nodes: list[Node], mtor: Run) -> None:
    code, out, _ = mtor("announce", "inspect", "--at", "31,0", "--id", "look", "--wait", "60")
    assert code == 0
    assert "look" in out
    wait_for(lambda: listed(mtor)["look"]["state"] == "begun")
    assert listed(mtor)["look"]["units"] == ["r3"]
    assert "31,0" in mtor("list")[1]
    assert mtor("cancel", "look", "--reason", "rain")[0] == 0
    wait_for(lambda: any(isinstance(e, io.Stop) for e in nodes[3].effects))
    assert "rain" in listed(mtor)["look"]["reason"]
    code, _, err = mtor("cancel", "look")
    assert code == 1
    assert "look is cancelled" in err


def test_a_file_of_tasks_is_announced_in_the_order_of_what_waits(
    mtor: Run, tmp_path: Path
) -> None:
    file = tmp_path / "tasks.yaml"
    file.write_text(
        "- {id: drop, kind: goto, places: [[5, 0]], after: [pick], within_s: 600}\n"
        "- {id: pick, kind: goto, places: [[9, 0]], args: {what: box}}\n"
    )
    assert mtor("announce", "--file", str(file), "--wait", "60")[0] == 0
    found = listed(mtor)
    assert found["drop"]["state"] == "waiting"
    assert found["drop"]["task"]["until_s"] > 0
    assert found["pick"]["task"]["args"] == {"what": "box"}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["cancel", "ghost"], "no task ghost"),
        (["announce", "--at", "nan,0"], "nowhere"),
        (["announce", "--id", "a b"], "id"),
        (["announce", "--after", "ghost", "--id", "x"], "ghost, which nobody has announced"),
    ],
)
def test_what_makes_no_sense_is_one_line(mtor: Run, words: list[str], told: str) -> None:
    code, _, err = mtor(*words)
    assert code == 1
    assert told in err


def test_what_no_unit_can_do_says_so(mtor: Run) -> None:
    code, out, _ = mtor("announce", "--needs", "wings", "--id", "fly", "--wait", "0.1")
    assert code == 1
    assert "0 of 1 units here can do it" in out


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("- {id: x, speed: 9}", "no task has speed"),
        ("- {id: x, units: many}", "units"),
        ("- {id: x, within_s: soon}", "task 1"),
        ("x: 1", "a list of tasks"),
        ("- [", "tasks.yaml"),
        ("- 7", "id"),
    ],
)
def test_a_mistake_in_a_file_is_named(mtor: Run, tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "tasks.yaml"
    file.write_text(text)
    code, _, err = mtor("announce", "--file", str(file))
    assert code == 1
    assert told in err


def test_a_place_is_two_numbers(mtor: Run, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        mtor("announce", "--at", "here")
    assert "write X,Y" in capsys.readouterr().err
