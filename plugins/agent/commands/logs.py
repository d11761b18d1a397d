"""What a container has printed and prints: both streams, the oldest line first, as the engine kept them."""

from __future__ import annotations

import codecs
import contextlib
import datetime
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing
from typing import Any

from roci import Command, Site, StepFailed, hookimpl

from ..engine import LIMIT, engine
from ..process import Stderr
from ..wire import MARK
from .control import find

CHUNK = 64 * 1024  # bytes read at a time
HEADER = 8  # bytes before each frame: which stream, three zeros, four of length


class Frames:
    """Takes the engine's stream apart, however it was cut. Of a container with a terminal it has no frames.

    `marked`, for an answer with times: lines of standard error begin with MARK. The engine keeps long lines in pieces
    and says the time before each; then only the first is left.
    """

    def __init__(self, framed: bool, marked: bool = False) -> None:
        self._framed, self._marked = framed, framed and marked
        self._begins = False  # the next piece is the first of its frame
        self._is_open = self._is_in_time = False  # a line has no end yet; a time is being left out
        self._header = b""
        self._left = 0  # bytes of this frame that are still to come
        self._stream = 1
        utf8 = codecs.getincrementaldecoder("utf-8")
        self._decoders = {1: utf8("replace"), 2: utf8("replace")}

    def feed(self, data: bytes) -> Iterator[str]:
        """The text of a piece: never cut within a character, that of standard error as Stderr."""
        at = 0
        while at < len(data):
            if self._framed and not self._left:
                at += self._read_header(data[at : at + HEADER])
                continue
            piece = data[at : at + self._left] if self._framed else data[at:]
            at += len(piece)
            self._left -= len(piece) if self._framed else 0
            yield from self._shown(self._stream, self._mended(piece) if self._marked else piece)

    def end(self) -> Iterator[str]:
        """What was left of a character that never came whole."""
        for stream in self._decoders:
            yield from self._shown(stream, b"", final=True)

    def _read_header(self, data: bytes) -> int:
        """How much of this was the header's."""
        before = len(self._header)
        self._header = (self._header + data)[:HEADER]
        taken = len(self._header) - before
        if len(self._header) == HEADER:
            self._stream = 2 if self._header[0] == 2 else 1
            self._left = int.from_bytes(self._header[4:], "big")
            self._header, self._begins = b"", True
        return taken

    def _mended(self, piece: bytes) -> bytes:
        mark = b""
        if self._begins:
            self._begins, self._is_in_time = False, self._is_open
            mark = MARK.encode() if self._stream == 2 and not self._is_open else b""
        if self._is_in_time:
            _, end, piece = piece.partition(b" ")
            self._is_in_time = not end
        self._is_open = not piece.endswith(b"\n") if piece else self._is_open
        return mark + piece

    def _shown(self, stream: int, data: bytes, final: bool = False) -> Iterator[str]:
        if text := self._decoders[stream].decode(data, final):
            yield Stderr(text) if stream == 2 else text


class Answer:
    """The engine's answer as text, which another thread may end while this one waits for more of it."""

    def __init__(self, response: Any, frames: Frames) -> None:
        self._response, self._frames = response, frames
        self._cancelled = False

    def __iter__(self) -> Iterator[str]:
        try:
            for data in self._response.iter_content(CHUNK):
                yield from self._frames.feed(data)
        except OSError:  # those of requests are
            if not self._cancelled:
                raise
        yield from self._frames.end()

    def cancel(self) -> None:
        import docker.errors
        from docker.types import CancellableStream

        self._cancelled = True
        # One that has ended has no socket any more; one that goes through ssh ends with its next piece.
        with contextlib.suppress(AttributeError, OSError, docker.errors.DockerException):
            CancellableStream(iter(()), self._response).close()


async def logs(site: Site, args: Mapping[str, Any]) -> AsyncGenerator[str, None]:
    """Ends with what there is, or, when following, when the container ends or is removed."""
    docker, asked = engine(site.docker_host), _asked(args)
    container = (await find(docker, args["container"]))["Id"]
    config = (await docker.call(lambda api: dict(api.inspect_container(container))))["Config"]
    frames = Frames(not config["Tty"], args.get("marked") is True and args["timestamps"])
    async with aclosing(docker.stream(lambda api: _open(api, container, asked, frames))) as pieces:
        async for text in pieces:
            yield text


def _open(api: Any, container: str, asked: Mapping[str, Any], frames: Frames) -> Answer:
    from docker.errors import create_api_error_from_http_exception
    from requests import HTTPError

    url = f"{api.base_url}/v{api.api_version}/containers/{container}/logs"
    response = api.get(url, params=asked, stream=True, timeout=(LIMIT, None if asked["follow"] else api.timeout))
    try:
        response.raise_for_status()
    except HTTPError as error:
        create_api_error_from_http_exception(error)
    return Answer(response, frames)


def _asked(args: Mapping[str, Any]) -> dict[str, Any]:
    """The engine's own words for it."""
    times = {name: _moment(args[name]) for name in ("since", "until") if args[name]}
    switches = {"stdout": 1, "stderr": 1, "follow": int(args["follow"]), "timestamps": int(args["timestamps"])}
    return {**switches, **times, "tail": args["tail"] if args["tail"] >= 0 else "all"}


def _moment(text: str) -> str:
    """ISO 8601 as seconds since 1970; without a time zone it is in UTC."""
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise StepFailed(f"{text!r} is no moment, such as 2026-11-22T09:41:00Z", exit_code=1) from None
    return f"{(moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp():.6f}"


@hookimpl
def register_agent_commands() -> Mapping[str, Command]:
    return {"logs": logs}
