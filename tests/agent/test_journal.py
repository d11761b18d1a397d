from __future__ import annotations

from pathlib import Path

from roci_plugins.agent.journal import Identity, Journal


def test_a_journal_that_cannot_be_read_is_no_reason_to_fail(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    (tmp_path / "identity.json").write_text("{")
    (tmp_path / "commands" / "c1.json").write_text("{")
    journal.recover()
    assert journal.identity() == Identity() and journal.undelivered() == []


def test_a_program_that_cannot_be_noted_down_runs_all_the_same(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.begin("c1", "deploy", "a1")
    (tmp_path / "commands").rename(tmp_path / "elsewhere")
    journal.note_group("c1", 1)
    assert journal.running() == ["c1"]
