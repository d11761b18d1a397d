"""Secrets are sealed, listed without values, and keys turn without losing one."""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from roci import Event, Invalid, NotFound, StartupError, Unavailable, outbox
from roci_plugins.core.store import Store
from roci_plugins.domain import applications, keyring, secrets
from roci_plugins.domain.keyring import Keyring
from roci_plugins.domain.secrets import Secret, SecretChanged, SecretRead, SecretRemoved, SecretSet

VALUE = "swordfish-4711"


@pytest.fixture(autouse=True)
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "roci.db", lambda events: None)
    store.prepare([Secret, *applications.register_models()], [])
    yield store
    store.close()


@pytest.fixture
def within(store: Store) -> Iterator[None]:
    with store.transaction():
        yield


def emitted() -> list[type[Event]]:
    return [type(event) for event in outbox.get()]


@pytest.mark.usefixtures("within")
def test_a_secret_reads_back_and_each_reading_is_an_event(ring: Keyring) -> None:
    secrets.put(ring, "platform", "API_KEY", VALUE, "for the mail")
    assert secrets.reveal(ring, "platform", "API_KEY") == VALUE
    assert secrets.value(ring, "platform", "API_KEY") == VALUE
    assert emitted() == [SecretSet, SecretRead]
    assert VALUE not in repr(outbox.get()) + repr(secrets.value(ring, "platform", "API_KEY"))


@pytest.mark.usefixtures("within")
def test_setting_it_again_changes_the_value_and_keeps_the_description(ring: Keyring) -> None:
    first = secrets.put(ring, "platform", "API_KEY", "old", "for the mail")
    again = secrets.put(ring, "platform", "API_KEY", VALUE)
    assert (again.id, again.description) == (first.id, "for the mail")
    assert secrets.value(ring, "platform", "API_KEY") == VALUE
    assert emitted() == [SecretSet, SecretChanged]


@pytest.mark.usefixtures("within")
def test_a_scope_goes_with_its_owner_and_leaves_others_alone(ring: Keyring) -> None:
    for scope in ("space/a", "space/ab"):
        secrets.put(ring, scope, "ONE", "1")
    secrets.remove_scope("space/a")
    assert [row.scope for row in secrets.list_()] == ["space/ab"]
    assert emitted()[-1] is SecretRemoved
    with pytest.raises(NotFound, match="'ONE' in space/a"):
        secrets.reveal(ring, "space/a", "ONE")


@pytest.mark.parametrize(
    ("scope", "name", "value", "why"),
    [
        ("platform", "1X", "v", "name"),
        ("platform", "A/B", "v", "name"),
        ("platform", "A" * 256, "v", "name"),
        ("platform", "A\n", "v", "name"),
        ("space/", "A", "v", "scope"),
        ("space/a/b", "A", "v", "scope"),
        ("", "A", "v", "scope"),
        ("platform", "A", "é" * 40_000, "64 KiB"),
        ("platform", "A", "\ud800", "not text"),
        ("application/x", "A-B", "v", "'A-B' is not a name"),
        ("application/x", "PATH", "v", "the run's own"),
        ("application/x", "DOCKER_API_VERSION", "v", "the run's own"),
        ("application/x", "COMPOSE_REMOVE_ORPHANS", "v", "the run's own"),
        ("application/x", "BUILDX_CONFIG", "v", "the run's own"),
        ("application/x", "BUILDKIT_HOST", "v", "the run's own"),
        ("application/x", "OTEL_EXPORTER_OTLP_ENDPOINT", "v", "the run's own"),
        ("application/x", "A", "a\0b", "NUL"),
    ],
)
@pytest.mark.usefixtures("within")
def test_what_cannot_be_a_secret_is_refused(ring: Keyring, scope: str, name: str, value: str, why: str) -> None:
    with pytest.raises(Invalid, match=why) as refused:
        secrets.put(ring, scope, name, value)
    assert value == "v" or value not in refused.value.message


@pytest.mark.usefixtures("within")
def test_an_application_that_does_not_exist_has_no_secrets(ring: Keyring) -> None:
    with pytest.raises(NotFound):
        secrets.put(ring, "application/none", "A", "v")


def test_a_row_moved_to_another_name_or_damaged_does_not_open(store: Store, ring: Keyring) -> None:
    with store.transaction():
        secrets.put(ring, "platform", "LOW", "harmless")
        secrets.put(ring, "platform", "HIGH", VALUE)
        high = secrets.get("platform", "HIGH")
        Secret.update(blob=high.blob, key_id=high.key_id).where(Secret.name == "LOW").execute()
        Secret.update(blob=b"short").where(Secret.name == "HIGH").execute()
        for name in ("LOW", "HIGH"):
            with pytest.raises(Unavailable, match="damaged"):
                secrets.value(ring, "platform", name)


def test_neither_database_nor_key_file_shows_the_value(store: Store, ring: Keyring, tmp_path: Path) -> None:
    with store.transaction():
        secrets.put(ring, "platform", "API_KEY", VALUE)
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and VALUE.encode() in path.read_bytes()]


# --- keys --------------------------------------------------------------------


def rotate(store: Store, ring: Keyring) -> None:
    ring.turn()
    finish(store, ring)


def finish(store: Store, ring: Keyring) -> None:
    while True:
        with store.transaction():
            if not secrets.reseal(ring):
                break
    with store.transaction():
        secrets.drop_keys(ring)


def test_after_a_rotation_only_the_new_key_is_left_and_opens_everything(store: Store, ring: Keyring) -> None:
    with store.transaction():
        for number in range(3 * secrets.BATCH // 2):
            secrets.put(ring, "platform", f"S{number}", f"{VALUE}-{number}")
    before, audit = ring.read(), ring.audit_key
    rotate(store, ring)
    after = ring.read()
    assert after.current != before.current and list(after.keys) == [after.current]
    assert Keyring(ring.path, ring.database).audit_key == audit
    with store.transaction():
        fresh = Keyring(ring.path, ring.database)
        assert all(secrets.value(fresh, "platform", f"S{n}") == f"{VALUE}-{n}" for n in range(30))


def test_a_server_seals_with_the_key_that_another_process_has_just_made(store: Store, ring: Keyring) -> None:
    with store.transaction():
        secrets.put(ring, "platform", "BEFORE", "1")
    new = Keyring(ring.path, ring.database).turn()
    with store.transaction():
        assert secrets.put(ring, "platform", "AFTER", "2").key_id == new
    finish(store, Keyring(ring.path, ring.database))
    with store.transaction():
        assert secrets.value(ring, "platform", "BEFORE") == "1"


def test_a_key_that_a_row_uses_is_never_dropped(store: Store, ring: Keyring) -> None:
    with store.transaction():
        old = secrets.put(ring, "platform", "ONE", VALUE).key_id
    unused = ring.turn()
    ring.turn()
    with store.transaction():
        assert secrets.drop_keys(ring) == [unused]
        assert old in ring.read().keys and secrets.value(ring, "platform", "ONE") == VALUE


def test_a_lost_key_file_is_not_made_anew_over_secrets(store: Store, ring: Keyring) -> None:
    with store.transaction():
        secrets.put(ring, "platform", "ONE", VALUE)
    ring.path.unlink()
    with pytest.raises(
        StartupError, match=r"1 stored secrets cannot be read: the key file is missing.*roci secret forget"
    ):
        Keyring(ring.path, ring.database).read()
    assert not ring.path.exists()
    with store.transaction(), pytest.raises(Unavailable, match="has gone"):
        secrets.put(ring, "platform", "TWO", VALUE)


def test_a_key_file_of_another_installation_is_refused_and_its_rows_can_be_given_up(
    store: Store, ring: Keyring
) -> None:
    with store.transaction():
        secrets.put(ring, "platform", "ONE", VALUE)
    ring.path.unlink()
    ring.make()
    other = Keyring(ring.path, ring.database)
    with store.transaction():
        kept = secrets.put(other, "platform", "TWO", VALUE)
        with pytest.raises(StartupError, match="1 stored secrets cannot be read: the key file lacks the keys"):
            secrets.check_keys(other)
        assert [row.name for row in secrets.forget(other)] == ["ONE"]
        assert emitted()[-1] is SecretRemoved
        secrets.check_keys(other)
        assert secrets.list_() == [kept]


def test_a_key_file_that_others_may_read_is_refused(ring: Keyring) -> None:
    ring.read()
    assert ring.path.stat().st_mode & 0o777 == 0o600
    ring.path.chmod(0o640)
    with pytest.raises(StartupError, match="chmod 600"):
        Keyring(ring.path, ring.database).read()


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"current": "x", "keys": {}, "audit": ""}', "\0"])
def test_a_key_file_that_is_none_is_refused(ring: Keyring, text: str) -> None:
    ring.path.write_text(text)
    ring.path.chmod(0o600)
    with pytest.raises(StartupError, match="put it back from a backup"):
        ring.read()


def test_a_key_whose_bytes_changed_is_noticed(ring: Keyring) -> None:
    ring.read()
    body = json.loads(ring.path.read_text())
    body["keys"][body["current"]] = "A" * 43 + "="
    ring.path.write_text(json.dumps(body))
    with pytest.raises(StartupError, match="damaged"):
        ring.read()


def test_what_a_killed_writer_left_behind_is_no_obstacle(ring: Keyring) -> None:
    ring.read()
    ring.path.with_name(".secret.key.1-0.tmp").write_text("half")
    assert ring.turn() == ring.read().current
    assert [path.name for path in ring.path.parent.glob(".secret*")] == []


def test_no_key_is_dropped_while_a_backup_is_made(store: Store, ring: Keyring, tmp_path: Path) -> None:
    ring.read()
    ring.turn()
    handle = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    with store.transaction():
        assert secrets.drop_keys(ring) == [] and len(ring.read().keys) == 2
        os.close(handle)
        assert len(secrets.drop_keys(ring)) == 1 and len(ring.read().keys) == 1


def test_two_that_make_the_first_key_at_once_use_one(tmp_path: Path, store: Store) -> None:
    rings = [Keyring(tmp_path / keyring.FILE, tmp_path / "roci.db") for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        assert len({keys.current for keys in pool.map(Keyring.read, rings)}) == 1


def test_which_keys_are_used_can_be_told_without_a_server(store: Store, ring: Keyring, tmp_path: Path) -> None:
    assert keyring.used_keys(tmp_path / "none.db") == {}
    sqlite3.connect(tmp_path / "empty.db").close()
    assert keyring.used_keys(tmp_path / "empty.db") == {}
    with store.transaction():
        row = secrets.put(ring, "platform", "ONE", VALUE)
    assert keyring.used_keys(ring.database) == {row.key_id: 1}
