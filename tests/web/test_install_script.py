"""The installation script, run as it is: into a folder, from a server of our own, with pip offline."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from roci_plugins.web import install, wheel

OFFLINE = {"PIP_NO_DEPS": "1", "PIP_NO_INDEX": "1"}  # what ROCI needs is not what is tried here


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    made = wheel.build()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path == f"/install/{made.name}"
            self.send_response(200 if found else 404)
            self.end_headers()
            self.wfile.write(made.content if found else b"")

        def log_message(self, *args: object) -> None:
            """Not to the test's output."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


def run(script: str, root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    given = {"PATH": os.environ["PATH"], "HOME": str(root), "INSTALL_ROOT": str(root), **OFFLINE}
    shell = shutil.which("dash") or "sh"
    return subprocess.run(
        [shell, "-s", "--", *options], input=script, env=given, capture_output=True, text=True, timeout=120
    )


def settings(root: Path) -> list[str]:
    return (root / "etc/roci-agent.env").read_text().splitlines()[1:]


def test_the_script_installs_the_agent_and_a_second_run_upgrades_it(server: str, tmp_path: Path) -> None:
    script = install.script(server, wheel.build())
    first = run(script, tmp_path, "--name", "nas", "--allow=exec,-delete", "--totp", "123456")
    assert first.returncode == 0, first.stderr
    assert settings(tmp_path) == [
        f"ROCI_AGENT__SERVER={server}",
        f"ROCI_AGENT__STATE_DIR={tmp_path}/var/lib/roci-agent",
        "ROCI_AGENT__NAME=nas",
        "ROCI_AGENT__ALLOW=exec,-delete",
        "ROCI_AGENT__TOTP=123456",
    ]
    assert (tmp_path / "etc/roci-agent.env").stat().st_mode & 0o077 == 0
    assert "no systemd runs here" in first.stdout and "somebody approves it" in first.stdout
    assert list((tmp_path / "opt/roci-agent/lib").glob("python3*/site-packages/roci.py"))

    (changed,) = (tmp_path / "opt/roci-agent/lib").glob("python3*/site-packages/roci.py")
    changed.write_text("an older program of the same version")
    second = run(script, tmp_path, "--volume-base", "/srv/apps")
    assert second.returncode == 0, second.stderr
    assert "class RociError" in changed.read_text()
    assert settings(tmp_path)[2:] == [
        "ROCI_AGENT__NAME=nas",
        "ROCI_AGENT__ALLOW=exec,-delete",
        "ROCI_AGENT__VOLUME_BASE=/srv/apps",
    ]


def test_a_program_that_is_not_the_announced_one_is_not_installed(server: str, tmp_path: Path) -> None:
    script = install.script(server, wheel.build()).replace(wheel.build().sha256, "0" * 64)
    ended = run(script, tmp_path)
    assert ended.returncode == 1 and "not what" in ended.stderr
    assert not (tmp_path / "opt/roci-agent").exists() and not (tmp_path / "etc").exists()


def test_a_server_that_is_gone_is_named(tmp_path: Path) -> None:
    ended = run(install.script("http://127.0.0.1:1", wheel.build()), tmp_path)
    assert ended.returncode == 1 and "cannot download the program from http://127.0.0.1:1" in ended.stderr


@pytest.mark.parametrize(
    "options, complaint",
    [
        (["--nam", "nas"], "--nam is no option"),
        (["nas"], "nas is no option"),
        (["--name"], "lacks its value"),
        (["--name", "nas; reboot"], "holds something else than letters"),
        (["--name", "$(id)"], "holds something else than letters"),
        (["--name", "a\nROCI_AGENT__ALLOW=exec"], "holds something else than letters"),
        (["--volume-base", "srv"], "is not an absolute path"),
    ],
)
def test_a_bad_option_changes_nothing(tmp_path: Path, options: list[str], complaint: str) -> None:
    ended = run(install.script("http://127.0.0.1:1", wheel.build()), tmp_path, *options)
    assert ended.returncode == 1 and complaint in ended.stderr
    assert not list(tmp_path.iterdir())


def test_a_download_of_the_script_that_broke_off_does_nothing(server: str, tmp_path: Path) -> None:
    script = install.script(server, wheel.build())
    for part in (0.3, 0.6, 0.9, 0.98):
        run(script[: int(len(script) * part)], tmp_path)
        assert not list(tmp_path.iterdir())
    assert run(script[: script.rindex("\nmain")], tmp_path).returncode == 0
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("shell", ["sh", "dash", "bash"])
def test_the_script_is_one_for_every_shell(shell: str) -> None:
    if not shutil.which(shell):
        pytest.skip(f"no {shell} here")
    subprocess.run([shell, "-n"], input=install.script("http://roci.lan:8080", wheel.build()), text=True, check=True)


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="no shellcheck here")
def test_the_script_is_clean_to_shellcheck() -> None:
    script = install.script("http://roci.lan:8080", wheel.build())
    ended = subprocess.run(["shellcheck", "--shell", "sh", "-"], input=script, capture_output=True, text=True)
    assert ended.stdout == ""
