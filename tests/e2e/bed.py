"""The test bed for journeys: a server and agents as processes of their own, a client for scripts, and `wait_for`.

Nothing here knows a test. What ends in a folder or a process is ended by the fixtures in conftest.py.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import requests

T = TypeVar("T")
ROCI = str(Path(sys.executable).with_name("roci"))
PASSWORD = "correct-horse-battery-staple"


def wait_for(check: Callable[[], T], seconds: float, what: str) -> T:
    """The first true answer of `check`, asked ten times a second. None in time: AssertionError with the last one.

    An OSError (a refused connection, an HTTP error of requests or docker) counts as "not yet".
    """
    deadline = time.monotonic() + seconds
    while True:
        last: Any
        try:
            if answer := check():
                return answer
            last = answer
        except OSError as error:
            last = error
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:g} s for {what}; the last answer was {last!r}")
        time.sleep(0.1)


def unique(name: str) -> str:
    """A name no other test has: for projects, hosts and applications on an engine that tests share."""
    return f"{name}-{secrets.token_hex(3)}"


def free_port(host: str = "127.0.0.1") -> int:
    """A port that is free now and stays so: none of those that are given out to who asks for any, or who dials."""
    for _ in range(100):
        port = 20_000 + secrets.randbelow(10_000)
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe, contextlib.suppress(OSError):
            probe.bind((host, port))
            return port
    raise AssertionError(f"no port is free on {host}")


class Process:
    """A program under test. Its output, from all its starts, is in one file; `end` leaves nothing of it behind."""

    def __init__(self, argv: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
        self.argv = list(argv)
        self.log = log
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ROCI_")}
        self.environment = {**kept, "PYTHONUNBUFFERED": "1", **environment}
        self.process: subprocess.Popen[bytes] | None = None
        self._start_of_log = 0

    @property
    def output(self) -> str:
        """Everything it printed, standard output and error together, since the first start."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    @property
    def latest_output(self) -> str:
        """What it printed since the latest start."""
        return self.output[self._start_of_log :]

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        assert not self.is_running, f"{self.argv} runs already"
        self._start_of_log = len(self.output)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.argv,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a group of its own, which `end` can end as a whole
            )

    def stop(self, seconds: float = 10) -> int:
        """Ask it to stop; its exit code. Still there after `seconds`: AssertionError."""
        assert self.process is not None
        self.process.terminate()
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.argv[:2]} did not stop within {seconds:g} s:\n{self.latest_output}") from None

    def kill9(self) -> None:
        """What a power cut does: no chance to say anything. What it had started is left running."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    def end(self) -> None:
        """Clean up after a test, whatever state it is in."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)

    def wait_for_output(self, pattern: str, seconds: float = 10) -> re.Match[str]:
        """The first match of `pattern` in what it printed since its latest start."""

        def look() -> re.Match[str] | None:
            is_running = self.is_running  # before the last words are read
            found = re.search(pattern, self.latest_output)
            assert found or is_running, f"{self.argv[:2]} ended without printing {pattern!r}:"
            return found

        try:
            found = wait_for(look, seconds, f"{pattern!r} in the output of {self.argv[:2]}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.latest_output}") from None
        assert found
        return found


class Client:
    """Talks to a server the way a person's script does. Every call returns the status and the decoded body.

    A body that is not JSON is returned as text, an empty one as None. Redirects are not followed.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.session = requests.Session()
        self.session.trust_env = False  # the proxy and .netrc of whoever runs the tests

    def sign_in(self, password: str = PASSWORD, username: str = "admin") -> None:
        status, body = self.post("/login", {"username": username, "password": password})
        assert status == 200, f"signing in as {username} answered {status}: {body}"

    def get(self, path: str, **options: Any) -> tuple[int, Any]:
        return self.request("GET", path, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> tuple[int, Any]:
        return self.request("POST", path, json=body, **options)

    def put(self, path: str, body: Any = None, **options: Any) -> tuple[int, Any]:
        return self.request("PUT", path, json=body, **options)

    def patch(self, path: str, body: Any = None, **options: Any) -> tuple[int, Any]:
        return self.request("PATCH", path, json=body, **options)

    def delete(self, path: str, body: Any = None, **options: Any) -> tuple[int, Any]:
        return self.request("DELETE", path, json=body, **options)

    def request(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        """`options` are those of requests: params, json, data, headers, files…"""
        options = {"timeout": 30, "allow_redirects": False, **options}
        answer = self.session.request(method, self.url + path, **options)
        try:
            return answer.status_code, answer.json() if answer.content else None
        except ValueError:
            return answer.status_code, answer.text


class Server(Process):
    """`roci serve` on a data folder of its own. The first start picks a free port, later ones keep it.

    `bind` may name more than one address; `urls` then has one per address. `environment` adds settings.
    """

    def __init__(
        self,
        folder: Path,
        *,
        local_agent: bool = False,
        bind: str = "127.0.0.1:0",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.data_dir = folder / "data"
        self.urls: list[str] = []
        self._api: Client | None = None
        settings = {
            "ROCI_BIND": bind,
            "ROCI_DATA_DIR": str(self.data_dir),
            "ROCI_ADMIN_PASSWORD": PASSWORD,
            "ROCI_LOCAL_AGENT": str(local_agent).lower(),
            "ROCI_AGENT__VOLUME_BASE": str(folder / "volumes"),
        }
        super().__init__([ROCI, "serve"], folder / "server.log", {**settings, **(environment or {})})

    @property
    def url(self) -> str:
        return self.urls[0]

    @property
    def api(self) -> Client:
        """A client signed in as the administrator, the same one as long as the data folder lives."""
        if self._api is None:
            self._api = Client(self.url)
            self._api.sign_in()
        return self._api

    def start(self, seconds: float = 30) -> None:
        """Returns once it says that it is ready, on every address."""
        binds = [bind.rpartition(":") for bind in self.environment["ROCI_BIND"].split(",")]
        chosen = [f"{host}:{free_port(host.strip('[]')) if port == '0' else port}" for host, _, port in binds]
        self.environment["ROCI_BIND"] = ",".join(chosen)
        super().start()
        addresses = len(chosen)
        self.wait_for_output(r"(?s)" + r"ROCI is ready on http\S+.*?" * addresses, seconds)
        self.urls = re.findall(r"ROCI is ready on (http\S+)", self.latest_output)
        self.urls = [url.rstrip("/") for url in self.urls]
        self.environment["ROCI_BIND"] = ",".join(url.partition("://")[2] for url in self.urls)


class Agent(Process):
    """`roci agent`, optionally inside the network namespace `netns`, from where the server sees another address."""

    def __init__(
        self,
        folder: Path,
        server: str,
        name: str,
        *,
        netns: str | None = None,
        docker_host: str | None = None,
        options: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.volume_base = folder / name / "volumes"
        self.state_dir = folder / name / "state"
        self.volume_base.mkdir(parents=True, exist_ok=True)
        self.state_dir.mkdir(parents=True, exist_ok=True)
        inside = ["nsenter", f"--net=/run/netns/{netns}"] if netns else []
        argv = [*inside, ROCI, "agent", "--server", server, "--name", name]
        argv += ["--volume-base", str(self.volume_base), "--state-dir", str(self.state_dir), *options]
        if docker_host:
            argv += ["--docker-host", docker_host]
        super().__init__(argv, folder / name / "agent.log", environment or {})
