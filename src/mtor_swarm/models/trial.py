"""Models tried on a user's own files: how fast they are, what they hold, how often they are right.

What is labelled: a picture in a folder that is called after what is in it, or with a text of the
same name beside it, a label a line; a line of text in a file, or of files in a folder, that is
called after its meaning.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from mtor_swarm.errors import ModelError, explain

PICTURES = {".jpg", ".jpeg", ".png"}
MOST_CASES = 2000


class Case(msgspec.Struct, frozen=True):
    """One picture (its `path`) or one `text`, and what should be found in it; None: unknown."""

    path: Path
    text: str = ""
    labels: frozenset[str] | None = None


class Trial(msgspec.Struct, kw_only=True):
    """How a model did. Latencies in seconds, one for each case that it answered."""

    model: str
    load_s: float = 0.0
    latencies_s: list[float] = []
    peak_mib: float = 0.0
    """The most memory that its process held."""
    failed: int = 0
    right: int = 0
    there: int = 0
    told: int = 0
    error: str = ""
    """Why it could not be tried at all, or why a case failed first."""

    @property
    def found(self) -> float | None:
        """Of what is there the share that it told (recall); None if nothing is labelled."""
        return self.right / self.there if self.there else None

    @property
    def true(self) -> float | None:
        """Of what it told the share that is there (precision); None if it told nothing."""
        return self.right / self.told if self.told else None

    def latency_s(self, share: float) -> float | None:
        """The latency that this share of the cases did not exceed."""
        if not self.latencies_s:
            return None
        return float(np.quantile(self.latencies_s, share, method="inverted_cdf"))


Answer = frozenset[str] | Sequence[float]
"""Labels, or a vector, which means what the nearest of the others does."""
Model = Callable[[Case], Answer]


def cases(folder: Path, *, pictures: bool) -> list[Case]:
    """What a folder holds, in order of names; ModelError if there is nothing or too much."""
    found = list(_pictures(folder) if pictures else _texts(folder))
    what = "pictures (.jpg, .png)" if pictures else "texts (.txt, one a line)"
    if not found:
        raise ModelError(f"{folder}: no {what} there, nor in its folders")
    if len(found) > MOST_CASES:
        raise ModelError(f"{folder}: {len(found)} {what}; {MOST_CASES} at most")
    return found


def run(capability: str, model: str, found: Sequence[Case], threads: int) -> Trial:
    """Try one model, in a process of its own; what it raises is told in the Trial."""
    trial = Trial(model=model)
    try:
        began_s = time.perf_counter()
        answer = MODELS.get(capability, _pipeline)(model, threads, capability)
        trial.load_s = time.perf_counter() - began_s
    except ModelError as error:
        trial.error = str(error)
        return trial
    answers: list[tuple[Case, Answer]] = []
    for each in found:
        began_s = time.perf_counter()
        try:
            said = answer(each)
        except Exception as error:  # a model's libraries raise anything
            trial.failed += 1
            trial.error = trial.error or f"{each.path}: {explain(error)}"
            continue
        trial.latencies_s.append(time.perf_counter() - began_s)
        answers.append((each, said))
    score(trial, answers)
    trial.peak_mib = _peak_mib()
    return trial


def score(trial: Trial, answers: Sequence[tuple[Case, Answer]]) -> None:
    """Count in `trial` what is right among the answers to cases that are labelled."""
    labelled = [(case.labels, said) for case, said in answers if case.labels is not None]
    for number, (labels, said) in enumerate(labelled):
        told = said if isinstance(said, frozenset) else _nearest(number, labelled)
        trial.right += len(labels & told)
        trial.there += len(labels)
        trial.told += len(told)


def _nearest(number: int, labelled: Sequence[tuple[frozenset[str], Any]]) -> frozenset[str]:
    """The labels of the other vector that points most nearly the same way."""
    alike = [float(np.dot(labelled[number][1], each)) for _, each in labelled]
    alike[number] = -np.inf
    best = int(np.argmax(alike))
    return labelled[best][0] if best != number else frozenset()


def _detector(model: str, threads: int, _: str) -> Model:
    from mtor_swarm.models.ultralytics_detector import UltralyticsDetector

    detector = UltralyticsDetector(model, threads=threads)

    def answer(case: Case) -> Answer:
        return frozenset(each.label for each in detector.detect(_picture(case)))

    return answer


def _embedder(model: str, threads: int, _: str) -> Model:
    from mtor_swarm.models.transformers_embedder import TransformersEmbedder

    embedder = TransformersEmbedder(model, threads=threads)

    def answer(case: Case) -> Answer:
        row: list[float] = embedder.embed([case.text])[0].tolist()
        return row

    return answer


def _pipeline(model: str, threads: int, task: str) -> Model:
    """A task of transformers whose answer has labels: the best is told."""
    from mtor_swarm.models.transformers_pipeline import Job, TransformersPipeline, input_of

    pipeline = TransformersPipeline(task, model, threads=threads)

    def answer(case: Case) -> Answer:
        raw = case.text.encode() or case.path.read_bytes()
        kind = "text/plain" if case.text else "image/jpeg"
        (said,) = pipeline.run([Job(input_of(pipeline.input, kind, raw)[0], {})])
        best = said[0] if isinstance(said, list) else said
        return frozenset({str(best["label"])} if "label" in best else ())

    return answer


MODELS: dict[str, Callable[[str, int, str], Model]] = {"detect": _detector, "embed": _embedder}
"""By capability; any other is a task of transformers."""


def _picture(case: Case) -> Any:
    from mtor_swarm.models.pictures import decoded

    picture = decoded(case.path.read_bytes())
    if picture is None:
        raise ModelError("not a picture, or too large a one")
    return picture


def _pictures(folder: Path) -> Iterator[Case]:
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in PICTURES:
            beside = path.with_suffix(".txt")
            if path.parent != folder:
                yield Case(path, labels=frozenset({path.parent.name}))
            elif beside.exists():
                yield Case(path, labels=frozenset(_lines(beside)))
            else:
                yield Case(path)


def _texts(folder: Path) -> Iterator[Case]:
    for path in sorted(folder.rglob("*.txt")):
        label = path.stem if path.parent == folder else path.parent.name
        for line in _lines(path):
            yield Case(path, line, frozenset({label}))


def _lines(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8", errors="replace")
    return [line.strip() for line in text.splitlines() if line.strip()]


def _peak_mib() -> float:
    """The most that this process ever held; rusage would tell of its parent too."""
    match = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    return int(match.group(1)) / 1024 if match else 0.0
