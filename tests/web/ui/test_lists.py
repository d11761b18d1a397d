"""Lists that come a page at a time: a page that there is not, and numbers that are none."""

from __future__ import annotations

import pytest
from quart.typing import TestClientProtocol as Client

from roci import Roci
from roci_plugins.agent.scripted import ScriptedAgent
from roci_plugins.domain import applications
from roci_plugins.domain.operations import Cause, current_cause
from roci_plugins.work import alerts as judge
from roci_plugins.work import deploy

from .reading import text
from .test_alerts import fired

COMPOSE = "services:\n  web:\n    image: nginx\n"


@pytest.mark.parametrize("page", ["9", "0", "9" * 5000, "%C2%B2"], ids=["beyond", "none", "long", "strange"])
@pytest.mark.parametrize(
    ("path", "shows", "none"),
    [
        ("/applications", ">wiki</a>", "There is none yet"),
        ("/operations", "Deploy wiki", "There is none like this"),
        ("/automation/runs", "ci-4711", "No CI system has named a run yet"),
        ("/alerts", "it ended", "Nothing was wrong yet"),
    ],
    ids=["applications", "operations", "runs", "alerts"],
)
async def test_a_page_beyond_the_last_shows_the_last(
    client: Client, roci: Roci, nas: ScriptedAgent, path: str, shows: str, none: str, page: str
) -> None:
    if path == "/alerts":
        await judge.resolve(roci, (await fired(roci, nas.agent_id, subject="web")).id)
    else:
        wiki = await roci.write(lambda: applications.add("wiki", COMPOSE, host_id=nas.agent_id))
        current_cause.set(Cause("ci-4711"))
        await deploy.deploy(roci, wiki.id, None, {})
    told = await text(client, f"{path}?page={page}")
    assert shows in told and none not in told
