"""Reading pages and sending their forms, as a browser without scripts does."""

from __future__ import annotations

import re
from typing import Any

from quart.typing import TestClientProtocol as Client

EVIL = "<script>alert(1)</script>"


async def text(client: Client, path: str, status: int = 200) -> str:
    answer = await client.get(path)
    assert answer.status_code == status, await answer.get_data(as_text=True)
    return str(await answer.get_data(as_text=True))


async def send(client: Client, page: str, path: str, **form: str) -> Any:
    """Post a form of a page, with its token."""
    token = re.search(r'name="token" value="(\w+)"', await text(client, page))
    assert token
    return await client.post(path, form={"token": token[1], **form})


def topics(page: str, part: str) -> set[str]:
    """What makes a part of a page renew itself."""
    found = re.search(rf'id="{part}" hx-get="[^"]+" hx-trigger="([^"]+)"', page)
    assert found, part
    return set(re.findall(r"live-([\w-]+)", found[1]))
