from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pyrage
import pytest
from click.testing import CliRunner, Result

from roci import Conflict, Invalid, NotFound, Settings, cli, core
from roci_plugins.core.store import Store

ROWS = [(1, "nas"), (2, "pi")]


def store(data: Path) -> Store:
    return Store(data / "roci.db", lambda events: None)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Settings of a data directory with a database as the store makes it."""
    data = tmp_path / "data"
    made = store(data)
    made.prepare([], [])
    with made.transaction():
        made.db.execute_sql("create table host (id integer, name text)")
        made.db.execute_sql("insert into host values (1, 'nas'), (2, 'pi')")
    (data / "secret.key").write_bytes(b"k" * 32)
    (tmp_path / "roci.yaml").write_text(f"data_dir: {data}\n")
    return tmp_path / "roci.yaml"


def rows(data: Path) -> list[tuple[int, str]]:
    found = store(data)
    with found.transaction():
        return list(found.db.execute_sql("select * from host"))


def run(*args: object, config: Path, given: bytes = b"") -> Result:
    return CliRunner().invoke(cli, [*map(str, args), "--config", str(config)], input=io.BytesIO(given))


def wait_for(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        os.sched_yield()


def test_a_backup_and_a_restore_to_another_place(config: Path, tmp_path: Path) -> None:
    result = run("backup", tmp_path / "roci.tar", config=config)
    assert result.exit_code == 0 and "2 rows in 2 tables and 1 other files" in result.stderr
    assert "not encrypted" in result.stderr
    result = run("restore", tmp_path / "roci.tar", "--data-dir", tmp_path / "new", config=config)
    assert result.exit_code == 0, result
    assert rows(tmp_path / "new") == ROWS
    assert (tmp_path / "new" / "secret.key").read_bytes() == b"k" * 32


def test_a_backup_through_pipes_for_a_recipient_file(config: Path, tmp_path: Path) -> None:
    key = pyrage.x25519.Identity.generate()
    (tmp_path / "people.txt").write_text(f"# me\n{key.to_public()}\n")
    (tmp_path / "me.key").write_text(str(key))
    made = run("backup", "-", "--recipient-file", tmp_path / "people.txt", config=config)
    assert made.stdout_bytes.startswith(b"age-encryption.org/v1")
    options = ["--identity", tmp_path / "me.key", "--data-dir", tmp_path / "new"]
    assert run("restore", "-", *options, config=config, given=made.stdout_bytes).exit_code == 0
    assert rows(tmp_path / "new") == ROWS


def test_a_recipient_file_that_names_nobody_does_not_make_a_plain_backup(config: Path, tmp_path: Path) -> None:
    (tmp_path / "people.txt").write_text("# nobody yet\n")
    result = run("backup", tmp_path / "roci.tar", "--recipient-file", tmp_path / "people.txt", config=config)
    assert isinstance(result.exception, Invalid) and not (tmp_path / "roci.tar").exists()


async def test_a_restore_refuses_while_the_server_runs_and_a_backup_does_not(config: Path, tmp_path: Path) -> None:
    with core("store").alone(Settings(data_dir=str(tmp_path / "data"))):
        assert run("backup", tmp_path / "roci.tar", config=config).exit_code == 0
        result = run("restore", tmp_path / "roci.tar", "--force", config=config)
    assert isinstance(result.exception, Conflict) and "stop it first" in str(result.exception)


def test_a_restore_of_a_file_that_is_not_there_says_so(config: Path, tmp_path: Path) -> None:
    assert isinstance(run("restore", tmp_path / "gone.tar", "--force", config=config).exception, NotFound)
    assert run("restore", config=config).exit_code == 2
    assert "No restore was interrupted" in run("restore", "--finish", config=config).output


def start(*args: str, config: Path, **pipes: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "roci", *args, "--config", str(config)], **pipes)


def test_a_restore_that_is_killed_leaves_the_old_state(config: Path, tmp_path: Path) -> None:
    run("backup", tmp_path / "roci.tar", config=config)
    data = tmp_path / "data"
    process = start("restore", "-", "--force", config=config, stdin=subprocess.PIPE)
    stdin: IO[bytes] = process.stdin  # type: ignore[assignment]
    stdin.write((tmp_path / "roci.tar").read_bytes()[:5000])
    stdin.flush()
    wait_for((data / ".restore" / "spool").exists)
    process.send_signal(signal.SIGKILL)
    process.wait()
    stdin.close()
    assert rows(data) == ROWS and not list(data.glob("*.replaced-*"))
    assert run("restore", tmp_path / "roci.tar", "--force", config=config).exit_code == 0
    assert rows(data) == ROWS and not (data / ".restore").exists()


def test_a_backup_that_is_killed_leaves_no_half_archive_and_stops_no_later_one(config: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "large").write_bytes(b"x" * 1_000_000)  # more than a pipe holds
    process = start("backup", "-", config=config, stdout=subprocess.PIPE)
    wait_for((data / ".backup").exists)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert run("backup", tmp_path / "roci.tar", config=config).exit_code == 0
    assert rows(data) == ROWS and not (data / ".backup").exists()
