"""What a host tells of its images, volumes and networks."""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any

import docker
import pytest

from roci import Site, StepFailed
from roci_plugins.agent.commands import listing
from roci_plugins.agent.process import spawn

from ...e2e.bed import unique
from ...e2e.engines import COMPOSE_PROJECT, connect, find_engine, make_image, remove_labelled


class Engine:
    """As docker's low-level client lists what there is."""

    def __init__(self, **lists: Any) -> None:
        self.lists = lists

    def images(self) -> list[dict[str, Any]]:
        return list(self.lists["images"])

    def volumes(self) -> dict[str, Any]:
        return {"Volumes": self.lists.get("volumes")}

    def networks(self) -> list[dict[str, Any]]:
        return list(self.lists["networks"])


WEB: dict[str, Any] = {
    "Names": ["/web"],
    "ImageID": "sha256:aa",
    "Mounts": [{"Type": "volume", "Name": "shop_data"}, {"Type": "bind", "Source": "/srv"}],
    "NetworkSettings": {"Networks": {"shop_default": {"NetworkID": "1"}}},
}


def test_an_image_is_told_with_its_names_and_the_containers_of_it() -> None:
    told = [
        {"Id": "sha256:bb", "RepoTags": ["<none>:<none>"], "RepoDigests": None, "Size": 5, "Created": 1},
        {"Id": "sha256:aa", "RepoTags": ["nginx:1", "web:1"], "RepoDigests": ["nginx@x"], "Size": 7, "Created": 2},
    ]
    newest, oldest = listing.images(Engine(images=told), [WEB])
    assert newest == {
        "id": "sha256:aa",
        "tags": ["nginx:1", "web:1"],
        "digests": ["nginx@x"],
        "size": 7,
        "created": 2,
        "users": 1,
        "used_by": ["web"],
    }
    assert (oldest["tags"], oldest["users"]) == ([], 0)


def test_a_volume_is_told_with_its_project_and_no_size_that_nobody_measured() -> None:
    labels = {"com.docker.compose.project": "shop"}
    told = [{"Name": "shop_data", "Driver": "local", "Labels": labels}, {"Name": "a", "Driver": "nfs", "Labels": None}]
    first, second = listing.volumes(Engine(volumes=told), [WEB])
    assert (first["name"], first["project"], first["users"]) == ("a", None, 0)
    assert (second["project"], second["used_by"], second["size"]) == ("shop", ["web"], None)
    assert listing.volumes(Engine(), []) == []


def test_a_network_is_told_with_its_subnets_and_who_is_in_it() -> None:
    ipam = {"Config": [{"Subnet": "172.20.0.0/16"}, {}]}
    told = [
        {"Id": "1", "Name": "shop_default", "Driver": "bridge", "Scope": "local", "IPAM": ipam, "Internal": True},
        {"Id": "2", "Name": "host", "Driver": "host", "Scope": "local", "IPAM": {"Config": None}},
    ]
    host, shop = listing.networks(Engine(networks=told), [WEB])
    assert (shop["subnets"], shop["used_by"], shop["internal"]) == (["172.20.0.0/16"], ["web"], True)
    assert (host["subnets"], host["users"]) == ([], 0)


def test_of_many_users_only_some_are_named_and_all_are_counted() -> None:
    containers = [{**WEB, "Names": [f"/web-{number:03}"]} for number in range(100)]
    (image,) = listing.images(Engine(images=[{"Id": "sha256:aa"}]), containers)
    assert (image["users"], len(image["used_by"]), image["used_by"][0]) == (100, listing.NAMED, "web-000")


async def _asked(site: Site, what: str, sizes: bool = False) -> dict[str, Any]:
    text = "".join([str(piece) async for piece in listing.inventory(site, {"what": what, "sizes": sizes})])
    return dict(json.loads(text))


def test_what_is_of_no_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StepFailed, match="what: one of images"):
        asyncio.run(_asked(Site(tmp_path, None, {}, spawn), "secrets"))


@pytest.mark.docker
def test_a_real_engine_tells_what_lies_there(tmp_path: Path) -> None:
    address = find_engine()
    with contextlib.closing(connect(address)) as client:
        image, project = make_image(client), unique("stock")
        labels = {COMPOSE_PROJECT: project}
        try:
            volume = client.volumes.create(f"{project}_data", labels=labels)
            network = client.networks.create(f"{project}_net", labels=labels)
            mounts = [docker.types.Mount("/data", volume.name)]
            client.containers.create(image, name=project, labels=labels, mounts=mounts, network=network.name)
            site = Site(tmp_path, address, {}, spawn)
            images, volumes, networks = (asyncio.run(_asked(site, what)) for what in listing.KINDS)
            measured = asyncio.run(_asked(site, "volumes", sizes=True))
        finally:
            remove_labelled(client, f"{COMPOSE_PROJECT}={project}")
    assert project in next(one for one in images["things"] if image in one["tags"])["used_by"]
    (kept,) = [one for one in volumes["things"] if one["name"] == f"{project}_data"]
    assert (kept["project"], kept["used_by"], kept["size"]) == (project, [project], None)
    assert next(one for one in measured["things"] if one["name"] == f"{project}_data")["size"] is not None
    (joined,) = [one for one in networks["things"] if one["name"] == f"{project}_net"]
    assert joined["used_by"] == [project] and joined["subnets"]
