"""The capability `embed` by transformers: sentences as vectors whose angle tells their meaning.

The mean over a sentence's tokens, scaled to length 1 (Reimers & Gurevych, Sentence-BERT, 2019).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mtor_swarm.errors import ModelError
from mtor_swarm.models import transformers_library as library

MAX_TOKENS = 256
"""What comes after is not read."""


class TransformersEmbedder:
    """A sentence encoder in a folder or on a hub; to be used from one thread."""

    def __init__(self, model: str, *, device: str = "cpu", threads: int = 1) -> None:
        """Load and warm up; ModelError if it is no such model, or broken."""
        transformers = library.imported(threads)
        with library.loading(model):
            self._tokens = transformers.AutoTokenizer.from_pretrained(model, **library.SAFE)
            self._model = transformers.AutoModel.from_pretrained(
                model, use_safetensors=True, **library.SAFE
            )
            self._model = self._model.to(device).eval()
            self._longest = min(MAX_TOKENS, self._model.config.max_position_embeddings)
            self._device = device
            self.dimensions = self.embed(["warm up"]).shape[1]

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """A row of length 1 for each text: shape (texts, dimensions)."""
        import torch

        if self._model is None:
            raise ModelError("the embedder is closed")
        read = self._tokens(
            list(texts),
            padding=True,
            truncation=True,
            max_length=self._longest,
            return_tensors="pt",
        ).to(self._device)
        with torch.inference_mode():
            states = self._model(**read).last_hidden_state
            mask = read["attention_mask"][..., None]
            means = (states * mask).sum(1) / mask.sum(1).clamp(min=1)
            rows: NDArray[np.float32] = (
                torch.nn.functional.normalize(means, dim=1).float().cpu().numpy()
            )
        return rows

    def close(self) -> None:
        """Let go of the model's memory."""
        self._model = self._tokens = None
