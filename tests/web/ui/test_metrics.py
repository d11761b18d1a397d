"""The charts of a host: what they show, and that not knowing is no line."""

from __future__ import annotations

import datetime

import pytest
from quart.typing import TestClientProtocol as Client

from roci import Roci, now
from roci_plugins.agent.sample import ContainerUse, Disk, Memory, Nic, Sample
from roci_plugins.agent.scripted import ScriptedAgent
from roci_plugins.web.ui.hosts.metrics import busiest, charts_of_containers, charts_of_host, gapless, rates
from roci_plugins.work.metrics import ContainerPoint, Metrics

from .reading import text

GIB = 2**30


def sample(minutes_ago: float, cpu: float | None = 20.0, received: int = 0) -> Sample:
    at = now() - datetime.timedelta(minutes=minutes_ago)
    return Sample(
        timestamp=at.isoformat().replace("+00:00", "Z"),
        cpu_percent=cpu,
        memory_percent=50.0,
        memory=Memory(total=8 * GIB, used=4 * GIB),
        disk_usage=[Disk("/", 100 * GIB, 40 * GIB, 60 * GIB, 40.0)],
        network=[Nic("eth0", 0, received), Nic("veth1", 5, 10**12)],
        containers=[ContainerUse("0123456789ab", "wiki", 12.5, GIB)],
    )


async def test_the_page_says_in_figures_what_the_charts_draw(client: Client, roci: Roci, nas: ScriptedAgent) -> None:
    roci.part(Metrics).accept(nas.agent_id, sample(0))
    page = await text(client, f"/hosts/{nas.agent_id}/metrics")
    assert "20.0 %" in page and "CPU of the busiest containers" in page and 'aria-current="true">1 hour' in page
    told = await (await client.get(f"/hosts/{nas.agent_id}/metrics/data?range=30d")).get_json()
    assert told["end"] - told["start"] == pytest.approx(30 * 86400, abs=1)
    by_name = {each["name"]: each for each in told["charts"]}
    assert by_name["disks"]["series"] == [{"label": "/", "values": [40.0]}]
    assert by_name["containers-memory"]["series"][0] == {"label": "wiki", "values": [GIB]}


async def test_a_host_that_told_nothing_has_no_charts_but_words(client: Client, nas: ScriptedAgent) -> None:
    page = await text(client, f"/hosts/{nas.agent_id}/metrics")
    assert "Nothing is known of this time" in page and 'id="charts"' in page and "chart-card" not in page


@pytest.mark.parametrize(("query", "named"), [("range=2y", "range"), ("at=soon", "at")])
async def test_a_time_that_is_none_is_named(client: Client, nas: ScriptedAgent, query: str, named: str) -> None:
    answer = await client.get(f"/hosts/{nas.agent_id}/metrics?{query}")
    assert answer.status_code in (400, 422) and f"{named}:" in await answer.get_data(as_text=True)


async def test_charts_around_a_moment_do_not_show_what_came_long_after(
    client: Client, roci: Roci, nas: ScriptedAgent
) -> None:
    roci.part(Metrics).accept(nas.agent_id, sample(0))
    at = (now() - datetime.timedelta(days=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    path = f"/hosts/{nas.agent_id}/metrics"
    assert "Nothing is known" in await text(client, f"{path}?at={at}")
    assert "Until now" not in await text(client, path)


async def test_a_host_that_is_not_there_is_not_found(client: Client) -> None:
    for path in ("metrics", "metrics/data"):
        assert (await client.get(f"/hosts/3fa85f64-5717-4562-b3fc-2c963f66afa6/{path}")).status_code == 404


def test_where_nothing_was_known_the_line_is_broken() -> None:
    times, (values,) = gapless([0, 10, 20, 30, 90, 100], [[1, 2, 3, 4, 5, 6]])
    assert times == [0, 10, 20, 30, 40, 90, 100] and values == [1, 2, 3, 4, None, 5, 6]


def test_a_counter_that_began_anew_has_no_rate() -> None:
    assert rates([0, 10, 20, 30], [100, 200, 50, None]) == [None, 10.0, None, None]


def test_traffic_is_that_of_real_interfaces() -> None:
    charts = {each.name: each for each in charts_of_host([sample(2, received=0), sample(1, received=6000)])}
    received = charts["network"].series[0].known
    assert received == [pytest.approx(100, rel=0.01)]


def test_what_no_sample_tells_has_no_chart() -> None:
    charts = {each.name for each in charts_of_host([Sample(timestamp="2026-01-01T00:00:00Z", cpu_percent=1.0)])}
    assert charts == {"cpu"}


def test_the_busiest_containers_keep_their_order_whichever_does_more() -> None:
    for uses in ((5.0, 50.0), (50.0, 5.0)):
        idle = [ContainerUse(f"{number:012x}", f"idle-{number}", 0.0, GIB) for number in range(5)]
        busy = [ContainerUse(name * 12, name, use, GIB) for name, use in zip("ba", uses, strict=True)]
        assert busiest(Sample(timestamp="", containers=[*busy, *idle])) == [
            "a",
            "b",
            "idle-0",
            "idle-1",
            "idle-2",
            "idle-3",
        ]


def test_containers_share_one_axis_of_time() -> None:
    one, two = ContainerPoint("2026-01-01T00:00:00Z", 1.0, 10), ContainerPoint("2026-01-01T00:01:00Z", 2.0, 20)
    cpu, memory = charts_of_containers({"a": [one, two], "b": [two]})
    assert [each.values for each in cpu.series] == [[1.0, 2.0], [None, 2.0]]
    assert [each.values for each in memory.series] == [[10, 20], [None, 20]]
