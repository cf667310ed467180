"""`mtor models try` with real models on real files, each in a process of its own."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage import data

from mtor_swarm.cli import main as cli
from mtor_swarm.models.store import Store
from tests.ai import tiny_models


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


def tried(*words: str) -> int:
    return cli.main(["models", "try", *words])


def test_detectors_are_compared_on_labelled_pictures(tmp_path: Path, capfd):
    Store().fetch("coco-ssd")
    for name, picture in (("cat", data.chelsea()), ("cup", data.coffee())):
        (tmp_path / name).mkdir()
        cv2.imwrite(str(tmp_path / name / "1.jpg"), picture[:, :, ::-1])
    (tmp_path / "cup" / "broken.jpg").write_bytes(b"junk")
    cv2.imwrite(str(tmp_path / "blank.png"), np.full((48, 64, 3), 128, np.uint8))
    assert tried("detect", "--data", str(tmp_path), "--model", str(tmp_path / "none.onnx")) == 1
    out, err = capfd.readouterr()
    row = next(line for line in out.splitlines() if "coco-ssd" in line)
    assert row.count(" ms") == 2
    assert "MiB" in row
    assert "100%" in row  # found: both the cat and the cup
    assert "1 of 4" in row
    assert "broken.jpg: not a picture" in err
    assert "none.onnx: no such weights" in err


def test_embedders_are_judged_by_their_nearest_neighbours(tmp_path: Path, capfd):
    Store().fetch("minilm")
    (tmp_path / "stop.txt").write_text("stop at once\nhalt now\nplease stop moving\n")
    (tmp_path / "look.txt").write_text("what do you see?\ndescribe the view\nwhat is in view?\n")
    assert tried("embed", "--data", str(tmp_path)) == 0
    row = next(line for line in capfd.readouterr().out.splitlines() if "minilm" in line)
    assert row.count("100%") == 2


def test_a_task_of_transformers_is_tried_on_a_folder_of_ones_own(tmp_path: Path, capfd):
    models = tiny_models.made(tmp_path / "models")
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "stop.txt").write_text("stop now\n")
    model = str(models["classifier"])
    words = str(tmp_path / "words")
    assert tried("text-classification", "--data", words, "--model", model) == 0
    assert "%" in capfd.readouterr().out


def test_what_cannot_be_tried_is_told(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.setenv("MTOR_CACHE", str(tmp_path / "cache"))
    assert tried("dreaming", "--data", str(tmp_path)) == 2
    assert "no model for dreaming" in capsys.readouterr().err
    assert tried("embed", "--data", str(tmp_path)) == 2
    assert "no texts" in capsys.readouterr().err
    (tmp_path / "a.txt").write_text("a\n")
    assert tried("embed", "--data", str(tmp_path)) == 1
    assert "minilm: absent: run `mtor models fetch minilm`" in capsys.readouterr().err
