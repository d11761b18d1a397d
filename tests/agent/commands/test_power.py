"""Programs of the test's on a PATH of its own: this machine is never restarted."""

from __future__ import annotations

from pathlib import Path

import pytest

from roci import Site, StepFailed
from roci_plugins.agent import process
from roci_plugins.agent.commands.power import reboot_after


async def reboot(monkeypatch: pytest.MonkeyPatch, folder: Path, **scripts: str) -> tuple[str, int]:
    """What it said, and its exit code."""
    for name, script in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    said = ""
    try:
        async for text in reboot_after(0, Site(folder, None, {}, process.spawn)):
            said += text
    except StepFailed as error:
        return said, error.details["exit_code"]
    return said, 0


async def test_systemctl_is_asked_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    note = tmp_path / "note"
    said = await reboot(
        monkeypatch, tmp_path, systemctl=f'echo systemctl "$@" >> {note}', shutdown=f"echo shutdown >> {note}"
    )
    assert said == ("this host restarts in a moment\n", 0) and note.read_text() == "systemctl reboot\n"


async def test_shutdown_does_where_systemctl_does_not(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    note = tmp_path / "note"
    said, code = await reboot(monkeypatch, tmp_path, systemctl="exit 1", shutdown=f'echo "$@" > {note}')
    assert (code, note.read_text()) == (0, "-r +0\n") and "systemctl ended with exit code 1" in said


async def test_a_host_without_either_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    said, code = await reboot(monkeypatch, tmp_path)
    assert code == 127 and "neither systemctl nor shutdown" in said
