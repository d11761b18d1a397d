"""The README, followed to the letter on a fresh machine: its commands are run as they stand there."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest
import requests

from .bed import PASSWORD, ROCI, Client, Server, free_port
from .engines import PAGE, unavailable
from .journey import QUICK, containers, get

README = (Path(__file__).parents[2] / "README.md").read_text()


def command(begins: str) -> str:
    """The block of commands that has this in it."""
    [found] = [block for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) if begins in block]
    return str(found)


@pytest.fixture
def fresh(engine: str, tmp_path: Path) -> Iterator[Server]:
    """A server at its very first start, that nobody has given a password."""
    settings = {"ROCI_AGENT__VOLUME_BASE": str(tmp_path / "volumes"), "ROCI_AGENT__DOCKER_HOST": engine}
    server = Server(tmp_path, local_agent=True, environment={**QUICK, **settings})
    del server.environment["ROCI_ADMIN_PASSWORD"]
    server.start()
    yield server
    server.end()
    print(server.output)


def test_from_nothing_to_a_running_stack(
    fresh: Server, docker_client: docker.DockerClient, image: str, cleanup: Callable[[str], str]
) -> None:
    if not shutil.which("curl"):
        unavailable("the README's commands need curl")
    link = fresh.wait_for_output(r"http\S+/setup/\S+").group()
    assert requests.get(link, timeout=5).ok
    chosen = {"username": "robin", "password": PASSWORD, "repeated": PASSWORD}
    assert requests.post(link, data=chosen, timeout=10).url == f"{fresh.url}/", "signed in, on the start page"
    assert requests.get(link, timeout=5).status_code == 404, "the link is good for one use"

    project, port = cleanup("hello"), free_port()
    commands = [command("roci token create"), command("compose_yaml"), command("my network"), command("dry-run")]
    ours = {
        ".venv/bin/roci": ROCI,
        "http://127.0.0.1:8080": fresh.url,
        '"name": "hello"': f'"name": "{project}"',
        "nginx:alpine": image,
        "127.0.0.1:8081:80": f"127.0.0.1:{port}:8080",
        "127.0.0.1:8081": f"127.0.0.1:{port} --retry 5 --retry-all-errors --retry-delay 1 -s",
    }
    script = "\n".join(commands)
    for theirs, mine in ours.items():
        assert theirs in script, f"the README does not say {theirs} any more"
        script = script.replace(theirs, mine)
    run = ["bash", "-euo", "pipefail", "-c", script]
    done = subprocess.run(run, env=fresh.environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "event: end" in done.stdout and '"status":"succeeded"' in done.stdout
    assert PAGE in done.stdout
    assert '"status":"approved"' in done.stdout and "192.168.7.20 is inside 192.168.0.0/16" in done.stdout

    assert [one.status for one in containers(docker_client, project)] == ["running"]
    api = Client(fresh.url)
    api.sign_in(username="robin")
    [application] = get(api, "/api/v1/applications")["applications"]
    assert (application["name"], application["status"]) == (project, "running")
