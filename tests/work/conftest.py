from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from roci import Roci, Settings


@pytest_asyncio.fixture
async def roci(tmp_path: Path) -> AsyncIterator[Roci]:
    instance = Roci(Settings(data_dir=str(tmp_path / "data"), local_agent=False))
    async with instance.running():
        yield instance
