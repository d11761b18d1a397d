"""The messages between server and agent (spec/roci.md, section 6), typed. Both ends use this and nothing else.

Unknown fields are ignored and unknown types are None, so that either end may be newer than the other.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from roci import Malformed

PROTOCOL = 2  # 1: the published messages only
LONGEST = 4 * 1024 * 1024  # bytes of one frame
LONGEST_OF_STRANGERS = 64 * 1024  # the same, of an agent that is not approved

# why a socket was closed
MALFORMED, NO_REGISTER, STALE, REJECTED, REPLACED, DELETED = 4000, 4001, 4002, 4003, 4009, 4010
GOING_AWAY, TRY_LATER = 1001, 1013


class Closed(Exception):
    """The other end is gone: the close code, where there was one."""

    def __init__(self, code: int | None = None, reason: str = "") -> None:
        super().__init__(code, reason)
        self.code, self.reason = code, reason


class Message(msgspec.Struct, tag_field="type", omit_defaults=True, kw_only=True):
    """One text frame."""


# --- from the agent ----------------------------------------------------------


Protocol = Annotated[int, msgspec.Meta(ge=1, le=1000)]


class Register(Message, tag="register", kw_only=True):
    hostname: str
    ip_address: str | None = None
    volume_base: str | None = None
    totp: str | int | None = None
    protocol: Protocol = 1
    agent_version: str | None = None
    agent_id: str | None = None
    agent_token: str | None = None
    capabilities: list[str] = []
    os: str | None = None
    arch: str | None = None


class Container(msgspec.Struct, omit_defaults=True, kw_only=True, gc=False):
    id: str
    name: str
    image: str = ""
    status: str = ""  # a state word: running, exited, …
    state: str | None = None  # for people: Up 3 minutes (healthy)
    created: str | None = None
    ports: list[str] = []
    app: str | None = None  # the Compose project


NOT_SAID = msgspec.Raw()  # the engine did not say; never the same as []


class Heartbeat(Message, tag="heartbeat", kw_only=True):
    containers: msgspec.Raw = NOT_SAID  # of a list of Container; read when it is another than before
    engine_error: str | None = None
    running_commands: list[str] | None = None  # None: an agent that does not tell


class Result(Message, tag="result", kw_only=True):
    command_id: str | None = None
    success: bool
    output: str = ""
    exit_code: int | None = None
    stdout: str = ""
    stderr: str = ""
    duration_ms: int | None = None
    truncated: bool = False
    data: dict[str, Any] = {}


class Output(Message, tag="output", kw_only=True):
    """A piece of a running command's output."""

    command_id: str
    data: str
    stream: str = "stdout"
    seq: int = 0


class Ack(Message, tag="ack", kw_only=True):
    """Both ways: the command was taken up; the result was stored, so the agent may forget it."""

    command_id: str


class Ping(Message, tag="ping", kw_only=True):
    pass


class Pong(Message, tag="pong", kw_only=True):
    pass


class Error(Message, tag="error", kw_only=True):
    code: str
    message: str


# --- from the server ---------------------------------------------------------


class RegistrationResponse(Message, tag="registration_response", kw_only=True):
    status: str
    agent_id: str
    protocol: int = 1
    heartbeat_interval: float | None = None
    agent_token: str | None = None
    reason: str | None = None


class Secret(msgspec.Struct):
    name: str
    value: str

    def __repr__(self) -> str:
        return f"Secret({self.name})"


class Deploy(Message, tag="deploy", kw_only=True):
    app_id: str  # the application's NAME
    compose_yml: str
    secrets: list[Secret]  # always present, as published
    command_id: str | None = None
    timeout_seconds: int | None = None
    application_id: str | None = None
    backend: str = "compose"


class Stop(Message, tag="stop", kw_only=True):
    app_id: str
    command_id: str | None = None
    timeout_seconds: int | None = None
    application_id: str | None = None
    backend: str = "compose"


class Start(Stop, tag="start", kw_only=True):
    pass


class Delete(Stop, tag="delete", kw_only=True):
    pass


class Cancel(Message, tag="cancel", kw_only=True):
    command_id: str


FromAgent = Register | Heartbeat | Result | Output | Ack | Ping | Pong | Error
FromServer = RegistrationResponse | Deploy | Stop | Start | Delete | Cancel | Ack | Ping | Pong | Error
_from_agent = msgspec.json.Decoder(FromAgent)
_from_server = msgspec.json.Decoder(FromServer)
_containers = msgspec.json.Decoder(list[Container])
_encode = msgspec.json.Encoder()


def from_agent(text: str | bytes) -> FromAgent | None:
    """A frame from an agent. None: a type this version does not know. Raises Malformed with the reason."""
    message: FromAgent | None = _decode(_from_agent, text)
    return message


def from_server(text: str | bytes) -> FromServer | None:
    message: FromServer | None = _decode(_from_server, text)
    return message


def _decode(decoder: msgspec.json.Decoder[Any], text: str | bytes) -> Any:
    try:
        return decoder.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        if "Invalid value" in str(error) and "`$.type`" in str(error):
            return None
        raise Malformed(str(error)) from None


def read_containers(reported: bytes) -> list[Container]:
    """Raises Malformed."""
    found: list[Container] = _decode(_containers, reported)
    return found


def report_containers(found: list[Container]) -> msgspec.Raw:
    return msgspec.Raw(_encode.encode(found))


def encode(message: Message) -> str:
    return _encode.encode(message).decode()
