"""Fixtures of the journeys on real engines. What they hand out is described in bed.py and engines.py."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from playwright.sync_api import Browser

from roci_plugins.web import assets

from .bed import Agent, Process, Server, unique
from .browsers import Visitor, chromium
from .engines import COMPOSE_PROJECT, SecondHost, connect, find_engine, make_image, remove_labelled, unavailable
from .journey import QUICK, agent


@pytest.hookimpl(tryfirst=True)  # before `-m` looks at the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that asks for an engine is marked `docker`: the mark cannot be forgotten.

    So is every journey, with an engine or without: the tests that are not marked stay under a minute. Those with a
    browser are marked `browser`.
    """
    for item in items:
        if item.path.name.startswith("test_browser_"):
            item.add_marker(pytest.mark.browser)
        if "engine" in getattr(item, "fixturenames", ()) or item.path.name.startswith("test_journey_"):
            item.add_marker(pytest.mark.docker)


@pytest.fixture(scope="session")
def engine() -> str:
    """DOCKER_HOST of this machine's engine."""
    return find_engine()


@pytest.fixture(scope="session")
def docker_client(engine: str) -> Iterator[docker.DockerClient]:
    with contextlib.closing(connect(engine)) as client:
        yield client


@pytest.fixture(scope="session")
def image(docker_client: docker.DockerClient) -> str:
    """The name of a small image, already on the engine, whose containers answer HTTP on port 8080."""
    return make_image(docker_client)


@pytest.fixture
def cleanup(docker_client: docker.DockerClient) -> Iterator[Callable[[str], str]]:
    """`project = cleanup("shop")`: a unique Compose project name; what has its label is removed after the test."""
    projects: list[str] = []

    def project(name: str) -> str:
        projects.append(unique(name))
        return projects[-1]

    yield project
    for name in projects:
        remove_labelled(docker_client, f"{COMPOSE_PROJECT}={name}")


@pytest.fixture
def new_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """`server = new_server(local_agent=True)`: started and ready; ended after the test. Options: those of Server."""
    started: list[Server] = []

    def new(**options: Any) -> Server:
        folder = tmp_path / f"server-{len(started)}"
        folder.mkdir()
        started.append(Server(folder, **options))
        started[-1].start()
        return started[-1]

    yield new
    _end(started)


@pytest.fixture
def new_agent(tmp_path: Path) -> Iterator[Callable[..., Agent]]:
    """`agent = new_agent(server.url, name)`: started; ended after the test. Options: those of Agent."""
    started: list[Agent] = []

    def new(server: str, name: str, **options: Any) -> Agent:
        started.append(Agent(tmp_path, server, name, **options))
        started[-1].start()
        return started[-1]

    yield new
    _end(started)


def _end(processes: list[Any]) -> None:
    process: Process
    for process in processes:
        process.end()
        print(f"--- {' '.join(process.argv)}\n{process.output}")  # pytest shows it where the test failed


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium for the tests of a module. They must not be of asyncio: Playwright has a loop of its own."""
    if assets.version() is None:
        unavailable("the browser libraries are not here: python packaging/ui/fetch.py")
    with chromium() as running:
        yield running


@pytest.fixture(scope="session")
def house(engine: str, image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One ROCI for all tests of pages; its one host is this machine, with the real engine.

    Tests share it: they make what they need under names of their own, and take that away again.
    """
    environment = {**QUICK, "ROCI_AGENT__ALLOW": "terminal"}
    server = Server(tmp_path_factory.mktemp("house"), local_agent=True, environment=environment)
    server.start()
    agent(server.api, seconds=60)
    yield server
    _end([server])


@pytest.fixture
def visitor(browser: Browser, house: Server) -> Iterator[Visitor]:
    """The administrator at a browser, signed in. Whatever it did, it asked our server only, and no page complained."""
    visitor = Visitor(browser, house.url)
    visitor.is_signed_in_by(house.api)
    yield visitor
    visitor.context.close()
    assert visitor.asked and not visitor.foreign and not visitor.complaints


@pytest.fixture(scope="session")
def second_host_of_session(docker_client: docker.DockerClient, image: str) -> Iterator[SecondHost]:
    host = SecondHost()
    try:
        host.start()
        with contextlib.closing(host.connect()) as there:
            there.images.load(b"".join(docker_client.images.get(image).save(named=True)))
        yield host
    finally:
        host.end()


@pytest.fixture
def second_host(engine: str, second_host_of_session: SecondHost) -> Iterator[SecondHost]:
    """A second host with the test image. Tests share it, for it takes seconds to make; its cable is mended."""
    yield second_host_of_session
    second_host_of_session.mend()
