"""Any task of transformers' pipelines, on weights in a folder or on a hub, as safetensors only."""

from __future__ import annotations

import base64
import io
import wave
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta

from mtor_swarm.errors import AskError, ModelError
from mtor_swarm.models import transformers_library as library
from mtor_swarm.models.pictures import decoded

Value = (
    bool | int | float | Annotated[str, Meta(max_length=8192)]
    | Annotated[list[Annotated[str, Meta(max_length=512)]], Meta(max_length=256)]
)  # fmt: skip
PARAMETERS = {
    "aggregation_strategy", "candidate_labels", "do_sample", "hypothesis_template",
    "max_new_tokens", "multi_label", "question", "temperature", "text", "threshold", "top_k",
    "top_p",
}  # fmt: skip
"""What a question may set: nothing that loads a file, reaches for a network or runs for ever."""
TOGETHER = {"text-classification", "token-classification", "image-classification"}
"""Tasks whose questions share a pass. Others pad their answers, or take as long as the longest."""
GENERATES = "text-generation"
MAX_SECONDS_OF_SOUND = 60
MAX_INPUTS = 64
"""In one question: it has the model to itself for as long as they take."""


class Job(msgspec.Struct, frozen=True):
    """One question: its input as the task wants it, and what it sets.

    A text that is generated is told in pieces by `tell`, and ends when `stop` says so.
    """

    input: Any
    parameters: dict[str, Any]
    tell: Callable[[str], None] | None = None
    stop: Callable[[], bool] = lambda: False


class TransformersPipeline:
    """A pipeline; to be used from one thread."""

    def __init__(self, task: str, model: str, *, device: str = "cpu", threads: int = 1) -> None:
        """Load; ModelError if there is no such task or model, or its files are broken."""
        self._library = library.imported(threads)
        try:
            self.task, about, _ = self._library.pipelines.check_task(task)
        except KeyError as error:  # it names those that there are
            raise ModelError(f"task {task!r}: {error.args[0]}"[:1000]) from None
        self.input: str = about["type"]
        with library.loading(f"{model} for {task}"):
            self._pipeline = self._library.pipeline(
                self.task,
                model=model,
                device=device,
                model_kwargs={"use_safetensors": True},
                **library.SAFE,
            )

    def run(self, jobs: Sequence[Job]) -> list[Any]:
        """What the pipeline says of each, as plain values; those that may share passes.

        AskError if it finds a lone one bad.
        """
        if self._pipeline is None:
            raise ModelError("the pipeline is closed")
        if len(jobs) > 1:
            groups = groupby(jobs, key=lambda each: (type(each.input), each.parameters))
            return [answer for _, group in groups for answer in self._pass(list(group))]
        try:
            return self._pass(jobs)
        except (ValueError, TypeError, KeyError, IndexError) as error:
            raise AskError(f"{self.task}: {type(error).__name__}: {str(error)[:300]}") from None

    def close(self) -> None:
        """Let go of the model's memory."""
        self._pipeline = None

    def _pass(self, jobs: Sequence[Job]) -> list[Any]:
        if self.task == GENERATES:
            return [plain(self._generated(each)) for each in jobs]
        inputs, parameters = [each.input for each in jobs], jobs[0].parameters
        if self.task in TOGETHER and not isinstance(inputs[0], list):
            found = self._pipeline(inputs, batch_size=len(inputs), **parameters)
            return [plain(each) for each in found]
        return [plain(self._pipeline(each, **parameters)) for each in inputs]

    def _generated(self, job: Job) -> Any:
        """A text that ends when its job says so, told piece by piece."""
        library_, tell = self._library, job.tell

        class Stop(library_.StoppingCriteria):  # type: ignore[misc, name-defined]
            def __call__(self, ids: Any, scores: Any, **_: Any) -> Any:
                return ids.new_full((len(ids),), job.stop(), dtype=bool)

        class Teller(library_.TextStreamer):  # type: ignore[misc, name-defined]
            def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
                if text and tell is not None:
                    tell(text)

        more: dict[str, Any] = {"stopping_criteria": library_.StoppingCriteriaList([Stop()])}
        if tell is not None:
            more["streamer"] = Teller(
                self._pipeline.tokenizer, skip_prompt=True, skip_special_tokens=True
            )
        return self._pipeline(job.input, return_full_text=False, **more, **job.parameters)


def input_of(wants: str, kind: str, payload: bytes) -> tuple[Any, dict[str, Any]]:
    """A payload as a pipeline takes it, and the parameters that it sets; AskError if it cannot.

    `wants` is the task's sort of input (`text`, `image`, …), `kind` the payload's media type.
    JSON is a text's value, or `{"inputs", "parameters"}`. Pictures and sounds come as such: in
    JSON they could be paths and addresses, which nobody shall have read here.
    """
    if wants == "text":
        return _text(kind, payload)
    if kind.startswith("image/") and (picture := decoded(payload)) is not None:
        from PIL import Image

        return Image.fromarray(np.ascontiguousarray(picture[:, :, ::-1])), {}
    if kind in {"audio/wav", "audio/x-wav"}:
        return _sound(payload), {}
    raise AskError(
        f"{len(payload)} bytes of {kind} where it wants {wants}: send a JPEG, a PNG or a WAV"
    )


def parameters_of(given: dict[str, Any], most_tokens: int, task: str) -> dict[str, Any]:
    """What a question sets, checked and bounded; AskError names what it may not set."""
    unknown = sorted(set(given) - PARAMETERS)
    if unknown:
        allowed = ", ".join(sorted(PARAMETERS))
        raise AskError(f"a question may not set {', '.join(unknown)}; it may set {allowed}")
    try:
        found: dict[str, Any] = msgspec.convert(given, dict[str, Value])
        if task == GENERATES or "max_new_tokens" in found:
            wanted = msgspec.convert(
                found.get("max_new_tokens", most_tokens), Annotated[int, Meta(ge=1)]
            )
            found["max_new_tokens"] = min(wanted, most_tokens)
    except msgspec.ValidationError as error:
        raise AskError(f"parameters: {error}") from None
    return found


def plain(value: Any) -> Any:
    """What a pipeline says as JSON can hold it: arrays as lists, pictures as base64 of a PNG."""
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if hasattr(value, "tolist"):
        return value.tolist()
    if hasattr(value, "save"):
        file = io.BytesIO()
        value.save(file, "PNG")
        return base64.b64encode(file.getvalue()).decode()
    return value


def _text(kind: str, payload: bytes) -> tuple[Any, dict[str, Any]]:
    try:
        if kind.startswith("text/"):
            return payload.decode(), {}
        found = msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise AskError(f"{error}: send a text, or JSON") from None
    if isinstance(found, dict) and "inputs" in found:
        found, parameters = found["inputs"], found.get("parameters", {})
    else:
        parameters = {}
    if not isinstance(parameters, dict):
        raise AskError('send JSON as {"inputs": …, "parameters": {…}}')
    if isinstance(found, list) and len(found) > MAX_INPUTS:
        raise AskError(f"{len(found)} inputs; send {MAX_INPUTS} at most in one ask")
    return found, parameters


def _sound(payload: bytes) -> dict[str, Any]:
    """16-bit PCM as pipelines take it: mean of the channels, -1 to 1."""
    try:
        with wave.open(io.BytesIO(payload)) as file:
            rate, channels = file.getframerate(), file.getnchannels()
            if file.getsampwidth() != 2 or file.getnframes() > MAX_SECONDS_OF_SOUND * rate:
                raise AskError(f"send a WAV of 16 bits and at most {MAX_SECONDS_OF_SOUND} s")
            raw = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    except (wave.Error, EOFError, ValueError) as error:
        raise AskError(f"no WAV: {error}") from None
    samples = raw[: len(raw) // channels * channels].reshape(-1, channels).mean(1) / 32768
    return {"raw": samples.astype(np.float32), "sampling_rate": rate}
