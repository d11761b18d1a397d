"""Pages and panels of plugins, and the stream that tells open pages what changed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from quart import Blueprint

from roci import Event, Roci, Settings, core, hookimpl
from roci_plugins.agent.hub import Hub
from roci_plugins.agent.scripted import scripted_agent, until
from roci_plugins.domain import access, credentials
from roci_plugins.domain.applications import ApplicationMoved, ApplicationRemoved
from roci_plugins.domain.hosts import HostRemoved
from roci_plugins.domain.operations import OperationStarted
from roci_plugins.domain.principals import NewPrincipal
from roci_plugins.domain.secrets import SecretRemoved, SecretSet
from roci_plugins.surfaces.http import needs
from roci_plugins.web import live
from roci_plugins.web.live import Changes
from roci_plugins.web.shell import Page, Panel, Subject, Tab, render
from roci_plugins.work import enrol

weather = Blueprint("weather", __name__, template_folder=str(Path(__file__).parent / "weather"))


@weather.get("/weather")
@needs("hosts.read")
async def show() -> str:
    return await render("weather.html", "Weather", sky="sunny")


@weather.get("/hosts/<id>/weather")
@needs("hosts.read", on="host/{id}")
async def above(id: str) -> str:
    return await render("weather.html", "Weather", subject=Subject("host", id, "nas"), sky="wet")


class Weather:
    """A stranger's plugin: a page, a tab of each host, and a panel on it."""

    @hookimpl
    def register_tabs(self, roci: Roci) -> list[Tab]:
        return [
            Tab("weather", "Weather above", "host", weather, "hosts.read"),
            Tab("snow", "Snow", "host", weather, shows=lambda roci, id: False),
        ]

    @hookimpl
    def register_pages(self, roci: Roci) -> list[Page]:
        return [Page("weather", "Weather", "/weather", weather, "hosts.read")]

    @hookimpl
    def register_panels(self, roci: Roci) -> list[Panel]:
        async def sky(roci: Roci, host_id: str) -> str | None:
            return "<p>no clouds over this host</p>"

        return [Panel("sky", "The sky", "host", sky, "hosts.read")]


@pytest.fixture
async def roci(tmp_path: Path) -> AsyncIterator[Roci]:
    instance = Roci(Settings(data_dir=str(tmp_path), local_agent=False), [Weather()])
    async with instance.running():
        yield instance


async def test_plugins_add_pages_tabs_of_hosts_and_parts_of_their_pages(roci: Roci) -> None:
    client = core("app").create_app(roci).test_client()
    admin = await roci.write(access.add_administrator, NewPrincipal("admin"))
    client.set_cookie("localhost", "roci_session", await roci.write(credentials.log_in, admin))
    page = await (await client.get("/weather")).get_data(as_text=True)
    assert "It is sunny." in page and 'href="/weather" aria-current="page"' in page
    async with scripted_agent(roci) as agent:
        await agent.register("nas")
        await enrol.approve(roci, agent.agent_id)
        page = await (await client.get(f"/hosts/{agent.agent_id}")).get_data(as_text=True)
        tab = await (await client.get(f"/hosts/{agent.agent_id}/weather")).get_data(as_text=True)
    assert "The sky" in page and "no clouds over this host" in page
    assert f'href="/hosts/{agent.agent_id}/weather">Weather above' in page and "Snow" not in page
    assert f'href="/hosts/{agent.agent_id}/weather" aria-current="page"' in tab


async def test_a_page_hears_of_its_topics_once_however_often_they_change(roci: Roci) -> None:
    changes = roci.part(Changes)
    following = changes.follow({"hosts"})
    assert (await anext(following)).event == "ready"
    for topic in ("hosts", "operations", "hosts"):
        changes.note(topic)
    assert (await anext(following)).event == "hosts"
    waiting = asyncio.ensure_future(following.__anext__())
    async with scripted_agent(roci) as agent:
        await agent.register("nas")
        await enrol.approve(roci, agent.agent_id)
        async with asyncio.timeout(30):
            assert (await waiting).event == "hosts"
    await following.aclose()  # type: ignore[attr-defined]


async def test_a_page_hears_what_changed_while_it_was_on_its_way(roci: Roci) -> None:
    changes = roci.part(Changes)
    shown = changes.moment(time.monotonic_ns())
    changes.note("alerts", "hosts")
    following = changes.follow({"hosts", "policies"}, shown)
    assert [(await anext(following)).event for _each in range(2)] == ["ready", "hosts"]
    await following.aclose()  # type: ignore[attr-defined]


@pytest.mark.parametrize("shown", ["", "12", "0badcafe-12", "{mine}-x", "{mine}-" + "9" * 5000])
async def test_a_page_of_another_process_hears_that_all_may_have_changed(roci: Roci, shown: str) -> None:
    changes = roci.part(Changes)
    mine = changes.moment(0).partition("-")[0]
    following = changes.follow({"hosts", "policies"}, shown.replace("{mine}", mine))
    assert [(await anext(following)).event for _each in range(3)] == ["ready", "hosts", "policies"]
    await following.aclose()  # type: ignore[attr-defined]


async def test_a_page_hears_nothing_twice_that_it_shows(roci: Roci, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "ALIVE", 0.01)
    changes = roci.part(Changes)
    changes.note("hosts")
    following = changes.follow({"hosts"}, changes.moment(time.monotonic_ns() + 1))
    assert [(await anext(following)).event for _each in range(2)] == ["ready", "alive"]
    await following.aclose()  # type: ignore[attr-defined]


async def test_which_containers_there_are_is_not_told_anew_when_one_of_them_grows_older(roci: Roci) -> None:
    async with scripted_agent(roci) as agent:
        await agent.register("nas")
        await enrol.approve(roci, agent.agent_id)
        box = {"id": "0123456789ab", "name": "box", "status": "running"}
        await agent.say("heartbeat", containers=[{**box, "state": "Up 1 minute"}])
        await until(lambda: roci.part(Hub).roster[agent.agent_id].containers)
        following = roci.part(Changes).follow({"containers", f"containers/{agent.agent_id}"})
        assert (await anext(following)).event == "ready"
        for told in ({**box, "state": "Up 2 minutes"}, {**box, "name": "other"}):
            await agent.say("heartbeat", containers=[told])
            async with asyncio.timeout(30):
                assert (await anext(following)).event == "containers"
        assert (await anext(following)).event == f"containers/{agent.agent_id}"
        await following.aclose()  # type: ignore[attr-defined]


async def test_a_page_hears_that_an_engine_no_longer_answers(roci: Roci) -> None:
    async with scripted_agent(roci) as agent:
        await agent.register("nas")
        await enrol.approve(roci, agent.agent_id)
        await agent.say("heartbeat", containers=[])
        await until(lambda: roci.part(Hub).roster[agent.agent_id].containers is not None)
        following = roci.part(Changes).follow({"hosts"})
        assert (await anext(following)).event == "ready"
        await agent.say("heartbeat", engine_error="it does not answer")
        async with asyncio.timeout(30):
            assert (await anext(following)).event == "hosts"
        await following.aclose()  # type: ignore[attr-defined]


async def test_what_the_clock_changes_is_asked_for_where_nothing_else_happens(
    roci: Roci, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "ALIVE", 0.01)
    monkeypatch.setattr(live, "PAUSE", 0.0)
    following = roci.part(Changes).follow({"beats"})
    assert [(await anext(following)).event for _each in range(3)] == ["ready", "alive", "beats"]
    await following.aclose()  # type: ignore[attr-defined]


async def test_a_removed_host_is_forgotten(roci: Roci) -> None:
    changes = roci.part(Changes)
    before = changes.moment(time.monotonic_ns())
    changes.note("host/nas", "hosts")
    live.on_event(roci, HostRemoved("nas", "nas"))
    following = changes.follow({"hosts", "host/nas"}, before)
    assert [(await anext(following)).event for _each in range(2)] == ["ready", "hosts"]
    await following.aclose()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "event",
    [
        ApplicationMoved("wiki", "wiki", "running", None),
        OperationStarted("1", "deploy", "nas", "wiki"),
        SecretSet("KEY", "application/wiki"),
        SecretRemoved("KEY", "application/wiki"),
    ],
    ids=lambda event: type(event).__name__,
)
async def test_a_page_hears_of_its_own_application_alone(roci: Roci, event: Event) -> None:
    changes = roci.part(Changes)
    before = changes.moment(time.monotonic_ns())
    live.on_event(roci, event)
    live.on_event(roci, SecretSet("KEY", "application/blog"))
    following = changes.follow({"application/wiki", "application/attic", "hosts"}, before)
    assert [(await anext(following)).event for _each in range(2)] == ["ready", "application/wiki"]
    await following.aclose()  # type: ignore[attr-defined]


async def test_a_removed_application_is_forgotten(roci: Roci) -> None:
    changes = roci.part(Changes)
    before = changes.moment(time.monotonic_ns())
    live.on_event(roci, ApplicationRemoved("wiki", "wiki"))
    following = changes.follow({"applications", "application/wiki"}, before)
    assert [(await anext(following)).event for _each in range(2)] == ["ready", "applications"]
    await following.aclose()  # type: ignore[attr-defined]


async def test_a_page_hears_of_the_containers_of_its_host_alone(roci: Roci) -> None:
    async with scripted_agent(roci) as one, scripted_agent(roci) as other:
        for agent in (one, other):
            await agent.register(f"h-{id(agent)}")
            await enrol.approve(roci, agent.agent_id)
            await agent.hear()
        following = roci.part(Changes).follow({f"containers/{one.agent_id}"})
        assert (await anext(following)).event == "ready"
        for agent in (other, one):
            await agent.say("heartbeat", containers=[])
        assert (await anext(following)).event == f"containers/{one.agent_id}"
        await following.aclose()  # type: ignore[attr-defined]


async def test_a_page_hears_of_the_operations_of_its_host_alone(roci: Roci) -> None:
    following = roci.part(Changes).follow({"operations/nas"})
    assert (await anext(following)).event == "ready"
    waiting = asyncio.ensure_future(following.__anext__())
    live.on_event(roci, OperationStarted("1", "prune", "pi", None))
    await asyncio.sleep(0)
    assert not waiting.done()
    live.on_event(roci, OperationStarted("2", "prune", "nas", None))
    assert (await waiting).event == "operations/nas"
    await following.aclose()  # type: ignore[attr-defined]


async def test_a_page_hears_that_it_is_connected_where_nothing_changes(
    roci: Roci, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "ALIVE", 0.01)
    following = roci.part(Changes).follow({"hosts"})
    assert [(await anext(following)).event for _each in range(2)] == ["ready", "alive"]
    await following.aclose()  # type: ignore[attr-defined]
