"""/settings and /system: values with their source and no secret, health in words, a backup to take away."""

from __future__ import annotations

import asyncio
import io
import tarfile
from pathlib import Path

import pytest
from quart import Quart
from quart.typing import TestClientProtocol as Client

from roci import HealthCheck, Roci, Settings, core
from roci_plugins.core import configured
from roci_plugins.domain import events
from roci_plugins.work import restore
from roci_plugins.work.health import Health
from roci_plugins.work.restore import Terms

from ..people import SEED
from .reading import EVIL, send, text
from .test_people import signed_in


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Some from a file, some from the environment, one of them a secret."""
    file = tmp_path / "roci.yaml"
    file.write_text(f"local_agent: false\nadmin_email: '{EVIL}'\nlinks:\n  grace: 61\ntotp_secret: {SEED}\n")
    environ = {"ROCI_DATA_DIR": str(tmp_path / "data"), "ROCI_LOG_LEVEL": "debug", "ROCI_LINKS__STALE_AFTER": "46"}
    settings: Settings = core("settings").load(file, environ)
    return settings


def row(page: str, path: str) -> str:
    """What the page says of one setting."""
    start = page.index(f'id="{path}"')
    return page[start : page.index("</tr>", start)]


async def test_every_setting_is_shown_with_where_it_comes_from_and_what_it_is_for(
    client: Client, roci: Roci, tmp_path: Path
) -> None:
    page = await text(client, "/settings")
    assert "locked by the environment" in row(page, "log_level") and "ROCI_LOG_LEVEL" in row(page, "log_level")
    assert "locked by the environment" in row(page, "links.stale_after") and "46" in row(page, "links.stale_after")
    assert "the file" in row(page, "links.grace") and "61" in row(page, "links.grace")
    assert ">default<" in row(page, "auth") and "Whether people must sign in" in row(page, "auth")
    assert str(tmp_path / "roci.yaml") in page
    assert EVIL not in page and "&lt;script&gt;" in row(page, "admin_email")
    for section in configured.all_(roci):
        assert all(f'id="{each.path}"' in page and each.meaning for each in section.settings), section.name


async def test_secrets_are_not_shown(client: Client) -> None:
    page = await text(client, "/settings")
    assert SEED not in page and "set, and never shown" in row(page, "totp_secret")
    assert "not set" in row(page, "admin_password") and "not set" in row(page, "agent.key")


async def test_settings_are_searched_by_all_their_words(client: Client) -> None:
    page = await text(client, "/settings?text=come back with the result")
    assert 'id="links.grace"' in page and 'id="log_level"' not in page
    assert 'id="links.grace"' in await text(client, "/settings?text=connections between the server")
    given = await text(client, "/settings?given=yes")
    assert 'id="log_level"' in given and 'id="auth"' not in given
    assert "No setting fits." in await text(client, "/settings?text=nothing+of+this+kind")


async def test_the_system_page_says_that_all_is_well(client: Client) -> None:
    page = await text(client, "/system")
    assert "all is well" in page and "SQLite" in page and "web.ui.server.system" in page and "built in" in page
    assert "<html" not in await text(client, "/system?part=state")


async def test_each_problem_is_said_in_words(client: Client, roci: Roci) -> None:
    async def check() -> str:
        return "the disk is <b>full</b>"

    roci.provide(Health([HealthCheck("disk", check)]))
    page = await text(client, "/system")
    assert "1 thing is wrong" in page and "the disk is &lt;b&gt;full" in page and "roci doctor" in page


async def test_a_backup_is_downloaded_recorded_and_restored(client: Client, roci: Roci, tmp_path: Path) -> None:
    answer = await send(client, "/system", "/system/backup")
    assert answer.status_code == 200 and "attachment" in answer.headers["Content-Disposition"]
    content = await answer.get_data()
    assert int(answer.headers["Content-Length"]) == len(content)
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        assert "roci.db" in archive.getnames()
    known = {each.name for each in core("loading").flatten(roci.hook.register_migrations())}
    target = tmp_path / "elsewhere"
    await asyncio.to_thread(restore.restore, io.BytesIO(content), target, Terms(known))
    assert (target / "roci.db").exists()

    (event,), _ = await roci.read(events.list_, 10, 0, "BackupMade")
    assert (event.actor_name, event.data["size"], event.data["encrypted"]) == ("admin", len(content), False)
    assert event.data["file"] in await text(client, "/system")
    assert not [path for path in roci.settings.data.iterdir() if path.suffix == ".tmp"]


async def test_a_backup_is_encrypted_for_a_key_and_a_wrong_key_is_named(client: Client, roci: Roci) -> None:
    import pyrage

    identity = pyrage.x25519.Identity.generate()
    answer = await send(client, "/system", "/system/backup", recipients=str(identity.to_public()))
    content = await answer.get_data()
    assert answer.headers["Content-Disposition"].endswith('.tar.age"') and b"roci.db" not in content
    assert b"manifest.json" in pyrage.decrypt(content, [identity])
    answer = await send(client, "/system", "/system/backup", recipients="age1nothing")
    page = await answer.get_data(as_text=True)
    assert answer.status_code == 422 and "not an age recipient" in page and "age1nothing" in page


async def test_who_may_look_takes_no_backup_and_who_may_not_sees_nothing(
    client: Client, roci: Roci, app: Quart
) -> None:
    reader = await signed_in(roci, app, "reader", "server.read")
    page = await text(reader, "/system")
    assert "Download a backup" not in page and "Downloaded lately" not in page
    assert (await send(reader, "/account", "/system/backup")).status_code == 403
    nobody = await signed_in(roci, app, "nobody", "hosts.read")
    await text(nobody, "/system", 403)
    await text(nobody, "/settings", 403)
    assert (await client.post("/system/backup", form={})).status_code == 403
