"""Fixtures for pytest, ours and plugin authors': `pytest_plugins = ["roci_plugins.testing"]` in a conftest.py.

`roci` runs everything but the listeners; `client` is signed in as the administrator, `anonymous` is nobody.
Scripted agents are in `roci_plugins.agent.scripted`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from quart import Quart
from quart.typing import TestClientProtocol

from roci import Roci, Settings, core

from .domain import access, credentials
from .domain.principals import NewPrincipal


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Override it to change what `roci` is made with."""
    return Settings(data_dir=str(tmp_path / "data"), local_agent=False)


@pytest_asyncio.fixture
async def roci(settings: Settings) -> AsyncIterator[Roci]:
    instance = Roci(settings)
    async with instance.running():
        yield instance


@pytest.fixture
def app(roci: Roci) -> Quart:
    app: Quart = core("app").create_app(roci)
    return app


@pytest.fixture
def anonymous(app: Quart) -> TestClientProtocol:
    return app.test_client()


@pytest_asyncio.fixture
async def client(roci: Roci, app: Quart) -> TestClientProtocol:
    """As a browser is after signing in: it has the cookie."""
    admin = await roci.write(access.add_administrator, NewPrincipal("admin"))
    cookie = await roci.write(credentials.log_in, admin)
    client = app.test_client()
    client.set_cookie("localhost", "roci_session", cookie)
    return client
