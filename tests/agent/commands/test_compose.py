from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from roci import Site, StepFailed
from roci_plugins.agent.commands import compose, compose_cli
from roci_plugins.agent.commands.compose import register_agent_commands

COMMANDS = register_agent_commands()
WHICH = {"project": "shop", "app": "Shop"}


class Programs:
    """Stands for the host's programs: notes each call, answers `version` and then from the script."""

    def __init__(self, *answers: str | StepFailed, version: str = "2.40.3\n") -> None:
        self.answers, self.version = list(answers), version
        self.calls: list[tuple[list[str], dict[str, Any]]] = []

    async def spawn(self, argv: list[str], **options: Any) -> AsyncIterator[str]:
        if argv[1:] == ["version", "--short"]:
            yield self.version
            return
        self.calls.append((argv[1:], options))
        answer = self.answers.pop(0) if self.answers else "done\n"
        if isinstance(answer, StepFailed):
            raise answer
        yield answer


def site(base: Path, programs: Programs, docker_host: str | None = None, **variables: str) -> Site:
    return Site(base, docker_host, variables, programs.spawn)


async def run(name: str, where: Site, **args: Any) -> str:
    return "".join([text async for text in COMMANDS[f"compose.{name}"](where, {**WHICH, **args})])


@pytest.fixture(autouse=True)
def compose_here(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Compose that is found on every machine; what it says comes from the script."""
    config = tmp_path_factory.mktemp("docker")
    program(config / "cli-plugins" / "docker-compose")
    monkeypatch.setenv("DOCKER_CONFIG", str(config))


# --- what is run ---------------------------------------------------------------

QUIET = ["--ansi", "never", "--progress", "plain"]


def test_the_arguments_name_the_project_and_the_file() -> None:
    assert compose.argv("/bin/dc", "shop", ["up", "-d"], Path("/data/Shop")) == [
        "/bin/dc", *QUIET, "-p", "shop", "-f", "/data/Shop/docker-compose.yml",
        "--project-directory", "/data/Shop", "up", "-d",
    ]  # fmt: skip
    assert compose.argv("/bin/dc", "shop", ["stop"]) == ["/bin/dc", *QUIET, "-p", "shop", "stop"]


@pytest.mark.parametrize(
    ("name", "words", "by_file"),
    [
        ("up", ["up", "-d", "--remove-orphans"], True),
        ("stop", ["stop"], False),
        ("start", ["start"], False),
        ("down", ["down", "--remove-orphans"], False),
    ],
)
async def test_each_command_runs_one_program(tmp_path: Path, name: str, words: list[str], by_file: bool) -> None:
    programs, folder = Programs(), tmp_path / "Shop"
    folder.mkdir()
    assert await run(name, site(tmp_path, programs)) == "done\n"
    assert [(argv, options["cwd"]) for argv, options in programs.calls] == [
        (compose.argv("", "shop", words, folder if by_file else None)[1:], folder if by_file else "/")
    ]


async def test_newer_images_are_asked_for_when_that_is_wanted(tmp_path: Path) -> None:
    programs = Programs()
    (tmp_path / "Shop").mkdir()
    await run("up", site(tmp_path, programs), pull=True)
    assert programs.calls[0][0][-5:] == ["up", "-d", "--remove-orphans", "--pull", "always"]


def test_a_program_sees_the_declared_variables_and_never_the_agents_own(tmp_path: Path) -> None:
    where = site(tmp_path, Programs(), "unix:///d.sock", DB_PASSWORD="x", PATH="/evil", VOLUME_BASE="/evil")
    host = {"PATH": "/bin", "HOME": "/h", "AGENT_TOKEN": "secret", "DOCKER_CONFIG": "/c"}
    assert compose.environment(where, host) == {
        "DB_PASSWORD": "x", "PATH": "/bin", "HOME": str(Path.home()), "DOCKER_HOST": "unix:///d.sock",
        "DOCKER_CONFIG": "/c", "VOLUME_BASE": str(tmp_path),
    }  # fmt: skip


async def test_a_start_that_misses_containers_makes_them_and_replaces_none(tmp_path: Path) -> None:
    programs = Programs(StepFailed("no container to start", exit_code=1, tail=""), "created\n")
    await run("write", site(tmp_path, programs), text="x")
    assert "created" in await run("start", site(tmp_path, programs))
    assert programs.calls[1][0][-3:] == ["up", "-d", "--no-recreate"]


async def test_a_start_without_a_file_fails_as_it_did(tmp_path: Path) -> None:
    programs = Programs(StepFailed("no container to start", exit_code=1, tail=""))
    with pytest.raises(StepFailed, match="no container to start"):
        await run("start", site(tmp_path, programs))


async def test_a_known_failure_ends_with_advice(tmp_path: Path) -> None:
    failure = StepFailed("ended with exit code 1", exit_code=1, tail="Error: port is already allocated\n")
    seen = []
    with pytest.raises(StepFailed):
        async for text in COMMANDS["compose.stop"](site(tmp_path, Programs(failure)), WHICH):
            seen.append(text)
    assert "docker ps" in seen[-1]


async def test_an_up_without_its_folder_says_to_deploy_again(tmp_path: Path) -> None:
    with pytest.raises(StepFailed, match="is gone: deploy the application again"):
        await run("up", site(tmp_path, Programs()))


# --- the file ------------------------------------------------------------------


async def test_the_file_is_written_for_its_owner_alone_and_replaced_as_a_whole(tmp_path: Path) -> None:
    base = tmp_path / "not" / "there" / "yet"
    where, file = site(base, Programs()), base / "Shop" / "docker-compose.yml"
    await run("write", where, text="one")
    (file.parent / "data").mkdir()
    await run("write", where, text="zwei ü")
    assert file.read_text() == "zwei ü"
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o755)
    assert sorted(os.listdir(file.parent)) == ["data", "docker-compose.yml"]


@pytest.mark.parametrize("app", ["..", ".", "", "a/b", "../x", "/etc", "a\0b"])
async def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, app: str) -> None:
    with pytest.raises(StepFailed, match="cannot name a folder"):
        await run("write", site(tmp_path, Programs()), app=app, text="x")


async def test_a_folder_that_is_a_link_out_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    base = tmp_path / "base"
    base.mkdir()
    (base / "Shop").symlink_to(tmp_path / "elsewhere")
    for name in ("write", "forget", "up"):
        with pytest.raises(StepFailed, match="is a link that leads out"):
            await run(name, site(base, Programs()), text="x")
    assert not list((tmp_path / "elsewhere").iterdir())


async def test_a_file_referred_to_through_a_link_out_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "Shop"
    folder.mkdir()
    (folder / "secret.env").symlink_to("/etc/passwd")
    with pytest.raises(StepFailed, match=r"secret\.env leads out of"):
        await run("write", site(tmp_path, Programs()), text="x", files=["secret.env"])
    await run("write", site(tmp_path, Programs()), text="x", files=["not-yet.env"])


async def test_a_link_in_the_place_of_the_file_is_replaced_not_followed(tmp_path: Path) -> None:
    (tmp_path / "Shop").mkdir()
    (tmp_path / "victim").write_text("keep")
    (tmp_path / "Shop" / "docker-compose.yml").symlink_to(tmp_path / "victim")
    await run("write", site(tmp_path, Programs()), text="x")
    assert (tmp_path / "victim").read_text() == "keep"


async def test_forgetting_removes_the_file_and_keeps_the_data(tmp_path: Path) -> None:
    where = site(tmp_path, Programs())
    await run("write", where, text="x")
    (tmp_path / "Shop" / "data").mkdir()
    assert "stays" in await run("forget", where)
    assert os.listdir(tmp_path / "Shop") == ["data"]
    assert await run("forget", where) == ""
    assert await run("forget", where, app="never-there") == ""


async def test_a_base_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StepFailed, match=r"cannot make the folder .*volume-base"):
        await run("write", site(tmp_path / "file", Programs()), text="x")


# --- the program ---------------------------------------------------------------


def program(path: Path, text: str = "#!/bin/sh\n") -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def test_a_plugin_comes_before_a_program_on_the_path_and_a_script_that_hides_failures_never(tmp_path: Path) -> None:
    plugin = program(tmp_path / "config" / "cli-plugins" / "docker-compose")
    on_path = program(tmp_path / "bin" / "docker-compose")
    environ = {"DOCKER_CONFIG": str(tmp_path / "config"), "PATH": str(tmp_path / "bin")}
    found = compose_cli.candidates(environ)
    assert found.index(plugin) < found.index(on_path)
    program(tmp_path / "bin" / "docker-compose", "#!/usr/bin/python3\nfrom compose import docker_compose\n")
    assert on_path not in compose_cli.candidates(environ)


async def test_the_first_of_version_2_is_taken_and_asked_once() -> None:
    asked: list[str] = []

    async def spawn(argv: list[str], **options: Any) -> AsyncIterator[str]:
        asked.append(argv[0])
        if argv[0] == "broken":
            raise StepFailed("broken")
        yield {"one": "1.29.2\n", "two": "v2.40.3\n", "five": "5.0.1\n"}[argv[0]]

    for _ in range(2):
        assert await compose_cli.find(spawn, ["broken", "one", "two", "five"]) == "two"
    assert asked == ["broken", "one", "two"]
    assert await compose_cli.find(spawn, ["five"]) == "five"
    with pytest.raises(StepFailed) as error:
        await compose_cli.find(spawn, ["one", "broken"])
    assert "(one is 1.29.2; broken is broken)" in error.value.message
    assert "apt-get install docker-compose-plugin" in error.value.message
    with pytest.raises(StepFailed, match="no Docker Compose here: install"):
        await compose_cli.find(spawn, [])
