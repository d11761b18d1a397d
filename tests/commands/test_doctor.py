from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from roci import cli


def test_doctor_ends_with_1_when_something_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "roci.yaml").write_text("nonsense: 1\n")
    result = CliRunner().invoke(cli, ["doctor", "--config", str(tmp_path / "roci.yaml")])
    assert result.exit_code == 1
    assert result.output.splitlines()[0].startswith("ok    Python 3.")
    assert result.output.splitlines()[-1].startswith("FAIL  the settings: nonsense is not a setting")


def test_doctor_ends_with_0_when_there_are_warnings_only(tmp_path: Path) -> None:
    config = tmp_path / "roci.yaml"
    config.write_text(f"data_dir: {tmp_path}/data\nlocal_agent: false\nbind: 127.0.0.1:0\n")
    config.chmod(0o640)
    result = CliRunner().invoke(cli, ["doctor", "--config", str(config)])
    assert "warn  a group may read" in result.output and "FAIL" not in result.output
    assert result.exit_code == 0
    assert not (tmp_path / "data").exists()
