"""Real models of transformers, tiny and untrained, in folders as a user has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mtor_swarm.models import transformers_library

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "stop", "go", "left", "right", "now"]
LABELS = {0: "go", 1: "stop", 2: "turn"}
SIZES: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
}


def made(folder: Path) -> dict[str, Path]:
    """`classifier` (of texts), `writer` (of texts), `seer` (classifies pictures)."""
    library = transformers_library.imported(1)
    import torch

    torch.manual_seed(0)
    places = {each: folder / each for each in ("classifier", "writer", "seer")}
    tokens = _tokens(library)
    names = {"id2label": LABELS, "label2id": {name: key for key, name in LABELS.items()}}
    classifier = library.BertConfig(vocab_size=len(WORDS), **SIZES, **names)
    library.BertForSequenceClassification(classifier).save_pretrained(places["classifier"])
    tokens.save_pretrained(places["classifier"])
    writer = library.LlamaConfig(
        vocab_size=len(WORDS), **SIZES, num_key_value_heads=2, max_position_embeddings=8192,
        eos_token_id=None, bos_token_id=2, pad_token_id=0,
    )  # fmt: skip
    library.LlamaForCausalLM(writer).save_pretrained(places["writer"])
    tokens.save_pretrained(places["writer"])
    seer = library.ViTConfig(**SIZES, image_size=32, patch_size=16, **names)
    library.ViTForImageClassification(seer).save_pretrained(places["seer"])
    library.ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(places["seer"])
    return places


def _tokens(library: Any) -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers

    numbers = {word: number for number, word in enumerate(WORDS)}
    found = Tokenizer(models.WordLevel(numbers, unk_token="[UNK]"))
    found.pre_tokenizer = pre_tokenizers.Whitespace()
    return library.PreTrainedTokenizerFast(
        tokenizer_object=found, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]",
        sep_token="[SEP]", mask_token="[MASK]", model_max_length=512,
    )  # fmt: skip
