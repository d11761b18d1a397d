"""The messages between server and agent (spec/roci.md, section 6), typed. Both ends use this and nothing else.

Unknown fields are ignored and unknown types are None, so that either end may be newer than the other.
"""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, ClassVar

import msgspec

from roci import Malformed

from . import terminal_wire

PROTOCOL = 2  # 1: the published messages only
LONGEST = 4 * 1024 * 1024  # bytes of one frame
LONGEST_TEXT = 1024  # characters of what a container tells of itself
UNSHOWN = "\ufffd"  # stands for what cannot be shown
MOST_CONTAINERS = 2000  # of one host
LONGEST_MENDED = 512 * 1024  # bytes of a frame that is read although it is not quite JSON: that takes long
LONGEST_OF_STRANGERS = 64 * 1024  # the same, of an agent that is not approved

TIMED_OUT = 124  # exit code of what ran out of time, as timeout(1) has it
NOT_RUN = 126  # and of what was not run at all
LOGOUT_WITHIN = 20  # seconds: clients wait for its end, 25 by default

MARK = "\2"  # before a line's time, so that no line can pretend

# why a socket was closed
MALFORMED, NO_REGISTER, STALE, REJECTED, REPLACED, DELETED = 4000, 4001, 4002, 4003, 4009, 4010
GOING_AWAY, TRY_LATER = 1001, 1013

# what agents and engines say where the container that something is about is not there
NO_CONTAINER = re.compile(r"no (such )?container\b", re.IGNORECASE)


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
    boot_id: str | None = None  # the kernel's, another after each boot


class Container(msgspec.Struct, omit_defaults=True, kw_only=True, gc=False):
    """Engines let names and labels be of any length, and agents say anything. Here they are cut, as they are kept and
    told further; what of a name cannot be shown, such as the end of a line, is replaced."""

    id: str
    name: str
    image: str = ""
    status: str = ""  # a state word: running, exited, …
    state: str | None = None  # for people: Up 3 minutes (healthy)
    created: str | None = None
    ports: list[str] = []
    app: str | None = None  # the Compose project
    oom: bool | None = None  # of one that was killed: for want of memory? None: not known

    @property
    def is_running(self) -> bool:
        return self.status.startswith(("running", "Up"))

    def __post_init__(self) -> None:
        for field in TEXTS:
            if (text := getattr(self, field)) and len(text) > LONGEST_TEXT:
                setattr(self, field, text[:LONGEST_TEXT])
        if not self.name.isprintable():
            self.name = "".join(c if c.isprintable() else UNSHOWN for c in self.name)


CONTAINER_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
TEXTS = tuple(field for field in Container.__struct_fields__ if field not in ("ports", "oom"))

NOT_SAID = msgspec.Raw()  # the engine did not say; never the same as []


class Heartbeat(Message, tag="heartbeat", kw_only=True):
    metrics: msgspec.Raw = NOT_SAID  # a sample, see metrics.py
    containers: msgspec.Raw = NOT_SAID  # of a list of Container; read when it is another than before
    engine_error: str | None = None
    running_commands: list[str] | None = None  # None: an agent that does not tell

    @property
    def size(self) -> int:
        """Bytes of what it tells."""
        return memoryview(self.containers).nbytes + memoryview(self.metrics).nbytes


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


MASKED = "masked"  # in a result's data: its streams are not as they were, since the agent was restarted meanwhile


class Output(Message, tag="output", kw_only=True):
    """A piece of a running command's output."""

    command_id: str
    data: str
    stream: str = "stdout"
    seq: int = 0


class Ack(Message, tag="ack", kw_only=True):
    """Both ways: the command was taken up; the result was stored, so the agent may forget it."""

    command_id: str


class TokenKept(Message, tag="token_kept", kw_only=True):
    """The token that came on this connection is kept: from now on nobody is this host without it."""


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
    pull: bool = False  # ask for newer images, also where there are some


class Stop(Message, tag="stop", kw_only=True):
    app_id: str
    command_id: str | None = None
    timeout_seconds: int | None = None
    application_id: str | None = None
    backend: str = "compose"


class Start(Stop, tag="start", kw_only=True):
    pass


class Delete(Stop, tag="delete", kw_only=True):
    volumes: list[str] = []  # of the project's own, those that go along; an older agent keeps them all


class Cancel(Message, tag="cancel", kw_only=True):
    command_id: str


class Hand(Message, kw_only=True):
    """Something done to the host itself, by a capability of the message's own name. Only where that was announced."""

    command_id: str
    reads: ClassVar[bool] = False  # it changes nothing: not journalled, and over with its connection

    @property
    def limit(self) -> float | None:
        """Seconds after which the agent ends it."""
        return 120


class Exec(Hand, tag="exec", kw_only=True, omit_defaults=False):
    """`sh -c` with exactly this environment beside PATH and HOME."""

    command: str
    working_directory: str | None = None
    env: dict[str, str] = {}
    timeout_seconds: int = 60

    @property
    def limit(self) -> float | None:
        return self.timeout_seconds


UNSAID = 600  # seconds for a container with a grace of its own, which only its engine knows


class ContainerAction(Hand, tag="container", kw_only=True):
    action: str  # start, stop, restart, pause, unpause, remove
    container: str  # an id, the beginning of one, or a name
    timeout_seconds: int | None = None  # the engine's grace between asking and killing
    force: bool = False  # remove: even while it runs

    @property
    def limit(self) -> float | None:
        return UNSAID if self.timeout_seconds is None else self.timeout_seconds + 60


class Restart(Hand, tag="restart", kw_only=True):
    """Restart every container of an application."""

    project: str
    timeout_seconds: int | None = None  # each container's grace
    app_id: str = ""  # the application's NAME
    backend: str = "compose"

    @property
    def limit(self) -> float | None:
        return 600


class Logs(Hand, tag="logs", kw_only=True, omit_defaults=False):
    """Both streams, the oldest line first, newline-joined. `follow` goes on until it is cancelled."""

    reads: ClassVar[bool] = True
    container: str
    tail: int = 100
    follow: bool = False
    since: str | None = None  # ISO 8601
    until: str | None = None
    timestamps: bool = False
    marked: bool | msgspec.UnsetType = msgspec.UNSET  # with timestamps: lines of standard error begin with MARK

    @property
    def limit(self) -> float | None:
        return None if self.follow else 60


class RegistryLogin(Hand, tag="registry_login", kw_only=True):
    registry_url: str
    username: str
    password: str

    def __repr__(self) -> str:
        return f"RegistryLogin({self.registry_url})"


class RegistryLogout(Hand, tag="registry_logout", kw_only=True):
    registry_url: str

    @property
    def limit(self) -> float | None:
        return LOGOUT_WITHIN


class Reboot(Hand, tag="reboot", kw_only=True):
    """Answered by an ack and no result; registering again completes it, with another boot id where one was told."""


class Pull(Hand, tag="image_pull", kw_only=True):
    image: str
    timeout_seconds: int = 600

    @property
    def limit(self) -> float | None:
        return self.timeout_seconds


class Prune(Hand, tag="prune", kw_only=True):
    """Remove what nothing uses: of containers, images, networks, volumes, build_cache. Prints one JSON object."""

    what: list[str]
    unused_images: bool = False  # those with a name too, not only the nameless
    keep: list[str] = []  # the projects of this host's applications: what is theirs stays

    @property
    def limit(self) -> float | None:
        return 600


class PrunePreview(Hand, tag="prune_preview", kw_only=True):
    """What `prune` would remove, as one JSON object: {what: [{"id", "name", "size"}]}."""

    reads: ClassVar[bool] = True
    what: list[str]
    unused_images: bool = False
    keep: list[str] = []


class Inventory(Hand, tag="inventory", kw_only=True, omit_defaults=False):
    """What is there of one kind, and who uses it, as one JSON object: {"count", "things"}."""

    reads: ClassVar[bool] = True
    what: str  # images, volumes, networks
    sizes: bool = False  # of volumes, which engines take long to add up

    @property
    def limit(self) -> float | None:
        return 90 if self.sizes else 30


class ImageCheck(Hand, tag="image_check", kw_only=True):
    """Which image a registry has under these names: {image: {"local": [digest], "remote": digest} | {"error"}}."""

    reads: ClassVar[bool] = True
    images: list[str]

    @property
    def limit(self) -> float | None:
        return 30 + 20 * len(self.images)  # the engine asks one after the other, and a registry may be slow


HANDS = (
    *(Exec, ContainerAction, Restart, Logs, RegistryLogin, RegistryLogout, Reboot),
    *(Pull, Prune, PrunePreview, Inventory, ImageCheck),
)


def kind_of(message: Message | type[Message]) -> str:
    """The `type` of a message, which is also the name of the capability that it takes."""
    return str(message.__struct_config__.tag)


def secrets_of(message: Message) -> list[str]:
    """The values in a command that no output may show."""
    match message:
        case Deploy():
            return [secret.value for secret in message.secrets]
        case Exec():
            return list(message.env.values())
        case RegistryLogin():
            return [message.password]
    return []


FromAgent = Register | TokenKept | Heartbeat | Result | Output | Ack | Ping | Pong | Error | terminal_wire.Told
Hands = (Exec | ContainerAction | Restart | Logs | RegistryLogin | RegistryLogout | Reboot) | (
    Pull | Prune | PrunePreview | Inventory | ImageCheck
)
Ends = Cancel | Ack | Ping | Pong | Error
FromServer = RegistrationResponse | Deploy | Stop | Start | Delete | Hands | Ends | terminal_wire.Asked
_from_agent = msgspec.json.Decoder(FromAgent)
_from_server = msgspec.json.Decoder(FromServer)
_containers = msgspec.json.Decoder(list[Container])
_raw_containers = msgspec.json.Decoder(list[msgspec.Raw])
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
        if not isinstance(error, msgspec.ValidationError) and (mended := without_strange_numbers(text)):
            return _decode(decoder, mended)
        if "Invalid value" in str(error) and "`$.type`" in str(error):
            return None
        raise Malformed(str(error)) from None


def without_strange_numbers(text: str | bytes) -> bytes:
    """NaN and Infinity are no JSON, and Python's own library writes them: here they are null. Empty: there are none."""
    if len(text) > LONGEST_MENDED:
        return b""
    found: list[str] = []
    try:
        data = json.loads(text, parse_constant=found.append)
        return _encode.encode(data) if found else b""
    except (ValueError, RecursionError):
        return b""


def first_containers(reported: bytes) -> tuple[bytes, int]:
    """As many as are taken in of what a host reported, and how many it reported, where those are more."""
    if len(reported) < 2 * MOST_CONTAINERS:
        return reported, 0
    found: list[msgspec.Raw] = _decode(_raw_containers, reported)
    if len(found) <= MOST_CONTAINERS:
        return reported, len(found)
    return b"[%b]" % b",".join(map(bytes, found[:MOST_CONTAINERS])), len(found)


def read_containers(reported: bytes) -> list[Container]:
    """Those with ids as engines give them: others could be read as more than an id. Raises Malformed."""
    found: list[Container] = _decode(_containers, reported)
    return [each for each in found if CONTAINER_ID.fullmatch(each.id)]


def report_containers(found: list[Container]) -> msgspec.Raw:
    return msgspec.Raw(_encode.encode(found))


def encode(message: msgspec.Struct) -> str:
    return _encode.encode(message).decode()
