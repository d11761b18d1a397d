from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

import roci_plugins
from roci import Settings, cli
from roci_plugins.commands.plugins import listed

LOCAL = "from roci import hookimpl\n\n@hookimpl\ndef register_permissions():\n    return []\n"


def test_plugins_are_listed_in_the_order_they_are_asked() -> None:
    names = [plugin.name for plugin in listed(Settings())]
    loaded = [*roci_plugins.ESSENTIAL, *roci_plugins.DEFAULT]
    assert names[: len(loaded)] == loaded
    assert set(roci_plugins.COMMANDS) <= set(names)


def test_each_plugin_is_shown_with_its_hooks_and_its_origin() -> None:
    (found,) = [plugin for plugin in listed(Settings()) if plugin.name == "matchers.network"]
    assert (found.origin, found.hooks) == ("built-in", ["register_matchers"])


def test_the_operators_own_file_is_shown_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(LOCAL)
    (found,) = [plugin for plugin in listed(Settings(plugins_dir=str(tmp_path))) if plugin.name == "local.mine"]
    assert found.origin == str(tmp_path / "mine.py") and found.hooks == ["register_permissions"]


def test_a_plugin_of_an_installed_distribution_is_shown_with_its_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "roci_example.py").write_text(LOCAL)
    info = tmp_path / "roci_example-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: roci-example\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[roci]\nexample = roci_example\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "roci-example 1.2" in [plugin.origin for plugin in listed(Settings()) if plugin.name == "example"]


def test_a_disabled_plugin_is_marked(tmp_path: Path) -> None:
    (tmp_path / "roci.yaml").write_text("disable: [matchers.time]\n")
    result = CliRunner().invoke(cli, ["plugins", "--config", str(tmp_path / "roci.yaml")])
    (line,) = [line for line in result.output.splitlines() if line.startswith("matchers.time")]
    assert line.split() == ["matchers.time", "built-in", "disabled"]
    assert result.exit_code == 0
