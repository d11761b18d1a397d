from __future__ import annotations

import asyncio
import contextlib
import datetime
import json
import os
import socket
import sqlite3
from pathlib import Path

import pytest

from roci import Roci, Settings, now
from roci_plugins.domain import keyring, secrets
from roci_plugins.work import doctor, restore

from .archives import make_data

HOUR = datetime.timedelta(hours=1)


def levels(*findings: doctor.Finding) -> list[str]:
    return [finding.level for finding in findings]


def test_a_line_names_the_level_the_matter_and_what_to_do() -> None:
    assert str(doctor.warn("the disk is full", "buy one")) == "warn  the disk is full  -> buy one"
    assert str(doctor.ok("all is well")) == "ok    all is well"


@pytest.fixture
async def sealed(settings: Settings) -> Path:
    """A data directory with one secret, as a server leaves it."""
    async with (roci := Roci(settings)).running():
        await roci.write(secrets.put, keyring.of(roci), "platform", "KEY", "swordfish")
    return settings.data


async def test_secrets_that_open_are_well(sealed: Path, tmp_path: Path) -> None:
    assert levels(*doctor.stored_secrets(sealed)) == ["ok"]
    assert levels(*doctor.stored_secrets(tmp_path / "none")) == ["ok"]


async def test_a_lost_or_foreign_key_file_is_a_failure_with_the_way_out(sealed: Path) -> None:
    key = sealed / keyring.FILE
    key.unlink()
    [found] = doctor.stored_secrets(sealed)
    assert found.level == "FAIL" and "is missing" in found.what and "roci secret forget" in found.mend
    keyring.Keyring(key, sealed / "roci.db").make()
    [found] = doctor.stored_secrets(sealed)
    assert found.level == "FAIL" and "lacks their keys" in found.what and "backup" in found.mend


async def test_a_key_file_that_others_may_read_is_named_with_the_command(sealed: Path) -> None:
    (sealed / keyring.FILE).chmod(0o640)
    [found] = doctor.stored_secrets(sealed)
    assert found.level == "FAIL" and found.mend == f"chmod 600 {sealed / keyring.FILE}"


async def test_a_damaged_secret_is_named_and_an_unfinished_rotation_told(sealed: Path) -> None:
    with sqlite3.connect(sealed / "roci.db") as db:
        db.execute("update secret set blob = ? where name = 'KEY'", (b"x" * 40,))
    [found] = doctor.stored_secrets(sealed)
    assert found.level == "FAIL" and "platform/KEY" in found.what and "swordfish" not in str(found)
    keyring.Keyring(sealed / keyring.FILE, sealed / "roci.db").turn()
    assert levels(*doctor.stored_secrets(sealed)) == ["FAIL", "warn"]


@pytest.mark.parametrize("version, level", [((3, 10), "FAIL"), ((3, 11), "ok"), ((3, 13), "ok"), ((4, 0), "ok")])
def test_python_must_be_3_11_or_newer(version: tuple[int, int], level: str) -> None:
    assert doctor.python(version).level == level


def test_a_data_directory_that_can_still_be_made_is_well(tmp_path: Path) -> None:
    assert levels(*doctor.folder(tmp_path / "deep" / "data")) == ["ok"]


def test_a_data_directory_that_others_may_look_into_is_named_with_the_command(tmp_path: Path) -> None:
    data = make_data(tmp_path / "data")
    assert levels(*doctor.folder(data)) == ["ok"]
    data.chmod(0o755)
    assert [finding.mend for finding in doctor.folder(data)] == ["", f"chmod 700 {data}"]


def test_a_file_in_the_place_of_the_data_directory_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    assert levels(*doctor.folder(tmp_path / "data")) == ["FAIL"]


def test_little_space_is_a_warning(tmp_path: Path) -> None:
    assert doctor.space(tmp_path, 499 << 20).level == "warn"
    assert doctor.space(tmp_path, 501 << 20).level == "ok"
    assert doctor.space(tmp_path / "not" / "there").what.endswith("not/there")


MOUNTS = "/dev/sda1 / ext4 rw 0 0\nnas:/x {0} {1} rw 0 0\ntmpfs /run tmpfs rw 0 0\n"


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "9p", "fuse.sshfs"])
def test_a_network_filesystem_under_the_data_is_a_failure(tmp_path: Path, kind: str) -> None:
    found = doctor.filesystem(tmp_path / "data", MOUNTS.format(tmp_path, kind))
    assert found.level == "FAIL" and kind in found.what


def test_a_network_filesystem_elsewhere_does_not_matter(tmp_path: Path) -> None:
    assert doctor.filesystem(tmp_path, MOUNTS.format("/elsewhere", "nfs4")) == doctor.ok(
        f"{tmp_path} lies on a local filesystem (ext4)"
    )
    assert doctor.filesystem(tmp_path / "a b", MOUNTS.format(f"{tmp_path}/a\\040bc", "nfs")).level == "ok"


def test_a_mount_with_a_space_in_its_name_is_recognised(tmp_path: Path) -> None:
    (tmp_path / "a b").mkdir()
    assert doctor.filesystem(tmp_path / "a b", MOUNTS.format(f"{tmp_path}/a\\040b", "nfs")).level == "FAIL"


def test_a_whole_database_of_this_version_is_well(tmp_path: Path) -> None:
    data = make_data(tmp_path / "data")
    assert doctor.database(data, {"hosts_0001_start", "hosts_0002_later"}).level == "ok"
    assert doctor.database(tmp_path, set()).what == "there is no database yet; the first start makes it"


def test_a_database_of_a_newer_program_is_a_failure_that_names_what_it_lacks(tmp_path: Path) -> None:
    found = doctor.database(make_data(tmp_path / "data"), set())
    assert found.level == "FAIL" and "hosts_0001_start" in found.what
    assert doctor.database(tmp_path / "data", None).level == "ok"


def test_a_damaged_database_is_a_failure(tmp_path: Path) -> None:
    data = make_data(tmp_path / "data")
    with contextlib.closing(sqlite3.connect(data / "roci.db")) as db:
        db.execute("create index names on host (name)")
        db.commit()
        db.execute("pragma wal_checkpoint(truncate)")
    whole = (data / "roci.db").read_bytes()
    (data / "roci.db").write_bytes(whole[:-3000] + b"\xff" * 3000)
    assert "damaged" in doctor.database(data, None).what
    (data / "roci.db").write_bytes(b"no database at all, but some text that is long enough to be read")
    assert "damaged" in doctor.database(data, None).what


def test_an_interrupted_restore_is_a_failure_with_its_command(tmp_path: Path) -> None:
    data = make_data(tmp_path / "data")
    (data / restore.STAGE).mkdir()
    (data / restore.STAGE / restore.NOTE).touch()
    assert doctor.database(data, None).mend == "roci restore --finish"


@pytest.mark.parametrize("mode, level", [(0o600, "ok"), (0o640, "warn"), (0o644, "FAIL"), (0o400, "ok")])
def test_a_key_that_others_may_read_is_named(tmp_path: Path, mode: int, level: str) -> None:
    key = tmp_path / "secret.key"
    key.touch()
    key.chmod(mode)
    assert levels(*doctor.privacy([key, tmp_path / "gone"])) == [level]


def test_a_free_port_is_well_and_one_that_something_else_has_is_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        taken.close()
        assert doctor.port(address) == doctor.ok(f"{address} is free")


async def answering(body: bytes) -> tuple[asyncio.Server, str]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    return server, f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_a_port_that_roci_itself_has_is_well() -> None:
    server, address = await answering(json.dumps({"status": "ok", "version": "9.1"}).encode())
    async with server:
        assert await asyncio.to_thread(doctor.port, address) == doctor.ok(f"ROCI 9.1 listens on {address}")


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"status": "ok"}', b"\xff"])
async def test_a_port_that_another_program_has_is_a_failure(body: bytes) -> None:
    server, address = await answering(body)
    async with server:
        found = await asyncio.to_thread(doctor.port, address)
    assert found.level == "FAIL" and "another program" in found.what and "ss -ltnp" in found.mend


@pytest.mark.parametrize("address", ["192.0.2.1:80", "nonsense", "no-such-host.invalid:80"])
def test_an_address_of_another_machine_is_a_failure(address: str) -> None:
    assert doctor.port(address).level == "FAIL"


def test_a_clock_that_went_back_is_a_failure(tmp_path: Path) -> None:
    data = make_data(tmp_path / "data")
    assert doctor.clock(data).level == "ok"
    assert doctor.clock(data, now() - 2 * HOUR).level == "FAIL"
    assert doctor.clock(tmp_path / "gone", datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)).level == "FAIL"


def test_a_missing_engine_matters_only_where_this_machine_is_a_host() -> None:
    problem = "no Docker engine listens: start it with `x`"
    assert doctor.engine(problem) == doctor.fail("no Docker engine listens", "start it with `x`")
    assert doctor.engine(problem, is_needed=False).level == "warn"
    assert doctor.engine(None).level == "ok"


def test_a_missing_compose_is_a_warning_with_its_command() -> None:
    assert doctor.compose("no Docker Compose here: install it") == doctor.warn("no Docker Compose here", "install it")


def test_every_check_runs_over_a_data_directory_and_tells_what_is_wrong(tmp_path: Path) -> None:
    data = make_data(tmp_path / "data")
    os.chmod(data / "secret.key", 0o644)
    config = tmp_path / "roci.yaml"
    config.write_text(f"data_dir: {data}\nbind: [127.0.0.1:1]\nagent: {{docker_host: 'unix://{tmp_path}/none.sock'}}\n")
    config.chmod(0o600)
    failures = [finding.what for finding in doctor.inspect(str(config)) if finding.level == "FAIL"]
    assert any("may read" in what and "secret.key" in what for what in failures)
    assert any("no Docker engine" in what for what in failures)


def test_settings_that_cannot_be_read_are_a_finding_not_a_crash(tmp_path: Path) -> None:
    (tmp_path / "roci.yaml").write_text("bindd: x\n")
    *_, last = doctor.inspect(str(tmp_path / "roci.yaml"))
    assert last.level == "FAIL" and "did you mean bind?" in last.what
