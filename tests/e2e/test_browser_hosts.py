"""Hosts and containers in a real browser: what runs is found and acted on, a new host is let in, noted and removed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import docker
import pytest
from docker.models.containers import Container
from playwright.sync_api import Locator, Page, expect

from .bed import Agent, Server, unique, wait_for
from .browsers import Visitor
from .engines import COMPOSE_PROJECT
from .journey import agent, get

PHONE = {"width": 390, "height": 844}
DONE = re.compile("was restarted|is asked to")


@pytest.fixture
def shop(docker_client: docker.DockerClient, image: str, cleanup: Callable[[str], str]) -> list[Container]:
    """Two containers of a project with a volume and a network of its own."""
    name = cleanup("shop")
    labels = {COMPOSE_PROJECT: name}
    docker_client.volumes.create(f"{name}_data", labels=labels)
    docker_client.networks.create(f"{name}_net", labels=labels)
    options = {"detach": True, "labels": labels, "network": f"{name}_net", "stop_signal": "SIGKILL"}
    volumes = {f"{name}_data": {"bind": "/data"}}
    return [
        docker_client.containers.run(image, name=f"{name}-{each}", volumes=volumes, **options) for each in ("web", "db")
    ]


@pytest.fixture
def lonely(docker_client: docker.DockerClient, cleanup: Callable[[str], str]) -> Iterator[str]:
    """A volume that nothing uses."""
    name = cleanup("lonely")
    docker_client.volumes.create(name, labels={COMPOSE_PROJECT: name})
    yield name


def named(house: Server, name: str) -> list[dict[str, Any]]:
    """The hosts of this name."""
    return [one for one in get(house.api, "/api/v1/agents")["agents"] if one["hostname"] == name]


def row(page: Page, name: str) -> Locator:
    return page.get_by_role("row").filter(has=page.get_by_text(name, exact=True))


def started(container: Container) -> str:
    """When it was started last."""
    container.reload()
    return str(container.attrs["State"]["StartedAt"])


def fits(page: Page) -> bool:
    """Whether nothing on it is wider than the screen."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


def test_a_container_is_found_stopped_and_removed_on_the_page_of_its_host(
    house: Server, shop: list[Container], visitor: Visitor
) -> None:
    page, (web, db) = visitor.page, [str(each.name) for each in shop]
    page.goto(f"/hosts/{agent(house.api)['id']}")
    expect(row(page, web)).to_contain_text("running")
    assert visitor.barriers() == []
    page.get_by_placeholder("Filter containers").fill(db)
    expect(row(page, db)).to_be_visible()
    expect(row(page, web)).to_be_hidden()
    before = started(shop[1])
    page.get_by_role("button", name=f"Restart {db}").click()
    expect(page.get_by_role("status").filter(has_text=DONE)).to_be_visible()
    wait_for(lambda: started(shop[1]) != before, 60, f"the restart of {db}")
    shop[1].stop(timeout=0)
    expect(row(page, db)).to_contain_text("exited")
    row(page, db).get_by_label(f"More for {db}").click()
    row(page, db).get_by_role("link", name="Remove…").click()
    expect(page.get_by_text("Its volumes, its image")).to_be_visible()
    assert visitor.barriers() == []
    page.get_by_role("button", name="Remove the container").click()
    expect(page.get_by_text(f"{db} was removed")).to_be_visible()
    expect(row(page, db)).to_have_count(0)
    page.set_viewport_size(PHONE)
    assert fits(page)


def test_containers_of_all_hosts_are_found_as_one_types_and_restarted_together(
    shop: list[Container], visitor: Visitor
) -> None:
    page, (web, db) = visitor.page, [str(each.name) for each in shop]
    page.goto("/containers")
    project = web.removesuffix("-web")
    page.get_by_placeholder("Name, image").fill(project)
    expect(page.get_by_role("row")).to_have_count(3)
    expect(page).to_have_url(re.compile(f"q={project}"))
    restart = page.get_by_role("button", name="Restart")
    expect(restart).to_be_disabled()
    row(page, db).get_by_role("checkbox").check()
    expect(restart).to_be_enabled()
    shop[0].pause()
    expect(row(page, web)).to_contain_text("paused")
    expect(row(page, db).get_by_role("checkbox")).to_be_checked()
    shop[0].unpause()
    expect(row(page, web)).to_contain_text("running")
    page.get_by_label("All on this page").check()
    expect(row(page, web).get_by_role("checkbox")).to_be_checked()
    page.get_by_label("All on this page").uncheck()
    expect(restart).to_be_disabled()
    for name in (web, db):
        row(page, name).get_by_role("checkbox").check()
    assert visitor.barriers() == []
    restart.click()
    expect(page.get_by_text("2 of 2 are done.")).to_be_visible()
    expect(page.get_by_role("link", name=web)).to_be_visible()
    assert visitor.barriers() == []
    page.set_viewport_size(PHONE)
    assert fits(page)
    page.goto(f"/containers?q={project}")
    expect(page.get_by_role("row")).to_have_count(3)
    assert fits(page)


def test_images_volumes_and_networks_are_shown_with_who_uses_them(
    house: Server, shop: list[Container], image: str, lonely: str, visitor: Visitor
) -> None:
    page, web = visitor.page, str(shop[0].name)
    project = web.removesuffix("-web")
    path = f"/hosts/{agent(house.api)['id']}"
    page.goto(f"{path}/images")
    expect(row(page, image)).to_be_visible()
    assert visitor.barriers() == []
    page.get_by_role("link", name="Volumes").click()
    expect(row(page, f"{project}_data")).to_contain_text(web)
    page.get_by_role("link", name="Add up how big").click()
    expect(row(page, f"{project}_data")).to_contain_text(re.compile("Bytes?|kB"))
    assert visitor.barriers() == []
    page.get_by_role("link", name="Networks").click()
    expect(row(page, f"{project}_net")).to_contain_text(web)
    assert visitor.barriers() == []
    page.get_by_role("link", name="Prune").click()
    expect(page.get_by_label("Volumes, with the data in them")).not_to_be_checked()
    page.get_by_label("Volumes, with the data in them").check()
    page.get_by_role("button", name="Look what would go").click()
    expect(page.get_by_text("is lost for good")).to_be_visible()
    expect(page.get_by_text(lonely)).to_be_visible()
    expect(page.get_by_text(f"{project}_data")).to_have_count(0)
    assert visitor.barriers() == []
    page.set_viewport_size(PHONE)
    assert fits(page)
    page.get_by_label("Networks", exact=True).uncheck()
    expect(page.get_by_text("is lost for good")).to_have_count(0)
    page.goto(f"{path}/images")
    page.get_by_label("Pull an image").fill("localhost:1/none:1")
    page.get_by_role("button", name="Pull").click()
    expect(page.get_by_text("failed").first).to_be_visible()


def test_a_new_host_shows_itself_and_is_let_in_noted_and_removed(
    house: Server, engine: str, new_agent: Callable[..., Agent], visitor: Visitor
) -> None:
    page, name = visitor.page, unique("attic")
    page.goto("/hosts")
    new_agent(house.url, name, docker_host=engine)
    waiting = page.get_by_role("article").filter(has_text=name)
    expect(waiting).to_contain_text("asks to join", timeout=20_000)
    assert visitor.barriers() == []
    reason = waiting.get_by_label("Reason")
    reason.fill("not yet")
    with page.expect_response("**/hosts?part=waiting*"):
        page.evaluate("document.body.dispatchEvent(new CustomEvent('live-hosts'))")
    expect(reason).to_have_value("not yet")
    waiting.get_by_role("button", name="Approve").click()
    expect(page.get_by_text(f"{name} was let in")).to_be_visible()
    expect(row(page, name)).to_contain_text("online")
    row(page, name).get_by_role("link", name=name).click()
    page.get_by_role("link", name="Manage").click()
    page.get_by_label("Labels").fill("attic, spare")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved")).to_be_visible()
    assert visitor.barriers() == []
    page.goto("/hosts")
    page.get_by_placeholder("Name, address or label").fill("spare")
    expect(page.locator("#hosts tbody tr")).to_have_count(1)
    page.set_viewport_size(PHONE)
    assert fits(page)
    row(page, name).get_by_role("link", name=name).click()
    page.get_by_role("link", name="Manage").click()
    assert fits(page)
    page.get_by_label(f"Type {name} to remove").fill(name)
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_text(f"{name} was removed")).to_be_visible()


def test_charts_and_their_figures_keep_to_the_names_they_are_of(visitor: Visitor, house: Server) -> None:
    page, names = visitor.page, ["nginx", "postgres"]
    page.goto(f"/hosts/{agent(house.api)['id']}/metrics")
    expect(page.locator("#chart-cpu canvas")).to_be_visible()
    charts = page.locator(".chart-card").evaluate_all("all => all.map(each => each.id.replace('chart-', ''))")

    def told() -> str:
        times = [1_700_000_000, 1_700_000_060, 1_700_000_120]
        series = [{"label": name, "values": [7, 8, 9]} for name in names]
        ours = [{"name": each, "label": each, "unit": "percent", "times": times, "series": series} for each in charts]
        return json.dumps({"start": times[0], "end": times[-1], "charts": ours})

    page.route("**/metrics/data?*", lambda route: route.fulfill(body=told(), content_type="application/json"))
    page.evaluate("() => { charts.dataset.every = '0'; roci.tell('beats'); }")
    figures, over = page.locator("#chart-cpu tbody tr"), page.locator("#chart-cpu .u-over")
    expect(figures).to_have_text(["nginx9.0 %7.0 %8.0 %9.0 %", "postgres9.0 %7.0 %8.0 %9.0 %"])
    names[1] = "redis"
    page.evaluate("() => roci.tell('beats')")
    expect(figures).to_have_text([re.compile("^nginx"), re.compile("^redis")])
    over.hover(position={"x": 40, "y": 40})
    expect(page.locator("#chart-cpu .tip")).to_contain_text("redis")
    assert visitor.barriers() == []


def test_what_an_admitted_host_has_appears_by_itself_on_pages_that_were_open_before(
    visitor: Visitor, house: Server, engine: str, new_agent: Callable[..., Agent]
) -> None:
    page, name = visitor.page, unique("cellar")
    host = new_agent(house.url, name, docker_host=engine)
    wait_for(lambda: named(house, name), 30, "the host to ask to join")
    path = f"/api/v1/agents/{named(house, name)[0]['id']}"
    overview = visitor.context.new_page()
    overview.goto(f"/hosts/{path.rpartition('/')[2]}")
    expect(overview.get_by_text("It asks to join")).to_be_visible()
    page.goto(f"/hosts/{path.rpartition('/')[2]}/metrics")
    expect(page.get_by_text("Nothing is known of this time")).to_be_visible()
    assert house.api.post(f"{path}/approve")[0] == 200
    expect(page.locator("#chart-cpu canvas")).to_be_visible(timeout=40_000)
    expect(overview.get_by_role("heading", name="Containers")).to_be_visible()
    overview.close()
    page.goto("/hosts")
    host.stop()
    assert house.api.delete(path)[0] == 200
