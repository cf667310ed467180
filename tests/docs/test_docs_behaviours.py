"""The gallery shows every behaviour, as its docstring tells it."""

from __future__ import annotations

from pathlib import Path

from benchmarks.behaviours import page
from benchmarks.behaviours.gallery import SHOWS

from mtor_swarm.swarm.behaviours.registry import BEHAVIOURS

DOCS = Path(__file__).resolve().parents[2] / "docs"
MOST_BYTES = 60_000


def test_the_page_says_what_the_docstrings_say() -> None:
    told = (DOCS / "behaviours.md").read_text(encoding="utf-8")
    assert told == page.text(), "write it again: python -m benchmarks.behaviours"


def test_every_behaviour_has_a_small_picture() -> None:
    pictures = {each.stem: each.stat().st_size for each in (DOCS / "behaviours").glob("*.png")}
    assert set(SHOWS) == set(BEHAVIOURS)
    assert set(pictures) == {*BEHAVIOURS, "order", "voting"}
    assert max(pictures.values()) < MOST_BYTES
