"""What lies about on an engine and nothing uses. Pure but for `inventory`, which asks the engine.

Owned, and so spared, is what belongs to a Compose project under this agent's volume base, to a project of the
docker backend, to a swarm's stack, or to an application that the server names: by its labels or by its name.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from roci import Spec

from ...backends.containers import HASH, PROJECT
from .compose import FILE as COMPOSE_FILE
from .containers import MARK
from .projects import FILES, FOLDER, STACK
from .replacing import name_of
from .swarm import FILE as STACK_FILE

OURS = "it belongs to an application"
STACKS = "it belongs to a swarm's stack"
NAMELESS = "<none>"
WRITTEN = (COMPOSE_FILE, STACK_FILE, MARK)
ENDED = ("created", "exited", "dead")
Listed = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Thing:
    """Something that could go; `spared` says why it does not."""

    kind: str
    id: str
    name: str
    size: int | None  # bytes; None: unknown
    remove: Callable[[Any], object]  # with docker's low-level client
    spared: str = ""

    def told(self) -> dict[str, Any]:
        return {"id": self.id, "name": self.name, "size": self.size}


@dataclasses.dataclass
class Inventory:
    """Everything on an engine, as it lists it. `images` are all, with those that others are built on."""

    containers: Sequence[Listed] = ()
    images: Sequence[Listed] = ()
    networks: Sequence[Listed] = ()
    volumes: Sequence[Listed] = ()
    builds: Sequence[Listed] = ()
    stacks: frozenset[str] | None = frozenset()  # in the swarm; None: only its managers know
    sizes: Mapping[str, int] = dataclasses.field(default_factory=dict)  # bytes, by id or name


def inventory(api: Any) -> Inventory:
    """In a thread, with docker's low-level client."""
    containers, images, networks = api.containers(all=True), api.images(all=True), api.networks()
    return Inventory(containers, images, networks, api.volumes().get("Volumes") or (), stacks=_stacks(api))


def _stacks(api: Any) -> frozenset[str] | None:
    swarm = api.info().get("Swarm") or {}
    if swarm.get("ControlAvailable"):
        return frozenset(_labels(service["Spec"]).get(STACK, "") for service in api.services())
    return frozenset() if swarm.get("LocalNodeState", "inactive") == "inactive" else None


def measured(usage: Mapping[str, Any], into: Inventory) -> None:
    """Add what the engine's own adding-up of the disk tells."""
    sizes = {one["Id"]: one.get("SizeRw") or 0 for one in usage.get("Containers") or ()}
    sizes |= {one["Id"]: one["Size"] - max(one.get("SharedSize", 0), 0) for one in usage.get("Images") or ()}
    sizes |= {one["Name"]: (one.get("UsageData") or {}).get("Size", 0) for one in usage.get("Volumes") or ()}
    into.sizes, into.builds = sizes, usage.get("BuildCache") or ()


def unused(
    found: Inventory, kinds: Sequence[str], unused_images: bool, base: Path, projects: frozenset[str] = frozenset()
) -> tuple[dict[str, list[Thing]], list[Thing]]:
    """For each kind what would go, in this order, and what is spared. `projects`: those known to be ours."""
    ours = projects | {_labels(one).get(PROJECT, "") for one in found.containers if _is_ours(one, base)} - {""}
    ended = list(_containers(found, base, ours))
    gone = {one.id for one in ended if not one.spared} if "containers" in kinds else set()
    staying = [one for one in found.containers if one["Id"] not in gone]
    lists: dict[str, Callable[[], Iterable[Thing]]] = {
        "containers": lambda: ended,
        "networks": lambda: _networks(found, staying, ours),
        "volumes": lambda: _volumes(found, staying, ours),
        "images": lambda: _images(found, staying, unused_images),
        "build_cache": lambda: _builds(found),
    }
    things = {kind: list(lists[kind]()) for kind in kinds}
    spared = [thing for kind in kinds for thing in things[kind] if thing.spared]
    return {kind: [thing for thing in things[kind] if not thing.spared] for kind in kinds}, spared


def deployed(base: Path) -> frozenset[str]:
    """The projects of which this agent wrote a file, and has not removed it since."""
    return frozenset(Spec(file.parent.name, "").project for name in WRITTEN for file in base.glob(f"*/{name}"))


def _labels(one: Listed) -> Mapping[str, str]:
    return one.get("Labels") or {}


def _is_ours(container: Listed, base: Path) -> bool:
    labels = _labels(container)
    places = [labels.get(FOLDER, ""), *labels.get(FILES, "").split(",")]
    return HASH in labels or any(place and Path(place).is_relative_to(base) for place in places)


def _why(found: Inventory, one: Listed, ours: frozenset[str]) -> str:
    labels = _labels(one)
    if STACK in labels and (found.stacks is None or labels[STACK] in found.stacks):
        return STACKS
    named = str(one.get("Name", "")).startswith(tuple(f"{project}_" for project in ours))
    return OURS if named or ours & {labels.get(PROJECT), labels.get(STACK)} else ""


def _containers(found: Inventory, base: Path, ours: frozenset[str]) -> Iterator[Thing]:
    for one in found.containers:
        if one["State"] in ENDED:
            why = _why(found, one, ours) or (OURS if _is_ours(one, base) else "")
            size = found.sizes.get(one["Id"])
            yield Thing("containers", one["Id"], name_of(one), size, _remove("remove_container", one["Id"]), why)


def _remove(method: str, *args: Any) -> Callable[[Any], object]:
    return lambda api: getattr(api, method)(*args)


def _networks(found: Inventory, staying: Sequence[Listed], ours: frozenset[str]) -> Iterator[Thing]:
    used: set[str] = set()
    for container in staying:
        joined = (container.get("NetworkSettings") or {}).get("Networks") or {}
        used |= {*joined, *(one.get("NetworkID", "") for one in joined.values())}
    for one in found.networks:
        made = one["Scope"] == "local" and one["Driver"] not in ("null", "host") and not one.get("Ingress")
        if made and one["Name"] not in ("bridge", "docker_gwbridge") and not {one["Id"], one["Name"]} & used:
            yield Thing(
                "networks", one["Id"], one["Name"], 0, _remove("remove_network", one["Id"]), _why(found, one, ours)
            )


def _volumes(found: Inventory, staying: Sequence[Listed], ours: frozenset[str]) -> Iterator[Thing]:
    used = {mount.get("Name") for container in staying for mount in container.get("Mounts") or ()}
    for one in found.volumes:
        name = one["Name"]
        if name not in used:
            yield Thing(
                "volumes", name, name, found.sizes.get(name), _remove("remove_volume", name), _why(found, one, ours)
            )


def _images(found: Inventory, staying: Sequence[Listed], named_too: bool) -> Iterator[Thing]:
    """Those of no container and that no other image is built on."""
    by_id = {one["Id"]: one for one in found.images}
    parents = {one["ParentId"] for one in found.images if one.get("ParentId")}
    leaves = [one for one in found.images if _tags(one) or one["Id"] not in parents]
    used = {container["ImageID"] for container in staying}
    going = {one["Id"] for one in leaves if one["Id"] not in used and (named_too or not _tags(one))}
    for one in leaves:
        above = one.get("ParentId") if one["Id"] not in going else None
        while above in by_id:
            going.discard(above)
            above = by_id[above].get("ParentId")
    for one in leaves:
        if one["Id"] in going:
            names = _tags(one) or [name for name in one.get("RepoDigests") or () if NAMELESS not in name]
            size = found.sizes.get(one["Id"], one.get("Size"))
            yield Thing("images", one["Id"], names[0] if names else NAMELESS, size, _remove_image(one["Id"], names))


def _tags(image: Listed) -> list[str]:
    return [tag for tag in image.get("RepoTags") or () if NAMELESS not in tag]


def _remove_image(image: str, names: Sequence[str]) -> Callable[[Any], object]:
    def remove(api: Any) -> None:
        for name in names or [image]:
            api.remove_image(name)

    return remove


def _builds(found: Inventory) -> Iterator[Thing]:
    for one in found.builds:
        if not one.get("InUse"):
            remove = _remove("prune_builds", {"id": [one["ID"]]}, None, True)
            yield Thing("build_cache", one["ID"], one.get("Description") or one["ID"], one.get("Size"), remove)
