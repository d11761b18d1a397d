"""`roci token rotate-keys`, beside a server that runs."""

from __future__ import annotations

import asyncio
import datetime
import sys

import pytest
from click.testing import CliRunner

from roci import Roci, Sensitive, Unauthenticated
from roci_plugins.auth.jwt import Tokens
from roci_plugins.domain import access, credentials
from roci_plugins.domain.principals import NewPrincipal


async def rotated(roci: Roci, monkeypatch: pytest.MonkeyPatch, *words: str) -> str:
    """By a process of its own, as people do it."""
    monkeypatch.setenv("ROCI_DATA_DIR", roci.settings.data_dir)
    argv = (sys.executable, "-c", "import roci; roci.main()", "token", "rotate-keys", *words)
    process = await asyncio.create_subprocess_exec(*argv, stderr=asyncio.subprocess.PIPE)
    _, said = await process.communicate()
    assert process.returncode == 0, said
    await roci.part(Tokens).reload()  # what the server does every few seconds
    return said.decode()


async def test_a_running_server_signs_anew_and_refuses_the_old_when_told_to(
    roci: Roci, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = roci.part(Tokens)
    who = await roci.write(access.add_administrator, NewPrincipal("ann", password_hash=Sensitive("a hash")))
    login = await roci.write(credentials.open_login, who, "raworc", datetime.timedelta(days=1))
    old = tokens.mint("raworc", who, login, 60)
    assert "new keys" in await rotated(roci, monkeypatch)
    new = tokens.mint("raworc", who, login, 60)
    assert new.split(".")[0] != old.split(".")[0]
    assert (await tokens.actor("raworc", old)).name == (await tokens.actor("raworc", new)).name == "ann"
    assert "refused" in await rotated(roci, monkeypatch, "--forget-old")
    for text in (old, new):
        with pytest.raises(Unauthenticated):
            await tokens.actor("raworc", text)


async def test_it_is_a_command_of_the_token_group() -> None:
    import roci as spine

    result = await asyncio.to_thread(CliRunner().invoke, spine.cli, ["token", "--help"])
    assert "rotate-keys" in result.output
