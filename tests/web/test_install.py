from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from roci import Malformed, Roci, Settings, StartupError
from roci_plugins.core.app import create_app
from roci_plugins.web import install, wheel

GOOD = [
    "http://roci.lan:8080",
    "https://roci.example.org",
    "http://192.168.1.5:8080",
    "http://[fd00::5]:8080",
    "https://home.example.org/roci",
    "http://nas",
]
HOSTILE = [
    "http://a'; reboot; '",
    "http://a$(id)",
    "http://a`id`",
    "http://a b",
    "http://a\nreboot",
    "http://a\n",
    'http://a"',
    "http://a;b",
    "http://a/b?c",
    "http://user@host",
    "http://",
    "http://-a",
    "http://a..b",
    "http://a:port",
    "file:///etc/passwd",
    "http://" + "a." * 200 + "b",
]


@pytest.mark.parametrize("address", GOOD)
def test_the_address_of_a_server_gets_into_the_script(address: str) -> None:
    script = install.script(address, wheel.build())
    assert f"\nSERVER='{address}'\n" in script and "@SERVER@" not in script
    assert wheel.build().sha256 in script


@pytest.mark.parametrize("address", HOSTILE)
def test_an_address_that_is_none_gets_into_no_script(address: str) -> None:
    with pytest.raises(Malformed):
        install.script(address, wheel.build())


def test_the_install_line_is_what_the_script_itself_says() -> None:
    assert install.install_line("http://roci.lan:8080/") == "curl -fsSL http://roci.lan:8080/install.sh | sudo sh"
    line = install.install_line("http://roci.lan:8080", ["--name", "nas", "--allow", "exec"])
    assert line == "curl -fsSL http://roci.lan:8080/install.sh | sudo sh -s -- --name nas --allow exec"
    assert line.removesuffix(" --name nas --allow exec") in install.script("http://roci.lan:8080", wheel.build())


def client(data: Path, **settings: Any) -> Any:
    return create_app(Roci(Settings(data_dir=str(data), local_agent=False, **settings))).test_client()


async def test_anybody_gets_the_script_for_the_address_they_asked_at(tmp_path: Path) -> None:
    answer = await client(tmp_path).get("/install.sh", headers={"Host": "roci.lan:8080"})
    assert answer.status_code == 200 and answer.mimetype == "text/x-shellscript"
    assert await answer.get_data(as_text=True) == install.script("http://roci.lan:8080", wheel.build())


async def test_the_public_address_wins_over_the_one_of_the_request(tmp_path: Path) -> None:
    asked = client(tmp_path, public_url="https://roci.example.org/")
    answer = await asked.get("/install.sh", headers={"Host": "192.168.1.5"})
    assert "\nSERVER='https://roci.example.org'\n" in await answer.get_data(as_text=True)


async def test_a_public_address_that_is_none_refuses_the_start(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="public_url"):
        client(tmp_path, public_url="https://roci'")


@pytest.mark.parametrize("host", ["a'; reboot; '", "a$(id)", "a`id`", "a b", 'a"', "a/b", "user@a", "a\\", ""])
async def test_a_hostile_host_gets_no_script(tmp_path: Path, host: str) -> None:
    answer = await client(tmp_path).get("/install.sh", headers={"Host": host})
    body = await answer.get_data(as_text=True)
    assert answer.status_code == 400 and body.startswith("# ") and body.count("\n") == 1
    assert not host or host not in body


async def test_anybody_gets_the_program_that_the_script_announces(tmp_path: Path) -> None:
    asked = client(tmp_path)
    answer = await asked.get(f"/install/{wheel.build().name}")
    assert answer.status_code == 200 and await answer.get_data() == wheel.build().content
    other = await asked.get("/install/roci-9.9.9-py3-none-any.whl")
    assert other.status_code == 404 and wheel.build().name in await other.get_data(as_text=True)
