"""Where a terminal leads to: a login shell of the agent's user on the host itself, or a shell in a container.

The first is under a PTY, in a session of its own, which is ended as a whole; what made itself another session (tmux,
setsid) goes on. The second is the engine's `exec`, over a connection that the engine hands over. Neither sees
anything of the agent's own environment but where programs, the home and the engine are.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import pty
import pwd
import shutil
import signal
import struct
import sys
import termios
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from roci import StepFailed, Unavailable

from . import terminal_wire as said
from .commands.control import find
from .commands.replacing import name_of
from .engine import SOCKET, Engine, Refused
from .terminals import Tty
from .wire import NOT_RUN

log = logging.getLogger("roci.agent")
GRACE = 2.0  # seconds between telling what runs in a terminal that it is gone, and killing it
PASSED_ON = ("DOCKER_CONFIG", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH")
FOLDERS = ("/bin", "/usr/bin", "/usr/local/bin", "/opt/bin")  # where a container may have a shell
NO_SHELLS = ("nologin", "false", "sync", "true")
TRIES, BETWEEN = 20, 0.05  # of what the engine is not ready for yet; seconds between two of them
LIKE = {"TERM": "xterm-256color", "COLORTERM": "truecolor"}

# Makes the terminal that it is started on the session's own and becomes the shell. A program of its own, since a
# process with threads must not do anything between fork and exec.
BECOME = """import fcntl, os, signal, sys, termios
for number in (signal.SIGPIPE, signal.SIGXFSZ):
    signal.signal(number, signal.SIG_DFL)
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], [sys.argv[2]])
"""

# Ends the session whose first process has the mark $1. It is a constant: what varies is an argument.
END_MARKED = """of() { read -r line < "$1/stat" || return 1; set -- ${line##*) }; session=$4; }
leader=
for p in /proc/[0-9]*; do
  of "$p" 2>/dev/null || continue
  [ "${p#/proc/}" = "$session" ] && grep -q "$1" "$p/environ" 2>/dev/null && leader=$session
done
[ -n "$leader" ] || exit 0
for how in HUP CONT KILL; do
  for p in /proc/[0-9]*; do
    of "$p" 2>/dev/null && [ "$session" = "$leader" ] && kill -$how "${p#/proc/}" 2>/dev/null
  done
  [ $how = CONT ] && sleep 1
done
exit 0
"""


class Ttys:
    """Opens terminals of this host and of its engine's containers."""

    def __init__(self, docker: Engine) -> None:
        self._docker = docker

    async def open(self, asked: said.Terminal) -> Tty:
        """Raises StepFailed and what an engine raises."""
        if asked.shell and asked.shell not in said.SHELLS:
            raise StepFailed(f"no shell is called {asked.shell[:40]!r} here: one of {', '.join(said.SHELLS)}")
        if asked.container is None:
            return await open_host(asked, self._docker.address)
        return await open_container(self._docker, asked)


# --- on the host itself ------------------------------------------------------


def environment(
    home: str, user: str, shell: str, docker_host: str, host: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """A closed list, so that no secret of the agent's is in it."""
    ours = {name: host[name] for name in PASSED_ON if name in host}
    ours |= {"DOCKER_HOST": docker_host} if docker_host != SOCKET else {}
    who = {"HOME": home, "USER": user, "LOGNAME": user, "SHELL": shell}
    where = {"PATH": host.get("PATH", os.defpath), "LANG": host.get("LANG", "C.UTF-8")}
    return {**ours, **who, **where, **LIKE}


def host_shell(wanted: str, own: str) -> str:
    """The path of a shell: the wanted one, else the user's own, else any. Raises StepFailed."""
    if wanted:
        if path := shutil.which(wanted):
            return path
        there = ", ".join(name for name in said.SHELLS if shutil.which(name))
        raise StepFailed(f"there is no {wanted} on this host; there is {there}", exit_code=NOT_RUN)
    if os.path.basename(own) not in NO_SHELLS and os.access(own, os.X_OK):
        return own
    found = next(filter(None, map(shutil.which, said.SHELLS)), None)
    if found is None:
        raise StepFailed(f"there is no shell on this host: tried {', '.join(said.SHELLS)}", exit_code=NOT_RUN)
    return found


async def open_host(asked: said.Terminal, docker_host: str) -> HostTty:
    name, home, own = _user()
    shell = host_shell(asked.shell, own)
    ours, theirs = pty.openpty()
    try:
        _set_size(ours, asked.rows, asked.cols)
        os.set_blocking(ours, False)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", "-c", BECOME, shell, f"-{os.path.basename(shell)}"),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=home,
            env=environment(home, name, shell, docker_host),
            start_new_session=True,
        )
    except BaseException as error:
        os.close(ours)
        if isinstance(error, OSError):
            raise StepFailed(f"cannot open a terminal: {error.strerror}", exit_code=NOT_RUN) from None
        raise
    finally:
        os.close(theirs)
    return HostTty(ours, process)


def _user() -> tuple[str, str, str]:
    """The name, the home and the shell of the agent's user."""
    uid = os.getuid()
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:  # in a container it may have no entry
        return str(uid), "/", ""
    return entry.pw_name, entry.pw_dir if Path(entry.pw_dir).is_dir() else "/", entry.pw_shell


class HostTty:
    """A shell under a PTY."""

    early = b""

    def __init__(self, fd: int, process: asyncio.subprocess.Process) -> None:
        self.fd, self._process = fd, process

    async def resize(self, rows: int, cols: int) -> None:
        if self.fd >= 0:
            _set_size(self.fd, rows, cols)

    async def ended(self, silent: asyncio.Event) -> int | None:
        code = await self._process.wait()
        return code if code >= 0 else 128 - code

    async def end(self) -> None:
        os.close(self.fd)  # the kernel tells its foreground of that
        self.fd = -1
        session = self._process.pid
        for number in (signal.SIGHUP, signal.SIGCONT):
            await asyncio.to_thread(_signal, session, number)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GRACE):
                while await asyncio.to_thread(_signal, session, 0):  # noqa: ASYNC110  nobody tells when they end
                    await asyncio.sleep(BETWEEN)
        await asyncio.to_thread(_signal, session, signal.SIGKILL)
        await self._process.wait()


def _set_size(fd: int, rows: int, cols: int) -> None:
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))


def _signal(session: int, number: int) -> bool:
    """Send a signal to all of a session; whether there was anybody."""
    sent = False
    for pid in _members(session):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
            sent = True
    return sent


def _members(session: int) -> Iterator[int]:
    """The processes of a session that still run."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text(errors="replace").rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            yield int(path.parent.name)


# --- in a container ----------------------------------------------------------


async def open_container(docker: Engine, asked: said.Terminal) -> ContainerTty:
    one = await find(docker, asked.container or "")
    if one["State"] != "running":
        raise StepFailed(f"the container {name_of(one)} is {one['State']}, not running", exit_code=NOT_RUN)
    id = one["Id"]
    shell = await docker.call(lambda api: _shell(api, id, asked.shell))
    env = {**LIKE, said.MARK: asked.terminal_id}
    made = await docker.call(lambda api: api.exec_create(id, [shell], stdin=True, tty=True, environment=env)["Id"])
    answer = await docker.change(lambda api: _hand_over(api, made))
    tty = ContainerTty(docker, id, made, asked.terminal_id, *answer)
    await tty.resize(asked.rows, asked.cols)
    return tty


def _shell(api: Any, container: str, wanted: str) -> str:
    """The path of the first shell that a container has. Raises StepFailed with those that it has."""
    names = [wanted] if wanted else said.SHELLS
    if path := next(_present(api, container, names), None):
        return path
    there = sorted({os.path.basename(path) for path in _present(api, container, said.SHELLS)})
    if there:
        raise StepFailed(f"there is no {wanted} in this container; there is {', '.join(there)}", exit_code=NOT_RUN)
    raise StepFailed("there is no shell in this container, so no terminal can be opened in it", exit_code=NOT_RUN)


def _present(api: Any, container: str, names: Iterable[str]) -> Iterator[str]:
    url = f"{api.base_url}/v{api.api_version}/containers/{container}/archive"
    paths = (f"{folder}/{name}" for name in names for folder in FOLDERS)
    return (path for path in paths if api.head(url, params={"path": path}, timeout=api.timeout).ok)


def _hand_over(api: Any, made: str) -> tuple[Any, int, bytes]:
    """Start an exec: the engine's answer, whose connection is the terminal from now on, its descriptor, and what of
    the terminal's output came along with the answer's head."""
    from docker.errors import create_api_error_from_http_exception
    from requests import HTTPError

    if api.base_url.startswith(("https://", "http+docker://ssh")):
        raise StepFailed("a terminal in a container needs an engine at a local socket, or at tcp without TLS")
    answer = api.post(
        f"{api.base_url}/v{api.api_version}/exec/{made}/start",
        json={"Detach": False, "Tty": True},
        headers={"Connection": "Upgrade", "Upgrade": "tcp"},
        stream=True,
        timeout=api.timeout,
    )
    try:
        answer.raise_for_status()
    except HTTPError as error:
        create_api_error_from_http_exception(error)
    buffered = answer.raw._fp.fp
    fd = buffered.raw.fileno()
    os.set_blocking(fd, False)
    buffered.raw._sock.settimeout(0)
    return answer, fd, bytes(buffered.peek())


class ContainerTty:
    """A shell in a container."""

    def __init__(
        self, docker: Engine, container: str, made: str, mark: str, answer: Any, fd: int, early: bytes
    ) -> None:
        self.fd, self.early = fd, early
        self._docker, self._container, self._made, self._mark = docker, container, made, mark
        self._answer = answer
        self._is_over = False

    async def resize(self, rows: int, cols: int) -> None:
        """Right after the start the engine may not know it yet."""
        for left in reversed(range(TRIES)):
            try:
                return await self._docker.call(lambda api: api.exec_resize(self._made, height=rows, width=cols))
            except Refused:
                if not left or not await self._runs():
                    return
                await asyncio.sleep(BETWEEN)

    async def _runs(self) -> bool:
        return bool((await self._docker.call(lambda api: api.exec_inspect(self._made)))["Running"])

    async def ended(self, silent: asyncio.Event) -> int | None:
        await silent.wait()
        for _ in range(TRIES):
            found = await self._docker.call(lambda api: api.exec_inspect(self._made))
            if not found["Running"]:
                self._is_over = True
                return found["ExitCode"] if found["ExitCode"] is None else int(found["ExitCode"])
            await asyncio.sleep(BETWEEN)
        return None

    async def end(self) -> None:
        """The engine does not end what it started when its reader goes: a second exec does."""
        try:
            if not self._is_over:
                await self._docker.change(self._end_marked)
        except Refused:  # the container is gone, and all in it
            return
        except Unavailable as error:
            log.warning("what runs in a terminal of the container %s may go on: %s", self._container[:12], error)
        finally:
            self._answer.close()

    def _end_marked(self, api: Any) -> None:
        argv = ["sh", "-c", END_MARKED, "sh", f"{said.MARK}={self._mark}"]
        api.exec_start(api.exec_create(self._container, argv)["Id"])
