"""What a test needs beyond Python packages: it skips and names the package, or fails in CI."""

from __future__ import annotations

import os
import shutil

import pytest

REQUIRE = os.environ.get("MTOR_REQUIRE_ALL") == "1"
"""Set by `.ci/run`: a missing component that CI installs is then a failure, not a skip."""


def program(name: str, package: str) -> str:
    """The path of a program, or a skip that names the Debian package with it."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin:/usr/local/sbin")
    if found is None:
        missing(f"needs {name}: apt-get install {package} (make system-deps installs it)")
    assert found is not None
    return found


def missing(what: str, *, even_in_ci: bool = False) -> None:
    """Skip, saying what is needed; where CI must have it, fail instead."""
    if REQUIRE and not even_in_ci:
        pytest.fail(what)
    pytest.skip(what)
