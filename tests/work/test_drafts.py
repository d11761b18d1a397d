"""Compose files that are being written: judged as a deploy would, and kept unless somebody else was faster."""

from __future__ import annotations

import pytest

from roci import Invalid, Roci
from roci_plugins.agent.hub import Hub
from roci_plugins.agent.scripted import ScriptedAgent, until
from roci_plugins.domain import applications
from roci_plugins.domain.applications import Application
from roci_plugins.work import drafts
from roci_plugins.work.drafts import Draft, Problem

from .deploying import COMPOSE, deployed

GOOD = "services:\n  web:\n    image: nginx\n    ports: ['8080:80']\n"


async def problems(roci: Roci, text: str, **more: str) -> list[tuple[int | None, bool]]:
    judged = await drafts.judge(roci, Draft("shop", text, **more))
    return [(problem.line, problem.is_error) for problem in judged.problems]


async def test_a_good_file_has_no_problems_and_tells_what_it_holds(roci: Roci) -> None:
    judged = await drafts.judge(roci, Draft("shop", GOOD))
    assert judged.is_good and judged.problems == () and judged.outline
    assert [service.name for service in judged.outline.services] == ["web"]


async def test_an_error_has_its_line_and_warnings_are_told_with_it(roci: Roci) -> None:
    assert await problems(roci, "services:\n  web:\n    imgae: nginx\n") == [(2, True), (3, False)]
    assert await problems(roci, "services: [") == [(1, True)]
    assert await problems(roci, "a: 1\nb: 2: 3\n") == [(2, True)]


async def test_the_backend_that_deploys_it_judges_it(roci: Roci) -> None:
    text = GOOD.replace("ports: ['8080:80']", "gpus: all")
    assert await problems(roci, text) == []
    assert await problems(roci, text, backend="docker") == [(4, True)]
    with pytest.raises(Invalid, match="backend: must be one of"):
        await problems(roci, text, backend="carrier-pigeons")


async def test_what_is_too_long_or_too_deep_is_refused_at_once(roci: Roci) -> None:
    bomb = "a: &a [x,x,x,x,x,x,x,x]\n" + "".join(
        f"{b}: &{b} [{','.join([f'*{a}'] * 8)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    )
    for text in ("a: b\n" * 200_000, bomb, "[" * 100_000):
        judged = await drafts.judge(roci, Draft("shop", text))
        assert judged.outline is None and not judged.is_good


async def test_ports_of_other_containers_of_its_host_are_warned_of(roci: Roci, agent: ScriptedAgent) -> None:
    def box(name: str, ports: list[str], app: str | None = None, status: str = "running") -> dict[str, object]:
        return {"id": name * 4, "name": name, "image": "x", "status": status, "ports": ports, "app": app}

    await agent.say(
        "heartbeat",
        containers=[
            box("proxy", ["0.0.0.0:8080->80/tcp", "[::]:8080->80/tcp", "9000/tcp"]),
            box("mine", ["0.0.0.0:8081->80/tcp"], "shop"),
            box("near", ["127.0.0.1:8082->80/tcp"]),
            box("off", ["0.0.0.0:8083->80/tcp"], None, "exited"),
        ],
    )
    live = roci.part(Hub).roster[agent.agent_id]
    await until(lambda: live.containers)
    ports = ["8080:80", "8080:80/udp", "8081:80", "127.0.0.2:8082:80", "8083:80", "8084:80"]
    text = "services:\n  web:\n    image: x\n    ports:\n" + "".join(f'      - "{port}"\n' for port in ports)
    judged = await drafts.judge(roci, Draft("shop", text, host_id=agent.agent_id))
    assert judged.problems == (
        Problem(5, f"port 8080/tcp is taken on {live.host.hostname} by the container proxy", False),
    )
    await agent.hang_up()
    await until(lambda: not live.is_connected)
    assert (await drafts.judge(roci, Draft("shop", text, host_id=agent.agent_id))).problems == ()


async def test_who_keeps_a_revision_second_is_told(roci: Roci) -> None:
    app = await roci.write(lambda: applications.add("shop", GOOD))
    theirs, mine = GOOD.replace("nginx", "caddy"), GOOD.replace("nginx", "httpd")
    assert (await roci.write(drafts.keep, app.id, "1", theirs, {"description": "a shop"})).revision == 2
    for seen in ("1", "", "x"):
        with pytest.raises(drafts.Outdated):
            await roci.write(drafts.keep, app.id, seen, mine, {})
    assert (await roci.write(drafts.keep, app.id, "1", theirs, {})).revision == 2  # nothing differs, nothing is lost
    assert (await roci.write(drafts.keep, app.id, "2", mine, {})).revision == 3


async def test_what_runs_gets_a_new_revision_for_its_next_deploy(
    roci: Roci, agent: ScriptedAgent, a1: Application
) -> None:
    await deployed(roci, a1, agent)
    app = await roci.write(drafts.keep, a1.id, str(a1.revision), COMPOSE + "# more\n", {})
    assert (app.status, app.revision, app.running_revision) == ("running", 2, 1)


async def test_a_file_is_read_once_for_all_that_ask_for_its_environment() -> None:
    text = "services:\n  w:\n    image: x:${TAG}\n"
    assert await drafts.environment(text) is await drafts.environment(text)
