"""What nothing uses, of engines as they list themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from roci_plugins.agent.commands.unused import OURS, STACKS, Inventory, deployed, measured, unused

BASE = Path("/data")
ALL = ("containers", "networks", "volumes", "images", "build_cache")


def container(name: str, state: str = "exited", **more: Any) -> dict[str, Any]:
    found = {"Id": f"id-{name}", "Names": [f"/{name}"], "State": state, "ImageID": "img-0", "Labels": {}, **more}
    joined = {network: {"NetworkID": ""} for network in more.get("joined", ())}
    mounts = [{"Type": "volume", "Name": volume} for volume in more.get("mounts", ())]
    return {**found, "NetworkSettings": {"Networks": joined}, "Mounts": mounts}


def composed(project: str, folder: str) -> dict[str, str]:
    return {"com.docker.compose.project": project, "com.docker.compose.project.working_dir": folder}


def network(name: str, scope: str = "local", driver: str = "bridge", **labels: str) -> dict[str, Any]:
    return {"Id": f"id-{name}", "Name": name, "Scope": scope, "Driver": driver, "Labels": labels}


def image(key: str, *tags: str, parent: str = "", digests: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"Id": key, "ParentId": parent, "RepoTags": list(tags) or None, "RepoDigests": list(digests), "Size": 100}


def names(found: Inventory, *kinds: str, unused_images: bool = False, ours: frozenset[str] = frozenset()) -> Any:
    going, spared = unused(found, kinds or ALL, unused_images, BASE, ours)
    return {kind: [one.name for one in things] for kind, things in going.items()}, {
        one.name: one.spared for one in spared
    }


def test_containers_that_ended_go_unless_an_application_owns_them() -> None:
    found = Inventory(
        stacks=frozenset({"swarmed"}),
        containers=[
            container("running", "running"),
            container("paused", "paused"),
            container("once"),
            container("made", "created"),
            container("stopped-app", Labels=composed("shop", "/data/shop")),
            container("stopped-plain", Labels={"com.docker.compose.project": "p", "roci.config-hash": "x"}),
            container("of-others", Labels=composed("wiki", "/home/me/wiki")),
            container("almost", Labels=composed("data2", "/data2/shop")),
            container("task", Labels={"com.docker.stack.namespace": "swarmed"}),
            container("of-gone-stack", Labels={"com.docker.stack.namespace": "removed"}),
        ],
    )
    assert names(found, "containers") == (
        {"containers": ["once", "made", "of-others", "almost", "of-gone-stack"]},
        {"stopped-app": OURS, "stopped-plain": OURS, "task": STACKS},
    )


def test_networks_and_volumes_of_a_stopped_application_stay_with_it() -> None:
    found = Inventory(
        stacks=None,
        containers=[
            container("shop-1", Labels=composed("shop", "/data/shop"), joined=["shop_default"], mounts=["shop_db"]),
            container("once", joined=["tmp"], mounts=["scratch"]),
            container("up", "running", joined=["live"], mounts=["live"]),
        ],
        networks=[
            network("bridge"),
            network("host", driver="host"),
            network("none", driver="null"),
            network("docker_gwbridge"),
            network("over", scope="swarm", driver="overlay"),
            network("shop_default", **{"com.docker.compose.project": "shop"}),
            network("shop_extra", **{"com.docker.compose.project": "shop"}),
            network("tmp"),
            network("live"),
        ],
        volumes=[
            {"Name": "shop_db", "Labels": {"com.docker.compose.project": "shop"}},
            {"Name": "shop_old", "Labels": {"com.docker.compose.project": "shop"}},
            {"Name": "gone_db", "Labels": {"com.docker.compose.project": "gone"}},
            {"Name": "stacked", "Labels": {"com.docker.stack.namespace": "s"}},
            {"Name": "scratch", "Labels": None},
            {"Name": "live", "Labels": None},
        ],
    )
    going, spared = names(found, "networks", "volumes")
    assert going == {"networks": [], "volumes": ["gone_db"]}, "the ended container keeps its own"
    assert spared == {"shop_extra": OURS, "shop_old": OURS, "stacked": STACKS}
    going, _ = names(found, "containers", "networks", "volumes")
    assert going == {"containers": ["once"], "networks": ["tmp"], "volumes": ["gone_db", "scratch"]}
    _, spared = names(found, "volumes", ours=frozenset({"gone"}))
    assert spared["gone_db"] == OURS, "its file is here, its containers are not"


def test_projects_are_known_by_the_files_that_were_written(tmp_path: Path) -> None:
    files = {"Shop.eu": "docker-compose.yml", "stack": "docker-stack.json", "plain": ".roci-application", "wiki": "x"}
    for app, file in files.items():
        (tmp_path / app).mkdir()
        (tmp_path / app / file).touch()
    assert deployed(tmp_path) == {"shop_eu", "stack", "plain"}


def test_what_belongs_to_an_application_that_the_server_names_stays() -> None:
    found = Inventory(
        containers=[container("of-shop", Labels={"com.docker.compose.project": "shop"}), container("once")],
        networks=[network("shop_default"), network("shopping_default")],
        volumes=[
            {"Name": "db", "Labels": {"com.docker.compose.project": "shop"}},
            {"Name": "files", "Labels": {"com.docker.stack.namespace": "shop"}},
            {"Name": "shop_data", "Labels": None},
            {"Name": "shopping_data", "Labels": None},
        ],
    )
    going, spared = names(found, "containers", "networks", "volumes", ours=frozenset({"shop"}))
    assert going == {"containers": ["once"], "networks": ["shopping_default"], "volumes": ["shopping_data"]}
    assert spared == dict.fromkeys(("of-shop", "shop_default", "db", "files", "shop_data"), OURS)


def test_nameless_images_go_and_named_ones_only_when_asked() -> None:
    found = Inventory(
        containers=[container("up", "running", ImageID="used"), container("off", ImageID="off")],
        images=[
            image("used"),
            image("off", "off:1"),
            image("base"),
            image("leaf", parent="base"),
            image("app", "app:1", "app:latest"),
            image("old", digests=("app@sha256:1",)),
            image("below"),
            image("above", "above:1", parent="below"),
        ],
    )
    assert names(found, "images")[0] == {"images": ["<none>", "app@sha256:1"]}
    assert names(found, "images", unused_images=True)[0] == {"images": ["<none>", "app:1", "app@sha256:1", "above:1"]}
    going, _ = unused(found, ["containers", "images"], True, BASE)
    assert [one.name for one in going["images"]] == ["off:1", "<none>", "app:1", "app@sha256:1", "above:1"]


def test_an_image_that_another_one_is_built_on_stays_with_it() -> None:
    found = Inventory(
        containers=[container("up", "running", ImageID="top")],
        images=[image("base", "base:1"), image("middle", parent="base"), image("top", "top:1", parent="middle")],
    )
    assert names(found, "images", unused_images=True)[0] == {"images": []}


def test_sizes_are_what_would_become_free() -> None:
    found = Inventory(
        containers=[container("once")],
        images=[image("leaf")],
        volumes=[{"Name": "v", "Labels": None}, {"Name": "unmeasured", "Labels": None}],
    )
    usage = {
        "Containers": [{"Id": "id-once", "SizeRw": 7}],
        "Images": [{"Id": "leaf", "Size": 100, "SharedSize": 60}],
        "Volumes": [{"Name": "v", "UsageData": {"Size": 5}}],
        "BuildCache": [
            {"ID": "b1", "InUse": False, "Size": 9, "Description": "RUN make"},
            {"ID": "b2", "InUse": True, "Size": 9},
        ],
    }
    measured(usage, found)
    going, _ = unused(found, ALL, False, BASE)
    sizes = {one.name: one.size for things in going.values() for one in things}
    assert sizes == {"once": 7, "<none>": 40, "v": 5, "unmeasured": None, "RUN make": 9}
    assert going["containers"][0].told() == {"id": "id-once", "name": "once", "size": 7}
