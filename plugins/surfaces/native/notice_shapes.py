"""The wire shapes of channels, deliveries and quiet hours: what comes in, what goes out. Pure."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema
from typing_extensions import TypedDict

from ...domain.channels import LONGEST_NAME, Channel
from ...domain.model import wire_time
from ...domain.notices import Delivery, State
from ...domain.quiet import CLOCK, QuietHours
from .people_shapes import PRINTABLE, Fixed, When
from .shapes import Body, Id

Severity = Literal["info", "warning", "critical"]
Name = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME, json_schema_extra=PRINTABLE)]
HostIds = Annotated[list[Id], Field(max_length=1000)]
Setup = Annotated[dict[str, Any], WithJsonSchema({"type": "object"})]
Clock = Annotated[str, Field(pattern=f"^{CLOCK.pattern}$")]
Days = Annotated[list[Annotated[int, Field(ge=0, le=6)]], Field(min_length=1, max_length=7)]


class NewChannel(Body):
    name: Name
    kind: str = Field(max_length=100)
    settings: Setup
    enabled: bool = True
    min_severity: Severity = "warning"
    host_ids: HostIds = Field([])


class ChannelChanges(Body):
    name: Name | None = None
    kind: Fixed
    settings: Setup | None = None
    enabled: bool | None = None
    min_severity: Severity | None = None
    host_ids: HostIds | None = None


class NewQuietHours(Body):
    name: Name
    days: Days = Field([0, 1, 2, 3, 4, 5, 6])
    from_: Clock | None = Field(None, alias="from")
    to: Clock | None = None
    time_zone: str = Field("UTC", max_length=100)
    until: When | None = None
    passes: list[Severity] = Field(["critical"])
    host_ids: HostIds = Field([])
    enabled: bool = True


class QuietHoursChanges(Body):
    name: Name | None = None
    days: Days | None = None
    from_: Clock | None = Field(None, alias="from")
    to: Clock | None = None
    time_zone: str | None = Field(None, max_length=100)
    until: When | None = None
    passes: list[Severity] | None = None
    host_ids: HostIds | None = None
    enabled: bool | None = None


COLUMNS = {"from_": "starts", "to": "ends", "time_zone": "zone"}


def columns(body: NewQuietHours | QuietHoursChanges) -> dict[str, Any]:
    """What a body says, as the domain calls it. Null says nothing, but of `until`, which it takes away."""
    said = {name: getattr(body, name) for name in body.model_fields_set if name in type(body).model_fields}
    return {COLUMNS.get(name, name): value for name, value in said.items() if value is not None or name == "until"}


# --- out ---------------------------------------------------------------------


class Kind(TypedDict):
    name: str
    settings: dict[str, Any]


class Kinds(TypedDict):
    kinds: list[Kind]


class ChannelOut(TypedDict):
    id: Id
    name: str
    kind: str
    enabled: bool
    min_severity: str
    host_ids: list[str]
    settings: dict[str, Any]
    waiting: int
    last_error: str | None
    last_delivered_at: str | None
    created_at: str
    updated_at: str


class Channels(TypedDict):
    channels: list[ChannelOut]
    total: int


class DeliveryOut(TypedDict):
    id: Id
    status: Literal["pending", "delivered", "failed", "muted"]
    kind: str
    title: str
    severity: str
    host_id: str | None
    hostname: str
    alert_id: str | None
    summary_id: str | None
    held: bool
    attempts: int
    last_error: str | None
    next_at: str | None
    created_at: str
    ended_at: str | None


class Deliveries(TypedDict):
    deliveries: list[DeliveryOut]
    total: int


QuietHoursOut = TypedDict(
    "QuietHoursOut",
    {
        "id": Id,
        "name": str,
        "enabled": bool,
        "days": list[int],
        "from": str | None,
        "to": str | None,
        "time_zone": str,
        "until": str | None,
        "passes": list[str],
        "host_ids": list[str],
        "active_until": str | None,
        "created_at": str,
        "updated_at": str,
    },
)


class AllQuietHours(TypedDict):
    quiet_hours: list[QuietHoursOut]
    total: int


def channel(row: Channel, setup: dict[str, Any], state: State) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "kind": row.kind,
        "enabled": row.enabled,
        "min_severity": row.min_severity,
        "host_ids": row.host_ids,
        "settings": setup,
        "waiting": state.waiting,
        "last_error": state.last_error or None,
        "last_delivered_at": wire_time(state.delivered_at),
        "created_at": wire_time(row.created_at),
        "updated_at": wire_time(row.updated_at),
    }


def delivery(row: Delivery) -> dict[str, Any]:
    said = {name: row.notice[name] for name in ("title", "severity", "host_id", "hostname")}
    return {
        "id": row.id,
        "status": row.status,
        "kind": row.kind,
        **said,
        "alert_id": row.alert_id,
        "summary_id": row.batch or None,
        "held": row.held,
        "attempts": row.attempts,
        "last_error": row.last_error or None,
        "next_at": wire_time(row.next_at) if row.status == "pending" else None,
        "created_at": wire_time(row.created_at),
        "ended_at": wire_time(row.ended_at),
    }


def quiet_hours(row: QuietHours, active_until: Any) -> dict[str, Any]:
    """`active_until`: when the quiet that reigns now ends."""
    return {
        "id": row.id,
        "name": row.name,
        "enabled": row.enabled,
        "days": row.days,
        "from": row.starts or None,
        "to": row.ends or None,
        "time_zone": row.zone,
        "until": wire_time(row.until),
        "passes": row.passes,
        "host_ids": row.host_ids,
        "active_until": wire_time(active_until),
        "created_at": wire_time(row.created_at),
        "updated_at": wire_time(row.updated_at),
    }
