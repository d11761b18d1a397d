from __future__ import annotations

from typing import Any

import pytest

from roci import Invalid, Spec, Step
from roci_plugins.backends.containers import COMPOSE_HASH, HASH, Place, create_body, resource_name
from roci_plugins.backends.docker import Docker
from roci_plugins.backends.values import Wrong

CLAIM = Step("project.claim", {"project": "shop", "app": "Shop"})
SHOP = """
name: ignored
services:
  web:
    image: shop:${TAG:-1}
    depends_on: {db: {condition: service_healthy}}
    networks: [front, default]
    ports: ["${PORT}:80"]
  db:
    image: postgres
    environment: {PASSWORD: "${DB_PASSWORD}"}
    volumes: ["data:/var/lib"]
    healthcheck: {test: "pg_isready -U $$USER"}
networks: {front: {internal: true}}
volumes: {data: {external: true, name: old_data}}
x-note: anything
"""


def test_a_deploy_makes_networks_and_volumes_then_services_in_order_and_ends_with_what_is_gone() -> None:
    plan = Docker().plan("deploy", Spec("Shop", SHOP))
    assert [(step.command, step.args.get("key") or step.args.get("service")) for step in plan] == [
        ("project.claim", None),
        ("docker.mark", None),
        ("docker.network", "default"),
        ("docker.network", "front"),
        ("docker.volume", "data"),
        ("docker.container", "db"),
        ("docker.container", "web"),
        ("docker.prune_orphans", None),
    ]
    assert plan[3] == Step("docker.network", {"project": "shop", "key": "front", "definition": {"internal": True}})
    assert plan[6].args == {
        "project": "shop",
        "app": "Shop",
        "service": "web",
        "definition": {
            "image": "shop:${TAG:-1}",
            "depends_on": {"db": {"condition": "service_healthy"}},
            "networks": ["front", "default"],
            "ports": ["${PORT}:80"],
        },
        "after": {"db": "service_healthy"},
        "networks": {"front": {"internal": True}},
        "volumes": {"data": {"external": True, "name": "old_data"}},
    }
    assert plan[7].args == {"project": "shop", "services": ["db", "web"]}


def test_the_rest_is_one_step_after_the_claim_and_needs_no_file() -> None:
    for action in ("start", "stop"):
        assert Docker().plan(action, Spec("Shop", "")) == [CLAIM, Step(f"docker.{action}", {"project": "shop"})]
    assert Docker().plan("delete", Spec("Shop", "")) == [CLAIM, Step("docker.remove", CLAIM.args)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("services:\n  w:\n    image: a\n    privileged: true\n", "line 4: plain Docker does not know `privileged`"),
        ("services:\n  w:\n    image: a\nsecrets: {}\n", "line 4: plain Docker does not know `secrets`"),
        ("services:\n  w:\n    build: .\n", "line 3: plain Docker does not know `build`"),
        ("services:\n  w:\n    image: a\n    ports:\n      - 80\n      - x\n", "line 6: `ports`: 'x' is no port"),
        (
            "services:\n  w:\n    image: a\n    ports:\n      - target: 80\n        app_protocol: http\n",
            "line 6: `ports`: plain Docker does not know `app_protocol` here; `backend: compose` does",
        ),
        (
            "services:\n  w:\n    image: a\n    healthcheck:\n      test: x\n      interval: soon\n",
            "line 4: `healthcheck`: 'soon' is no duration",
        ),
        (
            "services:\n  w:\n    image: a\nnetworks:\n  n:\n    ipam: {}\n",
            "line 6: `n`: plain Docker does not",
        ),
        ("services:\n  w:\n    image: a\nvolumes:\n  v: {labels: 5}\n", "line 5: `v`: it must be a mapping, or a list"),
        ("services:\n  w:\n    image: a\nvolumes: [v]\n", "line 4: `volumes` must be a mapping"),
        ("services:\n  w:\n    image: a\n    networks: [n]\n", "line 4: the file has no `networks` named 'n'"),
        ("services:\n  w:\n    image: a\n    volumes: ['v:/v']\n", "line 4: the file has no `volumes` named 'v'"),
        ("services:\n  w:\n    image: a\n    command: x ${A\n", "line 4: `command`: `${A` is not closed"),
        (
            "services:\n  w: {image: a}\n  v:\n    image: b\n    depends_on: {w: {condition: service_completed}}\n",
            "line 5: plain Docker does not know the condition 'service_completed'",
        ),
        ("services: 5", "line 1: `services` must name"),
        (
            "services:\n  w:\n    image: a\n    ports:\n" + "      - 1-65535\n" * 40,
            "line 5: `ports`: more than 1000 published ports",
        ),
        (
            "services:\n  v: {image: a, ports: [1-600]}\n  w:\n    image: a\n    ports: [1001-1600]\n",
            "line 5: the application publishes more than 1000 ports",
        ),
    ],
)
def test_what_plain_docker_cannot_do_is_refused_by_name_and_line(text: str, message: str) -> None:
    for attempt in (Docker().validate, lambda spec: Docker().plan("deploy", spec)):
        with pytest.raises(Invalid) as error:
            attempt(Spec("x", text))
        assert f"compose_yaml {message}" in error.value.message


PLACE = Place(
    "shop",
    "/data/Shop",
    {"FROM_RUN": "1"},
    {"front": {}, "lan": {"external": True}},
    {"v": None},
    {"db": "service_healthy"},
)


def body(**definition: Any) -> dict[str, Any]:
    made = create_body("web", {"image": "nginx", **definition}, PLACE)
    assert made["Labels"].pop(HASH) == made["Labels"].pop(COMPOSE_HASH)
    return made


LABELS = {
    "com.docker.compose.project": "shop",
    "com.docker.compose.service": "web",
    "com.docker.compose.depends_on": "db:service_healthy:false",
    "com.docker.compose.container-number": "1",
    "com.docker.compose.oneoff": "False",
}


def test_a_plain_service_is_a_plain_request() -> None:
    assert body() == {
        "Image": "nginx",
        "HostConfig": {"NetworkMode": "shop_default"},
        "NetworkingConfig": {"EndpointsConfig": {"shop_default": {"Aliases": ["web"]}}},
        "Labels": LABELS,
    }


def test_every_key_finds_its_place_in_the_request() -> None:
    assert body(
        command="nginx -g 'daemon off;'",
        entrypoint=["/e"],
        environment={"B": 2, "FROM_RUN": None, "UNSET": None},
        ports=["8080:80", "80:80/udp", "443"],
        volumes=["v:/v:ro", "./rel/../conf:/conf", "/abs:/abs", "/anon", {"type": "tmpfs", "target": "/t"}],
        networks={"front": {"aliases": ["www"]}, "lan": None},
        restart="unless-stopped",
        labels={"mine": "yes"},
        healthcheck={"test": "true"},
        depends_on=["x"],
        user="1000:1000",
        working_dir="/w",
        read_only=True,
        tmpfs=["/run"],
        cap_add=["NET_ADMIN"],
        cap_drop=["ALL"],
        mem_limit="64m",
        cpus="0.5",
        hostname="h",
        init=True,
        stop_grace_period="1500ms",
        container_name="named",
    ) == {
        "Image": "nginx",
        "Cmd": ["nginx", "-g", "daemon off;"],
        "Entrypoint": ["/e"],
        "Env": ["B=2", "FROM_RUN=1"],
        "ExposedPorts": {"80/tcp": {}, "80/udp": {}, "443/tcp": {}},
        "Volumes": {"/anon": {}},
        "User": "1000:1000",
        "WorkingDir": "/w",
        "Hostname": "h",
        "Healthcheck": {"Test": ["CMD-SHELL", "true"]},
        "StopTimeout": 2,
        "HostConfig": {
            "Binds": ["shop_v:/v:ro", "/data/Shop/conf:/conf", "/abs:/abs"],
            "PortBindings": {
                "80/tcp": [{"HostIp": "", "HostPort": "8080"}],
                "80/udp": [{"HostIp": "", "HostPort": "80"}],
                "443/tcp": [{"HostIp": "", "HostPort": ""}],
            },
            "RestartPolicy": {"Name": "unless-stopped", "MaximumRetryCount": 0},
            "CapAdd": ["NET_ADMIN"],
            "CapDrop": ["ALL"],
            "Memory": 64 * 2**20,
            "NanoCpus": 500_000_000,
            "ReadonlyRootfs": True,
            "Tmpfs": {"/t": "", "/run": ""},
            "Init": True,
            "NetworkMode": "shop_front",
        },
        "NetworkingConfig": {
            "EndpointsConfig": {"shop_front": {"Aliases": ["web", "www"]}, "lan": {"Aliases": ["web"]}}
        },
        "Labels": {"mine": "yes", **LABELS},
    }


def test_the_hash_tells_requests_apart_and_knows_the_same_one_again() -> None:
    def hashed(**definition: Any) -> str:
        return str(create_body("web", {"image": "nginx", **definition}, PLACE)["Labels"][HASH])

    assert hashed(environment=["A=1", "B=2"]) == hashed(environment={"B": "2", "A": "1"})
    assert len({hashed(), hashed(user="1"), hashed(command="x"), hashed(labels=["a"]), hashed(cpus=1)}) == 5


def test_a_fault_found_on_the_host_names_the_key() -> None:
    with pytest.raises(Wrong) as error:
        body(ports=["80", "nothing"])
    assert error.value.path == ("ports", 1)


@pytest.mark.parametrize(
    ("definition", "name"),
    [(None, "shop_k"), ({}, "shop_k"), ({"external": True}, "k"), ({"external": True, "name": "n"}, "n"),
     ({"name": "n"}, "n"), ({"external": False}, "shop_k")],
)  # fmt: skip
def test_networks_and_volumes_are_named_as_compose_names_them(definition: Any, name: str) -> None:
    assert resource_name("shop", "k", definition) == name
