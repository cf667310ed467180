"""transformers, imported when a model is loaded and not before: bounded, quiet, code of ours only.

What a broken file or a wrong name makes of the library becomes one ModelError that says what
to do.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mtor_swarm.errors import ModelError
from mtor_swarm.models import resources, torchvision_cure
from mtor_swarm.models.store import Store

SAFE: dict[str, Any] = {"trust_remote_code": False}
"""No code that comes with a model is ever run."""


def imported(threads: int) -> Any:
    """The library, its helpers bound to `threads`; ModelError if it is not installed."""
    resources.bound(threads)
    library = _library()
    resources.bound(threads)
    return library


@functools.cache
def _library() -> Any:
    try:
        torchvision_cure.apply()
        import transformers
    except ImportError as error:
        raise ModelError(
            f"this model needs transformers and torch ({error}): pip install 'mtor_swarm[ai]'"
        ) from error
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return transformers


def located(model: str, store: Store) -> str:
    """What transformers should load for `model`: a name in the manifest, a folder, or a hub's id.

    ModelError if the weights that the manifest names are absent or corrupt, or if it is none of
    these. A hub is asked only where HF_HUB_OFFLINE=0; else its files must be in its cache.
    """
    if model in store.names:
        return str(store.path(model))
    folder = Path(os.path.expandvars(model)).expanduser()
    if model and folder.is_dir():
        return str(folder)
    if model.count("/") == 1 and not model.startswith((".", "/", "~", "$")):
        return model
    raise ModelError(
        f"model {model!r}: neither a model of the manifest ({', '.join(store.names)}), nor a "
        "folder, nor a hub's owner/name"
    )


@contextlib.contextmanager
def loading(model: str) -> Iterator[None]:
    """Whatever the library raises while it loads `model` becomes a ModelError."""
    try:
        yield
    except ModelError:
        raise
    except Exception as error:  # broken files make it raise anything
        said = (str(error).strip().splitlines() or ["no reason given"])[0][:300]
        raise ModelError(
            f"{model}: cannot be loaded ({type(error).__name__}: {said}): is it whole? `mtor "
            "models verify` tells of those in the manifest; a hub is asked only with "
            "HF_HUB_OFFLINE=0"
        ) from error
