"""What clients send to have something done to a host, and what they are told of its containers. Pure."""

from __future__ import annotations

from typing import Any

from pydantic import Field
from typing_extensions import TypedDict

from ...domain import registries
from ...work.execute import (
    GRACES,
    LONGEST_COMMAND,
    LONGEST_FOLDER,
    MOST_VARIABLES,
    PULL_TIMEOUTS,
    TIMEOUTS,
)
from .shapes import Body, Id

LONGEST_WAIT = 25  # seconds: clients and proxies give up after thirty


class HandBody(Body):
    """`wait`: seconds to wait for the end before answering."""

    wait: int = Field(0, ge=0, le=LONGEST_WAIT)


class ExecBody(HandBody):
    command: str = Field(json_schema_extra={"minLength": 1, "maxLength": LONGEST_COMMAND})
    working_directory: str | None = Field(None, json_schema_extra={"maxLength": LONGEST_FOLDER})
    env: dict[str, str] | None = Field(None, repr=False, json_schema_extra={"maxProperties": MOST_VARIABLES})
    timeout_seconds: int = Field(60, ge=TIMEOUTS[0], le=TIMEOUTS[-1])


class ControlBody(HandBody):
    """`timeout_seconds`: what a container has to end by itself before it is killed."""

    timeout_seconds: int | None = Field(None, ge=GRACES[0], le=GRACES[-1])


class PullBody(HandBody):
    image: str
    timeout_seconds: int = Field(600, ge=PULL_TIMEOUTS[0], le=PULL_TIMEOUTS[-1])


class PruneBody(HandBody):
    what: list[str]
    unused_images: bool = False


class LoginBody(HandBody):
    credential_id: Id


class LogoutBody(HandBody):
    registry_url: str = Field(json_schema_extra={"minLength": 1, "maxLength": registries.LONGEST_URL})


class LogLines(TypedDict):
    """The oldest first. `truncated`: there were more than an answer holds."""

    lines: list[str]
    truncated: bool


class NamedLine(TypedDict):
    container: str
    line: str


class MergedLines(TypedDict):
    """Of several containers, the oldest first."""

    lines: list[NamedLine]
    truncated: bool


class Prunable(TypedDict):
    """What would be removed, by kind."""

    preview: dict[str, Any]
