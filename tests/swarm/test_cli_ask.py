"""`mtor ask` in a swarm of real realms."""

from __future__ import annotations

import _thread
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mtor_swarm.cli.main import main
from mtor_swarm.errors import AskError

from .crew import Crew
from .crowd import PATIENCE_S
from .lenders import Realm, knows, realm

WORDS = ("not ", "under ", "the \x1b[31mtable")


@pytest.fixture
def crew(tmp_path: Path) -> Iterator[Crew]:
    with Crew(tmp_path) as crew:
        yield crew


class Helper:
    """A worker that does as the question says."""

    def __init__(self) -> None:
        self.began, self.stopped = threading.Event(), threading.Event()

    def __call__(self, ask: Any, tell: Callable[[Any], None]) -> Any:
        word = ask.payload.decode()
        if word == "spell":
            for each in WORDS:
                tell(each)
            return {"text": "".join(WORDS)}
        if word == "brood":
            self.began.set()
            if ask.cancelled.wait(PATIENCE_S):
                self.stopped.set()
        if word == "nonsense":
            raise AskError("say what you mean")
        return {"word": word, **ask.options} if word != "bytes" else b"\x00\x01"


@pytest.fixture
def helper() -> Helper:
    return Helper()


@pytest.fixture
def mtor(crew: Crew, helper: Helper) -> Callable[..., int]:
    """Runs `mtor ask` in a swarm of r1, which can nothing, and r2, which can."""
    r1: Realm = realm(crew, "r1")
    realm(crew, "r2", helper)
    knows(r1, "r2")
    return lambda *words: main(["ask", *words, "--seed", r1.unit.address])


def printed(capsys) -> list[str]:
    """The lines on standard output, but for those of rclpy, which runs here as well."""
    lines = capsys.readouterr().out.splitlines()
    return [each for each in lines if "number of timers" not in each]


def test_an_answer_is_printed_whoever_gives_it(mtor, capsys, tmp_path: Path) -> None:
    assert mtor() == 0
    assert capsys.readouterr().out.split()[-4:] == ["echo", "r2", "0.0", "s"]
    assert mtor("echo", "hi", "--option", "a=b") == 0
    assert printed(capsys)[-1] == '{"word":"hi","a":"b"}'
    assert mtor("echo", "hi", "--unit", "r1", "--trace") == 0
    assert "borrowed from r2" in capsys.readouterr().err
    out = tmp_path / "out"
    assert mtor("echo", "bytes", "--out", str(out)) == 0
    assert out.read_bytes() == b"\x00\x01"
    assert mtor("echo", "bytes", "--out", str(tmp_path)) == 1
    assert "cannot be written" in capsys.readouterr().err


def test_the_parts_of_an_answer_are_printed_as_they_come_and_only_once(mtor, capsys) -> None:
    for unit in ("r1", "r2"):
        assert mtor("echo", "spell", "--stream", "--unit", unit) == 0
        assert printed(capsys) == ["not under the ?[31mtable"]


def test_what_is_not_answered_is_told_with_its_reason(mtor, capsys) -> None:
    assert mtor("echo", "nonsense", "--unit", "r1") == 1
    assert "say what you mean" in capsys.readouterr().err
    assert mtor("sing", "la") == 1
    assert "sing" in capsys.readouterr().err
    assert mtor("echo", "hi", "--unit", "r9") == 1
    assert "no unit r9" in capsys.readouterr().err
    assert mtor("echo", "--file", "/nowhere/cat.jpg") == 2
    assert "/nowhere/cat.jpg: cannot be read" in capsys.readouterr().err


def test_ctrl_c_cancels_the_ask_where_it_is_worked_on(mtor, helper: Helper) -> None:
    def interrupt() -> None:
        if helper.began.wait(PATIENCE_S):
            _thread.interrupt_main()

    threading.Thread(target=interrupt, daemon=True).start()
    assert mtor("echo", "brood", "--timeout", "600") == 130
    assert helper.stopped.wait(PATIENCE_S)
