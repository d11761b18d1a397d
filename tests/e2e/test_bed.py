"""Proves the test bed itself: what the journeys stand on."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path

import docker
import pytest
import requests
from docker.models.containers import Container

from .bed import Process, wait_for
from .engines import COMPOSE_PROJECT, PAGE, SecondHost, remove_labelled


def published_port(container: Container) -> str:
    """The port the engine chose; it is there once the container has a network."""

    def look() -> str | None:
        container.reload()
        bindings = container.ports.get("8080/tcp")
        return bindings[0]["HostPort"] if bindings else None

    found = wait_for(look, 10, "a published port")
    assert found
    return found


def page(address: str) -> str:
    return wait_for(lambda: requests.get(f"http://{address}/", timeout=2).text, 10, f"a page at {address}")


def test_the_engine_answers_and_has_the_image(engine: str, docker_client: docker.DockerClient, image: str) -> None:
    assert docker_client.ping()
    assert docker_client.containers.run(image, ["echo", "hello"], remove=True) == b"hello\n"


def test_a_container_of_the_image_serves_a_page_on_a_published_port(
    docker_client: docker.DockerClient, image: str, cleanup: Callable[[str], str]
) -> None:
    labels = {COMPOSE_PROJECT: cleanup("page")}
    container = docker_client.containers.run(image, detach=True, labels=labels, ports={"8080/tcp": ("127.0.0.1", 0)})
    assert page(f"127.0.0.1:{published_port(container)}") == PAGE


def test_cleaning_up_removes_what_has_the_label_and_nothing_else(
    docker_client: docker.DockerClient, image: str, cleanup: Callable[[str], str]
) -> None:
    mine, other = cleanup("mine"), cleanup("other")
    for project in (mine, other):
        labels = {COMPOSE_PROJECT: project}
        docker_client.networks.create(project, labels=labels)
        docker_client.volumes.create(project, labels=labels)
        docker_client.containers.run(
            image, detach=True, labels=labels, network=project, volumes=[f"{project}:/data"], name=project
        )
    remove_labelled(docker_client, f"{COMPOSE_PROJECT}={mine}")
    for kind in (docker_client.containers, docker_client.networks, docker_client.volumes):
        with pytest.raises(docker.errors.NotFound):
            kind.get(mine)
        assert kind.get(other)


def test_the_second_host_runs_containers_of_its_own_at_an_address_of_its_own(
    second_host: SecondHost, docker_client: docker.DockerClient, image: str
) -> None:
    with contextlib.closing(second_host.connect()) as there:
        container = there.containers.run(image, detach=True, ports={"8080/tcp": 0})
        assert page(f"{second_host.there}:{published_port(container)}") == PAGE
        with pytest.raises(docker.errors.NotFound):
            docker_client.containers.get(str(container.id))
        container.remove(force=True)


def test_a_cut_cable_ends_the_conversation_until_it_is_mended(second_host: SecondHost, image: str) -> None:
    with contextlib.closing(second_host.connect()) as there:
        container = there.containers.run(image, detach=True, ports={"8080/tcp": 0})
        address = f"{second_host.there}:{published_port(container)}"
        assert page(address) == PAGE
        second_host.cut()
        with pytest.raises(requests.ConnectionError):
            requests.get(f"http://{address}/", timeout=1)
        second_host.mend()
        assert page(address) == PAGE
        container.remove(force=True)


def test_waiting_in_vain_says_what_for_and_what_was_seen_last() -> None:
    with pytest.raises(AssertionError, match=r"0\.2 s for a miracle; the last answer was \[\]"):
        wait_for(list, 0.2, "a miracle")


def test_a_refused_connection_is_waited_out() -> None:
    answers = iter([ConnectionRefusedError(), ConnectionRefusedError(), "hello"])

    def check() -> str:
        answer = next(answers)
        if isinstance(answer, OSError):
            raise answer
        return str(answer)

    assert wait_for(check, 5, "an answer") == "hello"


def test_a_process_is_started_killed_and_started_again_with_one_log(tmp_path: Path) -> None:
    program = "import os, signal; print('born', os.environ['ROLE'], flush=True); signal.pause()"
    process = Process([sys.executable, "-c", program], tmp_path / "log", {"ROLE": "test"})
    process.start()
    process.wait_for_output("born test")
    process.kill9()
    assert not process.is_running
    process.start()
    process.wait_for_output("born test")
    assert process.output.count("born") == 2
    assert process.stop() == -15


def test_a_process_that_ends_early_is_reported_with_its_last_words(tmp_path: Path) -> None:
    process = Process([sys.executable, "-c", "print('no such setting')"], tmp_path / "log", {})
    process.start()
    with pytest.raises(AssertionError, match="ended without printing 'ready':\nno such setting"):
        process.wait_for_output("ready")
