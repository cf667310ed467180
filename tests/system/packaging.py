"""What tests of packaging share: a copy of the source, and a virtual environment of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXECUTABLES = ("mtor", "mtor_core", "mtor_gateway", "mtor_models", "mtor_sim", "mtor_worker")
SOURCES = (
    "setup.py", "setup.cfg", "pyproject.toml", "package.xml", "MANIFEST.in", "LICENSE",
    "constraints.txt", "README.md", "src", "resource", "launch", "config", "scripts", "sim",
)  # fmt: skip


def copy_source(to: Path) -> Path:
    """The package's source in a folder that a build may write into."""
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, to / name, ignore=ignored)
        else:
            to.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, to / name)
    return to


def virtual_environment(at: Path) -> Path:
    """An environment that has what ours has installed, but not our package; its Python."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(at)], check=True)
    python = at / "bin" / "python"
    site = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True,
        text=True,
        check=True,
        env=environment(),
    ).stdout.strip()
    Path(site, "ours.pth").write_text(sysconfig.get_path("purelib"))
    return python


def environment(**more: str) -> dict[str, str]:
    """This process's environment, without a path that would lead to the source."""
    dropped = ("PYTHONPATH", "AMENT_PREFIX_PATH", "COLCON_PREFIX_PATH")
    return {**{k: v for k, v in os.environ.items() if k not in dropped}, **more}


def done(argv: list[str | Path], cwd: Path, timeout_s: float = 300.0, **more: str) -> str:
    """Run to its end; its output, or a failure that shows it."""
    ended = subprocess.run(
        argv,
        cwd=cwd,
        env=environment(**more),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    if ended.returncode:
        words = " ".join(str(each) for each in argv)
        pytest.fail(f"{words}: exit {ended.returncode}\n{ended.stdout[-3000:]}")
    return ended.stdout
