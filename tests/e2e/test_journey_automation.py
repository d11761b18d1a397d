"""A CI job on a real host: curl and the published clients, imitated call by call, on a real server and agent.

What the clients do was watched on the wire; the waits between their polls are left out.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
import requests

from .bed import Agent, Server, unique, wait_for
from .engines import unavailable
from .journey import App, address, admit, agent, files_with, get, page, shell, stack, web
from .test_journey_hands import PASSWORD, USER, private, registry

__all__ = ["private", "registry"]  # fixtures

BASE = "/api/automation/v1"
SECRET = "hush-hush-4711"


class Job:
    """One CI job: its key, the host it works on, and curl."""

    def __init__(self, server: Server, host: dict[str, Any], agent: Agent, run_id: str) -> None:
        self.server, self.host, self.agent, self.run_id = server, host, agent, run_id
        self.context = {"provider": "github_actions", "repository": "me/shop", "workflow": "deploy", "sha": ""}

    def key(self, **limits: Any) -> str:
        status, made = self.server.api.post("/api/v1/automation/keys", {"name": "shop CI", **limits})
        assert status == 201, made
        return str(made["key"])

    def audit(self) -> list[dict[str, Any]]:
        """What was done in this run, the oldest first."""
        found = get(self.server.api, f"/api/v1/automation/audit?run_id={self.run_id}")["entries"]
        return list(reversed(found))

    def curl(self, key: str, path: str, body: Any = None) -> tuple[int, dict[str, Any]]:
        """As in a shell step of a job: nothing but curl."""
        curl = shutil.which("curl") or unavailable("a job of a CI system needs curl")
        argv = [curl, "-s", "-w", "\n%{http_code}", "-H", f"Authorization: Bearer {key}"]
        if body is not None:
            body = {"run_id": self.run_id, "run_context": self.context, **body}
            argv += ["-H", "Content-Type: application/json", "-d", json.dumps(body)]
        done = subprocess.run([*argv, f"{self.server.url}{BASE}{path}"], capture_output=True, text=True, timeout=60)
        text, _, status = done.stdout.rpartition("\n")
        return int(status), json.loads(text)

    def ended(self, key: str, operation_id: str) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            status, found = self.curl(key, f"/operations/{operation_id}")
            assert status == 200, found
            return found if found["status"] != "running" else None

        found = wait_for(look, 60, f"the end of {operation_id}")
        assert found
        return found


@pytest.fixture
def job(
    new_server: Callable[..., Server],
    new_agent: Callable[..., Agent],
    engine: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> Iterator[Job]:
    """Its server waits 20 seconds for what is done, or as long as the parameter says."""
    server = new_server(environment={"ROCI_AUTOMATION__WAIT": getattr(request, "param", "20")})
    admit(server.api, {"type": "any"})
    name = unique("builder")
    environment = {"DOCKER_CONFIG": str(tmp_path / "docker")}
    there = new_agent(server.url, name, options=("--allow", "exec,reboot"), docker_host=engine, environment=environment)
    yield Job(server, agent(server.api, name, seconds=60), there, unique("run"))


# --- a job written with curl -------------------------------------------------------------------


def test_a_job_logs_in_deploys_runs_a_command_and_logs_out(
    job: Job, private: str, registry: str, docker_client: docker.DockerClient, cleanup: Callable[[str], str]
) -> None:
    api, project = job.server.api, cleanup("shop")
    new = {"name": "lan", "registry_url": registry, "username": USER, "secret": PASSWORD}
    status, credential = api.post("/api/v1/registry-credentials", new)
    assert status == 201, credential
    flag = {"environment": {"FLAG": "${FLAG:-none}"}, "pull_policy": "always"}
    service = web(private, **flag) | {"command": shell('echo -n "$$FLAG" | rev > /www/index.html')}
    app = App(api, project, stack({"web": service}), job.host["id"])
    key = job.key(allowed_server_ids=[job.host["id"]], allowed_credential_ids=[credential["id"]])
    server_id = job.host["id"]

    status, begun = job.curl(key, "/registry-auth/login", {"server_id": server_id, "credential_id": credential["id"]})
    assert (status, begun["registry_url"], begun["registry_type"]) == (202, registry, "generic")
    assert job.ended(key, begun["operation_id"])["result"]["exit_code"] == 0

    status, begun = job.curl(
        key, "/deploy", {"application_id": app.id, "env_overrides": {"FLAG": SECRET}, "commit_ref": "main"}
    )
    assert status == 202 and begun["deployment_id"]
    deployed = job.ended(key, begun["operation_id"])
    assert (deployed["status"], deployed["result"]["exit_code"]) == ("completed", 0), deployed
    assert page(address(docker_client, project)) == SECRET[::-1]
    assert "none" in app.state["compose_yaml"] and SECRET not in json.dumps(app.state)

    command = {"command": 'echo "deployed $WHAT"; pwd', "env": {"WHAT": SECRET}, "working_directory": "/tmp"}
    status, ran = job.curl(key, "/exec", {"server_id": server_id, **command})
    assert (status, ran["status"], ran["stdout"]) == (200, "completed", f"deployed {SECRET}\n/tmp\n"), ran

    status, out = job.curl(key, "/registry-auth/logout", {"server_id": server_id, "registry_url": registry})
    assert (status, out["status"], out["exit_code"]) == (200, "completed", 0)

    rows = job.audit()
    assert [row["operation_type"] for row in rows] == ["registry_login", "deploy", "exec", "registry_logout"]
    assert all((row["key_name"], row["run_context"]) == ("shop CI", job.context) for row in rows)
    assert all(row["exit_code"] == 0 and row["server_name"] == job.agent.name for row in rows)
    assert rows[1]["env_keys"] == ["FLAG"] and rows[1]["args"]["commit_ref"] == "main"
    assert rows[2]["stdout"] == "deployed ***\n/tmp\n" and rows[2]["env_keys"] == ["WHAT"]
    places = (job.server.data_dir, job.server.log, job.agent.log, job.agent.state_dir, job.agent.volume_base)
    assert files_with(project, *places), "the search finds what is there"
    assert files_with(SECRET, *places) == [] and files_with(PASSWORD, *places) == []


@pytest.mark.parametrize("job", ["2"], indirect=True)
def test_what_takes_long_runs_on_and_what_takes_too_long_is_ended(job: Job, tmp_path: Path) -> None:
    key, server_id = job.key(), job.host["id"]
    wait = f"until [ -e {tmp_path}/go ]; do sleep 0.1; done; echo went"
    status, begun = job.curl(key, "/exec", {"server_id": server_id, "command": wait})
    assert (status, begun) == (200, {"operation_id": begun["operation_id"], "status": "running"})
    (tmp_path / "go").touch()
    assert job.ended(key, begun["operation_id"])["result"]["stdout"] == "went\n"

    late = f"echo begun; echo $$ > {tmp_path}/pid; sleep 600 & sleep 600"
    status, begun = job.curl(key, "/exec", {"server_id": server_id, "command": late, "timeout_seconds": 3})
    ended = job.ended(key, begun["operation_id"])
    assert (ended["status"], ended["result"]["exit_code"], ended["result"]["stdout"]) == ("timeout", 124, "begun\n")
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}/cwd").exists()


def test_a_command_in_a_folder_that_is_not_there_fails_at_once(job: Job) -> None:
    key, server_id = job.key(), job.host["id"]
    nowhere = {"command": "true", "working_directory": "/nowhere"}
    status, failed = job.curl(key, "/exec", {"server_id": server_id, **nowhere})
    assert (status, failed["status"], failed["exit_code"]) == (200, "failed", 126) and failed["stderr"]


def test_a_container_is_restarted_by_name(
    job: Job, image: str, docker_client: docker.DockerClient, cleanup: Callable[[str], str]
) -> None:
    project = cleanup("shop")
    app = App(job.server.api, project, stack({"web": web(image)}), job.host["id"])
    assert app.run("deploy")["status"] == "succeeded"
    name = f"{project}-web-1"
    before = docker_client.containers.get(name).attrs["State"]["StartedAt"]
    key, server_id = job.key(allowed_operations=["restart"]), job.host["id"]
    body = {"server_id": server_id, "container_name": name, "timeout_seconds": 1}
    status, begun = job.curl(key, "/restart", body)
    assert status == 200
    assert job.ended(key, begun["operation_id"])["result"]["exit_code"] == 0
    assert docker_client.containers.get(name).attrs["State"]["StartedAt"] != before
    status, begun = job.curl(key, "/restart", {**body, "container_name": unique("nobody")})
    ended = job.ended(key, begun["operation_id"])
    assert (ended["status"], ended["result"]["exit_code"]) == ("completed", 1)


# --- the published clients -----------------------------------------------------------------------


class Published:
    """What every published client does: a session, a user agent, its own way to write JSON."""

    def __init__(self, job: Job, key: str, agent: str, indent: int | None = None) -> None:
        self.job, self.indent = job, indent
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers.update({"Authorization": f"Bearer {key}", "User-Agent": agent})

    def post(self, path: str, body: dict[str, Any]) -> requests.Response:
        text = json.dumps(body, indent=self.indent, separators=None if self.indent else (",", ":"))
        headers = {"Content-Type": "application/json"}
        return self.session.post(f"{self.job.server.url}{BASE}{path}", text, headers=headers, timeout=60)

    def get(self, path: str) -> requests.Response:
        """With a content type and no content."""
        headers = {"Content-Type": "application/json"}
        return self.session.get(f"{self.job.server.url}{BASE}{path}", headers=headers, timeout=60)

    def polled(self, operation_id: str) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            answer = self.get(f"/operations/{operation_id}")
            assert answer.status_code == 200 and answer.headers["Content-Type"].startswith("application/json")
            return answer.json() if answer.json()["status"] != "running" else None

        found = wait_for(look, 60, f"the end of {operation_id}")
        assert found
        return dict(found)


def test_docker_auth_and_its_post_step(job: Job, registry: str) -> None:
    new = {"name": "lan", "registry_url": registry, "username": USER, "secret": PASSWORD}
    _, credential = job.server.api.post("/api/v1/registry-credentials", new)
    action = Published(job, job.key(), "reoclo-docker-auth-action", indent=2)
    action.session.headers["Connection"] = "close"
    body = {"server_id": job.host["id"], "credential_id": credential["id"]}
    said = {"run_id": job.run_id, "run_context": {**job.context, "ref": ""}}
    answer = action.post("/registry-auth/login", {**body, **said})
    assert answer.status_code in (200, 202)
    outputs = answer.json()
    assert outputs["operation_id"] and outputs["registry_url"] == registry and outputs["registry_type"]
    assert action.polled(outputs["operation_id"])["result"]["exit_code"] == 0
    back = {"server_id": job.host["id"], "registry_url": outputs["registry_url"], **said}
    assert action.post("/registry-auth/logout", back).status_code == 200
    assert [row["operation_type"] for row in job.audit()] == ["registry_login", "registry_logout"]


def test_run_v1_takes_200_and_nothing_else(job: Job) -> None:
    action = Published(job, job.key(), "reoclo-github-action")
    body = {"server_id": job.host["id"], "command": "echo hi; exit 4", "timeout_seconds": 900, "env": {}}
    answer = action.post("/exec", {**body, "run_id": job.run_id, "run_context": job.context})
    assert answer.status_code == 200
    assert (answer.json()["status"], answer.json()["exit_code"]) == ("completed", 4)


def test_the_command_line_runs_asks_and_cleans_up_after_itself(job: Job) -> None:
    cli = Published(job, job.key(), "reoclo-cli")
    # exec: only the fields that were given; then a helper asks who it is, and is content with not knowing
    done = cli.post("/exec", {"server_id": job.host["id"], "command": "'echo' 'two words'"})
    assert done.status_code == 200 and done.json()["stdout"] == "two words\n"
    assert cli.get("/auth/me").status_code == 404
    assert cli.get("/tenants/x/completion-index").status_code == 404
    # login with a password of its own, which fails: the exit code is the command's
    direct = {"registry_url": "127.0.0.1:9", "username": "me", "access_token": SECRET, "run_id": job.run_id}
    begun = cli.post("/registry-auth/login-direct", {"server_id": job.host["id"], **direct}).json()
    result = cli.polled(begun["operation_id"])["result"]
    assert result["exit_code"] != 0 and result["stderr"]
    # checkout: commands one after another, with a token in an address
    steps = [
        "command -v git >/dev/null || true",
        "mkdir -p $PWD",
        f"echo clone https://x-access-token:{SECRET}@github.com/me/shop.git",
        "cd /tmp && pwd",
        "echo checkout",
        "true",
    ]
    for seconds, command in zip((15, 15, 600, 60, 120, 30), steps, strict=True):
        body = {"server_id": job.host["id"], "command": command, "timeout_seconds": seconds, "run_id": job.run_id}
        answer = cli.post("/exec", {**body, "run_context": {**job.context, "provider": "cli"}})
        assert (answer.status_code, answer.json()["exit_code"]) == (200, 0), answer.text
    rows = job.audit()
    assert len(rows) == 1 + len(steps)
    assert rows[3]["command"] == "echo clone https://x-access-token:***@github.com/me/shop.git"
    assert files_with(SECRET, job.server.data_dir, job.server.log, job.agent.state_dir, job.agent.log) == []


def test_a_command_line_that_is_refused_asks_why_and_tries_again(job: Job) -> None:
    cli = Published(job, job.key(allowed_operations=["deploy"]), "reoclo-cli")
    body = {"server_id": job.host["id"], "command": "touch /tmp/never", "run_id": job.run_id}
    for _ in range(2):
        answer = cli.post("/exec", body)
        assert answer.status_code == 403 and isinstance(answer.json()["detail"], str)
        assert cli.get("/auth/me/capabilities").status_code == 404
    assert job.audit() == []
    trail = get(job.server.api, "/api/v1/audit?name=AttemptRefused")["entries"]
    assert [row["data"]["action"] for row in trail] == ["hosts.exec"] * 2


def test_a_logout_after_the_host_has_gone_ends_the_job_well(job: Job) -> None:
    key = job.key()
    job.agent.stop()
    wait_for(lambda: not get(job.server.api, f"/api/v1/agents/{job.host['id']}")["connected"], 60, "its end")
    status, out = job.curl(key, "/registry-auth/logout", {"server_id": job.host["id"], "registry_url": "ghcr.io"})
    assert (status, out["status"]) == (200, "completed") and out["exit_code"] != 0
    status, refused = job.curl(key, "/exec", {"server_id": job.host["id"], "command": "true"})
    assert status == 503 and isinstance(refused["detail"], str)
    assert [row["operation_type"] for row in job.audit()] == ["registry_logout"]
