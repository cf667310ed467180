"""The worker for any task of transformers' pipelines: kind `transformers`, no code needed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from mtor_swarm.config import RealmConfig
from mtor_swarm.errors import AskError, ModelError
from mtor_swarm.models.batching import Batcher
from mtor_swarm.models.store import Store
from mtor_swarm.models.transformers_library import located
from mtor_swarm.models.transformers_pipeline import (
    TOGETHER,
    Job,
    TransformersPipeline,
    input_of,
    parameters_of,
)
from mtor_swarm.realm.answering import Question
from mtor_swarm.realm.capability import Capability, Reply
from mtor_swarm.realm.parameters import Setting
from mtor_swarm.realm.worker import Worker
from mtor_swarm.workers import claims


class PipelineWorker(Worker):
    """A text, JSON, a picture (JPEG, PNG) or a sound (WAV) in, as its task wants; JSON out.

    JSON may be `{"inputs": …, "parameters": {…}}`; an ask's options are parameters too. A text
    that is generated comes in parts if that is wanted.

    `counts`: `passes` of the model, `questions` in them.
    """

    parameters = (
        Setting("task", "", "of transformers' pipelines: text-classification, text-generation, …"),
        Setting("model", "", "a name in the manifest, a folder, or a hub's owner/name"),
        Setting("capability", "", "what it is asked for; empty: as the task is called"),
        Setting("lend", True, "whether peers may ask it"),
        Setting("batch", 8, "questions in one pass at most", least=1, most=256),
        Setting(
            "max_new_tokens", 256, "of a text that is written", least=1, most=1 << 16, live=True
        ),
        *claims.SETTINGS,
    )

    def __init__(self, *, name: str, config: RealmConfig) -> None:
        super().__init__(name=name, config=config)
        self._pipeline: TransformersPipeline | None = None
        self._batcher: Batcher[Job, Any] | None = None

    def load(self) -> None:
        """Load the pipeline; ModelError says what is wrong with the task or the weights."""
        model = located(self.value("model"), Store(self.config.models))
        grant = claims.claim(self)
        pipeline = self._pipeline = TransformersPipeline(
            self.value("task"), model, device=grant.device, threads=grant.threads
        )
        most = self.value("batch") if pipeline.task in TOGETHER else 1
        self._batcher = Batcher(self._pass, most=most, name=self.get_name())
        name = self.value("capability") or self.value("task")
        # Twice as many as a pass takes: while it runs, the next one gathers.
        self.capabilities = (
            Capability(name, concurrency=2 * most if most > 1 else 1, lend=self.value("lend")),
        )

    def unload(self) -> None:
        """Finish the pass in hand and let go of the model."""
        batcher, self._batcher = self._batcher, None
        if batcher is not None and not batcher.stop():
            raise ModelError("the pipeline does not come back from its last pass")
        if self._pipeline is not None:
            self._pipeline.close()
            self._pipeline = None
        claims.release(self)

    def answer(self, ask: Question, tell: Callable[[bytes | str], None]) -> Reply:
        """What the pipeline says."""
        pipeline, batcher = self._pipeline, self._batcher
        if pipeline is None or batcher is None:
            raise ModelError("the pipeline is not loaded")
        try:
            found, given = input_of(pipeline.input, ask.kind, ask.payload)
            options = {name: _value(text) for name, text in ask.options.items()}
            most = self.value("max_new_tokens")
            job = Job(
                found,
                parameters_of({**given, **options}, most, pipeline.task),
                tell if ask.stream else None,
                lambda: ask.cancelled.is_set() or not ask.left_s,
            )
        except AskError as error:
            raise AskError(f"{ask.capability}: {error}") from None
        (answer,) = batcher.results([job], ask.left_s)
        return answer if isinstance(answer, dict | list) else [answer]

    def _pass(self, jobs: Any) -> list[Any]:
        assert self._pipeline is not None
        self.counts["passes"] += 1
        self.counts["questions"] += len(jobs)
        return self._pipeline.run(jobs)


def _value(text: str) -> Any:
    """An option as a parameter: JSON if it is any, else the text itself."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
