from __future__ import annotations

import pytest

from roci import Malformed
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
