"""Plugins of one's own, as plugins/README.md has them: files in a folder, and a package, in a running server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from .bed import Server, unique, wait_for
from .journey import App, admit, agent
from .manual import examples
from .seed import SeedAgent

NewServer = Callable[..., Server]
PAGE = "<html>hello</html>"
CLAUSE = {"type": "hostname", "pattern": "nas-[0-9]+"}


def admits_by_name(server: Server) -> None:
    admit(server.api, CLAUSE)
    with SeedAgent(server.url) as nas, SeedAgent(server.url) as toaster:
        assert nas.register("nas-7")["status"] == "approved"
        assert toaster.register("toaster")["status"] == "pending"
    assert "nas-7 fits nas-[0-9]+" in agent(server.api, "nas-7", connected=False)["decision_reason"]
    bad = {"name": "bad", "priority": 1, "match_type": {"type": "hostname", "pattern": "["}, "action": "approve"}
    status, body = server.api.post("/api/v1/policies", bad)
    assert (status, body["error"]["code"]) == (400, "validation_error"), body


def deploys_a_page(server: Server, base: Path) -> None:
    host = agent(server.api)["id"]
    assert "backend:static" in agent(server.api)["capabilities"]
    new = {"name": unique("site"), "compose_yaml": "no page", "backend": "static", "agent_id": host}
    status, body = server.api.post("/api/v1/applications", new)
    assert status == 400 and "takes one HTML page" in body["error"]["message"]
    app = App(server.api, unique("site"), PAGE, host, backend="static")
    deployed = app.run("deploy")
    assert (deployed["status"], deployed["output"]) == ("succeeded", f"{app.name} is up\n")
    page = base / app.name / "index.html"
    assert page.read_text() == PAGE
    assert app.run("stop")["status"] == "succeeded"
    assert not page.exists()
    assert app.run("deploy")["status"] == "succeeded"
    assert page.read_text() == PAGE
    assert app.remove()["status"] == "succeeded"
    assert not page.exists()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The examples of the manual, as files in the operator's folder."""
    folder = tmp_path / "plugins"
    folder.mkdir()
    for name in ("odd_hosts.py", "static_site.py"):
        (folder / name).write_text(examples()[name])
    return folder


def test_files_in_the_folder_of_plugins_work(new_server: NewServer, folder: Path, tmp_path: Path) -> None:
    settings = {"ROCI_PLUGINS_DIR": str(folder), "ROCI_AGENT__VOLUME_BASE": str(tmp_path / "volumes")}
    server = new_server(local_agent=True, environment=settings)
    admits_by_name(server)
    deploys_a_page(server, tmp_path / "volumes")


def test_an_agent_elsewhere_brings_its_own_backend(
    new_server: NewServer, new_agent: Callable[..., Server], folder: Path, tmp_path: Path
) -> None:
    settings = {"ROCI_PLUGINS_DIR": str(folder)}
    server = new_server(environment=settings)
    admit(server.api, {"type": "any"})
    new_agent(server.url, "plain")
    new_agent(server.url, "able", environment=settings)
    app = App(server.api, unique("site"), PAGE, backend="static")
    status, body = server.api.post(f"{app.path}/deploy", {"agent_id": agent(server.api, "plain")["id"]})
    assert status == 400 and "does not offer the backend static" in body["error"]["message"]
    assert app.run("deploy", {"agent_id": agent(server.api, "able")["id"]})["status"] == "succeeded"
    assert (tmp_path / "able" / "volumes" / app.name / "index.html").read_text() == PAGE


def test_an_installed_package_brings_a_plugin(new_server: NewServer, tmp_path: Path) -> None:
    """What `pip install --target` leaves: the package, and a folder that names its entry point."""
    site = tmp_path / "site"
    about = site / "my_package-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[roci]\nodd_hosts = my_package.odd_hosts\n")
    package = site / "my_package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "odd_hosts.py").write_text(examples()["odd_hosts.py"])
    server = new_server(environment={"PYTHONPATH": str(site)})
    admits_by_name(server)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("import nothing_of_that_name", "nothing_of_that_name"),
        ("from roci import hookimpl\n@hookimpl\ndef register_matches():\n    return []\n", "register_matches"),
        ("def broken(:\n", "SyntaxError"),
    ],
)
def test_a_plugin_that_is_wrong_refuses_the_start_and_is_named(
    new_server: NewServer, tmp_path: Path, text: str, says: str
) -> None:
    (tmp_path / "wrong.py").write_text(text)
    with pytest.raises(AssertionError, match=r"local\.wrong") as refused:
        new_server(environment={"ROCI_PLUGINS_DIR": str(tmp_path)})
    assert says in str(refused.value) and "Traceback" not in str(refused.value)


def test_what_a_plugin_brought_is_missed_when_it_is_left_out(new_server: NewServer, folder: Path) -> None:
    server = new_server(environment={"ROCI_PLUGINS_DIR": str(folder)})
    admit(server.api, CLAUSE)
    app = App(server.api, unique("site"), PAGE, backend="static")
    assert server.stop() == 0
    server.environment["ROCI_DISABLE"] = "local.odd_hosts,local.static_site"
    server.start()
    with SeedAgent(server.url) as nas:
        assert nas.register("nas-7")["status"] == "pending", "a policy that cannot be read matches nobody"
        wait_for(lambda: "is left out" in server.latest_output, 20, "the log to say so")
        status, body = server.api.post(f"{app.path}/deploy", {"agent_id": "00000000-0000-4000-8000-000000000000"})
        assert status in (400, 404), body
        assert app.status == "stopped"
