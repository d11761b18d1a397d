"""The examples of plugins/README.md run as they are written: the manual cannot grow old unnoticed."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest

from roci import Invalid, Roci, Settings, Site, Spec, StepFailed, Unavailable, core
from roci_plugins.agent import wire
from roci_plugins.agent.host import commands_of
from roci_plugins.agent.scripted import scripted_agent
from roci_plugins.agent.steps import perform
from roci_plugins.domain import access, credentials, policies
from roci_plugins.domain.channels import NewChannel
from roci_plugins.domain.principals import NewPrincipal
from roci_plugins.work import enrol
from roci_plugins.work.notify import Courier

from .e2e.manual import MANUAL, examples
from .test_architecture import hooks


@pytest.fixture
def plugins(tmp_path: Path) -> Path:
    folder = tmp_path / "plugins"
    folder.mkdir()
    for name, text in examples().items():
        if not name.startswith("test_"):
            (folder / name).write_text(text)
    return folder


def ours(tmp_path: Path, plugins: Path) -> Roci:
    return Roci(Settings(data_dir=str(tmp_path / "data"), plugins_dir=str(plugins), local_agent=False))


def test_every_example_is_found() -> None:
    assert set(examples()) == {"odd_hosts.py", "test_odd_hosts.py", "static_site.py", "tower_light.py", "rack.py"}
    assert MANUAL.read_text().count("```python") == 5


def test_the_example_of_a_test_passes_where_the_manual_puts_it(tmp_path: Path) -> None:
    for name, text in examples().items():
        (tmp_path / name).write_text(text)
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_odd_hosts.py"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout + done.stderr


async def test_the_matcher_decides_who_joins(tmp_path: Path, plugins: Path) -> None:
    async with ours(tmp_path, plugins).running() as roci:
        await roci.write(policies.add, "nas", 1, {"type": "hostname", "pattern": "nas-[0-9]+"}, "approve")
        for hostname, status in [("nas-7", "approved"), ("toaster", "pending")]:
            async with scripted_agent(roci) as agent:
                assert (await agent.register(hostname))["status"] == status


async def test_the_backend_puts_a_page_where_it_says_and_takes_it_away(tmp_path: Path, plugins: Path) -> None:
    roci = ours(tmp_path, plugins)
    backend, commands = roci.backends["static"], commands_of(roci.pm)
    spec = Spec("home", "<html>hello</html>")
    backend.validate(spec)
    with pytest.raises(Invalid, match="takes one HTML page"):
        backend.validate(Spec("home", "services: {}"))
    site = Site(tmp_path / "volumes", None, {}, _no_program)
    page = tmp_path / "volumes" / "home" / "index.html"
    assert "".join([text async for text in perform(backend.plan("deploy", spec), commands, site)]) == "home is up\n"
    assert page.read_text() == spec.text
    assert [text async for text in perform(backend.plan("stop", Spec("home", "")), commands, site)]
    assert not page.exists()
    assert [text async for text in perform(backend.plan("start", Spec("home", "")), commands, site)]
    assert page.read_text() == spec.text, "a start comes without the text"
    assert [text async for text in perform(backend.plan("delete", Spec("home", "")), commands, site)]
    assert not page.exists()
    with pytest.raises((Invalid, StepFailed)):
        _ = [text async for text in perform(backend.plan("deploy", Spec("../home", spec.text)), commands, site)]


async def test_the_notifier_switches_a_lamp_and_hides_its_pin(tmp_path: Path, plugins: Path) -> None:
    said: asyncio.Queue[bytes] = asyncio.Queue()

    async def lamp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await said.put(await reader.readline())
        writer.close()

    server = await asyncio.start_server(lamp, "127.0.0.1", 0)
    async with server, ours(tmp_path, plugins).running() as roci:
        port, courier = server.sockets[0].getsockname()[1], roci.part(Courier)
        row = await courier.add(
            NewChannel("lamp", "tower_light"), {"host": "127.0.0.1", "port": port, "pin": "0815-4711"}
        )
        await courier.test(row.id)
        async with asyncio.timeout(30):
            assert await said.get() == b"0815-4711 green\n"
        ((_, shown, _),) = await courier.shown([row])
        assert shown == {"host": "127.0.0.1", "port": port}
        await courier.change(row.id, {"port": 1, "pin": "0815-4711"})
        with pytest.raises(Unavailable, match=r"the lamp at 127\.0\.0\.1 cannot be reached"):
            await courier.test(row.id)


async def test_the_page_is_in_the_navigation_and_the_panel_on_its_host(tmp_path: Path, plugins: Path) -> None:
    async with ours(tmp_path, plugins).running() as roci, scripted_agent(roci) as agent:
        client = core("app").create_app(roci).test_client()
        admin = await roci.write(access.add_administrator, NewPrincipal("admin"))
        client.set_cookie("localhost", "roci_session", await roci.write(credentials.log_in, admin))
        page = await (await client.get("/rack")).get_data(as_text=True)
        assert 'href="/rack" aria-current="page"' in page and "<li>pi-kitchen: on the fridge</li>" in page
        await agent.register("nas")
        await enrol.approve(roci, agent.agent_id)
        page = await (await client.get(f"/hosts/{agent.agent_id}")).get_data(as_text=True)
        assert "Where it stands" in page and "<p>lowest shelf</p>" in page


async def test_a_longer_page_has_the_template_that_the_manual_says(tmp_path: Path, plugins: Path) -> None:
    text, template = examples()["rack.py"], re.search(r"template, `(.+?)` in the blueprint's", MANUAL.read_text())
    rendered = re.search(r"is rendered by `render\((.+?), …\)`", MANUAL.read_text())
    assert template and rendered
    page = plugins / "templates" / template[1]
    page.parent.mkdir(parents=True)
    page.write_text("<h1>{{ title }}, from a template</h1>")
    text = text.replace("__name__)", f'__name__, template_folder="{plugins}/templates")')
    (plugins / "rack.py").write_text(re.sub(r"render\(Markup\(.+\), ", f"render({rendered[1]}, ", text))
    async with ours(tmp_path, plugins).running() as roci:
        client = core("app").create_app(roci).test_client()
        admin = await roci.write(access.add_administrator, NewPrincipal("admin"))
        client.set_cookie("localhost", "roci_session", await roci.write(credentials.log_in, admin))
        assert "<h1>The rack, from a template</h1>" in await (await client.get("/rack")).get_data(as_text=True)


async def _no_program(*argv: object, **options: object) -> types.AsyncGeneratorType[str, None]:
    raise AssertionError("this backend runs no program")


def test_the_table_of_hooks_names_every_hook_and_no_other() -> None:
    table = re.findall(r"^\| `(\w+)\(", MANUAL.read_text(), re.MULTILINE)
    assert sorted(table) == sorted(hooks())


def test_the_wire_is_where_the_manual_sends_the_reader() -> None:
    assert wire.PROTOCOL == 2
