"""Real Docker engines for the journeys: the test image, a second host, and cleaning up by label."""

from __future__ import annotations

import contextlib
import io
import os
import random
import secrets
import shutil
import signal
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import docker
import pytest
import requests

from .bed import wait_for

IMAGE = "roci-test/busybox:1"
PAGE = "served by the ROCI test image\n"
# A process 1 without a handler ignores SIGTERM: without STOPSIGNAL every stop takes the whole grace of ten seconds.
DOCKERFILE = """
FROM scratch
ADD root.tar /
EXPOSE 8080
STOPSIGNAL SIGKILL
CMD ["httpd", "-f", "-p", "8080", "-h", "/www"]
"""
COMPOSE_PROJECT = "com.docker.compose.project"


def unavailable(reason: str) -> NoReturn:
    """What a test needs and this machine lacks: a failure where it could be had (CI, root), a skip elsewhere."""
    if os.environ.get("CI") == "true" or os.geteuid() == 0:
        pytest.fail(f"{reason}; packaging/test prepares it", pytrace=False)
    pytest.skip(reason)


def find_engine() -> str:
    """The address of the engine of this machine, as DOCKER_HOST. None that answers: the test fails or is skipped."""
    address = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    try:
        with contextlib.closing(connect(address)) as client:
            client.ping()
    except (docker.errors.DockerException, requests.RequestException) as error:
        unavailable(f"no Docker engine answers at {address} ({error})")
    return address


def connect(address: str) -> docker.DockerClient:
    return docker.DockerClient(base_url=address, timeout=30)


def make_image(client: docker.DockerClient) -> str:
    """Build the test image unless it is there: busybox, with a page for `httpd`. Its name is returned.

    It is made here because a registry to pull one from need not be in reach.
    """
    try:
        client.images.get(IMAGE)
    except docker.errors.ImageNotFound:
        context = archive({"Dockerfile": DOCKERFILE.encode(), "root.tar": _root()})
        client.images.build(fileobj=io.BytesIO(context), custom_context=True, tag=IMAGE, rm=True)
    return IMAGE


def archive(files: Mapping[str, bytes], links: Mapping[str, str] | None = None) -> bytes:
    """A tar archive of executable files and of symbolic links, by path."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as packed:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.mode, entry.size = 0o755, len(content)
            packed.addfile(entry, io.BytesIO(content))
        for name, target in (links or {}).items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            packed.addfile(entry)
    return buffer.getvalue()


def _root() -> bytes:
    """The file system of the test image: busybox and a link for each of its programs."""
    busybox = shutil.which("busybox")
    if busybox is None:
        unavailable("the test image is made from busybox, which is not installed (apt install busybox-static)")
    program = Path(busybox).read_bytes()
    if b"/ld-" in program[:4096]:  # its interpreter, the dynamic linker
        unavailable(f"{busybox} is not statically linked (apt install busybox-static)")
    applets = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split()
    files = {
        "bin/busybox": program,
        "www/index.html": PAGE.encode(),
        "etc/passwd": b"root:x:0:0:root:/:/bin/sh\n",
        "etc/group": b"root:x:0:\n",
        "tmp/.keep": b"",
    }
    return archive(files, {f"bin/{applet}": "busybox" for applet in sorted({*applets} - {"busybox"})})


def remove_labelled(client: docker.DockerClient, label: str) -> None:
    """Remove every container, network and volume that has the label, given as `key=value`."""
    chosen: dict[str, str | list[str] | bool] = {"label": label}
    for container in client.containers.list(all=True, filters=chosen):
        with contextlib.suppress(docker.errors.NotFound):
            container.remove(force=True, v=True)
    for network in client.networks.list(filters=chosen):
        with contextlib.suppress(docker.errors.NotFound):
            network.remove()
    for volume in client.volumes.list(filters=chosen):
        with contextlib.suppress(docker.errors.NotFound):
            volume.remove(force=True)


class SecondHost:
    """Another machine, as far as the network goes: a namespace, a cable to this one, and an engine of its own.

    `here` and `there` are the addresses of the cable's two ends. A server bound to `here` sees an agent that runs
    in the namespace `name` come from `there`; ports that its containers publish answer on `there`.
    """

    def __init__(self) -> None:
        mark = secrets.token_hex(3)
        self.name = f"roci-{mark}"
        self.cable = f"rv{mark}"  # 15 characters at most, with its suffix
        network = _free_network()
        self.here, self.there = f"{network}.1", f"{network}.2"
        # Not under pytest's folder: the path of a socket has at most 107 characters.
        self.folder = Path(tempfile.mkdtemp(prefix="roci-h2-", dir="/var/tmp"))
        self.docker_host = f"unix://{self.folder}/engine.sock"
        self.log = self.folder / "dockerd.log"
        self.engine: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns once its engine answers."""
        if os.geteuid() != 0 or not shutil.which("dockerd") or not shutil.which("ip"):
            unavailable("a second host needs root, dockerd and ip")
        _run("ip", "netns", "add", self.name)
        _run(
            "ip", "link", "add", f"{self.cable}a", "type", "veth", "peer", "name", f"{self.cable}b", "netns", self.name
        )
        _run("ip", "addr", "add", f"{self.here}/24", "dev", f"{self.cable}a")
        _run("ip", "-n", self.name, "addr", "add", f"{self.there}/24", "dev", f"{self.cable}b")
        _run("ip", "-n", self.name, "link", "set", "lo", "up")
        _run("ip", "-n", self.name, "link", "set", f"{self.cable}b", "up")
        self.mend()
        self._start_engine()

    def _start_engine(self) -> None:
        options = {"data-root": "data", "exec-root": "exec", "pidfile": "pid"}
        # Only the network is another one: `ip netns exec` would hide the mounts of the control groups as well.
        argv = ["nsenter", f"--net=/run/netns/{self.name}", "dockerd", "--host", self.docker_host]
        argv += [f"--{option}={self.folder / name}" for option, name in options.items()]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("DOCKER_")}
        with self.log.open("ab") as log:
            self.engine = subprocess.Popen(
                argv, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        try:
            wait_for(self._answers, 60, "the second host's engine")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log.read_text()[-2000:]}") from None

    def _answers(self) -> bool:
        assert self.engine is not None
        assert self.engine.poll() is None, f"dockerd ended:\n{self.log.read_text()[-2000:]}"
        try:
            with contextlib.closing(self.connect()) as client:
                return bool(client.ping())
        except docker.errors.DockerException:
            return False

    def connect(self) -> docker.DockerClient:
        return connect(self.docker_host)

    def cut(self) -> None:
        """Pull the cable: nothing arrives any more and nobody is told. The agent and the containers go on."""
        _run("ip", "link", "set", f"{self.cable}a", "down")

    def mend(self) -> None:
        _run("ip", "link", "set", f"{self.cable}a", "up")

    def end(self) -> None:
        """Remove all of it, however far `start` came."""
        if self.engine is not None:
            self._end_engine(self.engine)
        leftovers = (
            ["ip", "link", "del", f"{self.cable}a"],
            ["ip", "netns", "del", self.name],
            ["umount", f"{self.folder}/data"],  # in some containers dockerd leaves it mounted upon itself
        )
        for argv in leftovers:
            subprocess.run(argv, capture_output=True)  # what there is none of needs no removing
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end_engine(self, engine: subprocess.Popen[bytes]) -> None:
        unanswered = contextlib.suppress(docker.errors.DockerException, requests.RequestException)
        with unanswered, contextlib.closing(self.connect()) as client:
            for container in client.containers.list(all=True):
                container.remove(force=True)
        engine.terminate()
        try:
            engine.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(engine.pid, signal.SIGKILL)
            engine.wait(10)


def _free_network() -> str:
    """The first three numbers of a network that this machine is not in: two suites may run at once."""
    taken = _run("ip", "-o", "-4", "addr") if shutil.which("ip") else ""
    free = [network for number in range(1, 255) if (network := f"10.231.{number}") + "." not in taken]
    return random.choice(free)


def _run(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(argv)}: {done.stderr.strip()}"
    return done.stdout
