"""config.example.yaml is complete, explains each setting, and as shipped changes nothing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

import roci_plugins
from roci import DEFAULT_DATA, Settings, core

TEXT = (Path(__file__).parents[1] / "config.example.yaml").read_text()
SETTING = re.compile(r"^#((?:  )?([a-z_]+):.*)$", re.MULTILINE)  # prose has one blank after the #
EVERYTHING = dict.fromkeys(
    [*roci_plugins.ESSENTIAL, *roci_plugins.DEFAULT, *roci_plugins.AGENT, *roci_plugins.COMMANDS]
)


def uncommented() -> str:
    return SETTING.sub(r"\1", TEXT)


def models() -> dict[str, Any]:
    pm = core("loading").load(Settings(), only=list(EVERYTHING))
    return {model.section: model for model in pm.hook.register_settings()}


def fields(model: type[msgspec.Struct]) -> set[str]:
    return set(model.__struct_fields__) - {"sections"}


def environment_names() -> dict[str, str]:
    """The path of each setting and its name in the environment."""
    names = {name: f"ROCI_{name.upper()}" for name in fields(Settings)}
    for section, model in models().items():
        names |= {f"{section}.{name}": f"ROCI_{section.upper()}__{name.upper()}" for name in fields(model)}
    return names


def test_the_example_as_shipped_is_what_no_file_at_all_means(tmp_path: Path) -> None:
    (tmp_path / "roci.yaml").write_text(TEXT)
    assert core("settings").load(tmp_path / "roci.yaml", {}) == Settings()


def test_every_setting_is_in_the_example_and_nothing_else() -> None:
    given = yaml.safe_load(uncommented())
    sections = {name: given.pop(name) for name in models() if name in given}
    assert set(given) == fields(Settings)
    assert {name: set(values) for name, values in sections.items()} == {
        name: fields(model) for name, model in models().items()
    }


def test_every_default_in_the_example_is_the_real_one(tmp_path: Path) -> None:
    (tmp_path / "roci.yaml").write_text(uncommented())
    settings = core("settings").load(tmp_path / "roci.yaml", {})
    assert settings.data_dir == "/var/lib/roci"  # root's; the text names the other one
    assert msgspec.structs.replace(settings, data_dir=DEFAULT_DATA, sections={}) == Settings()
    for model in models().values():
        assert core("settings").read_section(model, settings) == model()


@pytest.mark.parametrize("path", sorted(environment_names()))
def test_each_setting_is_explained_right_above_it_and_named_as_in_the_environment(path: str) -> None:
    section, _, name = path.rpartition(".")
    text = TEXT[TEXT.index(f"\n#{section}:\n") :] if section else TEXT
    found = re.search(rf"((?:^# \S.*\n)+)#{'  ' if section else ''}{name}:", text, re.MULTILINE)
    assert found, f"{path} is not explained"
    assert re.search(rf"[a-z].*\b{environment_names()[path]}$", found[1].strip(), re.DOTALL)
