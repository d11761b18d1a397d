"""`docker run` lines as Compose files: what each flag becomes, what is left out, and what cannot be read."""

from __future__ import annotations

from typing import Any

import pytest

from roci import Invalid, Spec
from roci_plugins.backends import yamltext
from roci_plugins.backends.compose import Compose
from roci_plugins.backends.dockerrun import Converted, from_docker_run, is_one


def converted(line: str) -> Converted:
    found = from_docker_run(line)
    Compose().validate(Spec("x", found.text))
    return found


def root(line: str) -> dict[str, Any]:
    value: dict[str, Any] = yamltext.parse(converted(line).text).value
    return value


def service(flags: str) -> dict[str, Any]:
    (found,) = root(f"docker run {flags} nginx:1")["services"].values()
    assert found.pop("image") == "nginx:1"
    return dict(found)


FLAGS: dict[str, dict[str, Any]] = {
    "-p 8080:80": {"ports": ["8080:80"]},
    "-p8080:80 --publish=127.0.0.1:53:53/udp": {"ports": ["8080:80", "127.0.0.1:53:53/udp"]},
    "-v ./data:/data:ro": {"volumes": ["./data:/data:ro"]},
    "-v $(pwd)/a:/a -v ${PWD}/b:/b": {"volumes": ["./a:/a", "./b:/b"]},
    "--mount type=bind,source=/srv,target=/srv,readonly": {"volumes": ["/srv:/srv:ro"]},
    "--mount type=tmpfs,dst=/tmp --tmpfs /run:size=1m": {"tmpfs": ["/tmp", "/run:size=1m"]},
    "-e A=1 --env B": {"environment": ["A=1", "B"]},
    "-e 'A=it is $5' -e B=\"$HOME\" -e C=\\$x": {"environment": ["A=it is $$5", "B=$HOME", "C=$$x"]},
    "--env-file ./web.env": {"env_file": ["./web.env"]},
    "--name Web": {"container_name": "Web"},
    "--restart=on-failure:3": {"restart": "on-failure:3"},
    "--network host": {"network_mode": "host"},
    "--net=container:db": {"network_mode": "container:db"},
    "-l a=b --label c": {"labels": ["a=b", "c"]},
    "-u 1000:1000 -w /app": {"user": "1000:1000", "working_dir": "/app"},
    "--entrypoint sh": {"entrypoint": ["sh"]},
    "--cap-add NET_ADMIN --cap-drop=ALL": {"cap_add": ["NET_ADMIN"], "cap_drop": ["ALL"]},
    "--device /dev/dri:/dev/dri": {"devices": ["/dev/dri:/dev/dri"]},
    "--privileged --init --read-only": {"privileged": True, "init": True, "read_only": True},
    "--privileged=false": {},
    "--health-cmd 'curl -f x || exit 1' --health-interval=30s --health-retries 3": {
        "healthcheck": {"test": "curl -f x || exit 1", "interval": "30s", "retries": "3"}
    },
    "--no-healthcheck": {"healthcheck": {"disable": True}},
    "-m 512m --cpus 1.5 --shm-size 64m": {"mem_limit": "512m", "cpus": "1.5", "shm_size": "64m"},
    "--add-host a:host-gateway --dns 1.1.1.1": {"extra_hosts": ["a:host-gateway"], "dns": ["1.1.1.1"]},
    "--hostname box": {"hostname": "box"},
    "-dit": {"stdin_open": True, "tty": True},
    "--ulimit nofile=1024:2048 --ulimit core=0": {"ulimits": {"nofile": {"soft": 1024, "hard": 2048}, "core": 0}},
    "--log-driver json-file --log-opt max-size=1m": {"logging": {"driver": "json-file", "options": {"max-size": "1m"}}},
    "--stop-timeout 30 --stop-signal SIGINT": {"stop_grace_period": "30s", "stop_signal": "SIGINT"},
    "--gpus all --pid=host": {"gpus": "all", "pid": "host"},
}


@pytest.mark.parametrize("flags", FLAGS, ids=list(FLAGS))
def test_each_flag_becomes_a_key(flags: str) -> None:
    assert service(flags) == FLAGS[flags]


def test_what_follows_the_image_is_the_command() -> None:
    found = converted('docker run --rm busybox sh -c "echo hi; sleep 1"')
    (given,) = yamltext.parse(found.text).value["services"].values()
    assert given == {"image": "busybox", "command": ["sh", "-c", "echo hi; sleep 1"]}


def test_lines_may_go_on_in_the_ways_of_three_shells() -> None:
    for mark in ("\\", "^", "`"):
        assert service(f"-d {mark}\n  -e A=1 {mark}\r\n  --restart always") == {
            "environment": ["A=1"],
            "restart": "always",
        }


def test_a_named_volume_and_a_network_stand_at_the_top_too() -> None:
    found = root("docker run -v data:/data -v /srv:/srv --network web --network-alias shop nginx")
    assert found["volumes"] == {"data": None} and found["networks"] == {"web": {"external": True}}
    assert found["services"]["nginx"]["networks"] == {"web": {"aliases": ["shop"]}}


def test_the_service_is_called_as_the_container_or_else_as_the_image() -> None:
    assert converted("docker run --name My_App! x/y:1").name == "my_app"
    assert converted("$ sudo docker container run ghcr.io/a/jelly.fin:10@sha256:0").name == "jelly.fin"


def test_several_lines_become_several_services() -> None:
    found = root("docker run -d nginx\n\ndocker run -d -e 'A=two\nlines' nginx")
    assert list(found["services"]) == ["nginx", "nginx-2"]
    assert found["services"]["nginx-2"]["environment"] == ["A=two\nlines"]


def test_what_is_left_out_is_told_with_the_reason() -> None:
    found = converted("docker run -d --rm --link db:db --env-file /etc/web.env -P nginx")
    assert [each.split(":")[0] for each in found.left_out] == [
        "--rm",
        "--link db",
        "--env-file /etc/web.env",
        "--publish-all",
    ]
    assert "env_file" not in found.text and "under `environment`" in found.left_out[2]


def test_ports_are_quoted_and_lists_are_indented() -> None:
    assert '    ports:\n      - "22:22"\n' in converted("docker run -p 22:22 nginx").text


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("nginx", "it must begin with `docker run`"),
        ("docker run", "it names no image"),
        ("docker run -d --name", "--name needs a value"),
        ("docker run --frobnicate x nginx", "--frobnicate is no flag that can be read here"),
        ("docker run -dz nginx", "-z is no flag that can be read here (in -dz)"),
        ("docker run --init=maybe nginx", "--init is true or false, not 'maybe'"),
        ("docker run -e 'A=1 nginx", "it cannot be read: no closing quotation"),
        ("docker run nginx && rm -rf /", "`&&` joins it with something else: leave that out"),
        ("docker run --mount type=npipe,target=/x nginx", "--mount type=npipe,target=/x: it takes"),
        ("docker run --ulimit nofile=many nginx", "--ulimit nofile=many: it is NAME=SOFT or NAME=SOFT:HARD"),
        ("docker run -v ~/a:/a nginx", "--volume ~/a:/a: write the folder out"),
        ("docker run " + "x" * 70_000, "it is longer than 64 KiB"),
    ],
    ids=lambda text: text[:40],
)
def test_what_cannot_be_read_is_refused_by_name(line: str, reason: str) -> None:
    with pytest.raises(Invalid) as refused:
        from_docker_run(line)
    assert refused.value.message.startswith(f"docker run: {reason}")


def test_other_texts_are_no_docker_run() -> None:
    assert is_one("  sudo docker run -d nginx") and is_one("podman run x")
    assert not is_one("services: {}") and not is_one("docker runner") and not is_one("docker ps")
