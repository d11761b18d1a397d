"""Applications and operations in a real browser, on a real engine: deploy and watch, act, compare, return, delete."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

import docker
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from .bed import Agent, Server
from .browsers import Visitor
from .journey import QUICK as QUICK_BEATS
from .journey import App, agent, containers, ended, gated, open_gate, shell, stack, web

Cleanup = Callable[[str], str]
QUIET = {"network_mode": "bridge"}  # a network that comes or goes has a browser on this machine ask again


@pytest.fixture
def forget(house: Server) -> Iterator[list[str]]:
    """Ids of applications that are forgotten after the test, where they are still there."""
    made: list[str] = []
    yield made
    for id in made:
        status, told = house.api.get(f"/api/v1/applications/{id}")
        if status == 200:
            _, answer = house.api.delete(f"/api/v1/applications/{id}?force=true", {"confirm_name": told["name"]})
            if answer.get("operation_id"):
                ended(house.api, answer["operation_id"])


@pytest.fixture
def new(house: Server, cleanup: Cleanup, forget: list[str]) -> Callable[..., App]:
    """`new("shop", compose)`: an application of a unique name that belongs to this machine."""

    def make(name: str, compose: str, **fields: str) -> App:
        app = App(house.api, cleanup(name), compose, str(agent(house.api)["id"]), **fields)
        forget.append(app.id)
        return app

    return make


def test_a_first_deploy_is_watched_survives_a_reload_and_leads_to_the_application(
    new: Callable[..., App], visitor: Visitor, image: str, docker_client: docker.DockerClient
) -> None:
    services = gated(image, **QUIET)
    services["gate"] |= QUIET
    app = new("gated", stack(services))
    page = visitor.page
    page.goto(f"/applications/{app.id}")
    expect(page.get_by_text("It lies on no host yet")).to_be_visible()
    page.get_by_role("button", name="Deploy").click()
    expect(page.get_by_role("heading", name=f"Deploy {app.name}")).to_be_visible()
    steps = page.get_by_role("list", name="Steps")
    expect(steps.get_by_text(f"{app.name}-gate-1")).to_contain_text("Waiting")
    expect(page.locator("#output .busy").first).to_be_visible()  # coloured
    expect(page.locator("#running")).to_contain_text("1")
    page.reload()
    expect(steps.get_by_text(f"{app.name}-gate-1")).to_contain_text("Waiting")
    open_gate(docker_client, app.name)
    expect(page.locator("#state")).to_contain_text("succeeded", timeout=30_000)
    expect(steps.get_by_text(f"{app.name}-web-1")).to_contain_text("Started")
    assert visitor.barriers() == []
    page.get_by_role("link", name=f"Go to {app.name}").click()
    services = page.locator("#services")
    expect(services.get_by_text(f"{app.name}-web-1", exact=True)).to_be_visible(timeout=20_000)
    expect(services.get_by_role("link", name="→ 8080")).to_be_visible()
    assert visitor.barriers() == []


def test_a_late_answer_to_an_earlier_filter_does_not_undo_the_filter(
    new: Callable[..., App], visitor: Visitor, image: str
) -> None:
    one, other = (new(name, stack({"web": web(image, **QUIET)})) for name in ("late", "other"))
    unfiltered = re.compile(r"/applications[?]part=list$")
    held: list[Route] = []
    page = visitor.page
    page.route(unfiltered, lambda route: held.append(route))
    rows = page.locator("#list")
    with page.expect_request(unfiltered):
        page.goto("/applications")
        expect(rows).to_contain_text(other.name)
        new("third", stack({"web": web(image, **QUIET)}))
    page.get_by_label("Filter").fill(one.name)
    expect(rows).not_to_contain_text(other.name)
    with page.expect_response(lambda answer: f"q={one.name}" in answer.url):
        for route in held:
            route.continue_()
    expect(rows).to_contain_text(one.name)
    expect(rows).not_to_contain_text(other.name)
    expect(rows).to_have_attribute("hx-get", re.compile(f"q={one.name}"))


def test_a_secret_that_is_typed_stays_with_its_name_when_another_variable_comes_before_it(
    new: Callable[..., App], visitor: Visitor, image: str
) -> None:
    def asks(*names: str) -> str:
        return stack({"web": web(image, environment=[f"{name}=${name}" for name in names], **QUIET)})

    app, page = new("asks", asks("LATER", "MIDDLE")), visitor.page
    page.goto(f"/applications/{app.id}/environment")
    page.get_by_text("Set MIDDLE").click()
    page.get_by_label("Value of MIDDLE").fill("hunter2")
    assert app.edit(compose_yaml=asks("EARLIER", "LATER", "MIDDLE"))[0] == 200
    expect(page.locator("#variable-EARLIER")).to_be_visible()
    expect(page.get_by_label("Value of MIDDLE")).to_have_value("hunter2")
    page.locator("#variable-MIDDLE").get_by_role("button", name="Keep as a secret").click()
    expect(page.get_by_role("status").filter(has_text="MIDDLE is set")).to_be_visible()
    expect(page.locator("#variable-MIDDLE .badge")).to_have_text("secret")
    expect(page.locator("#variable-LATER .badge")).not_to_have_text("secret")


def test_an_application_is_stopped_and_started_and_its_containers_one_by_one(
    new: Callable[..., App], visitor: Visitor, image: str
) -> None:
    app = new("acted", stack({"web": web(image, **QUIET)}))
    app.run("deploy")
    page = visitor.page
    page.goto(f"/applications/{app.id}")
    page.get_by_role("button", name=f"Restart {app.name}-web-1").click()
    expect(page.get_by_text(f"{app.name}-web-1 was restarted")).to_be_visible(timeout=30_000)
    page.get_by_role("button", name="Stop", exact=True).click()
    question = page.get_by_role("dialog", name=re.compile("Stop all containers"))
    expect(question.get_by_role("button", name="Cancel")).to_be_focused()
    question.get_by_role("button", name="Cancel").click()
    expect(question).to_be_hidden()
    page.get_by_role("button", name="Stop", exact=True).click()
    question.get_by_role("button", name="Stop it").click()
    expect(page.locator("#state .badge").first).to_have_text("stopped", timeout=30_000)  # by itself
    expect(page.locator("#services")).to_contain_text("exited", timeout=20_000)
    page.goto("/applications")
    page.get_by_label("Filter", exact=True).fill(app.name)
    expect(page).to_have_url(f"{visitor.url}/applications?q={app.name}")
    expect(page.locator("#list tbody tr")).to_have_count(1)
    page.get_by_label(f"Actions for {app.name}").click()
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_text(f"{app.name} is being started")).to_be_visible()
    expect(page.locator("#list tbody .badge").first).to_have_text("running", timeout=30_000)
    assert visitor.barriers() == []


def test_revisions_are_compared_and_returned_to_and_the_end_lists_what_goes(
    new: Callable[..., App], visitor: Visitor, image: str, docker_client: docker.DockerClient
) -> None:
    service = {
        "image": image,
        "command": shell("true"),
        "volumes": ["one:/a", "two:/b"],
        "stop_grace_period": "0s",
        **QUIET,
    }
    text = stack({"web": service}, volumes={"one": {}, "two": {}})
    app = new("ended", text.replace("true;", "echo first;"))
    app.edit(compose_yaml=text)
    assert app.run("deploy")["status"] == "succeeded"
    page = visitor.page
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"/applications/{app.id}/history")
    page.get_by_role("link", name="Compare revision 1 with the newest").click()
    expect(page.locator("#changed .gone")).to_contain_text("echo first")
    assert visitor.barriers() == []
    page.get_by_role("button", name="Return to revision 1 and deploy it").click()
    expect(page.locator("#state")).to_contain_text("succeeded", timeout=60_000)
    assert app.state["revision"] == 3 and "echo first" in app.state["compose_yaml"]
    page.goto(f"/applications/{app.id}/manage")
    expect(page.get_by_text(f"the container {app.name}-web-1")).to_be_visible()
    page.get_by_text(f"the volume {app.name}_two").get_by_role("checkbox").check()
    assert visitor.barriers() == []
    page.get_by_label(f"Type {app.name} to delete it").fill(app.name)
    page.get_by_role("button", name="Delete").click()
    expect(page.locator("#state")).to_contain_text("succeeded", timeout=30_000)
    expect(page.locator("#output")).to_contain_text(f"removed the volume {app.name}_two")
    assert not containers(docker_client, app.name)
    left = [
        each.name for each in docker_client.volumes.list(filters={"label": f"com.docker.compose.project={app.name}"})
    ]
    assert left == [f"{app.name}_one"]
    docker_client.volumes.get(left[0]).remove()


COLOURS = "\x1b[1;32mgreen\x1b[0m and plain\n1 %\r100 %\n\x1b[38;5;208mwide\x1b[0m\n<script>alert(1)</script>\n"


def says(page: Page, text: str) -> None:
    """Stand for an operation that said this."""
    page.unroute("**/output.txt")
    page.route("**/output.txt", lambda route: route.fulfill(body=text, content_type="text/plain"))
    page.reload()


def raw(route: Route) -> None:
    """The page of an operation that said more than plain text."""
    told = route.fetch()
    route.fulfill(response=told, body=told.text().replace("data-whole", "data-raw data-whole"))


def test_output_is_as_a_terminal_has_it_however_long(new: Callable[..., App], visitor: Visitor) -> None:
    app = new("broken", stack({"web": {"image": "roci-test/no-such-image", "pull_policy": "never", **QUIET}}))
    page, path = visitor.page, f"/operations/{app.run('deploy')['id']}"
    page.goto(path)
    expect(page.locator("#state")).to_contain_text("failed")
    expect(page.get_by_role("link", name="Edit the file")).to_be_visible()
    expect(page.get_by_role("button", name="Deploy again")).to_be_visible()
    page.route(f"**{path}", raw)
    says(page, COLOURS)
    output = page.locator("#output")
    expect(output.locator(".front-2.bold")).to_have_text("green")
    expect(output.locator(".line").nth(1)).to_have_text("100 %")
    expect(output.locator(".line").nth(3)).to_have_text("<script>alert(1)</script>")
    assert visitor.barriers() == []
    says(page, COLOURS + "".join(f"line {number}\n" for number in range(9000)) + "x" * 4_000_000 + "\nthe end\n")
    expect(page.get_by_text("The beginning is left out")).to_be_visible()
    expect(output).to_contain_text("the end")
    assert output.locator(".line").count() <= 5000
    page.goto(f"/operations?application={app.name}&status=failed")
    expect(page.locator("#list tbody tr")).to_have_count(1)
    assert visitor.barriers() == []


def piece(number: int, text: str, mark: str) -> str:
    return f"event: output\ndata: {json.dumps({'number': number, 'text': text, 'mark': mark})}\n\n"


def test_a_restarted_server_that_tells_what_was_kept_is_not_shown_twice(
    new: Callable[..., App], visitor: Visitor
) -> None:
    app = new("twice", stack({"web": {"image": "roci-test/no-such-image", "pull_policy": "never", **QUIET}}))
    page, path = visitor.page, f"/operations/{app.run('deploy')['id']}"
    begun = " Container web-1  Started\none\n"
    streams = iter((piece(0, begun, "first"), piece(0, begun, "second") + piece(1, "two\n", "second")))

    def follow(route: Route) -> None:
        route.fulfill(body=next(streams, ": nothing more\n\n"), content_type="text/event-stream")

    def running(route: Route) -> None:
        told = route.fetch()
        follows = f'data-follow="{path}/live" data-whole'
        route.fulfill(response=told, body=told.text().replace("data-whole", follows))

    page.route(f"**{path}", running)
    page.route(re.compile(f"{path}/live"), follow)
    page.goto(path)
    output = page.locator("#output")
    expect(output).to_contain_text("two")
    expect(output.locator(".line")).to_have_text(["Container web-1  Started", "one", "two", ""])
    expect(page.locator("#steps li")).to_have_count(1)


def test_output_goes_on_when_the_server_was_restarted(
    browser: Browser,
    new_server: Callable[..., Server],
    new_agent: Callable[..., Agent],
    cleanup: Cleanup,
    image: str,
    docker_client: docker.DockerClient,
) -> None:
    server = new_server(environment=QUICK_BEATS)
    new_agent(server.url, "far")
    waiting = agent(server.api, "far", status="pending")
    assert server.api.post(f"/api/v1/agents/{waiting['id']}/approve")[0] == 200
    services = gated(image, **QUIET)
    services["gate"] |= QUIET
    app = App(server.api, cleanup("kept"), stack(services), str(agent(server.api, "far")["id"]))
    visitor = Visitor(browser, server.url)
    visitor.is_signed_in_by(server.api)
    page = visitor.page
    page.goto(f"/operations/{app.begin('deploy')}")
    expect(page.locator("#output")).to_contain_text("Waiting", timeout=20_000)
    server.stop()
    expect(page.locator("#output")).to_contain_text("Waiting")
    server.start()
    agent(server.api, "far")
    open_gate(docker_client, app.name)
    expect(page.locator("#state")).to_contain_text("succeeded", timeout=60_000)
    expect(page.locator("#output")).to_contain_text("web-1  Started")
    expect(page.locator("#output")).to_contain_text("wrote ")  # the whole of it, and not only what came last
    visitor.context.close()
    app.remove()
