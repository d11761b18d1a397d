from __future__ import annotations

import fcntl
import io
import shutil
import tarfile
from pathlib import Path

import pyrage
import pytest

from roci import Conflict, Invalid, RociError
from roci_plugins.domain import keyring
from roci_plugins.work import backup, restore

from .archives import ROWS, database, entry, make_data, manifest, rows, tar

KNOWN = restore.Terms(known={"hosts_0001_start"})


def forced(**changes: object) -> restore.Terms:
    return restore.Terms(known={"hosts_0001_start"}, force=True, **changes)  # type: ignore[arg-type]


@pytest.fixture
def archive(tmp_path: Path) -> io.BytesIO:
    out = io.BytesIO()
    backup.create(make_data(tmp_path / "origin"), out)
    out.seek(0)
    return out


def same_tree(left: Path, right: Path) -> bool:
    def tree(top: Path) -> dict[str, bytes]:
        return {str(path.relative_to(top)): path.read_bytes() for path in top.rglob("*") if path.is_file()}

    return tree(left) == tree(right)


def test_what_was_backed_up_comes_back_to_the_last_byte(tmp_path: Path, archive: io.BytesIO) -> None:
    restore.restore(archive, tmp_path / "new", KNOWN)
    assert rows(tmp_path / "new") == ROWS == rows(tmp_path / "origin")
    assert (tmp_path / "new" / "secret.key").read_bytes() == bytes(range(32))
    assert (tmp_path / "new" / "agent" / "state.json").read_text() == '{"id": 1}'


def test_only_the_owner_may_read_what_was_restored(tmp_path: Path, archive: io.BytesIO) -> None:
    restore.restore(archive, tmp_path / "new", KNOWN)
    modes = {path.name: path.stat().st_mode & 0o077 for path in (tmp_path / "new").rglob("*") if path.name != "lock"}
    assert set(modes.values()) == {0} and "secret.key" in modes
    assert not (tmp_path / "new" / restore.STAGE).exists()


def test_an_encrypted_backup_comes_back_with_its_identity(tmp_path: Path) -> None:
    key = pyrage.x25519.Identity.generate()
    out = io.BytesIO()
    backup.create(make_data(tmp_path / "origin"), out, [key.to_public()])
    out.seek(0)
    identities = restore.identities_of(f"# created: today\n{key}\n")
    restore.restore(out, tmp_path / "new", restore.Terms(KNOWN.known, identities))
    assert rows(tmp_path / "new") == ROWS


@pytest.mark.parametrize("stream", [False, True])
def test_a_wrong_identity_says_so(tmp_path: Path, stream: bool) -> None:
    out = io.BytesIO()
    backup.create(make_data(tmp_path / "origin"), out, [pyrage.x25519.Identity.generate().to_public()])
    out.seek(0)
    if stream:
        out.seekable = lambda: False  # type: ignore[method-assign]
    wrong = restore.Terms(KNOWN.known, [pyrage.x25519.Identity.generate()])
    with pytest.raises(Invalid, match="this identity does not open the backup"):
        restore.restore(out, tmp_path / "new", wrong)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["lock"]


def test_an_encrypted_backup_without_an_identity_asks_for_one(tmp_path: Path) -> None:
    out = io.BytesIO()
    backup.create(make_data(tmp_path / "origin"), out, [pyrage.x25519.Identity.generate().to_public()])
    out.seek(0)
    with pytest.raises(Invalid, match="--identity FILE"):
        restore.restore(out, tmp_path / "new", KNOWN)


def test_a_changed_byte_in_an_encrypted_backup_is_noticed(tmp_path: Path) -> None:
    key = pyrage.x25519.Identity.generate()
    out = io.BytesIO()
    backup.create(make_data(tmp_path / "origin"), out, [key.to_public()])
    changed = bytearray(out.getvalue())
    changed[-10] ^= 1
    with pytest.raises(Invalid, match="damaged or was changed"):
        restore.restore(io.BytesIO(bytes(changed)), tmp_path / "new", restore.Terms(KNOWN.known, [key]))


def test_a_file_without_an_identity_is_refused() -> None:
    with pytest.raises(Invalid, match="no age identity"):
        restore.identities_of("age1notasecret")


def test_a_database_that_is_there_is_replaced_only_by_force_and_kept(tmp_path: Path, archive: io.BytesIO) -> None:
    data = make_data(tmp_path / "data", rows=[(9, "old", None)])
    (data / "secret.key").write_bytes(b"old key")
    with pytest.raises(Conflict, match="--force"):
        restore.restore(archive, data, KNOWN)
    assert rows(data) == [(9, "old", None)]
    restore.restore(archive, data, forced())
    assert rows(data) == ROWS
    kept = sorted(path.name for path in data.iterdir() if ".replaced-" in path.name)
    assert [name.partition(".replaced-")[0] for name in kept] == ["roci.db", "secret.key"]
    assert rows(data, kept[0]) == [(9, "old", None)]
    assert (data / kept[1]).read_bytes() == b"old key"


def test_a_backup_from_before_there_was_a_key_does_not_go_with_the_key_that_is_here(tmp_path: Path) -> None:
    origin, out = make_data(tmp_path / "origin"), io.BytesIO()
    (origin / "secret.key").unlink()
    backup.create(origin, out)
    out.seek(0)
    data = make_data(tmp_path / "data")
    restore.restore(out, data, forced())
    new = keyring.load(data / "secret.key")
    assert new.sealed_from is None and len(new.keys) == 1
    kept = next(data.glob("secret.key.replaced-*"))
    assert kept.read_bytes() == bytes(range(32))


def test_the_log_of_the_old_database_is_not_played_into_the_new_one(tmp_path: Path, archive: io.BytesIO) -> None:
    data = make_data(tmp_path / "data", rows=[])
    with database(data / "roci.db") as db:  # a server that died: its log is still there
        db.execute("insert into host values (9, 'unsaved', null)")
        db.commit()
        shutil.copytree(data, tmp_path / "dead")
    restore.restore(archive, tmp_path / "dead", forced())
    assert rows(tmp_path / "dead") == ROWS
    (kept,) = (path.name for path in (tmp_path / "dead").glob("roci.db.replaced-*Z"))
    assert rows(tmp_path / "dead", kept) == [(9, "unsaved", None)]


def test_nothing_is_restored_under_a_running_server(tmp_path: Path, archive: io.BytesIO) -> None:
    data = make_data(tmp_path / "data")
    with (data / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(Conflict, match="stop it first"):
            restore.restore(archive, data, forced())


def test_a_backup_of_a_newer_roci_names_the_version_it_needs(tmp_path: Path, archive: io.BytesIO) -> None:
    with pytest.raises(Invalid, match=r"does not know hosts_0001_start: install ROCI 0\.1\.0 or newer"):
        restore.restore(archive, tmp_path / "new", restore.Terms(known=set()))
    with pytest.raises(Invalid, match=r"install ROCI 9\.9\.9 or newer"):
        restore.restore(tar([manifest({}, format=2, roci="9.9.9")]), tmp_path / "new", KNOWN)
    assert not (tmp_path / "new" / "roci.db").exists()


@pytest.mark.parametrize("where", [0.3, 0.6, 0.97])
def test_a_tampered_archive_is_refused_and_changes_nothing(tmp_path: Path, archive: io.BytesIO, where: float) -> None:
    data = make_data(tmp_path / "data", rows=[(9, "old", None)])
    before = tmp_path / "before"
    shutil.copytree(data, before)
    changed = bytearray(archive.getvalue())
    position = changed.index(b"SQLite format 3") + 200 if where == 0.3 else changed.index(bytes(range(32)))
    changed[position] ^= 1
    if where == 0.97:
        changed = changed[: len(changed) // 2]
    with pytest.raises(Invalid, match=r"checksum is wrong|damaged"):
        restore.restore(io.BytesIO(bytes(changed)), data, forced())
    assert same_tree(data, before)


HOSTILE = {
    "a path that leads out": ([("../evil", b"x")], {}),
    "an absolute path": ([("/tmp/evil", b"x")], {}),
    "the lock": ([("lock", b"x")], {}),
    "the note of a restore": ([(".restore/decided.json", b"x")], {}),
    "a file below a file": ([("a", b"x"), ("a/b", b"y")], {}),
    "too much": ([("large", b"x" * 2_000)], {"most_bytes": 1_000}),
    "too many": ([("a", b"1"), ("b", b"2"), ("c", b"3")], {"most_files": 2}),
}


@pytest.mark.parametrize("members, limits", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_archive_is_refused(tmp_path: Path, members: list[tuple[str, bytes]], limits: dict[str, int]) -> None:
    hostile = tar([manifest(dict(members)), *(entry(*member) for member in members)])
    with pytest.raises(RociError):
        restore.restore(hostile, tmp_path / "new", restore.Terms(KNOWN.known, **limits))
    assert [path.name for path in tmp_path.rglob("*")] == ["new", "lock"]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_anything_but_a_regular_file_is_refused(tmp_path: Path, kind: bytes) -> None:
    hostile = tar([manifest({"key": b""}), entry("key", b"", kind, "/etc/passwd")])
    with pytest.raises(Invalid, match="not the file that its manifest promises"):
        restore.restore(hostile, tmp_path / "new", KNOWN)


def test_a_sparse_file_is_refused(tmp_path: Path) -> None:
    info, content = entry("key", b"")
    info.pax_headers = {"GNU.sparse.map": "0,0", "GNU.sparse.size": str(1 << 40), "GNU.sparse.major": "0"}
    with pytest.raises(Invalid, match="not the file that its manifest promises"):
        restore.restore(tar([manifest({"key": b""}), (info, content)]), tmp_path / "new", KNOWN)


def test_a_member_that_the_manifest_does_not_name_or_names_once_is_refused(tmp_path: Path) -> None:
    for members in ([entry("key", b"x")], [entry("key", b"x"), entry("key", b"x")]):
        promised = {} if len(members) == 1 else {"key": b"x"}
        with pytest.raises(Invalid, match="does not name once"):
            restore.restore(tar([manifest(promised), *members]), tmp_path / "new", KNOWN)


def test_a_member_that_is_missing_is_missed(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="incomplete: key is missing"):
        restore.restore(tar([manifest({"key": b"x"})]), tmp_path / "new", KNOWN)


@pytest.mark.parametrize("noise", [b"", b"hello", b"\x1f\x8b" + b"0" * 2000, b"0" * 20480])
def test_what_is_no_backup_is_refused(tmp_path: Path, noise: bytes) -> None:
    with pytest.raises(Invalid, match="not a ROCI backup"):
        restore.restore(io.BytesIO(noise), tmp_path / "new", KNOWN)


def test_a_damaged_database_is_refused_even_with_the_right_checksum(tmp_path: Path) -> None:
    body = b"SQLite format 3\0" + b"\xff" * 8000
    with pytest.raises(Invalid, match="the database in the backup is damaged"):
        restore.restore(tar([manifest({"roci.db": body}), entry("roci.db", body)]), tmp_path / "new", KNOWN)


def test_a_restore_killed_before_its_decision_leaves_the_old_state(tmp_path: Path, archive: io.BytesIO) -> None:
    data = make_data(tmp_path / "data", rows=[(9, "old", None)])
    (data / restore.STAGE / "new").mkdir(parents=True)
    (data / restore.STAGE / "new" / "roci.db").write_text("half")
    assert restore.finish(data) is False
    assert rows(data) == [(9, "old", None)] and not (data / restore.STAGE).exists()


def test_a_restore_killed_after_its_decision_is_finished_later(tmp_path: Path, archive: io.BytesIO) -> None:
    data = make_data(tmp_path / "data", rows=[(9, "old", None)])
    (data / "secret.key").write_bytes(b"old key")
    restore._prepare(archive, data, forced())
    kept = data / "secret.key.replaced-killed-here"
    (data / "secret.key").rename(kept)  # killed between the two renames of a file
    assert restore.finish(data) is True
    assert rows(data) == ROWS and (data / "secret.key").read_bytes() == bytes(range(32))
    assert kept.read_bytes() == b"old key" and not (data / restore.STAGE).exists()
    assert restore.finish(data) is False
