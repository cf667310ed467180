"""The form of a benchmark: a table, a file, and an honest exit code."""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path

import pytest
from benchmarks import __main__ as entry
from benchmarks.form import Figure

FIGURES = [
    Figure(name="p99", value=12.5, unit="ms", goal=20.0, baseline=25.0),
    Figure(name="real-time factor", value=0.9, goal=1.0, better="more"),
    Figure(name="members", value=6),
]


@pytest.fixture(name="known")
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("benchmarks.sample", "What a sample measures.\n\nMore.")
    module.run = lambda quick: FIGURES[:1] if quick else FIGURES  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(entry, "names", lambda: ["sample"])


@pytest.mark.usefixtures("known")
def test_the_table_has_figure_goal_baseline_and_ratio(capsys: pytest.CaptureFixture[str]):
    assert entry.main(["sample", "--quick"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("What a sample measures.")
    assert all(word in said for word in ("p99", "12.5 ms", "≤ 20", "25", "0.50", "reached"))


@pytest.mark.usefixtures("known")
def test_a_missed_goal_is_in_the_file_and_in_the_exit_code(tmp_path: Path):
    file = tmp_path / "figures.json"
    assert entry.main(["sample", "--json", str(file)]) == 1
    figures = json.loads(file.read_text())["figures"]
    assert [each["ok"] for each in figures] == [True, False, True]
    assert set(figures[0]) == {"name", "value", "unit", "goal", "baseline", "ok"}


def test_an_unknown_benchmark_is_named_with_those_that_are_known(
    capsys: pytest.CaptureFixture[str],
):
    with pytest.raises(SystemExit) as ended:
        entry.main(["nonsense"])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "'nonsense'" in said
    assert all(name in said for name in entry.names())
