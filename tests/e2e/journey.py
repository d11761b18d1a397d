"""What people do in the journeys, in a few words each: create an application, deploy it, look at its page."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import docker
import requests
from docker.models.containers import Container

from .bed import Client, wait_for
from .engines import COMPOSE_PROJECT, unavailable

QUICK = {"ROCI_LINKS__HEARTBEAT_INTERVAL": "0.5"}
UNFINISHED = ("pending", "running")


class App:
    """One application, through the REST surface. `run` does something to it and waits for the end."""

    def __init__(self, api: Client, name: str, compose: str, agent_id: str | None = None, **fields: Any) -> None:
        new = {"name": name, "compose_yaml": compose, "agent_id": agent_id, **fields}
        status, body = api.post("/api/v1/applications", new)
        assert status == 201, body
        self.api, self.name, self.path = api, name, f"/api/v1/applications/{body['id']}"
        self.id = str(body["id"])

    @property
    def state(self) -> dict[str, Any]:
        return get(self.api, self.path)

    @property
    def status(self) -> str:
        return str(self.state["status"])

    @property
    def operations(self) -> list[dict[str, Any]]:
        """All that was done to it, newest first."""
        found: list[dict[str, Any]] = get(self.api, f"/api/v1/operations?application_id={self.id}")["operations"]
        return found

    def begin(self, action: str, body: Mapping[str, Any] | None = None) -> str:
        """The id of the operation that was accepted."""
        status, answer = self.api.post(f"{self.path}/{action}", body)
        assert status == (202 if action == "deploy" else 200), answer
        return str(answer["operation_id"])

    def run(self, action: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        return ended(self.api, self.begin(action, body))

    def remove(self) -> dict[str, Any]:
        status, answer = self.api.delete(self.path, {"confirm_name": self.name})
        assert status == 200, answer
        return ended(self.api, answer["operation_id"])

    def edit(self, **changes: Any) -> tuple[int, Any]:
        return self.api.put(self.path, changes)


def get(api: Client, path: str) -> dict[str, Any]:
    status, body = api.get(path)
    assert status == 200, f"{path}: {status} {body}"
    found: dict[str, Any] = body
    return found


def ended(api: Client, operation_id: str, seconds: float = 90) -> dict[str, Any]:
    """An operation, when it has ended."""

    def look() -> dict[str, Any] | None:
        operation = get(api, f"/api/v1/operations/{operation_id}")
        return operation if operation["status"] not in UNFINISHED else None

    found = wait_for(look, seconds, f"the end of operation {operation_id}")
    assert found
    return found


def agent(api: Client, hostname: str | None = None, seconds: float = 20, **like: Any) -> dict[str, Any]:
    """An agent, by its name (None: the server's own), when it is connected and as `like` says."""
    wanted = {"connected": True, "status": "approved", **like}

    def look() -> dict[str, Any] | None:
        for one in get(api, "/api/v1/agents")["agents"]:
            mine = one["local"] if hostname is None else one["hostname"] == hostname
            if mine and all(one[name] == value for name, value in wanted.items()):
                return dict(one)
        return None

    found = wait_for(look, seconds, f"the agent {hostname or 'of the server'} being {wanted}")
    assert found
    return found


def admit(api: Client, match_type: Mapping[str, Any], action: str = "approve", priority: int = 10) -> str:
    """A new policy; its id."""
    status, body = api.post(
        "/api/v1/policies", {"name": action, "priority": priority, "match_type": match_type, "action": action}
    )
    assert status == 201, body
    return str(body["id"])


# --- what is deployed ----------------------------------------------------------


def web(image: str, page: str = "one", port: str = "127.0.0.1::8080", **more: Any) -> dict[str, Any]:
    """A service that shows a page on a port the engine chooses."""
    return {"image": image, "command": shell(f"echo {page} > /www/index.html"), "ports": [port], **more}


def shell(first: str) -> list[str]:
    """A command that does something first and then serves /www."""
    return ["sh", "-c", f"{first}; exec httpd -f -p 8080 -h /www"]


def gated(image: str, **more: Any) -> dict[str, dict[str, Any]]:
    """Two services: the second waits until `open_gate` lets the first one be healthy."""
    check = {"test": ["CMD", "test", "-e", "/tmp/go"], "interval": "500ms", "timeout": "5s", "retries": 1000}
    gate = {"image": image, "command": ["sleep", "10000"], "healthcheck": check}
    return {"gate": gate, "web": web(image, depends_on={"gate": {"condition": "service_healthy"}}, **more)}


def stack(services: Mapping[str, Any], **top: Any) -> str:
    """A Compose file. JSON is YAML."""
    return json.dumps({"services": services, **top})


def containers(client: docker.DockerClient, project: str, service: str | None = None) -> list[Container]:
    labels = [f"{COMPOSE_PROJECT}={project}"] + ([f"com.docker.compose.service={service}"] if service else [])
    return list(client.containers.list(all=True, filters={"label": labels}))


def open_gate(client: docker.DockerClient, project: str) -> None:
    code, output = at_gate(client, project).exec_run(["touch", "/tmp/go"])
    assert code == 0, output


def at_gate(client: docker.DockerClient, project: str) -> Container:
    """The container that a gated deploy waits for, once it runs."""

    def look() -> Container | None:
        return next((one for one in containers(client, project, "gate") if one.status == "running"), None)

    found = wait_for(look, 30, f"the gate of {project}")
    assert found
    return found


def address(client: docker.DockerClient, project: str, service: str = "web", host: str = "127.0.0.1") -> str:
    """Where a service is published now: the port is another one after each start."""

    def look() -> str | None:
        for container in containers(client, project, service):
            container.reload()
            for binding in container.ports.get("8080/tcp") or []:
                return f"http://{host}:{binding['HostPort']}"
        return None

    found = wait_for(look, 10, f"a port of {project}")
    assert found
    return found


def page(url: str) -> str:
    """What a service shows; it has a moment to begin."""

    def look() -> str | None:
        answer = requests.get(url, timeout=2)
        return answer.text if answer.ok else None

    return str(wait_for(look, 10, f"a page at {url}")).strip()


def is_silent(url: str) -> bool:
    try:
        requests.get(url, timeout=2)
    except requests.RequestException:
        return True
    return False


# --- what is left on disk, and disks without room -------------------------------


def files_with(needle: str, *places: Path) -> list[Path]:
    """Every file under these places that holds a text."""
    files = [file for place in places for file in (place.rglob("*") if place.is_dir() else [place])]
    return [file for file in files if file.is_file() and needle.encode() in file.read_bytes()]


@contextlib.contextmanager
def tiny_disk(at: Path, size: str) -> Iterator[Path]:
    """A file system of its own, of so many bytes ("16m")."""
    at.mkdir(parents=True)
    argv = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(at)]
    if subprocess.run(argv, capture_output=True).returncode != 0:
        unavailable("a full disk needs root, which may mount a small one")
    try:
        yield at
    finally:
        subprocess.run(["umount", "--lazy", str(at)], check=True)


def fill(disk: Path) -> Path:
    """Leave no room on a disk. Removing the file that is returned makes room again."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(64 * 1024)):
            pass
    return filler
