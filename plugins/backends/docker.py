"""Deploy an application with plain Docker: no Compose program is needed, and a new container that does not start
leaves the old one running.

It takes the part of the Compose format that one container engine can do alone, and refuses the rest by name. Texts
with variables go to the host as they are and are filled in there, so that no secret stands in a plan.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

from roci import Spec, Step, hookimpl

from . import composefile, containers, values
from .interpolation import fill, mentions
from .values import Wrong
from .yamltext import Document, Path

_ROOT = ("version", "name", "services", "networks", "volumes")
_CONDITIONS = ("service_started", "service_healthy")


class Docker:
    name = "docker"

    def validate(self, spec: Spec) -> None:
        _checked(spec.text)

    def plan(self, action: Literal["deploy", "stop", "start", "delete"], spec: Spec) -> list[Step]:
        which = {"project": spec.project}
        claim = Step("project.claim", {**which, "app": spec.name})
        match action:
            case "deploy":
                return [claim, Step("docker.mark", claim.args), *_deploy(_checked(spec.text), spec)]
            case "stop" | "start":
                return [claim, Step(f"docker.{action}", which)]
            case "delete":
                return [claim, Step("docker.remove", claim.args)]


def _deploy(document: Document, spec: Spec) -> list[Step]:
    root, which = document.value, {"project": spec.project}
    networks, volumes = root.get("networks") or {}, root.get("volumes") or {}
    order = composefile.start_order(document)
    used = {key: networks.get(key) for name in order for key in _networks(root["services"][name])}
    return [
        *(Step("docker.network", {**which, "key": key, "definition": used[key]}) for key in used),
        *(Step("docker.volume", {**which, "key": key, "definition": volumes[key]}) for key in volumes),
        *(
            Step(
                "docker.container",
                {
                    **which,
                    "app": spec.name,
                    "service": name,
                    "definition": root["services"][name],
                    "after": composefile.needs(document, name),
                    "networks": networks,
                    "volumes": volumes,
                },
            )
            for name in order
        ),
        Step("docker.prune_orphans", {**which, "services": order}),
    ]


def _networks(service: dict[str, Any]) -> list[str]:
    return list(service["networks"]) if service.get("networks") else ["default"]


# --- what plain Docker cannot do ----------------------------------------------


def _checked(text: str) -> Document:
    document = composefile.parse(text)
    root = document.value
    for key in root:
        if key not in _ROOT and not key.startswith("x-"):
            raise document.refuse((key,), f"plain Docker does not know `{key}`; `backend: compose` does")
    for kind in ("network", "volume"):
        entries = root.get(f"{kind}s") or {}
        if not isinstance(entries, dict):
            raise document.refuse((f"{kind}s",), f"`{kind}s` must be a mapping")
        for key, definition in entries.items():
            _refusing(document, (f"{kind}s", key), definition, partial(containers.read_resource, kind))
    published = 0
    for name in root["services"]:
        published += _check_service(document, name)
        if published > values.MOST_PORTS:
            reason = f"the application publishes more than {values.MOST_PORTS} ports"
            raise document.refuse(("services", name, "ports"), reason)
    return document


def _refusing(document: Document, at: Path, value: Any, read: Callable[[Any], Any]) -> Any:
    """`read(value)`, its fault told with the line. What names a variable is judged on the host, where it has one."""
    try:
        if mentions(value):
            fill(value, _Anything())
            return None
        return read(fill(value, {}))
    except Wrong as error:
        raise document.refuse((*at, *error.path), f"`{at[-1]}`: {error}") from None
    except ValueError as error:
        raise document.refuse(at, f"`{at[-1]}`: {error}") from None


class _Anything(dict[str, str]):
    """Variables of which each has some value: enough to see whether a text can be filled in."""

    def __contains__(self, name: object) -> bool:
        return True

    def get(self, name: str, default: Any = None) -> Any:
        return "x"


def _check_service(document: Document, name: str) -> int:
    """How many ports it publishes, as far as that is known here."""
    root, at = document.value, ("services", name)
    service, published = root["services"][name], 0
    for key, value in service.items():
        if key not in containers.READERS and not key.startswith("x-"):
            raise document.refuse((*at, key), f"plain Docker does not know `{key}`; `backend: compose` does")
        if key in containers.READERS:
            given = _refusing(document, (*at, key), value, containers.READERS[key])
            _check_references(document, (*at, key), given)
            published += len(given or ()) if key == "ports" else 0
    if not service.get("image"):
        raise document.refuse(at, f"the service {name!r} has no `image`; plain Docker builds none")
    for other, condition in composefile.needs(document, name).items():
        if condition not in _CONDITIONS:
            raise document.refuse((*at, "depends_on", other), f"plain Docker does not know the condition {condition!r}")
    return published


def _check_references(document: Document, at: Path, given: Any) -> None:
    root, key = document.value, at[-1]
    if key == "networks" and given:
        unknown = [name for name in given if name != "default" and name not in (root.get("networks") or {})]
    elif key == "volumes" and given:
        named = [mount.source for mount in given if mount.kind == "volume"]
        unknown = [name for name in named if name not in (root.get("volumes") or {})]
    else:
        return
    if unknown:
        raise document.refuse(at, f"the file has no `{key}` named {unknown[0]!r} at its top level")


@hookimpl
def register_backends() -> list[Docker]:
    return [Docker()]
