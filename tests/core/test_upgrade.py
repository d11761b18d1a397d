"""A database of every earlier version becomes what a new one is, with all that it holds."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from roci import Roci, Settings
from roci_plugins.domain import access, credentials, events, principals, roles

EARLIER = sorted(Path(__file__).parent.glob("*.sql"))  # dumps, each made by the version it is named for


def columns(database: Path) -> dict[str, Any]:
    with sqlite3.connect(database) as db:
        tables = [name for (name,) in db.execute("select name from sqlite_master where type = 'table'")]
        return {
            table: {
                (name, kind.lower(), bool(key))
                for _, name, kind, _, _, key in db.execute(f"pragma table_info({table})")
            }
            for table in tables
            if not table.startswith("sqlite_")
        }


@pytest.fixture(params=EARLIER, ids=lambda path: path.stem)
def upgraded(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    settings = Settings(data_dir=str(tmp_path / "old"), local_agent=False)
    settings.data.mkdir()
    with sqlite3.connect(settings.database) as old:
        old.executescript(request.param.read_text())
    return settings


async def test_an_earlier_database_has_the_columns_of_a_new_one(upgraded: Settings, tmp_path: Path) -> None:
    new = Settings(data_dir=str(tmp_path / "new"), local_agent=False)
    for settings in (upgraded, new):
        async with Roci(settings).running():
            pass
    assert columns(upgraded.database) == columns(new.database)
    assert list(upgraded.data.glob("roci.before-*")), "a copy was kept before anything was changed"


async def test_administrators_tokens_and_the_log_come_along(upgraded: Settings) -> None:
    instance = Roci(upgraded)
    async with instance.running():
        admin = await instance.read(principals.by_name, "admin")
        assert admin.administrator and admin.updated_at == admin.created_at
        assert [row.id for row in await instance.read(roles.bindings)] == ["admin-binding"]
        assert instance.may(access.actor(admin), "hosts.remove")
        assert not instance.may(access.actor(await instance.read(principals.by_name, "bob")), "hosts.read")
        assert [row.name for row in await instance.read(credentials.tokens)] == ["laptop"]
        names = [row.name for row in (await instance.read(events.list_))[0]]
        assert "PrincipalAdded" in names and "TokenIssued" in names
