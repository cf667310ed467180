"""The worker that turns sentences into vectors: capability `embed`, several asks in one pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from mtor_swarm.config import RealmConfig
from mtor_swarm.errors import AskError, ModelError
from mtor_swarm.models.batching import Batcher
from mtor_swarm.models.store import Store
from mtor_swarm.models.transformers_embedder import TransformersEmbedder
from mtor_swarm.models.transformers_library import located
from mtor_swarm.realm.answering import Question
from mtor_swarm.realm.capability import Capability, Reply
from mtor_swarm.realm.parameters import Setting
from mtor_swarm.realm.worker import Worker
from mtor_swarm.workers import claims

MAX_TEXTS = 128
MAX_CHARACTERS = 8192
DIGITS = 6
"""More of them tell nothing of a direction, and make an answer twice as long."""

_Text = Annotated[str, Meta(min_length=1, max_length=MAX_CHARACTERS)]
_texts = msgspec.json.Decoder(_Text | Annotated[list[_Text], Meta(min_length=1)])


class EmbedWorker(Worker):
    """A text, or a JSON list of them, in; `{"model", "vectors"}` out: a row of length 1 for each.

    `counts`: `passes` of the model, `texts` in them.
    """

    capabilities = (Capability("embed", concurrency=16),)
    parameters = (
        Setting("model", "minilm", "a name in the manifest, a folder, or a hub's owner/name"),
        Setting("batch", 16, "texts in one pass at most", least=1, most=256),
        *claims.SETTINGS,
    )

    def __init__(self, *, name: str, config: RealmConfig) -> None:
        super().__init__(name=name, config=config)
        self._embedder: TransformersEmbedder | None = None
        self._batcher: Batcher[str, list[float]] | None = None

    def load(self) -> None:
        """Load the encoder from verified weights; ModelError says what to do about them."""
        model = located(self.value("model"), Store(self.config.models))
        grant = claims.claim(self)
        self._embedder = TransformersEmbedder(model, device=grant.device, threads=grant.threads)
        self._batcher = Batcher(self._pass, most=self.value("batch"), name=self.get_name())

    def unload(self) -> None:
        """Finish the pass in hand and let go of the model."""
        batcher, self._batcher = self._batcher, None
        if batcher is not None and not batcher.stop():
            raise ModelError("the encoder does not come back from its last pass")
        if self._embedder is not None:
            self._embedder.close()
            self._embedder = None
        claims.release(self)

    def answer(self, ask: Question, tell: Callable[[bytes | str], None]) -> Reply:
        """The vectors of an ask's texts."""
        if self._batcher is None:
            raise ModelError("the encoder is not loaded")
        vectors = self._batcher.results(texts_of(ask), ask.left_s)
        return {"model": self.value("model"), "vectors": vectors}

    def _pass(self, texts: Sequence[str]) -> list[list[float]]:
        assert self._embedder is not None
        self.counts["passes"] += 1
        self.counts["texts"] += len(texts)
        rows: list[list[float]] = self._embedder.embed(texts).astype(float).round(DIGITS).tolist()
        return rows


def texts_of(ask: Question) -> list[str]:
    """The texts of a question: one of text/plain, or JSON; AskError says what it should be."""
    try:
        if ask.kind.startswith("text/"):
            found: str | list[str] = msgspec.convert(ask.payload.decode(), _Text)
        else:
            found = _texts.decode(ask.payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise AskError(
            f"embed: {error}: send a text, or a JSON list of up to {MAX_TEXTS} texts of at most "
            f"{MAX_CHARACTERS} characters"
        ) from None
    texts = [found] if isinstance(found, str) else found
    if len(texts) > MAX_TEXTS:
        raise AskError(f"embed: {len(texts)} texts; send {MAX_TEXTS} at most in one ask")
    return texts
