"""`roci audit`: the trail from the shell, proven while the server and the shell both write to it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from roci import Conflict, Roci, Settings, emit
from roci_plugins.commands.audit import audit
from roci_plugins.commands.people import user
from roci_plugins.domain import chain, events, keyring, policies
from roci_plugins.domain.policies import PolicyAdded

ANY = {"type": "any"}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=str(tmp_path), local_agent=False)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("ROCI_DATA_DIR", str(tmp_path))

    def call(*words: str, given: str = "", command: Any = audit) -> Result:
        return CliRunner().invoke(command, words, input=given)

    return call


@pytest.fixture
def trail(run: Any) -> None:
    """Five entries: the two roles every ROCI has, and three people."""
    for name in ("ann", "bob", "cid"):
        assert run("add", name, given="correct horse\n", command=user).exit_code == 0


def tamper(tmp_path: Path, *statements: str) -> None:
    with sqlite3.connect(tmp_path / "roci.db") as db:
        db.execute("drop trigger recorded_no_update")
        db.execute("drop trigger recorded_no_delete")
        for statement in statements:
            db.execute(statement)
    db.close()


def test_a_trail_that_was_left_alone_is_proven(run: Any, trail: None) -> None:
    result = run("verify")
    assert result.exit_code == 0 and "5 entries, all as they were written. Head: 5:" in result.stdout


@pytest.mark.parametrize(
    ("statement", "seq", "what"),
    [
        ("update recorded set actor_name = 'eve' where seq = 2", 2, "edited"),
        ("update recorded set data = '{}' where seq = 3", 3, "edited"),
        ("delete from recorded where seq = 2", 2, "removed"),
        ("delete from recorded where seq = 5", 5, "tail cut"),
        ("delete from recorded", 1, "tail cut"),
        (
            "insert into recorded select 6, " + ", ".join(events.COLUMNS[1:]) + " from recorded where seq = 1",
            6,
            "inserted",
        ),
        ("delete from recorded_head", 5, "head"),
    ],
)
def test_what_was_done_to_the_trail_is_found(
    run: Any, trail: None, tmp_path: Path, statement: str, seq: int, what: str
) -> None:
    tamper(tmp_path, statement)
    result = run("verify")
    assert result.exit_code == 1 and f"Entry {seq}: " in result.stderr and what in result.stderr
    assert run("add", "dan", given="correct horse\n", command=user).exit_code == 0, "it can still be written to"
    assert run("verify").exit_code == 1, "and what is wrong does not heal"


FORGERIES = {
    "emptied": ("delete from recorded",),
    "edited": ("update recorded set actor_name = 'eve', hash = ''",),
    "renumbered": (
        "delete from recorded where seq < 3",
        "update recorded set seq = seq - 2, hash = ''",
        "update sqlite_sequence set seq = 3 where name = 'recorded'",
    ),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_trail_without_its_seals_and_head_is_no_older_trail(
    run: Any, trail: None, tmp_path: Path, forgery: str
) -> None:
    tamper(tmp_path, *FORGERIES[forgery], "delete from recorded_head")
    assert run("verify").exit_code == 1
    assert run("add", "dan", given="correct horse\n", command=user).exit_code == 0, "it can still be written to"
    result = run("verify")
    assert result.exit_code == 1 and "Entry 1: " in result.stderr, "and what is wrong does not heal"


def from_before_the_note(tmp_path: Path) -> dict[str, Any]:
    """Take the note that there are seals out of the key file; returns what the file said."""
    path = tmp_path / keyring.FILE
    said: dict[str, Any] = json.loads(path.read_text())
    path.write_text(json.dumps({name: value for name, value in said.items() if name != "sealed_from"}))
    return said


def test_the_seals_of_an_older_installation_are_noted_with_its_next_entry(
    run: Any, trail: None, tmp_path: Path
) -> None:
    before = from_before_the_note(tmp_path)
    assert before["sealed_from"] == 1
    assert run("add", "dan", given="correct horse\n", command=user).exit_code == 0
    assert json.loads((tmp_path / keyring.FILE).read_text()) == before


def test_entries_that_are_older_than_the_seals_are_counted(run: Any, trail: None, tmp_path: Path) -> None:
    tamper(tmp_path, "update recorded set hash = ''", "delete from recorded_head")
    from_before_the_note(tmp_path)
    assert "5 of them have no seal of their own, being older than the seals: nothing" in run("verify").stdout
    for name in ("dan", "eve"):
        assert run("add", name, given="correct horse\n", command=user).exit_code == 0
    assert "5 of them have no seal of their own, being older than the seals: the first" in run("verify").stdout
    assert json.loads((tmp_path / keyring.FILE).read_text())["sealed_from"] == 6


def test_the_note_survives_another_key_for_secrets(run: Any, trail: None, tmp_path: Path) -> None:
    ring = keyring.Keyring(tmp_path / keyring.FILE, tmp_path / "roci.db")
    ring.turn()
    ring.keep(set())
    assert ring.read().sealed_from == 1 and len(ring.read().keys) == 1


def test_another_key_is_found(run: Any, trail: None, tmp_path: Path) -> None:
    (tmp_path / "secret.key").unlink()
    result = run("verify")
    assert result.exit_code == 1 and "key replaced" in result.stderr


def test_a_whole_other_trail_is_found_by_a_head_that_was_noted(run: Any, trail: None) -> None:
    noted = run("verify").stdout.split("Head: ")[1].strip()
    run("add", "dan", given="correct horse\n", command=user)
    assert run("verify", "--head", noted).exit_code == 0
    result = run("verify", "--head", noted[:-1] + "x")
    assert result.exit_code == 1 and "Entry 5: another trail" in result.stderr


def test_the_trail_is_listed_and_narrowed(run: Any, trail: None) -> None:
    lines = run("list").stdout.splitlines()
    assert len(lines) == 5 and "the host's shell" in lines[0] and "name=ann" in lines[0] and "name=cid" in lines[4]
    assert [json.loads(line)["seq"] for line in run("list", "--json", "--limit", "2").stdout.splitlines()] == [4, 5]
    assert run("list", "--actor", "nobody-here").stdout == ""
    assert run("list", "--since", "2999-01-01").stdout == ""
    assert "password" not in run("list", "--json").stdout


def test_without_a_database_it_says_so(run: Any) -> None:
    assert "no database" in str(run("verify").exception)


def checked(roci: Roci) -> chain.Checked:
    return chain.verify(keyring.of(roci).audit_key, events.head(), events.stored_rows())


async def shell(tmp_path: Path, code: str, *words: str) -> asyncio.subprocess.Process:
    environment = {**os.environ, "ROCI_DATA_DIR": str(tmp_path)}
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, *words, env=environment, stdin=pipe, stdout=pipe, stderr=pipe
    )


WRITES = """
import sys
from roci import Roci, Settings, core
from roci_plugins.domain import policies
roci = Roci(Settings(data_dir=sys.argv[1], local_agent=False))
flatten = core("loading").flatten
roci.store.prepare(flatten(roci.hook.register_models()), flatten(roci.hook.register_migrations()))
print("ready", flush=True)
for number in range(int(sys.argv[2])):
    with roci.store.transaction():
        for part in range(3):
            policies.add(f"shell {number}.{part}", number, {"type": "any"}, "reject")
    print(number, flush=True)
"""


async def test_the_chain_holds_while_server_and_shell_write_at_once(roci: Roci, tmp_path: Path) -> None:
    process = await shell(tmp_path, WRITES, str(tmp_path), "30")
    assert process.stdout and await process.stdout.readline() == b"ready\n"
    writes = [roci.write(policies.add, f"server {number}", number, ANY, "approve") for number in range(60)]
    await asyncio.gather(*writes)
    _, errors = await process.communicate()
    assert process.returncode == 0, errors
    assert (await roci.read(checked, roci)).fault is None
    assert (await roci.read(events.list_, 1, 0, "PolicyAdded"))[1] == 150


async def test_the_chain_holds_when_a_writer_is_killed(roci: Roci, tmp_path: Path) -> None:
    for after in (1, 7, 20):
        process = await shell(tmp_path, WRITES, str(tmp_path), "100000")
        assert process.stdout
        while await process.stdout.readline() != b"%d\n" % after:
            pass
        process.send_signal(signal.SIGKILL)
        await process.communicate()
        await roci.write(policies.add, "after", 1, ANY, "approve")
        assert (await roci.read(checked, roci)).fault is None
        _, written = await roci.read(events.list_, 1, 0, None, [events.Where("text", '"name":"shell ')])
        assert written >= 3 * after and written % 3 == 0, "a write is in the trail whole, or not at all"


async def test_a_change_that_is_taken_back_leaves_no_entry(roci: Roci) -> None:
    def change_and_fail() -> None:
        policies.add("p", 1, ANY, "reject")
        emit(PolicyAdded("x", "p", 1, ANY, "reject"))
        raise Conflict("on purpose")

    with pytest.raises(Conflict):
        await roci.write(change_and_fail)
    await roci.write(policies.add, "kept", 1, ANY, "reject")
    rows, total = await roci.read(events.list_, 10, 0, "PolicyAdded")
    assert total == 1 and rows[0].data["name"] == "kept" and (await roci.read(checked, roci)).fault is None
