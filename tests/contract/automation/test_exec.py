"""POST /exec and GET /operations: commands, their limits, and what is told of them."""

from __future__ import annotations

import functools
import json
import logging
import os
import uuid
from pathlib import Path
from typing import Any

import pytest

from roci import Roci
from roci_plugins.agent.scripted import scripted_agent, until
from roci_plugins.surfaces.automation import commands
from roci_plugins.work import operate
from roci_plugins.work.automation import Automation
from roci_plugins.work.refusals import flush

from .conftest import CAPABILITIES, NOBODY, Api, Native, ShellAgent, detail


async def test_a_command_is_answered_with_all_it_printed(api: Api, host: ShellAgent) -> None:
    status, body = await api("POST", "/exec", {"server_id": host.id, "command": "echo hi"})
    assert status == 200
    assert body == {
        "operation_id": str(uuid.UUID(body["operation_id"])),
        "status": "completed",
        "exit_code": 0,
        "stdout": "hi\n",
        "stderr": "",
        "duration_ms": 1,
    }


async def test_an_operation_has_the_nine_fields(api: Api, host: ShellAgent) -> None:
    context = {"provider": "github_actions", "repository": "me/app", "sha": ""}
    body = {"server_id": host.id, "command": "echo hi", "run_id": "r9", "run_context": context}
    done = await api.ok("/exec", body)
    status, found = await api("GET", f"/operations/{done['operation_id']}")
    assert status == 200
    assert found == {
        "operation_id": done["operation_id"],
        "operation_type": "exec",
        "server_id": host.id,
        "server_name": "nas",
        "status": "completed",
        "result": {"exit_code": 0, "stdout": "hi\n", "stderr": "", "duration_ms": 1},
        "run_id": "r9",
        "run_context": context,
        "started_at": found["started_at"],
        "completed_at": found["completed_at"],
    }
    assert found["started_at"] <= found["completed_at"]


async def test_a_command_that_ends_badly_is_completed(api: Api, host: ShellAgent) -> None:
    body = await api.ok("/exec", {"server_id": host.id, "command": "echo no >&2; exit 3"})
    assert (body["status"], body["exit_code"], body["stdout"], body["stderr"]) == ("completed", 3, "", "no\n")


async def test_a_command_that_could_not_be_run_has_failed(api: Api, host: ShellAgent) -> None:
    unknown = await api.ok("/exec", {"server_id": host.id, "command": "never-heard-of-it"})
    assert (unknown["status"], unknown["exit_code"]) == ("completed", 127), "the shell ran, and said so"
    host.unstarted = "cannot use the folder /nowhere"
    body = await api.ok("/exec", {"server_id": host.id, "command": "true", "working_directory": "/nowhere"})
    assert (body["status"], body["exit_code"]) == ("failed", 127) and "/nowhere" in body["stderr"]


async def test_an_exit_code_of_124_alone_is_no_timeout(api: Api, host: ShellAgent) -> None:
    body = await api.ok("/exec", {"server_id": host.id, "command": "exit 124"})
    assert (body["status"], body["exit_code"]) == ("completed", 124)


async def test_what_takes_long_is_answered_as_running(roci: Roci, api: Api, host: ShellAgent, tmp_path: Path) -> None:
    roci.section(Automation).wait = 0.01
    wait = f"until [ -e {tmp_path}/go ]; do sleep 0.02; done; echo went"
    status, body = await api("POST", "/exec", {"server_id": host.id, "command": wait, "timeout_seconds": 60})
    assert status == 200 and set(body) == {"operation_id", "status"} and body["status"] == "running"
    status, found = await api("GET", f"/operations/{body['operation_id']}")
    assert (status, found["status"], found["result"], found["completed_at"]) == (200, "running", None, None)
    (tmp_path / "go").touch()
    ended = await api.ended(body["operation_id"])
    assert (ended["status"], ended["result"]["exit_code"], ended["result"]["stdout"]) == ("completed", 0, "went\n")


async def test_a_command_that_ran_out_of_time_is_gone(api: Api, host: ShellAgent, tmp_path: Path) -> None:
    command = f"echo $$ > {tmp_path}/pid; exec sleep 5"
    body = await api.ok("/exec", {"server_id": host.id, "command": command, "timeout_seconds": 1})
    assert (body["status"], body["exit_code"]) == ("timeout", 124)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


WRONG: list[dict[str, Any]] = [
    {"command": "x" * 8193},
    {"command": "  \n"},
    {"command": ""},
    {"command": None},
    {"command": 5},
    {"command": "a\0b"},
    {"server_id": "nas"},
    {"server_id": None},
    {"server_id": 7},
    {"timeout_seconds": 0},
    {"timeout_seconds": 901},
    {"timeout_seconds": "60"},
    {"timeout_seconds": 1.5},
    {"timeout_seconds": 60.0},
    {"timeout_seconds": True},
    {"working_directory": "here"},
    {"working_directory": "/" + "x" * 1024},
    {"env": {"A-B": "x"}},
    {"env": {"": "x"}},
    {"env": {"A": "x\0y"}},
    {"env": {"A": 5}},
    {"env": ["A"]},
    {"env": {f"K{n}": "" for n in range(201)}},
    {"env": {"K": "x" * 65_536}},
    {"run_id": "x" * 256},
    {"run_id": 5},
    {"run_context": {"a": "x" * 16_384}},
    {"run_context": "ci"},
    {"run_context": functools.reduce(lambda inner, _: {"a": inner}, range(700), {})},
]
RIGHT: list[dict[str, Any]] = [
    {"command": "true " + "é" * 8187},
    {"timeout_seconds": 1},
    {"timeout_seconds": 900},
    {"timeout_seconds": None, "env": None, "working_directory": None, "run_id": None, "run_context": None},
    {"env": {f"K{n}": "" for n in range(200)}},
    {"env": {"K": "x" * 65_535}},
    {"working_directory": "/tmp", "something": "else"},
    {"working_directory": ""},
    {"run_id": "x" * 255, "run_context": {"deep": [{"er": None}]}},
]


async def test_what_breaks_a_limit_is_refused_and_runs_nowhere(api: Api, host: ShellAgent, native: Native) -> None:
    for wrong in WRONG:
        answer = await api("POST", "/exec", {"server_id": host.id, "command": "true", **wrong})
        assert detail(answer) == 422, str(wrong)[:100]
    assert host.sent("exec") == [] and await native.audit() == []


async def test_null_is_as_if_it_were_not_there(api: Api, host: ShellAgent) -> None:
    for body in ({"server_id": host.id, "command": None}, {"server_id": host.id}):
        assert await api("POST", "/exec", body) == (422, {"detail": "command: is required"})


async def test_the_servers_own_deadline_is_waited_for(
    roci: Roci, api: Api, host: ShellAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (operate, commands):
        monkeypatch.setattr(module, "HAND_SLACK", -0.95)
    async with scripted_agent(roci) as silent:
        await silent.register("slow", capabilities=CAPABILITIES, protocol=2)
        answered = await api.ok("/exec", {"server_id": silent.agent_id, "command": "true", "timeout_seconds": 1})
    assert (answered["status"], answered["exit_code"]) == ("timeout", 124)


async def test_what_is_within_the_limits_runs(api: Api, host: ShellAgent) -> None:
    for right in RIGHT:
        body = await api.ok("/exec", {"server_id": host.id, "command": "true", **right})
        assert body["status"] == "completed", str(right)[:100]


async def test_values_are_the_callers_to_see_and_stored_nowhere(
    roci: Roci, api: Api, host: ShellAgent, native: Native, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    body = {
        "server_id": host.id,
        "command": "echo $FOO; echo verysecret1 >&2; echo https://me:verytoken1@git.lan",
        "env": {"FOO": "verysecret1", "BAR": "x"},
        "run_id": "r1",
        "run_context": {"note": "with verysecret1", "url": "https://me:verytoken1@git.lan"},
    }
    done = await api.ok("/exec", body)
    assert done["stdout"] == "verysecret1\nhttps://me:verytoken1@git.lan\n" and done["stderr"] == "verysecret1\n"
    assert (await api.ended(done["operation_id"]))["result"]["stdout"] == done["stdout"]
    assert host.sent("exec")[0]["env"] == body["env"]
    (row,) = await native.audit(run_id="r1")
    assert row["env_keys"] == ["BAR", "FOO"]
    assert row["command"] == "echo $FOO; echo *** >&2; echo https://me:***@git.lan"
    assert (row["stdout"], row["stderr"]) == ("***\nhttps://me:***@git.lan\n", "***\n")
    assert row["run_context"] == {"note": "with ***", "url": "https://me:***@git.lan"}
    await flush(roci, everything=True)
    stored = b"".join(path.read_bytes() for path in roci.settings.data.glob("roci.db*"))
    for secret in ("verysecret1", "verytoken1"):
        assert secret.encode() not in stored and secret not in caplog.text
    assert b"echo $FOO" in stored, "the search finds what is there"


async def test_the_id_of_a_run_groups_even_if_a_variable_has_it_too(api: Api, host: ShellAgent, native: Native) -> None:
    await api.ok(
        "/exec", {"server_id": host.id, "command": "true", "env": {"RUN": "9876543210"}, "run_id": "9876543210"}
    )
    assert len(await native.audit(run_id="9876543210")) == 1


async def test_three_operations_of_one_run_are_in_the_audit_view(
    api: Api, host: ShellAgent, native: Native, with_key: Any
) -> None:
    context = {"provider": "gitea_actions", "repository": "me/app"}
    for number in range(3):
        command = f"echo {number}; exit {number}"
        await api.ok("/exec", {"server_id": host.id, "command": command, "run_id": "r1", "run_context": context})
    await api.ok("/exec", {"server_id": host.id, "command": "true", "run_id": "r2"})
    rows = await native.audit(run_id="r1")
    assert [(row["exit_code"], row["status"]) for row in rows] == [(2, "completed"), (1, "completed"), (0, "completed")]
    assert {row["key_name"] for row in rows} == {"ci"} and all(row["key_prefix"].startswith("rca_") for row in rows)
    assert all(row["run_context"] == context and row["client_ip"] == "127.0.0.1" for row in rows)
    assert all((row["server_id"], row["server_name"]) == (host.id, "nas") for row in rows)
    assert [row["stdout"] for row in rows] == ["2\n", "1\n", "0\n"]
    (one,) = await native.audit(operation_id=rows[0]["operation_id"])
    assert one == rows[0]
    assert len(await native.audit(key_id=rows[0]["key_id"])) == 4
    assert await native.audit(key_id=(await native.key())["id"]) == []
    (key,) = [each for each in (await native.ok("GET", "/automation/keys"))["keys"] if each["operation_count"]]
    assert key["operation_count"] == 4 and key["last_used_at"]


async def test_a_body_that_is_no_object_is_unprocessable(api: Api, host: ShellAgent) -> None:
    for body in (" ", "{", "[1]", '"x"', b"\xff\xfe", '{"command": "\\ud800"}'):
        assert detail(await api("POST", "/exec", body)) == 422, body


async def test_a_body_that_is_too_large_is_refused(api: Api, host: ShellAgent) -> None:
    big = json.dumps({"server_id": host.id, "command": "true", "padding": "x" * 1_100_000})
    assert detail(await api("POST", "/exec", big)) == 413


async def test_paths_and_methods_that_are_none(api: Api) -> None:
    assert detail(await api("GET", "/nowhere")) == 404
    assert detail(await api("GET", "/auth/me")) == 404
    assert detail(await api("GET", "/auth/me/capabilities")) == 404
    assert detail(await api("PUT", "/exec", {})) == 405
    assert detail(await api("GET", "/exec")) == 405


async def test_an_operation_that_is_none_is_not_found(api: Api) -> None:
    for id in ("xyz", NOBODY):
        assert detail(await api("GET", f"/operations/{id}")) == 404


async def test_only_the_key_that_began_an_operation_is_told_of_it(
    api: Api, host: ShellAgent, with_key: Any, native: Native
) -> None:
    done = await api.ok("/exec", {"server_id": host.id, "command": "echo mine"})
    other = await with_key()
    assert detail(await other("GET", f"/operations/{done['operation_id']}")) == 404
    assert (await api("GET", f"/operations/{done['operation_id'].upper()}"))[0] == 200


async def test_a_client_that_sends_a_content_type_with_nothing_in_it_is_answered(api: Api, host: ShellAgent) -> None:
    done = await api.ok("/exec", {"server_id": host.id, "command": "true"})
    assert (await api("GET", f"/operations/{done['operation_id']}", Content_Type="application/json"))[0] == 200


async def test_a_key_that_is_revoked_meanwhile_changes_nothing_of_what_runs(
    roci: Roci, api: Api, host: ShellAgent, native: Native, tmp_path: Path
) -> None:
    roci.section(Automation).wait = 0.01
    wait = f"until [ -e {tmp_path}/go ]; do sleep 0.02; done; echo went"
    begun = await api.ok("/exec", {"server_id": host.id, "command": wait})
    (key,) = (await native.ok("GET", "/automation/keys"))["keys"]
    await native.ok("DELETE", f"/automation/keys/{key['id']}")
    assert detail(await api("GET", f"/operations/{begun['operation_id']}")) == 401
    (tmp_path / "go").touch()
    (row,) = await _ended(native, begun["operation_id"])
    assert (row["status"], row["stdout"], row["key_name"]) == ("completed", "went\n", "ci")


async def _ended(native: Native, operation_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []

    async def look() -> bool:
        found[:] = await native.audit(operation_id=operation_id)
        return found[0]["status"] != "running"

    for _ in range(500):
        if await look():
            return found
        await until(lambda: True)
    raise AssertionError(found)
