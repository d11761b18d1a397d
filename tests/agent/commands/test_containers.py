from __future__ import annotations

from typing import Any

import pytest

from roci import Site
from roci_plugins.agent.commands.containers import in_order, register_agent_commands
from roci_plugins.agent.commands.replacing import inherit
from roci_plugins.agent.process import spawn


def listed(service: str, after: str = "") -> dict[str, Any]:
    labels = {"com.docker.compose.service": service, "com.docker.compose.depends_on": after}
    return {"Id": service, "Names": [f"/shop-{service}-1"], "Labels": labels}


@pytest.mark.parametrize(
    ("found", "order"),
    [
        ([], []),
        ([listed("b", "a:service_started:false"), listed("a")], ["a", "b"]),
        ([listed("c", "b:service_healthy:false,a:x:false"), listed("b", "a:x:true"), listed("a")], ["a", "b", "c"]),
        ([listed("a", "gone:service_started:false")], ["a"]),
        ([listed("a", "b:x:false"), listed("b", "a:x:false")], ["a", "b"]),
        ([{"Id": "z", "Names": ["/z"], "Labels": {}}], ["z"]),
    ],
)
def test_containers_are_ordered_by_what_their_labels_say(found: list[dict[str, Any]], order: list[str]) -> None:
    assert [one["Id"] for one in in_order(found)] == order


NAMELESS = {"Type": "volume", "Name": "0" * 64, "Destination": "/var/lib"}


@pytest.mark.parametrize(
    ("config", "mount", "binds"),
    [
        ({}, NAMELESS, [f"{'0' * 64}:/var/lib"]),
        ({"Binds": ["v:/other"]}, NAMELESS, ["v:/other", f"{'0' * 64}:/var/lib"]),
        ({"Binds": ["v:/var/lib:ro"]}, NAMELESS, ["v:/var/lib:ro"]),
        ({"Tmpfs": {"/var/lib": ""}}, NAMELESS, None),
        ({}, {"Type": "volume", "Name": "shop_data", "Destination": "/data"}, None),
        ({}, {"Type": "bind", "Source": "/x", "Destination": "/x"}, None),
    ],
)
def test_a_replacement_keeps_nameless_volumes_where_nothing_else_is_mounted(
    config: dict[str, Any], mount: dict[str, Any], binds: list[str] | None
) -> None:
    assert inherit({"HostConfig": config}, {"Mounts": [mount]})["HostConfig"].get("Binds") == binds


async def test_a_missing_engine_ends_a_command_with_what_to_do(tmp_path: Any) -> None:
    site = Site(tmp_path, f"unix://{tmp_path}/no.sock", {}, spawn)
    for name, command in register_agent_commands().items():
        args = {"project": "p", "app": "p", "service": "s", "services": [], "key": "k", "definition": {"image": "x"}}
        args |= {"after": {}, "networks": {}, "volumes": {}}
        if name in ("docker.network", "docker.volume"):
            args["definition"] = {}
        if name != "docker.mark":
            with pytest.raises(Exception, match="no Docker engine"):
                _ = [text async for text in command(site, args)]


async def test_an_application_that_cannot_be_marked_is_deployed_all_the_same(tmp_path: Any) -> None:
    (tmp_path / "file").touch()
    mark = register_agent_commands()["docker.mark"]
    site = Site(tmp_path / "file", None, {}, spawn)
    said = "".join([text async for text in mark(site, {"project": "p", "app": "P"})])
    assert "cannot make the folder" in said and said.endswith("only the server knows whose the volumes are\n")
