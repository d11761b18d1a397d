from __future__ import annotations

import asyncio
import io
import json
import resource
import stat
import tarfile
import threading
from pathlib import Path

import pyrage
import pytest

from roci import Conflict, Invalid, NotFound, Roci, Settings, Unavailable, core
from roci_plugins.domain import keyring, secrets
from roci_plugins.work import backup, restore

from .archives import database, make_data


def contents(archive: io.BytesIO) -> dict[str, bytes]:
    archive.seek(0)
    with tarfile.open(fileobj=archive) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]


def test_a_backup_holds_the_database_and_the_keys_and_nothing_that_passes(tmp_path: Path) -> None:
    out = io.BytesIO()
    backup.create(make_data(tmp_path / "data"), out)
    assert list(contents(out)) == ["manifest.json", "roci.db", "agent/state.json", "secret.key"]
    assert contents(out)["secret.key"] == bytes(range(32))


def test_the_manifest_says_which_roci_when_which_tables_and_which_migrations(tmp_path: Path) -> None:
    out = io.BytesIO()
    backup.create(make_data(tmp_path / "data"), out)
    told = json.loads(contents(out)["manifest.json"])
    assert told["tables"] == {"host": 2, "migration": 1}
    assert told["migrations"] == ["hosts_0001_start"]
    assert told["roci"] and told["created_at"].endswith("Z")
    assert told["members"]["secret.key"]["size"] == 32


def test_a_backup_of_a_database_being_written_to_is_of_one_moment(tmp_path: Path) -> None:
    data = make_data(tmp_path / "data", rows=[])
    started, stop = threading.Event(), threading.Event()

    def write() -> None:
        with database(data / "roci.db") as db:
            db.execute("create table twin (id integer)")
            number = 0
            while not stop.is_set():
                number += 1
                with db:
                    db.execute("insert into host values (?, 'x', null)", (number,))
                    db.execute("insert into twin values (?)", (number,))
                if number == 20:
                    started.set()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert started.wait(20)
        manifests = [backup.create(data, io.BytesIO()) for _ in range(5)]
    finally:
        stop.set()
        writer.join()
    assert all(manifest.tables["host"] == manifest.tables["twin"] >= 20 for manifest in manifests)


def test_what_still_lies_in_the_log_of_the_database_is_in_the_backup(tmp_path: Path) -> None:
    data = make_data(tmp_path / "data")
    with database(data / "roci.db") as db:
        db.execute("insert into host values (3, 'late', null)")
        db.commit()
        assert (data / "roci.db-wal").stat().st_size
        assert backup.create(data, io.BytesIO()).tables["host"] == 3


def test_a_backup_file_is_for_its_owner_only_and_nothing_else_is_left(tmp_path: Path) -> None:
    data = make_data(tmp_path / "data")
    (tmp_path / "out").mkdir()
    backup.write(data, tmp_path / "out" / "roci.tar")
    assert stat.S_IMODE((tmp_path / "out" / "roci.tar").stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["roci.tar"]
    assert not (data / ".backup").exists()


def test_a_backup_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    data = make_data(tmp_path / "data")
    target = tmp_path / "roci.tar"
    target.write_bytes(b"yesterday's")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    (data / "large").write_bytes(b"x" * 100_000)
    resource.setrlimit(resource.RLIMIT_FSIZE, (110_000, hard))  # the copies fit, the archive does not
    try:
        with pytest.raises(Unavailable, match=r"cannot write .*roci\.tar"):
            backup.write(data, target)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert target.read_bytes() == b"yesterday's"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "roci.tar"]


def test_a_backup_for_recipients_is_encrypted_for_each_of_them(tmp_path: Path) -> None:
    identities = [pyrage.x25519.Identity.generate() for _ in range(2)]
    out = io.BytesIO()
    text = "# the safe\n" + "\n".join(str(identity.to_public()) for identity in identities)
    backup.create(make_data(tmp_path / "data"), out, backup.recipients_of([text]))
    assert out.getvalue().startswith(b"age-encryption.org/v1") and b"nas" not in out.getvalue()
    for identity in identities:
        assert "roci.db" in contents(io.BytesIO(pyrage.decrypt(out.getvalue(), [identity])))


def test_a_misspelt_recipient_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="'age1nonsense' is not an age recipient"):
        backup.recipients_of(["age1nonsense"])


def test_a_backup_into_the_data_directory_is_refused(tmp_path: Path) -> None:
    data = make_data(tmp_path / "data")
    with pytest.raises(Invalid, match="put a backup elsewhere"):
        backup.write(data, data / "roci.tar")


def test_a_folder_without_a_database_is_not_backed_up(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="is data_dir right"):
        backup.create(tmp_path, io.BytesIO())


def test_two_backups_at_once_do_not_mix(tmp_path: Path) -> None:
    data = make_data(tmp_path / "data")

    class Impatient(io.BytesIO):
        def write(self, chunk: bytes) -> int:  # type: ignore[override]
            with pytest.raises(Conflict, match="another backup"):
                backup.create(data, io.BytesIO())
            return super().write(chunk)

    out = Impatient()
    backup.create(data, out)
    assert "roci.db" in contents(out)


def test_what_a_killed_backup_left_is_neither_kept_nor_copied(tmp_path: Path) -> None:
    data = make_data(tmp_path / "data")
    (data / ".backup" / "files").mkdir(parents=True)
    (data / ".backup" / "files" / "roci.db").write_text("half")
    out = io.BytesIO()
    backup.create(data, out)
    assert not (data / ".backup").exists()
    assert not any("backup" in name for name in contents(out))


async def test_a_restored_server_opens_its_secrets_and_an_encrypted_backup_shows_none(
    settings: Settings, tmp_path: Path
) -> None:
    identity = pyrage.x25519.Identity.generate()
    async with (roci := Roci(settings)).running():
        await roci.write(secrets.put, keyring.of(roci), "platform", "KEY", "swordfish-4711")
        await asyncio.to_thread(backup.write, settings.data, tmp_path / "b.age", [identity.to_public()])
        audit = keyring.of(roci).audit_key
    archive = (tmp_path / "b.age").read_bytes()
    assert b"swordfish" not in archive and (settings.data / keyring.FILE).read_bytes() not in archive
    other = Settings(data_dir=str(tmp_path / "other"), local_agent=False)
    known = {migration.name for migration in core("loading").flatten(roci.hook.register_migrations())}
    restore.restore(io.BytesIO(archive), other.data, restore.Terms(known, [identity]))
    async with (again := Roci(other)).running():
        assert await again.read(secrets.value, keyring.of(again), "platform", "KEY") == "swordfish-4711"
        assert keyring.of(again).audit_key == audit


async def test_a_backup_taken_while_keys_turn_opens_by_itself(settings: Settings, tmp_path: Path) -> None:
    """Whatever the order, the copy of the key file has every key that the copy of the database uses."""
    async with (roci := Roci(settings)).running():
        ring = keyring.of(roci)
        for number in range(60):
            await roci.write(secrets.put, ring, "platform", f"S{number}", f"v{number}")
        stop = asyncio.Event()

        async def turning() -> None:
            while not stop.is_set():
                await asyncio.to_thread(ring.turn)
                while await roci.write(secrets.reseal, ring):
                    pass
                await roci.write(secrets.drop_keys, ring)

        busy = asyncio.create_task(turning())
        archives = []
        for _ in range(5):
            archives.append(io.BytesIO())
            await asyncio.to_thread(backup.create, settings.data, archives[-1])
        stop.set()
        await busy
    for number, archive in enumerate(archives):
        (copy := tmp_path / f"copy{number}").mkdir()
        for name in ("roci.db", keyring.FILE):
            (copy / name).write_bytes(contents(archive)[name])
            (copy / name).chmod(0o600)
        assert keyring.used_keys(copy / "roci.db") and not keyring.unopened(
            keyring.Keyring(copy / keyring.FILE, copy / "roci.db")
        )
