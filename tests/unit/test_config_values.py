"""Config files: every mistake is one ConfigError that names file, line and key."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtor_swarm import config
from mtor_swarm.config import MissionConfig, RealmConfig, SwarmConfig
from mtor_swarm.errors import ConfigError


def refused(text: str, cls: type[msgspec.Struct] = RealmConfig) -> str:
    with pytest.raises(ConfigError) as caught:
        config.parse(text, cls, name="f.yaml")
    return str(caught.value)


def test_a_unit_name_is_all_that_a_realm_needs():
    assert config.parse("unit: r1", RealmConfig) == RealmConfig(unit="r1")


def test_what_is_dumped_is_read_back_the_same():
    realm = RealmConfig(unit="r1", swarm=SwarmConfig(seeds=["tcp://10.0.0.1:7400"]))
    assert config.parse(config.dump(realm), RealmConfig) == realm


def test_a_missing_key_is_named():
    assert refused("mission: search") == "f.yaml:1: the key `unit` is missing"


def test_an_unknown_key_is_named_with_its_line_and_section():
    said = refused("unit: r1\nreflex:\n  max_speed_mps: 0.5\n  max_sped: 1\n")
    assert said == "f.yaml:4: reflex.max_sped: unknown key"


def test_a_value_of_the_wrong_type_is_named_with_its_line():
    assert refused("unit: r1\nperception:\n  threads: many").startswith(
        "f.yaml:3: perception.threads: "
    )


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("reflex: {max_speed_mps: -1}", "reflex.max_speed_mps"),
        ("reflex: {max_speed_mps: .inf}", "reflex.max_speed_mps"),
        ("reflex: {max_speed_mps: .nan}", "reflex.max_speed_mps"),
        ("perception: {confidence: 2}", "perception.confidence"),
        ("swarm: {bind: 'udp://x'}", "swarm.bind"),
        ("swarm: {seeds: [7400]}", "swarm.seeds[0]"),
        ("operators: [me]", "operators[0]"),
    ],
)
def test_a_value_out_of_range_is_named_with_its_line(line: str, key: str):
    assert refused(f"unit: r1\n{line}").startswith(f"f.yaml:2: {key}: ")


def test_an_unsafe_unit_name_is_refused():
    assert "unit" in refused("unit: R1/../x")


def test_a_key_that_stands_twice_is_refused():
    assert refused("unit: r1\nunit: r2") == "f.yaml:2: `unit` stands here twice; keep one"


def test_aliases_are_refused_since_they_unfold_into_gigabytes():
    laughs = "a: &a [x]\nb: &b [*a, *a]\n"
    assert refused(laughs).startswith("f.yaml:2: not valid YAML: the alias *a")


def test_a_tag_that_names_a_python_object_is_refused():
    assert refused("unit: !!python/name:os.system x").startswith("f.yaml:1: ")


def test_a_key_that_is_no_word_is_refused():
    assert refused("? [a, b]\n: 1") == "f.yaml:1: a key must be a word"


def test_broken_yaml_is_named_with_its_line():
    assert refused("unit: r1\nswarm: [").startswith("f.yaml:2: not valid YAML: ")


def test_deep_nesting_is_refused():
    assert refused("[" * 1500) == "f.yaml: nested too deeply"


def test_an_empty_file_is_a_file_without_keys():
    assert config.parse("# nothing", SwarmConfig) == SwarmConfig()


def test_a_file_that_is_absent_or_no_text_or_too_large_is_named(tmp_path: Path):
    binary, large = tmp_path / "binary.yaml", tmp_path / "large.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    large.write_bytes(b"#" * (config.MAX_CONFIG_BYTES + 1))
    for path, why in [
        (tmp_path / "absent.yaml", "No such file"),
        (tmp_path, "Is a directory"),
        (binary, "is not UTF-8"),
        (large, "no config is that large"),
    ]:
        with pytest.raises(ConfigError, match=why) as caught:
            config.load(path, RealmConfig)
        assert str(path) in str(caught.value)


def test_the_keys_at_the_top_of_a_file_tell_its_sort(tmp_path: Path):
    file = tmp_path / "f.yaml"
    file.write_text("unit: r1\nswarm: {name: x}\n")
    assert config.keys(file) == ["unit", "swarm"]
    file.write_text("just words")
    assert config.keys(file) == []


YAML_BITS = st.sampled_from(
    ["unit: r1\n", "reflex: ", "max_speed_mps: ", ".inf", "!!int ''", "!!bool x", "&a ", "*a",
     "- ", "[", "]", "{", "}", "? ", ": ", "\n", "  ", "0x", "1e999", "2024-13-45", "'", "|\n",
     "<<: ", "!!timestamp x", "!!binary é", "---\n", "%YAML", "9" * 400]
)  # fmt: skip


@given(st.one_of(st.text(), st.lists(YAML_BITS, max_size=12).map("".join)))
def test_any_text_becomes_a_struct_or_one_named_error(text: str):
    for cls in (RealmConfig, MissionConfig):
        try:
            assert isinstance(config.parse(text, cls), cls)
            continue
        except ConfigError as error:
            said = str(error)
        assert said.startswith("<text>")
        assert "\n" not in said
