"""POST /deploy, /restart, /reboot and /registry-auth: what hosts are sent, what clients are answered."""

from __future__ import annotations

from typing import Any

from quart import Quart

from roci import Roci
from roci_plugins.agent import process, wire
from roci_plugins.agent.hub import Hub
from roci_plugins.agent.scripted import scripted_agent
from roci_plugins.domain import applications, deployments, policies
from roci_plugins.work.automation import Automation
from roci_plugins.work.refusals import flush

from .conftest import CAPABILITIES, COMPOSE, NOBODY, Api, Native, ShellAgent, detail, gone


async def stored(roci: Roci) -> bytes:
    await flush(roci, everything=True)
    return b"".join(path.read_bytes() for path in roci.settings.data.glob("roci.db*"))


# --- deploy ---


async def test_a_deploy_takes_values_along_that_stay_nowhere(
    roci: Roci, api: Api, host: ShellAgent, application: str, native: Native
) -> None:
    body = {
        "application_id": application,
        "commit_ref": "main",
        "env_overrides": {"FEATURE_FLAG": "verysecret1"},
        "run_id": "r1",
        "run_context": {"provider": "gitlab", "flag": "verysecret1"},
    }
    status, begun = await api("POST", "/deploy", body)
    assert status == 202 and begun["status"] == "running" and set(begun) == {"operation_id", "status", "deployment_id"}
    ended = await api.ended(begun["operation_id"])
    assert (ended["operation_type"], ended["status"]) == ("deploy", "completed")
    assert ended["deployment_id"] == begun["deployment_id"] and ended["result"]["exit_code"] == 0
    assert ended["result"]["stdout"] == "done\n" and ended["result"]["stderr"] == ""
    (frame,) = host.sent("deploy")
    assert frame["secrets"] == [{"name": "FEATURE_FLAG", "value": "verysecret1"}]
    (row,) = await native.audit(run_id="r1")
    assert (row["env_keys"], row["args"]) == (["FEATURE_FLAG"], {"commit_ref": "main"})
    assert row["run_context"] == {"provider": "gitlab", "flag": "***"}
    assert b"verysecret1" not in await stored(roci)
    (deployment,) = await roci.read(deployments.all_, application)
    assert deployment.id == begun["deployment_id"]


async def test_a_deploy_that_ends_badly_has_failed(api: Api, host: ShellAgent, application: str) -> None:
    host.docker_fails = True
    begun = await api.ok("/deploy", {"application_id": application})
    ended = await api.ended(begun["operation_id"])
    assert (ended["status"], ended["result"]["exit_code"]) == ("failed", 1)
    assert (ended["result"]["stdout"], ended["result"]["stderr"]) == ("", "docker says no"), "once"


async def test_a_reference_is_kept_without_secrets(
    api: Api, host: ShellAgent, application: str, native: Native
) -> None:
    body = {"application_id": application, "env_overrides": {"T": "verysecret1"}, "run_id": "r1"}
    await api.ok("/deploy", {**body, "commit_ref": "https://me:hunter2@git.lan/x#verysecret1"})
    (row,) = await native.audit(run_id="r1")
    assert row["args"]["commit_ref"] == "https://me:***@git.lan/x#***"


async def test_one_deploy_at_a_time(roci: Roci, api: Api, host: ShellAgent) -> None:
    async with scripted_agent(roci) as silent:
        await silent.register("slow", capabilities=CAPABILITIES, protocol=2)
        row = await roci.write(applications.add, "slow", COMPOSE, "", silent.agent_id)
        assert (await api("POST", "/deploy", {"application_id": row.id}))[0] == 202
        assert detail(await api("POST", "/deploy", {"application_id": row.id})) == 409


async def test_what_cannot_be_deployed(
    roci: Roci, api: Api, host: ShellAgent, application: str, native: Native
) -> None:
    homeless = await roci.write(applications.add, "homeless", COMPOSE)
    assert detail(await api("POST", "/deploy", {"application_id": homeless.id})) == 422
    assert detail(await api("POST", "/deploy", {"application_id": NOBODY})) == 404
    assert detail(await api("POST", "/deploy", {"application_id": "shop"})) == 422
    assert detail(await api("POST", "/deploy", {})) == 422
    for wrong in ({"A-B": "x"}, {"PATH": "/tmp"}, {f"K{n}": "" for n in range(201)}, {"K": "x" * 65_536}):
        assert detail(await api("POST", "/deploy", {"application_id": application, "env_overrides": wrong})) == 422
    assert detail(await api("POST", "/deploy", {"application_id": application, "timeout_seconds": 901})) == 422
    await gone(host, roci)
    assert detail(await api("POST", "/deploy", {"application_id": application})) == 503
    assert await native.audit() == []


async def test_two_hundred_values_may_go_along(api: Api, host: ShellAgent, application: str) -> None:
    overrides = {f"K{number}": "x" for number in range(200)}
    await api.ok("/deploy", {"application_id": application, "env_overrides": overrides})
    assert len(host.sent("deploy")[0]["secrets"]) == 200


async def test_applications_out_of_a_keys_reach_look_like_none(
    roci: Roci, with_key: Any, host: ShellAgent, application: str
) -> None:
    homeless = await roci.write(applications.add, "homeless", COMPOSE)
    api = await with_key(allowed_server_ids=["11111111-1111-4111-8111-111111111111"])
    answers = [await api("POST", "/deploy", {"application_id": id}) for id in (application, homeless.id, NOBODY)]
    assert [detail(each) for each in answers] == [403] * 3
    assert len({each[1]["detail"] for each in answers}) == 1
    near = await with_key(allowed_server_ids=[host.id])
    assert (await near("POST", "/deploy", {"application_id": application}))[0] == 202


# --- restart and reboot ---


async def test_a_restart_is_answered_like_a_command(api: Api, host: ShellAgent) -> None:
    body = {"server_id": host.id, "container_name": "web", "timeout_seconds": 5, "run_id": "r1"}
    status, answered = await api("POST", "/restart", body)
    assert status == 200 and (answered["status"], answered["exit_code"], answered["stdout"]) == (
        "completed",
        0,
        "web\n",
    )
    (frame,) = host.sent("container")
    assert (frame["action"], frame["container"], frame["timeout_seconds"]) == ("restart", "web", 5)
    assert (await api.ended(answered["operation_id"]))["operation_type"] == "restart"


async def test_a_container_that_is_none_is_a_restart_that_ended_badly(api: Api, host: ShellAgent) -> None:
    body = await api.ok("/restart", {"server_id": host.id, "container_name": "nope"})
    assert (body["status"], body["exit_code"]) == ("completed", 1) and "nope" in body["stderr"]


async def test_a_restart_of_nothing_is_refused(api: Api, host: ShellAgent) -> None:
    for wrong in ({}, {"container_name": ""}, {"container_name": " "}, {"container_name": "web", "timeout_seconds": 0}):
        assert detail(await api("POST", "/restart", {"server_id": host.id, **wrong})) == 422, wrong


async def test_a_reboot_has_ended_when_the_host_is_back(roci: Roci, api: Api, host: ShellAgent) -> None:
    status, begun = await api("POST", "/reboot", {"server_id": host.id, "run_id": "r1"})
    assert (status, begun["status"], set(begun)) == (202, "running", {"operation_id", "status"})
    await gone(host, roci)
    async with scripted_agent(roci) as back:
        known = {"agent_id": host.agent.agent_id, "agent_token": host.agent.agent_token}
        await back.register("nas", capabilities=CAPABILITIES, protocol=2, **known)
        ended = await api.ended(begun["operation_id"])
    assert (ended["operation_type"], ended["status"], ended["result"]["exit_code"]) == ("reboot", "completed", 0)


async def test_a_host_that_does_not_allow_it_is_not_asked(roci: Roci, api: Api, host: ShellAgent) -> None:
    async with scripted_agent(roci) as careful:
        await careful.register("careful", capabilities=["ack", "registry_logout"], protocol=2)
        for path, more in (("/exec", {"command": "true"}), ("/reboot", {}), ("/restart", {"container_name": "web"})):
            answer = await api("POST", path, {"server_id": careful.agent_id, **more})
            assert detail(answer) == 503 and "does not allow" in answer[1]["detail"]


async def test_hosts_that_are_not_approved_are_not_there(roci: Roci, api: Api) -> None:
    async with scripted_agent(roci) as stranger:
        await stranger.register("stranger", capabilities=CAPABILITIES, protocol=2)
        assert detail(await api("POST", "/exec", {"server_id": stranger.agent_id, "command": "true"})) == 404


async def test_a_lost_host_is_a_failure_with_a_code_and_words(roci: Roci, api: Api, native: Native) -> None:
    roci.section(Automation).wait = 0.01
    roci.part(Hub).times.grace = 0.01
    await roci.write(policies.add, "all", 1, {"type": "any"}, "approve")
    async with scripted_agent(roci) as silent:
        await silent.register("slow", capabilities=CAPABILITIES, protocol=2)
        begun = await api.ok("/exec", {"server_id": silent.agent_id, "command": "true"})
        await silent.hang_up()
        ended = await api.ended(begun["operation_id"])
    assert (ended["status"], ended["result"]["exit_code"]) == ("failed", 1) and ended["result"]["stderr"]


# --- registries ---


async def test_a_login_with_a_stored_credential_shows_its_password_to_nobody(
    roci: Roci, api: Api, host: ShellAgent, native: Native
) -> None:
    credential = await native.credential()
    assert "secret" not in credential
    body = {"server_id": host.id, "credential_id": credential["id"], "run_id": "r1"}
    status, begun = await api("POST", "/registry-auth/login", body)
    assert status == 202
    assert begun == {
        "operation_id": begun["operation_id"],
        "status": "running",
        "registry_url": "ghcr.io",
        "registry_type": "ghcr",
    }
    ended = await api.ended(begun["operation_id"])
    assert (ended["operation_type"], ended["status"]) == ("registry_login", "completed")
    assert ended["result"]["stdout"] == "Login Succeeded\n"
    (frame,) = host.sent("registry_login")
    assert (frame["registry_url"], frame["username"], frame["password"]) == ("ghcr.io", "me", "hunter2hunter2")
    (row,) = await native.audit(run_id="r1")
    assert row["args"]["credential_id"] == credential["id"] and "hunter2" not in str(row)
    assert b"hunter2hunter2" not in await stored(roci)


async def test_a_login_that_fails_tells_its_exit_code(api: Api, host: ShellAgent, native: Native) -> None:
    host.docker_fails = True
    body = {"server_id": host.id, "credential_id": (await native.credential())["id"]}
    ended = await api.ended((await api.ok("/registry-auth/login", body))["operation_id"])
    assert (ended["status"], ended["result"]["exit_code"]) == ("completed", 1)


KINDS = {
    "docker.io": "docker_hub",
    "https://index.docker.io/v1/": "docker_hub",
    "ghcr.io": "ghcr",
    "123456789012.dkr.ecr.eu-central-1.amazonaws.com": "aws_ecr",
    "europe-docker.pkg.dev/me/images": "google_artifact_registry",
    "mine.azurecr.io": "azure_acr",
    "harbor.lan": "harbor",
    "registry.lan:5000": "generic",
}


async def test_a_login_with_a_password_of_its_own(roci: Roci, api: Api, host: ShellAgent) -> None:
    for url, kind in KINDS.items():
        body = {"server_id": host.id, "registry_url": url, "username": "me", "access_token": "verysecret1"}
        status, begun = await api("POST", "/registry-auth/login-direct", body)
        assert (status, begun["registry_url"], begun["registry_type"]) == (202, url, kind)
        assert (await api.ended(begun["operation_id"]))["status"] == "completed"
    assert {frame["password"] for frame in host.sent("registry_login")} == {"verysecret1"}
    assert b"verysecret1" not in await stored(roci)


SENSELESS: list[dict[str, Any]] = [
    {"registry_url": ""},
    {"registry_url": "--help"},
    {"registry_url": "ghcr.io; reboot"},
    {"registry_url": "https://me:secret@ghcr.io"},
    {"registry_url": "x" * 256},
    {"username": ""},
    {"username": "-u"},
    {"access_token": ""},
    {"access_token": None},
]


async def test_a_login_that_makes_no_sense_is_refused(api: Api, host: ShellAgent) -> None:
    for wrong in SENSELESS:
        body = {"server_id": host.id, "registry_url": "ghcr.io", "username": "me", "access_token": "x", **wrong}
        assert detail(await api("POST", "/registry-auth/login-direct", body)) == 422, wrong
    assert host.sent("registry_login") == []


async def test_a_key_limited_to_a_credential_uses_no_other(with_key: Any, host: ShellAgent, native: Native) -> None:
    mine, other = await native.credential("mine"), await native.credential("other")
    limited, free = await with_key(allowed_credential_ids=[mine["id"]]), await with_key()
    path, body = "/registry-auth/login", {"server_id": host.id}
    assert detail(await limited("POST", path, {**body, "credential_id": other["id"]})) == 403
    assert detail(await limited("POST", path, {**body, "credential_id": NOBODY})) == 403
    assert detail(await free("POST", path, {**body, "credential_id": NOBODY})) == 404
    assert (await limited("POST", path, {**body, "credential_id": mine["id"]}))[0] == 202
    direct = {**body, "registry_url": "ghcr.io", "username": "me", "access_token": "x"}
    assert detail(await limited("POST", "/registry-auth/login-direct", direct)) == 403
    status, refused = await native("POST", "/automation/keys", {"name": "x", "allowed_credential_ids": [NOBODY]})
    assert (status, refused["error"]["code"]) == (400, "validation_error")


async def test_a_logout_is_answered_when_it_is_done(api: Api, host: ShellAgent) -> None:
    body = {"server_id": host.id, "registry_url": "ghcr.io", "run_id": "r1"}
    status, answered = await api("POST", "/registry-auth/logout", body)
    assert status == 200 and (answered["status"], answered["exit_code"]) == ("completed", 0)
    assert host.sent("registry_logout")[0]["registry_url"] == "ghcr.io"


def test_a_logout_ends_while_its_client_waits() -> None:
    hand = wire.RegistryLogout(command_id="1", registry_url="ghcr.io")
    assert hand.limit and hand.limit + process.GRACE <= Automation().wait


async def test_a_logout_that_fails_is_completed_all_the_same(api: Api, host: ShellAgent) -> None:
    host.docker_fails = True
    status, answered = await api("POST", "/registry-auth/logout", {"server_id": host.id, "registry_url": "ghcr.io"})
    assert status == 200 and (answered["status"], answered["exit_code"]) == ("completed", 1)
    assert "docker says no" in answered["stderr"]


async def test_a_logout_on_a_host_that_is_not_there_is_recorded(
    roci: Roci, api: Api, host: ShellAgent, native: Native
) -> None:
    await gone(host, roci)
    body = {"server_id": host.id, "registry_url": "ghcr.io", "run_id": "r1"}
    status, answered = await api("POST", "/registry-auth/logout", body)
    assert status == 200 and answered["status"] == "completed" and answered["exit_code"] != 0
    assert "not connected" in answered["stderr"]
    found = await api.ended(answered["operation_id"])
    assert (found["operation_type"], found["status"], found["result"]["exit_code"]) == (
        "registry_logout",
        "completed",
        1,
    )
    (row,) = await native.audit(run_id="r1")
    assert row["operation_id"] == answered["operation_id"]


# --- what people do elsewhere ---


async def test_what_was_begun_elsewhere_is_in_the_audit_view_but_no_keys_to_ask_for(
    roci: Roci, app: Quart, api: Api, host: ShellAgent, native: Native
) -> None:
    path = f"/agents/{host.id}/exec"
    status, begun = await native("POST", path, {"command": "echo native"})
    assert status == 202
    assert detail(await api("GET", f"/operations/{begun['operation_id']}")) == 404
    (row,) = await native.audit(operation_id=begun["operation_id"])
    assert (row["command"], row["key_id"], row["via"], row["actor"]) == ("echo native", None, "cookie", "admin")
