"""Model weights: what the manifest names, fetched, verified, converted once and kept.

A model is one file, or a folder of files that a library wants together. It is *present* when that
and its receipt (size and sha256 of what was stored) agree, *corrupt* when they do not, *absent*
when it has no receipt. It is named by what it was made of, so that a new manifest or converter
never takes an old one for its own. Everything is written beside its place and renamed; one lock a
model lets any number of processes fetch it once.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from mtor_swarm import config, paths
from mtor_swarm.errors import ConfigError, ModelError
from mtor_swarm.models import sources, tfjs_ssd

LOCK_TIMEOUT_S = 900.0
"""Longer than any other process may take: every source has `sources.FETCH_TIMEOUT_S`."""

State = Literal["present", "absent", "corrupt"]
Progress = Callable[[str], None]
"""Told what is being done now, in words a person understands."""

Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
FileName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]


class FileConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file that every source of a model must hold."""

    name: FileName
    sha256: Sha256


class ModelConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One model of the manifest."""

    name: Name
    capability: Literal["detect", "embed"]
    licence: Annotated[str, Meta(min_length=1, description="SPDX name of the weights' licence")]
    about: str = ""
    files: Annotated[list[FileConfig], Meta(min_length=1, max_length=64)]
    convert: Annotated[
        Literal["none", "tfjs-ssd", "folder"],
        Meta(description="`none`: the one file is used as it is; `folder`: all stay together"),
    ] = "none"
    input: Annotated[int, Meta(ge=32, le=4096, description="side of the input, pixels")] = 640
    labels: Annotated[list[str], Meta(max_length=1000, description="in order of class ids")] = []
    sources: Annotated[
        list[sources.SourceConfig], Meta(min_length=1, max_length=8, description="tried in order")
    ]

    def __post_init__(self) -> None:
        if self.convert == "none" and len(self.files) != 1:
            raise ValueError("without `convert` a model has one file")

    @property
    def checksums(self) -> dict[str, str]:
        """The sha256 of every file, by its name."""
        return {each.name: each.sha256 for each in self.files}


class ManifestConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The models that this installation knows."""

    models: Annotated[list[ModelConfig], Meta(min_length=1, max_length=64)]


class Receipt(msgspec.Struct, frozen=True):
    """What was stored for a model, and which source it came from."""

    size: int
    sha256: str
    source: str


class Entry(msgspec.Struct, frozen=True):
    """A model as it stands on this machine; `size` in bytes, 0 when absent."""

    name: str
    capability: str
    licence: str
    state: State
    size: int
    path: Path


class Store:
    """The models of one manifest in one cache folder."""

    def __init__(self, manifest: str | Path = "", root: str | Path = "") -> None:
        """`manifest`: by default the one shipped; `root`: by default below the user's cache."""
        self.manifest = Path(manifest or paths.share() / "config" / "models.yaml")
        models = config.load(self.manifest, ManifestConfig).models
        self._models = {each.name: each for each in models}
        for each in models:
            if each is not self._models[each.name]:
                raise ConfigError(f"{self.manifest}: `{each.name}` stands there twice; keep one")
        self.root = Path(root or paths.cache_home() / "models")

    @property
    def names(self) -> list[str]:
        """The models of the manifest, in its order."""
        return list(self._models)

    def entries(self) -> list[Entry]:
        """Every model with its state; reads each stored file whole."""
        return [self.entry(name) for name in self._models]

    def entry(self, name: str) -> Entry:
        """One model with its state; ModelError if the manifest has no such name."""
        model, path = self._model(name), self._file(name)
        state = self._state(path)
        size = _size(path) if path.exists() else 0
        return Entry(name, model.capability, model.licence, state, size, path)

    def path(self, name: str) -> Path:
        """The verified weights; ModelError, with what to do, if they are absent or corrupt."""
        entry = self.entry(name)
        if entry.state != "present":
            raise ModelError(
                f"the weights of {name} are {entry.state} ({entry.path}): "
                f"run `mtor models fetch {name}`"
            )
        return entry.path

    def fetch(self, name: str, progress: Progress = lambda _: None) -> Path:
        """The verified weights, fetched and converted first if they are not present.

        ModelError, with each source's reason, if none of them works.
        """
        entry = self.entry(name)
        if entry.state == "present":
            return entry.path
        try:
            with self._locked(name, progress):
                if self._state(entry.path) != "present":
                    self._make(name, entry.path, progress)
        except OSError as error:
            raise ModelError(
                f"{self.root}: {error.strerror}: make it a folder that can be written, or set "
                "MTOR_CACHE to another"
            ) from None
        return entry.path

    def _make(self, name: str, path: Path, progress: Progress) -> None:
        model = self._model(name)
        files, source = sources.first(name, model.sources, model.checksums, self.root, progress)
        if model.convert == "folder":
            _write_folder(path, files)
        elif model.convert == "tfjs-ssd":
            progress("converting")
            _write(path, tfjs_ssd.convert(files, model.labels, model.input))
        else:
            _write(path, next(iter(files.values())))
        receipt = Receipt(_size(path), _sha256(path), source)
        _write(_receipt(path), msgspec.json.encode(receipt))
        progress("ready")

    def _model(self, name: str) -> ModelConfig:
        try:
            model = self._models[name]
        except KeyError:
            raise ModelError(
                f"{self.manifest} has no model `{name}`; it has {', '.join(self._models)}"
            ) from None
        return model

    def _file(self, name: str) -> Path:
        """Where the model is kept: the name holds a digest of everything it is made of."""
        model = self._model(name)
        made_of = (
            sorted(model.checksums.items()),
            model.convert,
            tfjs_ssd.REVISION,
            model.input,
            model.labels,
        )
        key = hashlib.sha256(msgspec.json.encode(made_of)).hexdigest()[:12]
        suffix = {"tfjs-ssd": ".onnx", "folder": ""}.get(
            model.convert, Path(model.files[0].name).suffix
        )
        return self.root / f"{name}-{key}{suffix}"

    @staticmethod
    def _state(path: Path) -> State:
        try:
            receipt = msgspec.json.decode(_receipt(path).read_bytes(), type=Receipt)
            whole = _size(path) == receipt.size and _sha256(path) == receipt.sha256
        except FileNotFoundError:
            return "corrupt" if _receipt(path).exists() else "absent"
        except (OSError, msgspec.DecodeError):
            return "corrupt"
        return "present" if whole else "corrupt"

    @contextlib.contextmanager
    def _locked(self, name: str, progress: Progress) -> Iterator[None]:
        """Hold the model's lock; the kernel lets go of it however a process ends."""
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / f"{name}.lock").open("w") as file:
            deadline, told = time.monotonic() + LOCK_TIMEOUT_S, False
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if not told:
                        progress("waiting for another process that fetches it")
                        told = True
                    if time.monotonic() > deadline:
                        raise ModelError(
                            f"{name}: another process has held {file.name} for "
                            f"{LOCK_TIMEOUT_S:.0f} s: end it, then `mtor models fetch {name}`"
                        ) from None
                    time.sleep(0.1)
            yield


def _receipt(path: Path) -> Path:
    return path.with_name(f"{path.name}.receipt.json")


def _size(path: Path) -> int:
    """Bytes of a file, or of all in a folder."""
    if path.is_dir():
        return sum(each.stat().st_size for each in path.iterdir())
    return path.stat().st_size


def _sha256(path: Path) -> str:
    """Of a file its sha256, of a folder that of its files' names and sums."""
    digest = hashlib.sha256()
    if path.is_dir():
        for each in sorted(path.iterdir()):
            digest.update(f"{each.name} {_sha256(each)}\n".encode())
        return digest.hexdigest()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _write(path: Path, raw: bytes) -> None:
    """Write beside, make it last, rename: a reader sees the whole file or the old one."""
    handle, beside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise


def _write_folder(path: Path, files: Mapping[str, bytes]) -> None:
    """The files as one folder; what was in its place is gone before the new one stands there."""
    beside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        for name, raw in files.items():
            _write(beside / name, raw)
        if path.exists():
            shutil.rmtree(path)
        beside.rename(path)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
