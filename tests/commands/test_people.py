"""`roci user` and `roci token`, as the host's owner runs them."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from roci import RociError
from roci_plugins.commands.people import token, user


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.setenv("ROCI_DATA_DIR", str(tmp_path))

    def call(command: object, *words: str, given: str = "") -> Result:
        return CliRunner().invoke(command, words, input=given)  # type: ignore[arg-type]

    return call


def test_people_are_added_listed_disabled_and_removed(run) -> None:  # type: ignore[no-untyped-def]
    assert run(user, "add", "ann", "--administrator", given="correct horse\n").exit_code == 0
    assert run(user, "add", "bob", given="correct horse\n").exit_code == 0
    assert run(user, "disable", "bob").exit_code == 0
    listed = run(user, "list").stdout
    assert "administrator" in listed.splitlines()[0] and "disabled" in listed.splitlines()[1]
    assert run(user, "disable", "bob", "--undo").exit_code == 0
    assert run(user, "password", "bob", given="another horse\n").exit_code == 0
    assert run(user, "remove", "bob").exit_code == 0
    assert "bob" not in run(user, "list").stdout
    last = run(user, "remove", "ann")
    assert isinstance(last.exception, RociError) and "last" in last.exception.message


def test_who_was_kept_out_is_let_in_again_by_enable_too(run) -> None:  # type: ignore[no-untyped-def]
    run(user, "add", "ann", given="correct horse\n")
    assert run(user, "disable", "ann").exit_code == 0 and "disabled" in run(user, "list").stdout
    enabled = run(user, "enable", "ann")
    assert enabled.exit_code == 0 and "ann is enabled" in enabled.stderr
    assert "disabled" not in run(user, "list").stdout
    assert isinstance(run(user, "enable", "nobody").exception, RociError)


def test_lists_of_people_and_tokens_do_not_move_the_cursor(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    run(token, "create", "laptop", "--scope", "hosts.*")
    with contextlib.closing(sqlite3.connect(tmp_path / "roci.db")) as db:  # as from before such names were refused
        db.execute("update token set name = ?", ("lap\x1b[2Jtop\n",))
        db.execute("update principal set name = ?", ("ann\u202e\x00",))
        db.commit()
    tokens, people = run(token, "list").stdout, run(user, "list").stdout
    assert "lap?[2Jtop?" in tokens and "ann??" in tokens and "ann??" in people
    assert [line.isprintable() for line in (tokens + people).splitlines()] == [True, True]


def test_second_factors_are_reset(run) -> None:  # type: ignore[no-untyped-def]
    run(user, "add", "ann", given="correct horse\n")
    assert run(user, "reset-factors", "ann").exit_code == 0
    assert isinstance(run(user, "reset-factors", "nobody").exception, RociError)


def test_a_short_password_is_refused(run) -> None:  # type: ignore[no-untyped-def]
    result = run(user, "add", "ann", given="short\n")
    assert isinstance(result.exception, RociError) and "10 characters" in result.exception.message
    assert run(user, "list").stdout == ""


def test_a_token_is_printed_alone_and_once(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    made = run(token, "create", "laptop", "--scope", "hosts.*", "--expires", "7")
    secret = made.stdout.strip()
    assert secret.startswith("roci_") and len(secret.split()) == 1 and "laptop" in made.stderr
    listed = run(token, "list").stdout
    assert "laptop" in listed and "valid" in listed and "hosts.*" in listed and secret not in listed
    assert secret.encode() not in b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_a_token_is_revoked_by_name(run) -> None:  # type: ignore[no-untyped-def]
    run(token, "create", "laptop")
    assert run(token, "revoke", "laptop").exit_code == 0
    assert "revoked" in run(token, "list").stdout
    assert run(token, "revoke", "laptop").exit_code == 1
    assert run(token, "revoke", "nothing").exit_code == 1
