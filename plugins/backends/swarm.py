"""Deploy an application to a swarm, as a stack: for those who outgrow one machine.

A stack takes a part of the Compose format. What it would drop silently, or understand otherwise, is refused by name;
`depends_on` alone is left out, for a swarm starts all services at once and restarts those that fail.
"""

from __future__ import annotations

import json
from typing import Any, Literal

from roci import Spec, Step, hookimpl

from . import composefile
from .yamltext import Document

VERSION = "3.8"  # of the format: docker programs before 25 want to be told
ROOT = ("version", "name", "services", "networks", "volumes", "configs", "secrets")
SERVICE = {
    *("image", "command", "entrypoint", "environment", "env_file", "ports", "networks", "volumes", "configs"),
    *("secrets", "deploy", "labels", "healthcheck", "user", "working_dir", "read_only", "tmpfs", "cap_add", "cap_drop"),
    *("hostname", "domainname", "init", "stop_grace_period", "stop_signal", "stdin_open", "tty", "dns", "dns_search"),
    *("extra_hosts", "expose", "logging", "sysctls", "ulimits", "isolation", "credential_spec", "depends_on"),
}
LEFT_OUT = ("name", "depends_on")
INSTEAD = {
    "build": "a swarm builds no images: push one to a registry and name it with `image`",
    "container_name": "a swarm names the containers itself",
    "restart": "say it with `deploy: {restart_policy: {condition: any}}`",
    "cpus": "say it with `deploy: {resources: {limits: {cpus: '0.5'}}}`",
    "mem_limit": "say it with `deploy: {resources: {limits: {memory: 64M}}}`",
    "network_mode": "its containers are in networks of the swarm",
    "links": "services of one network find each other by name",
    "profiles": "deploy what belongs together as an application of its own",
}
MODES = ("replicated", "global")


class Swarm:
    name = "swarm"

    def validate(self, spec: Spec) -> None:
        _checked(spec.text)

    def plan(self, action: Literal["deploy", "stop", "start", "delete"], spec: Spec) -> list[Step]:
        claim, which = _claim(spec)
        match action:
            case "deploy":
                write = Step("swarm.write", {**which, "text": _stack(_checked(spec.text))})
                return [claim, write, Step("swarm.up", which)]
            case "stop" | "start":
                return [claim, Step(f"swarm.{action}", which)]
            case "delete":
                return [claim, Step("swarm.remove", which)]

    def restart(self, spec: Spec) -> list[Step]:
        """The swarm would answer the restart of a container with a new one beside it."""
        claim, which = _claim(spec)
        return [claim, Step("swarm.restart", which)]


def _claim(spec: Spec) -> tuple[Step, dict[str, str]]:
    """The first step, and what all steps are told."""
    which = {"project": spec.project, "app": spec.name}
    return Step("swarm.claim", which), which


def _stack(document: Document) -> str:
    """The file for `docker stack deploy`. JSON is YAML, and leaves nothing to an older YAML's taste."""
    root = {key: value for key, value in document.value.items() if key not in LEFT_OUT}
    services = {
        name: {key: value for key, value in service.items() if key not in LEFT_OUT}
        for name, service in root["services"].items()
    }
    return json.dumps({**root, "version": VERSION, "services": services}, indent=1)


def _checked(text: str) -> Document:
    document = composefile.parse(text)
    for key in document.value:
        if key not in ROOT and not key.startswith("x-"):
            raise document.refuse((key,), f"a swarm's stack does not know `{key}`")
    for name, service in document.value["services"].items():
        _check_service(document, name, service)
    return document


def _check_service(document: Document, name: str, service: dict[str, Any]) -> None:
    at = ("services", name)
    for key in service:
        if key not in SERVICE and not key.startswith("x-"):
            why = f": {INSTEAD[key]}" if key in INSTEAD else ""
            raise document.refuse((*at, key), f"a swarm's stack does not know `{key}`{why}")
    if not service.get("image"):
        raise document.refuse(at, f"the service {name!r} has no `image`; a swarm builds none")
    deploy = service.get("deploy") or {}
    if not isinstance(deploy, dict):
        raise document.refuse((*at, "deploy"), "`deploy` must be a mapping")
    if deploy.get("mode", "replicated") not in MODES:
        reason = f"`mode` must be one of {', '.join(MODES)}: what runs once and ends is no application of a swarm"
        raise document.refuse((*at, "deploy", "mode"), reason)
    _check_ports(document, name, service.get("ports"))


def _check_ports(document: Document, name: str, ports: Any) -> None:
    """A swarm would publish on every address what the file keeps to one."""
    for index, port in enumerate(ports if isinstance(ports, list) else ()):
        bound = port.count(":") > 1 if isinstance(port, str) else isinstance(port, dict) and "host_ip" in port
        if bound and "${" not in str(port):
            reason = f"a swarm publishes ports on every address of its machines: leave out the address of {port!r}"
            raise document.refuse(("services", name, "ports", index), reason)


@hookimpl
def register_backends() -> list[Swarm]:
    return [Swarm()]
