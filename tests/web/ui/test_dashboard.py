"""The overview: counts that are measured, lines of the last hour, and parts that read only what they show."""

from __future__ import annotations

from datetime import timedelta

import pytest
from quart.typing import TestClientProtocol as Client

from roci import Roci, now
from roci_plugins.agent.hub import Hub
from roci_plugins.agent.sample import Sample
from roci_plugins.agent.scripted import ScriptedAgent, scripted_agent
from roci_plugins.domain import applications, operations
from roci_plugins.web.recent import Recent
from roci_plugins.web.ui import dashboard
from roci_plugins.web.ui.charts import line, spark
from roci_plugins.work.metrics import Metrics

from .reading import text

COMPOSE = "services:\n  web:\n    image: nginx\n"


async def test_every_number_leads_to_what_it_counts(client: Client, roci: Roci, nas: ScriptedAgent) -> None:
    await roci.write(lambda: applications.add("wiki", COMPOSE))
    page = await text(client, "/")
    for path in ("/hosts", "/containers", "/applications", "/operations?status=running", "/alerts"):
        assert f'<li><a href="{path}"><strong>' in page
    assert "<strong>1 of 1</strong> host connected" in page and "<strong>1</strong> container running" in page


async def test_of_many_hosts_the_first_are_listed_and_all_are_counted(
    client: Client, roci: Roci, nas: ScriptedAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dashboard, "MOST_HOSTS", 1)
    assert "All 1 host" not in await text(client, "/")
    async with scripted_agent(roci) as agent:
        await agent.register("pi")
        page = await text(client, "/")
        assert page.count('id="row-') == 1 and '<a href="/hosts">All 2 hosts</a>' in page
        assert "<strong>1 of 1</strong> host connected" in page and "waits to be let in" in page


async def test_a_host_that_waits_is_not_counted_as_connected(client: Client, roci: Roci, nas: ScriptedAgent) -> None:
    async with scripted_agent(roci) as agent:
        await agent.register("pi")
        assert roci.part(Hub).connected == 2
        assert "<strong>1 of 1</strong> host connected" in await text(client, "/?part=state")
        assert "1 of 1 host" in await text(client, "/system")


async def test_an_hour_of_a_host_is_a_small_line(client: Client, roci: Roci, nas: ScriptedAgent) -> None:
    stamp = (now() - timedelta(seconds=1)).isoformat().replace("+00:00", "Z")
    roci.part(Metrics).accept(nas.agent_id, Sample(timestamp=stamp, cpu_percent=30.0))
    await roci.part(Recent).look()
    assert 'class="spark"' in await text(client, "/?part=hosts")


@pytest.mark.parametrize(
    ("part", "shown", "hidden"),
    [("hosts", "nas", "wiki"), ("applications", "wiki", "nas"), ("latest", "Done last", "wiki")],
)
async def test_a_part_shows_its_own_only(
    client: Client, roci: Roci, nas: ScriptedAgent, part: str, shown: str, hidden: str
) -> None:
    await roci.write(lambda: applications.add("wiki", COMPOSE))
    found = await text(client, f"/?part={part}")
    assert shown in found and hidden not in found


async def test_all_that_runs_is_counted_not_only_what_is_listed(client: Client, roci: Roci, nas: ScriptedAgent) -> None:
    host = roci.part(Hub).roster[nas.agent_id].host
    for _each in range(10):
        await roci.write(operations.begin, "exec", host, 60)
    assert "<strong>10</strong> operations under way" in await text(client, "/?part=state")


async def test_the_first_host_and_the_first_application_come_to_an_open_page(client: Client, roci: Roci) -> None:
    page = await text(client, "/")
    for part in ("lead", "hosts", "applications"):
        assert f'hx-get="/?part={part}"' in page and f'hx-get="/?part={part}"' in await text(client, f"/?part={part}")
    assert "Deploy your first application" in await text(client, "/?part=lead")
    async with scripted_agent(roci) as agent:
        await agent.register("pi")
        assert "pi" in await text(client, "/?part=hosts")
    await roci.write(lambda: applications.add("wiki", COMPOSE))
    assert "wiki" in await text(client, "/?part=applications")
    lead = await text(client, "/?part=lead")
    assert "Deploy your first application" not in lead and 'hx-get="/?part=lead"' in lead


def test_a_line_is_broken_where_nothing_is_known() -> None:
    assert line([0, None, 100, 100], 30, 20) == "M0 20M20 0L30 0"
    assert spark("CPU", [None, None]) == ""
