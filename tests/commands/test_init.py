from __future__ import annotations

import stat
from pathlib import Path

import pytest
from click.testing import CliRunner

from roci import Conflict, cli, core
from roci_plugins.commands.init import EXAMPLE


def test_init_writes_the_example_for_its_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "roci.yaml"
    result = CliRunner().invoke(cli, ["init", str(file)])
    assert result.exit_code == 0 and f"roci serve --config {file}" in result.output
    assert file.read_text() == EXAMPLE.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [file]


def test_what_init_wrote_is_what_no_file_at_all_means(tmp_path: Path) -> None:
    CliRunner().invoke(cli, ["init", str(tmp_path / "roci.yaml")])
    assert core("settings").load(tmp_path / "roci.yaml", {}) == core("settings").load(None, {})


def test_init_replaces_a_file_only_by_force(tmp_path: Path) -> None:
    file = tmp_path / "roci.yaml"
    file.write_text("mine")
    result = CliRunner().invoke(cli, ["init", str(file)])
    assert isinstance(result.exception, Conflict) and "--force" in str(result.exception)
    assert file.read_text() == "mine" and list(tmp_path.iterdir()) == [file]
    assert CliRunner().invoke(cli, ["init", "--force", str(file)]).exit_code == 0
    assert file.read_text() == EXAMPLE.read_text()


def test_init_to_a_dash_writes_nothing_but_the_example() -> None:
    assert CliRunner().invoke(cli, ["init", "-"]).output == EXAMPLE.read_text()


@pytest.mark.parametrize("place", ["no/such/folder/roci.yaml"])
def test_init_says_why_it_cannot_write(tmp_path: Path, place: str) -> None:
    result = CliRunner().invoke(cli, ["init", str(tmp_path / place)])
    assert "No such file or directory" in str(result.exception)
