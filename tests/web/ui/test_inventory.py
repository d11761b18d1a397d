"""Images, volumes, networks and prunes on pages: what a host tells, what it cannot, and what is asked before."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from quart.typing import TestClientProtocol as Client

from roci import Roci
from roci_plugins.agent.hub import Hub
from roci_plugins.agent.scripted import ScriptedAgent, scripted_agent, until

from .reading import EVIL, send, text
from .test_hosts import comes, someone, ticked

IMAGES = [
    {"id": "sha256:" + "a" * 64, "tags": [EVIL], "size": 7_000_000, "created": 1700000000, "users": 0, "used_by": []},
    {"id": "sha256:" + "b" * 64, "tags": [], "size": None, "created": None, "users": 30, "used_by": ["web", "db"]},
]
VOLUMES = [{"name": "shop_data", "driver": "local", "project": "shop", "size": 2048, "created": "2026-01-02T03:04:05Z"}]
NETWORKS = [{"name": "shop_net", "driver": "bridge", "scope": "local", "subnets": ["172.20.0.0/16"], "internal": True}]


@pytest.fixture
async def able(roci: Roci) -> Any:
    """A host that can be asked all of this."""
    async with scripted_agent(roci) as agent:
        await comes(roci, agent, "nas")
        link = roci.part(Hub).roster[agent.agent_id].link
        assert link is not None
        link.capabilities = [*link.capabilities, "inventory", "prune", "prune_preview", "image_pull"]
        yield agent


async def page_with(client: Client, agent: ScriptedAgent, path: str, told: Any, **fields: Any) -> tuple[str, Any]:
    asking = asyncio.create_task(client.get(f"/hosts/{agent.agent_id}/{path}"))
    frame = await agent.answer(output=told if isinstance(told, str) else json.dumps(told), **fields)
    answer = await asking
    assert answer.status_code == 200
    return str(await answer.get_data(as_text=True)), frame


@pytest.mark.parametrize(
    ("what", "things", "shown"),
    [
        ("images", IMAGES, ["&lt;script&gt;", "7.0 MB", "web, db", "and 28 more", "without a name", "unknown"]),
        ("volumes", VOLUMES, ["shop_data", "2026-01-02 03:04:05 UTC", "Add up how big"]),
        ("networks", NETWORKS, ["172.20.0.0/16", "bridge", "internal"]),
    ],
    ids=["images", "volumes", "networks"],
)
async def test_a_tab_shows_what_the_host_tells(
    client: Client, able: ScriptedAgent, what: str, things: Any, shown: list[str]
) -> None:
    page, frame = await page_with(client, able, what, {"count": len(things), "things": things})
    assert frame["type"] == "inventory" and frame["what"] == what
    assert EVIL not in page and [each for each in shown if each not in page] == []
    assert f"/prune?what={what}" in page and "Remove what nothing uses" in page


async def test_images_are_in_the_order_that_was_asked_for_and_unknown_sizes_come_last(
    client: Client, able: ScriptedAgent
) -> None:
    told = {"count": 2, "things": IMAGES[::-1]}
    for query in ("sort=size", "sort=size&order=down"):
        page, _ = await page_with(client, able, f"images?{query}", told)
        assert page.index("&lt;script&gt;") < page.index("without a name")


async def test_sizes_of_volumes_are_added_up_when_asked_for(client: Client, able: ScriptedAgent) -> None:
    page, frame = await page_with(client, able, "volumes?sizes=yes", {"count": 1, "things": VOLUMES})
    assert frame["sizes"] is True and "2.0 kB" in page and "not renewed by itself" in page
    assert "hx-get" not in page[page.index('id="things"') :]


async def test_what_cannot_be_read_is_said_and_nothing_is_made_up(client: Client, able: ScriptedAgent) -> None:
    for told in ("what?", '{"count": "many"}'):
        page, _ = await page_with(client, able, "images", told)
        assert "Unknown." in page and "update its agent" in page
    page, _ = await page_with(client, able, "images", "", success=False, stderr="the engine is away")
    assert "the engine is away" in page


async def test_an_older_agent_and_a_host_that_is_away_are_told_apart(
    client: Client, roci: Roci, nas: ScriptedAgent
) -> None:
    path = f"/hosts/{nas.agent_id}"
    for tab in ("images", "volumes", "networks", "prune"):
        assert "older than this ROCI" in await text(client, f"{path}/{tab}")
    await nas.hang_up()
    await until(lambda: not roci.part(Hub).connected)
    for tab in ("images", "volumes", "networks", "prune"):
        page = await text(client, f"{path}/{tab}")
        assert "Unknown." in page and "not connected" in page


@pytest.mark.parametrize("what", ["images", "volumes", "networks"])
async def test_a_tab_renews_itself_when_its_host_goes_or_containers_change(
    client: Client, roci: Roci, able: ScriptedAgent, what: str
) -> None:
    path = f"/hosts/{able.agent_id}/{what}"
    page, _ = await page_with(client, able, what, {"count": 0, "things": []})
    topics = page.partition("data-live=")[2].partition("&amp;")[0].split("=")[1].split(",")
    assert {"hosts", f"operations/{able.agent_id}", f"containers/{able.agent_id}"} <= set(topics)
    trigger = page.partition(f'hx-get="{path}?part=things"')[2].partition(">")[0]
    assert all(f"live-{each.replace('/', '-')} " in trigger for each in topics[:3])
    part = await text(client, f"{path}?part=acts")  # asks nothing of the host
    assert "Remove what nothing uses" in part and ("Pull an image" in part) == (what == "images")
    await able.hang_up()
    await until(lambda: not roci.part(Hub).connected)
    part = await text(client, f"{path}?part=acts")
    assert "Remove what nothing uses" not in part and "Pull an image" not in part
    assert "not connected" in await text(client, f"{path}?part=things")


async def test_an_image_is_pulled_by_a_form_and_a_bad_name_stays_to_be_mended(
    client: Client, able: ScriptedAgent
) -> None:
    path = f"/hosts/{able.agent_id}"
    answer = await send(client, f"{path}/manage", f"{path}/images/pull", image="nginx:1")
    assert answer.headers["Location"].startswith("/operations/")
    assert (await able.hear())["image"] == "nginx:1"
    asking = asyncio.create_task(send(client, f"{path}/manage", f"{path}/images/pull", image="-q"))
    await able.answer(output='{"count": 0, "things": []}')
    answer = await asking
    page = await answer.get_data(as_text=True)
    assert answer.status_code == 422 and 'id="pull-wrong">a name such as' in page
    assert 'value="-q"' in page and f'href="{path}/images" aria-current="page"' in page
    assert f'hx-get="{path}/images?part=things"' in page and f"{path}/images/pull?part" not in page
    assert "part=acts" not in page  # what was typed stays as it is


async def test_a_prune_is_looked_at_before_it_is_done(client: Client, able: ScriptedAgent) -> None:
    path = f"/hosts/{able.agent_id}/prune"
    page = await text(client, path)
    assert page.count("checked") == 4 and "Remove this" not in page
    told = {"images": [{"id": "1", "name": EVIL, "size": 5_000_000}], "networks": [], "spared": []}
    page, frame = await page_with(client, able, "prune?what=images&what=networks&unused_images=yes", told)
    assert (frame["what"], frame["unused_images"]) == (["images", "networks"], True)
    assert "1 thing, 5.0 MB" in page and EVIL not in page and "free 5.0 MB" in page and "lost for good" not in page
    form = {"what": ["images", "networks"], "unused_images": ["yes"], "seen": [seen(page)]}
    asking = asyncio.create_task(ticked(client, page, path, **form))
    await able.answer(output=json.dumps(told))
    assert (await asking).headers["Location"].startswith("/operations/")
    frame = await able.hear()
    assert (frame["type"], frame["what"], frame["unused_images"]) == ("prune", ["images", "networks"], True)


def seen(page: str) -> str:
    """What stands in the form for what the page shows."""
    return page.partition('name="seen" value="')[2].partition('"')[0]


async def test_a_prune_takes_nothing_that_was_not_seen(client: Client, able: ScriptedAgent) -> None:
    path, home = f"/hosts/{able.agent_id}/prune", f"/hosts/{able.agent_id}/manage"
    old, new = {"id": "v", "name": "old_data", "size": 9}, {"id": "w", "name": "wiki_data", "size": 9}
    page, _ = await page_with(client, able, "prune?what=volumes", {"volumes": [old]})
    for digest in (seen(page), ""):
        asking = asyncio.create_task(send(client, home, path, what="volumes", confirm="nas", seen=digest))
        assert (await able.answer(output=json.dumps({"volumes": [old, new]})))["type"] == "prune_preview"
        answer = await asking
        shown = str(await answer.get_data(as_text=True))
        assert answer.status_code == 409 and "has changed since you looked" in shown and "wiki_data" in shown
    assert "" != seen(shown) != seen(page)
    asking = asyncio.create_task(send(client, home, path, what="volumes", confirm="nas", seen=seen(shown)))
    await able.answer(output=json.dumps({"volumes": [new, {**old, "size": 10}]}))
    assert (await asking).status_code == 303 and (await able.hear())["type"] == "prune"


async def test_a_prune_of_what_cannot_be_looked_at_takes_nothing(client: Client, able: ScriptedAgent) -> None:
    path, home = f"/hosts/{able.agent_id}/prune", f"/hosts/{able.agent_id}/manage"
    asking = asyncio.create_task(send(client, home, path, what="networks", seen="x"))
    await able.answer(success=False, stderr="the engine is away")
    answer = await asking
    page = await answer.get_data(as_text=True)
    assert answer.status_code == 409 and "nothing was removed" in page and "the engine is away" in page
    assert (await send(client, home, path)).status_code == 422  # nothing was chosen


async def test_volumes_go_only_when_the_name_of_the_host_was_typed(client: Client, able: ScriptedAgent) -> None:
    path, home = f"/hosts/{able.agent_id}/prune", f"/hosts/{able.agent_id}/manage"
    told = {"volumes": [{"id": "v", "name": "old_data", "size": 9}], "spared": [{"name": "kept", "why": "it is ours"}]}
    page, _ = await page_with(client, able, "prune?what=volumes", told)
    assert "lost for good" in page and "old_data" in page and "it is ours" in page
    asking = asyncio.create_task(send(client, home, path, what="volumes", confirm="no", seen=seen(page)))
    assert (await able.answer(output=json.dumps(told)))["type"] == "prune_preview"
    answer = await asking
    assert answer.status_code == 409 and "old_data" in await answer.get_data(as_text=True)
    asking = asyncio.create_task(send(client, home, path, what="volumes", confirm="nas", seen=seen(page)))
    await able.answer(output=json.dumps(told))
    assert (await asking).status_code == 303 and (await able.hear())["what"] == ["volumes"]


async def test_who_may_only_look_neither_pulls_nor_prunes(anonymous: Client, roci: Roci, able: ScriptedAgent) -> None:
    await someone(roci, anonymous, "hosts.read")
    path = f"/hosts/{able.agent_id}"
    page, _ = await page_with(anonymous, able, "images", {"count": 0, "things": []})
    assert "Pull" not in page and "Prune" not in page and "nothing uses" not in page
    await text(anonymous, f"{path}/prune", 403)
    for verb in ("prune", "images/pull"):
        assert (await send(anonymous, path, f"{path}/{verb}", what="images", image="x")).status_code == 403
