from __future__ import annotations

import json

import pytest

from roci import Invalid, Spec, Step
from roci_plugins.backends.swarm import Swarm

WHICH = {"project": "shop_eu", "app": "Shop.eu"}
SHOP = """
name: ignored
services:
  web:
    image: shop:${TAG:-1}
    depends_on: {db: {condition: service_healthy}}
    ports: ["8080:80", {target: 443, published: 8443}, "${PORT}:1", "53:53/udp"]
    deploy: {replicas: 2, update_config: {order: start-first}}
  db:
    image: postgres
    environment: {PASSWORD: "${DB_PASSWORD}", MODE: yes}
    volumes: ["data:/var/lib"]
    deploy: {mode: global}
volumes: {data: {}}
x-note: anything
"""


def test_a_deploy_claims_the_name_writes_the_file_and_hands_it_to_the_swarm() -> None:
    claim, write, up = Swarm().plan("deploy", Spec("Shop.eu", SHOP))
    assert (claim, up) == (Step("swarm.claim", WHICH), Step("swarm.up", WHICH))
    assert write.command == "swarm.write" and write.args.keys() == {"project", "app", "text"}
    assert json.loads(write.args["text"]) == {
        "version": "3.8",
        "services": {
            "web": {
                "image": "shop:${TAG:-1}",
                "ports": ["8080:80", {"target": 443, "published": 8443}, "${PORT}:1", "53:53/udp"],
                "deploy": {"replicas": 2, "update_config": {"order": "start-first"}},
            },
            "db": {
                "image": "postgres",
                "environment": {"PASSWORD": "${DB_PASSWORD}", "MODE": "yes"},
                "volumes": ["data:/var/lib"],
                "deploy": {"mode": "global"},
            },
        },
        "volumes": {"data": {}},
        "x-note": "anything",
    }


@pytest.mark.parametrize(
    ("action", "last"), [("stop", "swarm.stop"), ("start", "swarm.start"), ("delete", "swarm.remove")]
)
def test_the_rest_needs_no_file(action: str, last: str) -> None:
    plan = Swarm().plan(action, Spec("Shop.eu", ""))  # type: ignore[arg-type]
    assert plan == [Step("swarm.claim", WHICH), Step(last, WHICH)]


def test_a_restart_is_the_swarms_own() -> None:
    assert Swarm().restart(Spec("Shop.eu", "")) == [Step("swarm.claim", WHICH), Step("swarm.restart", WHICH)]


@pytest.mark.parametrize(
    ("service", "why"),
    [
        ("build: .", "line 4: a swarm's stack does not know `build`: a swarm builds no images"),
        ("container_name: x", "line 4: .*`container_name`: a swarm names the containers itself"),
        ("restart: always", "line 4: .*`restart`: say it with `deploy: {restart_policy"),
        ("network_mode: host", "line 4: .*`network_mode`"),
        ("privileged: true", "line 4: a swarm's stack does not know `privileged`"),
        ("mem_limit: 64m", "line 4: .*`mem_limit`: say it with `deploy"),
        ("deploy: [x]", "line 4: `deploy` must be a mapping"),
        ("deploy: {mode: replicated-job}", "line 4: `mode` must be one of replicated, global"),
        ("ports: ['127.0.0.1:8080:80']", "line 4: a swarm publishes ports on every address .*'127.0.0.1:8080:80'"),
        ("ports: ['[::1]:8080:80']", "line 4: a swarm publishes ports on every address"),
        ("ports: [{target: 80, host_ip: 10.0.0.1}]", "line 4: a swarm publishes ports on every address"),
        ("env_file: ../secrets", "line 4: `env_file` must stay inside the application's folder"),
        ("depends_on: [nobody]", "line 4: 'w' depends on 'nobody'"),
    ],
)
def test_what_a_stack_cannot_do_is_refused_with_its_line_and_the_reason(service: str, why: str) -> None:
    with pytest.raises(Invalid, match=f"compose_yaml {why}"):
        Swarm().validate(Spec("x", f"services:\n  w:\n    image: i\n    {service}\n"))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("services: {w: {image: i}}\ninclude: [a.yml]\n", "line 2: a swarm's stack does not know `include`"),
        ("services:\n  w: {extends: {service: x, file: a.yml}}\n", "line 2: .*`extends`"),
        ("services: [w]\n", "line 1: `services` must name at least one service"),
    ],
)
def test_what_no_stack_has_at_its_top_is_refused(text: str, why: str) -> None:
    with pytest.raises(Invalid, match=f"compose_yaml {why}"):
        Swarm().validate(Spec("x", text))


def test_no_secret_is_in_a_plan() -> None:
    text = "services: {w: {image: i, environment: {TOKEN: '${TOKEN:?needed}', OTHER: }}}"
    written = json.loads(Swarm().plan("deploy", Spec("x", text))[1].args["text"])
    assert written["services"]["w"]["environment"] == {"TOKEN": "${TOKEN:?needed}", "OTHER": None}
