"""Where the shipped worlds and models lie, and what a file's URIs mean."""

from __future__ import annotations

from pathlib import Path

from mtor_swarm import paths
from mtor_swarm.errors import WorldError
from mtor_swarm.sim.xml import MAX_BYTES


def shipped() -> Path:
    """The folder `sim/` of this installation.

    Gazebo finds `model://…` in its `models` folder when that is in GZ_SIM_RESOURCE_PATH.
    """
    return paths.share() / "sim"


def world_path(name: str | Path) -> Path:
    """A world by its path, or by the name of a shipped one (`field`)."""
    path = Path(name)
    if path.is_file():
        return path
    known = sorted((shipped() / "worlds").glob("*.sdf"))
    for each in known:
        if str(name) in (each.stem, each.name):
            return each
    names = ", ".join(each.stem for each in known)
    raise WorldError(f"{name}: there is no such world; shipped are: {names}")


def text_of(path: str | Path) -> bytes:
    """A world file's bytes, if it can be read and is not too large."""
    try:
        with Path(path).open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise WorldError(f"{path}: cannot be read: {error.strerror}") from None


def texture_path(uri: str, world_file: str) -> Path | None:
    """The file that a texture's URI means in a world: `model://NAME/…` or relative to it."""
    beside = Path(world_file).parent
    if not uri.startswith("model://"):
        found = beside / uri.removeprefix("file://")
        return found if found.is_file() else None
    inner = uri.removeprefix("model://")
    for folder in (beside.parent / "models", beside / "models", shipped() / "models"):
        if (folder / inner).is_file():
            return folder / inner
    return None
