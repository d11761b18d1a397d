"""`roci secret`, as the host's owner runs it, and what is left of the keys when it is killed."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from roci import Invalid, NotFound, Roci, RociError, Settings, StartupError, core
from roci_plugins.commands.secrets import secret
from roci_plugins.domain import applications, keyring, secrets
from roci_plugins.domain.keyring import Keyring

VALUE = "swordfish-4711"
MANY = 200


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def run(data: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.setenv("ROCI_DATA_DIR", str(data))
    return lambda *words, given="": CliRunner().invoke(secret, words, input=given)


def refusal(result: Result) -> RociError:
    assert isinstance(result.exception, RociError), result
    return result.exception


@contextmanager
def opened(data: Path) -> Iterator[tuple[Roci, Keyring]]:
    roci = Roci(Settings(data_dir=str(data), local_agent=False))
    flatten = core("loading").flatten
    roci.store.prepare(flatten(roci.hook.register_models()), flatten(roci.hook.register_migrations()))
    yield roci, keyring.of(roci)
    roci.store.close()


def values(data: Path) -> dict[str, str]:
    """As a server that starts now would read them."""
    with opened(data) as (roci, ring), roci.store.transaction():
        return {row.name: str(secrets.value(ring, row.scope, row.name)) for row in secrets.list_("platform")}


# --- the commands ------------------------------------------------------------


def test_a_secret_is_set_listed_and_removed_and_never_shown(run: Callable[..., Result], data: Path) -> None:
    assert run("set", "KEY", "--description", "mail", given=f"{VALUE}\n").exit_code == 0
    listed = run("list").stdout
    assert listed.split("\t")[:2] == ["platform", "KEY"] and "mail" in listed and VALUE not in listed
    assert values(data) == {"KEY": VALUE}
    assert run("remove", "KEY").exit_code == 0 and run("list").stdout == ""
    assert isinstance(refusal(run("remove", "KEY")), NotFound)


def test_a_value_of_several_lines_keeps_them(run: Callable[..., Result], data: Path) -> None:
    run("set", "PEM", given="-----\nabc\n-----\n")
    assert values(data) == {"PEM": "-----\nabc\n-----"}


def test_an_application_is_called_by_its_name(run: Callable[..., Result], data: Path) -> None:
    with opened(data) as (roci, _), roci.store.transaction():
        id = applications.add("shop", "services: {}").id
    assert run("set", "KEY", "--scope", "application/shop", given=VALUE).exit_code == 0
    assert run("list", "--scope", f"application/{id}").stdout.startswith("application/shop\tKEY")
    assert isinstance(refusal(run("set", "KEY", "--scope", "application/none", given=VALUE)), NotFound)
    assert isinstance(refusal(run("set", "A-B", "--scope", "application/shop", given=VALUE)), Invalid)


@pytest.mark.parametrize("scope", ["system", "principal/x", "provider/x"])
def test_internal_scopes_are_none_of_the_shells(run: Callable[..., Result], scope: str) -> None:
    for words in (("list",), ("set", "K"), ("remove", "K")):
        assert isinstance(refusal(run(*words, "--scope", scope, given=VALUE)), NotFound)


def test_a_lost_key_file_is_said_and_its_secrets_can_be_given_up(run: Callable[..., Result], data: Path) -> None:
    run("set", "KEY", given=VALUE)
    (data / keyring.FILE).rename(data / "kept.tmp")
    assert isinstance(refusal(run("rotate")), StartupError)
    assert run("list").stdout.startswith("platform\tKEY")
    assert run("forget", given="n\n").exit_code == 1 and not (data / keyring.FILE).exists()
    forgotten = run("forget", "--yes")
    assert forgotten.exit_code == 0 and "platform/KEY" in forgotten.stdout
    assert run("list").stdout == "" and values(data) == {}
    assert "nothing to give up" in run("forget").stdout


def test_forgetting_leaves_what_can_be_read(run: Callable[..., Result], data: Path) -> None:
    run("set", "LOST", given=VALUE)
    (data / keyring.FILE).unlink()
    Keyring(data / keyring.FILE, data / "roci.db").make()
    run("set", "KEPT", given=VALUE)
    assert "KEPT" not in run("forget", "--yes").stdout
    assert values(data) == {"KEPT": VALUE}


async def test_a_server_whose_secrets_have_lost_their_key_does_not_start(tmp_path: Path) -> None:
    settings = Settings(data_dir=str(tmp_path / "data"), local_agent=False)
    async with (first := Roci(settings)).running():
        await first.write(secrets.put, keyring.of(first), "platform", "KEY", VALUE)
    kept = (settings.data / keyring.FILE).read_bytes()
    (settings.data / keyring.FILE).unlink()
    with pytest.raises(StartupError, match=r"cannot be read: the key file is missing.*backup.*roci secret forget"):
        async with Roci(settings).running():
            pass
    Keyring(settings.data / keyring.FILE, tmp_path / "none.db").make()
    with pytest.raises(StartupError, match="lacks the keys they need"):
        async with Roci(settings).running():
            pass
    (settings.data / keyring.FILE).write_bytes(kept)
    async with (again := Roci(settings)).running():
        assert await again.read(secrets.value, keyring.of(again), "platform", "KEY") == VALUE


# --- turning the key ---------------------------------------------------------


@pytest.fixture
def many(data: Path) -> dict[str, str]:
    with opened(data) as (roci, ring), roci.store.transaction():
        for number in range(MANY):
            secrets.put(ring, "platform", f"S{number}", f"{VALUE}-{number}")
    return {f"S{number}": f"{VALUE}-{number}" for number in range(MANY)}


def rotating(data: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "roci", "secret", "rotate"]
    return subprocess.Popen(command, env={**os.environ, "ROCI_DATA_DIR": str(data)}, stdout=subprocess.PIPE)


def keys(data: Path) -> set[str]:
    return set(keyring.load(data / keyring.FILE).keys)


def resealed(data: Path) -> int:
    with closing(sqlite3.connect(data / "roci.db", timeout=10)) as db:
        current = keyring.load(data / keyring.FILE).current
        return int(db.execute("select count(*) from secret where key_id = ?", (current,)).fetchone()[0])


def test_turning_the_key_leaves_one_that_opens_everything(
    run: Callable[..., Result], data: Path, many: dict[str, str]
) -> None:
    before = keys(data)
    result = run("rotate")
    assert result.exit_code == 0 and f"{MANY} secrets" in result.stdout and "1 old keys are dropped" in result.stdout
    assert len(keys(data)) == 1 and not keys(data) & before
    assert values(data) == many


@pytest.mark.parametrize("progress", [0, MANY // 2, MANY])
async def test_killed_at_any_point_nothing_is_lost_and_the_next_start_finishes(
    data: Path, many: dict[str, str], progress: int
) -> None:
    """0: the new key is in the file; else at least so many rows are sealed with it."""
    old = keys(data)
    process = rotating(data)
    deadline = time.monotonic() + 30
    while process.poll() is None and (keys(data) == old or resealed(data) < progress):
        assert time.monotonic() < deadline
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert keys(data) != old
    assert values(data) == many
    async with (roci := Roci(Settings(data_dir=str(data), local_agent=False))).running():
        assert len(await roci.read(secrets.list_, "platform")) == MANY
        assert len(keys(data)) == 1 and resealed(data) >= MANY
    assert values(data) == many


def test_a_server_may_write_all_the_while(data: Path, many: dict[str, str]) -> None:
    written, stop = dict(many), threading.Event()

    def write() -> None:
        with opened(data) as (roci, ring):
            number = 0
            while not stop.is_set():
                with roci.store.transaction():
                    secrets.put(ring, "platform", f"N{number}", f"new-{number}")
                    secrets.put(ring, "platform", f"S{number % MANY}", f"changed-{number}")
                written.update({f"N{number}": f"new-{number}", f"S{number % MANY}": f"changed-{number}"})
                number += 1

    server = threading.Thread(target=write)
    server.start()
    try:
        for _ in range(2):
            assert rotating(data).wait(60) == 0
    finally:
        stop.set()
        server.join(30)
    assert len(written) > MANY and values(data) == written
    assert len(keys(data)) == 1


def test_an_old_key_waits_for_the_backup_that_is_being_made(
    run: Callable[..., Result], data: Path, many: dict[str, str]
) -> None:
    from roci_plugins.work import backup

    with backup._only_backup(data):
        result = run("rotate")
        assert "kept for the backup" in result.stderr and len(keys(data)) == 2
    assert len(keys(data)) == 2 and values(data) == many
    run("rotate")
    assert len(keys(data)) == 1
