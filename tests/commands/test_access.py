"""`roci role`, `roci access` and the roles of `roci user add`, as the host's owner runs them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from roci import RociError, Settings
from roci_plugins.commands import people
from roci_plugins.commands.access import access_group, role
from roci_plugins.commands.people import user
from roci_plugins.domain import access, roles
from roci_plugins.domain.rules import Rule

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("ROCI_DATA_DIR", str(tmp_path))

    def call(command: click.Command, *words: str, given: str = "") -> Result:
        return CliRunner().invoke(command, words, input=given)

    return call


@pytest.fixture
def ann(run: Run) -> str:
    assert run(user, "add", "ann", "--role", "admin", given="correct horse\n").exit_code == 0
    assert run(user, "add", "bob", given="correct horse\n").exit_code == 0
    return "ann"


def message(result: Result) -> str:
    assert isinstance(result.exception, RociError), result
    return result.exception.message


def test_a_person_is_added_with_a_role(run: Run, ann: str) -> None:
    listed = run(user, "list").stdout.splitlines()
    assert "administrator" in listed[0] and "administrator" not in listed[1]
    nothing = run(user, "add", "eve", "--role", "nothing", given="correct horse\n")
    assert "no role named 'nothing'" in message(nothing)
    assert "eve" not in run(user, "list").stdout


def test_roles_are_listed_and_shown(run: Run, ann: str) -> None:
    assert [line.split()[0] for line in run(role, "list").stdout.splitlines()] == ["admin", "base"]
    shown = run(role, "show", "admin").stdout
    assert "may * on *" in shown and "bound to ann everywhere" in shown
    assert "no role named" in message(run(role, "show", "nothing"))


def test_what_a_role_says_does_not_move_the_cursor(run: Run, ann: str, tmp_path: Path) -> None:
    with people.transaction(Settings(data_dir=str(tmp_path))):
        access.add_role(roles.NewRole("odd", [Rule("hosts.read")], description="one\x1b[2J\ntwo"))
    for command, described in ((["list"], "one?[2J?two"), (["show", "odd"], "odd: one?[2J?two")):
        lines = run(role, *command).stdout.splitlines()
        assert all(map(str.isprintable, lines)) and any(described in line for line in lines)


def test_a_role_is_granted_and_revoked(run: Run, ann: str) -> None:
    assert run(role, "grant", "admin", "BOB").exit_code == 0
    assert run(user, "list").stdout.count("administrator") == 2
    assert "already" in message(run(role, "grant", "admin", "bob"))
    assert run(role, "revoke", "admin", "bob").exit_code == 0
    assert run(role, "revoke", "admin", "bob").exit_code == 1
    assert "last" in message(run(role, "revoke", "admin", "ann"))
    assert "nobody named" in message(run(role, "grant", "admin", "eve"))


def test_a_role_in_a_space_is_one_of_its_own(run: Run, ann: str) -> None:
    assert run(role, "grant", "admin", "bob", "--space", "garden").exit_code == 0
    assert "bound to bob in the space garden" in run(role, "show", "admin").stdout
    assert "administrator" not in run(user, "list").stdout.splitlines()[1]
    assert run(role, "revoke", "admin", "bob").exit_code == 1
    assert run(role, "revoke", "admin", "bob", "--space", "garden").exit_code == 0


def test_yes_and_no_are_explained_and_told_by_the_exit_code(run: Run, ann: str) -> None:
    yes = run(access_group, "explain", "ann", "hosts.decide")
    assert yes.exit_code == 0 and yes.stdout.startswith("yes: ") and "* on *, from the role admin" in yes.stdout
    no = run(access_group, "explain", "bob", "secrets.list", "space/garden")
    assert no.exit_code == 3 and no.stdout.startswith("no: ") and "no role is bound to bob" in no.stdout
    run(role, "grant", "admin", "bob", "--space", "garden")
    assert run(access_group, "explain", "bob", "secrets.list", "space/garden").exit_code == 0
    nearly = run(access_group, "explain", "bob", "secrets.list", "space/kitchen")
    assert nearly.exit_code == 3 and "not enough: * on * in the space garden" in nearly.stdout
    assert "nobody named" in message(run(access_group, "explain", "eve", "hosts.decide"))
