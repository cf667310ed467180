"""What a user's folder holds, and how answers are counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtor_swarm.errors import ModelError
from mtor_swarm.models.trial import MOST_CASES, Case, Trial, cases, score


def test_pictures_are_labelled_by_their_folder_or_by_a_text_beside_them(tmp_path: Path):
    for name in ("cat/1.JPG", "2.png", "3.jpeg", "notes.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "2.txt").write_text("bus\n\n person \n")
    found = {each.path.name: each.labels for each in cases(tmp_path, pictures=True)}
    assert found == {"1.JPG": {"cat"}, "2.png": {"bus", "person"}, "3.jpeg": None}


def test_texts_are_lines_labelled_by_their_file_or_its_folder(tmp_path: Path):
    (tmp_path / "go").mkdir()
    (tmp_path / "go" / "any.txt").write_text("go left\n\ngo right\n")
    (tmp_path / "stop.txt").write_text("halt")
    found = [(each.text, each.labels) for each in cases(tmp_path, pictures=False)]
    assert found == [("go left", {"go"}), ("go right", {"go"}), ("halt", {"stop"})]


def test_a_folder_with_nothing_or_too_much_is_told(tmp_path: Path):
    with pytest.raises(ModelError, match=r"no pictures \(\.jpg, \.png\) there"):
        cases(tmp_path, pictures=True)
    (tmp_path / "a.txt").write_text("x\n" * (MOST_CASES + 1))
    with pytest.raises(ModelError, match=r"2001 texts .*2000 at most"):
        cases(tmp_path, pictures=False)


def case(*labels: str) -> Case:
    return Case(Path("x"), labels=frozenset(labels))


def test_what_is_found_and_what_is_true_are_counted_apart():
    trial = Trial(model="m")
    score(
        trial,
        [
            (case("cat", "dog"), frozenset({"cat", "cup", "bus"})),
            (case(), frozenset({"bus"})),
            (Case(Path("x")), frozenset({"unlabelled"})),
        ],
    )
    assert (trial.found, trial.true) == (0.5, 0.25)


def test_a_vector_means_what_its_nearest_neighbour_means():
    trial = Trial(model="m")
    rows = [(1.0, 0.0), (0.9, 0.1), (0.0, 1.0), (0.1, 0.9), (0.8, 0.2)]
    labels = ["go", "go", "stop", "stop", "stop"]
    score(trial, [(case(label), row) for label, row in zip(labels, rows, strict=True)])
    assert trial.found == trial.true == 0.8
    lone = Trial(model="m")
    score(lone, [(case("go"), (1.0, 0.0))])
    assert (lone.found, lone.true) == (0.0, None)


def test_nothing_labelled_and_nothing_answered_is_no_number():
    trial = Trial(model="m")
    assert (trial.found, trial.true, trial.latency_s(0.5)) == (None, None, None)


def test_a_latency_is_one_that_was_measured():
    trial = Trial(model="m", latencies_s=[0.3, 0.1, 0.2, 9.0])
    assert (trial.latency_s(0.5), trial.latency_s(0.95)) == (0.2, 9.0)
