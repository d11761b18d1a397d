from __future__ import annotations

from pathlib import Path

from roci_plugins.work import usage


def test_what_cannot_be_asked_is_none(tmp_path: Path) -> None:
    assert usage.measure(tmp_path / "nowhere").disk is None


def test_a_process_uses_memory_and_its_data_a_disk(tmp_path: Path) -> None:
    used = usage.measure(tmp_path)
    assert used.memory.current_bytes > 2**20 and used.cpu.count >= 1
    assert used.memory.limit_bytes is None or used.memory.limit_bytes > 2**20
    assert used.disk and used.disk.total_bytes >= used.disk.used_bytes + used.disk.available_bytes > 0
