"""Thresholds that people set on a host's metrics, and alerts: what was or is wrong with a host, from when to when.

Whether something is wrong is judged by the layer above. An alert is open until it is resolved, once; there is never
more than one open alert of the same host, type, subject and threshold.
"""

from __future__ import annotations

import dataclasses
import datetime
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, cast

import peewee

from roci import Event, Invalid, NotFound, Permission, emit, hookimpl, now

from . import hosts, notices
from .hosts import Host
from .model import Model, Utc, new_id, picked

METRICS = ("cpu", "memory", "disk", "network", "service")
COMPARISONS = ("gt", "lt")
SEVERITIES = ("info", "warning", "critical")
CONDITIONS = (
    "host_offline",
    "container_stopped",
    "container_unhealthy",
    "container_restarting",
    "disk_forecast",
    "image_update",
)
LONGEST = 7 * 24 * 3600  # seconds that `for_seconds` may last
CHANGEABLE = ("metric_type", "threshold_value", "comparison", "enabled", "for_seconds", "hysteresis")


class Threshold(Model):
    host_id = peewee.TextField(index=True)
    metric_type = peewee.TextField()
    threshold_value = peewee.FloatField()
    comparison = peewee.TextField()
    enabled = peewee.BooleanField(default=True)
    for_seconds = peewee.IntegerField(default=0)  # how long it must be violated before it counts
    hysteresis = peewee.FloatField(default=0.0)  # how far the value must go back before it no longer counts
    updated_at = Utc(default=now)


class Alert(Model):
    host_id = peewee.TextField(index=True)
    hostname = peewee.TextField()
    threshold_id = peewee.TextField(null=True, index=True)  # None: a built-in condition
    type = peewee.TextField()  # of METRICS or CONDITIONS
    subject = peewee.TextField(default="")  # the container, mount or image
    severity = peewee.TextField()
    message = peewee.TextField()
    threshold = peewee.FloatField(null=True)
    current_value = peewee.FloatField(null=True)  # when it fired
    last_value = peewee.FloatField(null=True)  # the latest that was noted
    resolved = peewee.BooleanField(default=False, index=True)
    resolved_at = Utc(null=True)

    class Meta:
        indexes = ((("created_at",), False),)


@dataclasses.dataclass(frozen=True)
class AlertFired(Event):
    alert_id: str
    host_id: str
    hostname: str
    type: str
    subject: str
    severity: str
    message: str


class AlertRaised(AlertFired):
    """An open alert became more severe."""


@dataclasses.dataclass(frozen=True)
class AlertResolved(Event):
    alert_id: str
    host_id: str
    hostname: str
    type: str
    subject: str


@dataclasses.dataclass(frozen=True)
class ThresholdAdded(Event):
    threshold_id: str
    host_id: str
    after: Mapping[str, Any] | None = None


@dataclasses.dataclass(frozen=True)
class ThresholdChanged(Event):
    threshold_id: str
    host_id: str
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None


@dataclasses.dataclass(frozen=True)
class ThresholdRemoved(Event):
    threshold_id: str
    host_id: str
    before: Mapping[str, Any] | None = None


# --- thresholds --------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class NewThreshold:
    host_id: str
    metric_type: str
    threshold_value: float
    comparison: str
    enabled: bool = True
    for_seconds: int = 0
    hysteresis: float = 0.0


def threshold(threshold_id: str) -> Threshold:
    found: Threshold | None = Threshold.get_or_none(Threshold.id == threshold_id)
    if found is None:
        raise NotFound("Threshold not found")
    return found


def thresholds(host_id: str | None = None) -> list[Threshold]:
    """Oldest first. A host without any, or that there is none of: []."""
    query = Threshold.select().order_by(Threshold.created_at, Threshold.id)
    return list(query if host_id is None else query.where(Threshold.host_id == host_id))


def add_threshold(new: NewThreshold) -> Threshold:
    """Raises Invalid, and NotFound for a host that there is not."""
    check(dataclasses.asdict(new))
    hosts.get(new.host_id)
    row = Threshold.create(**dataclasses.asdict(new))
    emit(ThresholdAdded(row.id, row.host_id, _state(row)))
    return row


def change_threshold(threshold_id: str, **changes: Any) -> Threshold:
    """Change any of CHANGEABLE. What it had raised is resolved, as it was raised by another rule."""
    row = threshold(threshold_id)
    if unknown := changes.keys() - set(CHANGEABLE):
        raise Invalid(f"{', '.join(sorted(unknown))}: cannot be changed")
    before = _state(row)
    check({**before, **changes})
    if before == {**before, **changes}:
        return row
    for name, value in changes.items():
        setattr(row, name, value)
    row.updated_at = now()
    row.save()
    emit(ThresholdChanged(row.id, row.host_id, before, _state(row)))
    _resolve_all(Alert.threshold_id == threshold_id)
    return row


def remove_threshold(threshold_id: str) -> None:
    """What it had raised is resolved."""
    row = threshold(threshold_id)
    row.delete_instance()
    emit(ThresholdRemoved(row.id, row.host_id, _state(row)))
    _resolve_all(Alert.threshold_id == threshold_id)


def _state(row: Threshold) -> dict[str, Any]:
    return picked(row, *CHANGEABLE)


def check(values: Mapping[str, Any]) -> None:
    """Raises Invalid that names the field."""
    for name, known in (("metric_type", METRICS), ("comparison", COMPARISONS)):
        if values[name] not in known:
            raise Invalid(f"{name}: must be one of {', '.join(known)}, not {str(values[name])[:50]!r}")
    if not math.isfinite(values["threshold_value"]):
        raise Invalid("threshold_value: must be a number")
    if not 0 <= values["for_seconds"] <= LONGEST:
        raise Invalid(f"for_seconds: must be from 0 to {LONGEST}")
    if not (math.isfinite(values["hysteresis"]) and values["hysteresis"] >= 0):
        raise Invalid("hysteresis: must be a number, 0 or more")


# --- alerts ------------------------------------------------------------------


def get(alert_id: str) -> Alert:
    found: Alert | None = Alert.get_or_none(Alert.id == alert_id)
    if found is None:
        raise NotFound("Alert not found")
    return found


def list_(
    status: Literal["all", "active", "resolved"] = "all",
    host_id: str | None = None,
    limit: int = 100,
    offset: int = 0,
    *,
    type: str | None = None,
    severity: str | None = None,
) -> tuple[list[Alert], int]:
    """Newest first, and how many there are in all."""
    query = Alert.select()
    for name, value in (("type", type), ("severity", severity)):
        if value is not None:
            query = query.where(getattr(Alert, name) == value)
    if status != "all":
        query = query.where(Alert.resolved == (status == "resolved"))
    if host_id is not None:
        query = query.where(Alert.host_id == host_id)
    newest = query.order_by(Alert.created_at.desc(), Alert.id)
    return list(newest.limit(limit).offset(offset)), query.count()


def open_() -> list[Alert]:
    """All that are not resolved, oldest first."""
    return list(Alert.select().where(~Alert.resolved).order_by(Alert.created_at, Alert.id))


def count_open() -> dict[str, int]:
    """How many are not resolved, by severity."""
    query = Alert.select(Alert.severity, peewee.fn.count(Alert.id)).where(~Alert.resolved)
    return dict(cast(Iterable[tuple[str, int]], query.group_by(Alert.severity).tuples()))


@dataclasses.dataclass(frozen=True)
class Fire:
    """Something is wrong. The id is the alert's; `as_of` is the `updated_at` of the threshold that was violated."""

    host_id: str
    type: str
    severity: str
    message: str
    subject: str = ""
    threshold_id: str | None = None
    threshold: float | None = None
    value: float | None = None
    as_of: datetime.datetime | None = None
    id: str = dataclasses.field(default_factory=new_id)


@dataclasses.dataclass(frozen=True)
class Raise:
    """It is worse than it was."""

    alert_id: str
    severity: str
    message: str
    value: float | None = None


@dataclasses.dataclass(frozen=True)
class Resolve:
    """It is well again."""

    alert_id: str
    value: float | None = None


Change = Fire | Raise | Resolve


def record(changes: Sequence[Change], values: Mapping[str, float] | None = None) -> None:
    """What was found out since the last time, in order; and the latest values of open alerts, by id."""
    for change in changes:
        match change:
            case Fire():
                fire(change)
            case Raise():
                raise_(change)
            case Resolve():
                _resolve(Alert.get_or_none(Alert.id == change.alert_id), change.value)
    rows = [(value, alert_id) for alert_id, value in (values or {}).items()]
    if rows:
        sql = "update alert set last_value = ? where id = ? and not resolved"
        Alert._meta.database.cursor().executemany(sql, rows)


def fire(found: Fire) -> Alert | None:
    """Open an alert. None: the host or the threshold is gone or is another by now, or it is open already."""
    host = Host.get_or_none(Host.id == found.host_id)
    if host is None or not _still_holds(found):
        return None
    of_threshold = Alert.threshold_id.is_null() if found.threshold_id is None else _of(found.threshold_id)
    same = (Alert.host_id == found.host_id) & (Alert.type == found.type) & (Alert.subject == found.subject)
    if Alert.select().where(same, of_threshold, ~Alert.resolved).exists():
        return None
    given = {**dataclasses.asdict(found), "hostname": host.hostname}
    value = given.pop("value")
    given.pop("as_of")
    alert: Alert = Alert.create(**given, current_value=value, last_value=value)
    emit(AlertFired(*_named(alert), alert.severity, alert.message))
    _tell(alert, notices.FIRED, alert.message)
    return alert


def _of(threshold_id: str) -> Any:
    return Alert.threshold_id == threshold_id


def _still_holds(found: Fire) -> bool:
    if found.threshold_id is None:
        return True
    row = Threshold.get_or_none(Threshold.id == found.threshold_id)
    return row is not None and bool(row.enabled) and found.as_of in (None, row.updated_at)


def raise_(found: Raise) -> None:
    alert = Alert.get_or_none(Alert.id == found.alert_id)
    if alert is None or alert.resolved:
        return
    alert.severity, alert.message, alert.last_value = found.severity, found.message, found.value
    alert.save()
    emit(AlertRaised(*_named(alert), alert.severity, alert.message))
    _tell(alert, notices.FIRED, alert.message)


def resolve(alert_id: str) -> Alert:
    """End an alert. One that is resolved stays as it is."""
    alert = get(alert_id)
    _resolve(alert)
    return alert


def _resolve_all(which: Any) -> None:
    for alert in Alert.select().where(which, ~Alert.resolved):
        _resolve(alert)


def _resolve(alert: Alert | None, value: float | None = None) -> None:
    if alert is None or alert.resolved:
        return
    alert.resolved, alert.resolved_at = True, now()
    if value is not None:
        alert.last_value = value
    alert.save()
    emit(AlertResolved(*_named(alert)))
    _tell(alert, notices.RESOLVED, f"It is over. It was: {alert.message}")


def _tell(alert: Alert, kind: str, body: str) -> None:
    """Have people told of it, in the same transaction."""
    what = f"{alert.type.replace('_', ' ')} {alert.subject}".strip()
    over = kind == notices.RESOLVED
    values = picked(alert, "type", "threshold_id", "threshold", "current_value", "last_value")
    notices.enqueue(
        notices.Notice(
            kind=kind,
            title=_line(f"{alert.hostname}: {what}{' is over' if over else ''}"),
            body=_line(body),
            severity=alert.severity,
            host_id=alert.host_id,
            hostname=alert.hostname,
            subject=_line(alert.subject),
            alert_id=alert.id,
            path=f"/alerts/{alert.id}",
            at=alert.resolved_at if over and alert.resolved_at else now(),
            data={**values, "resolved": over},
        )
    )


def _line(text: str) -> str:
    """What hosts say of themselves, as one line: it must not look like a line of ours."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def _named(alert: Alert) -> tuple[str, str, str, str, str]:
    return alert.id, alert.host_id, alert.hostname, alert.type, alert.subject


def prune(before: datetime.datetime) -> int:
    """Forget alerts that were resolved before; how many they were."""
    return int(Alert.delete().where(Alert.resolved, Alert.resolved_at < before).execute())


def forget_host(host_id: str) -> None:
    """A host is removed: so are its thresholds and alerts."""
    Threshold.delete().where(Threshold.host_id == host_id).execute()
    Alert.delete().where(Alert.host_id == host_id).execute()


@hookimpl
def register_models() -> list[type[peewee.Model]]:
    return [Threshold, Alert]


@hookimpl
def register_permissions() -> list[Permission]:
    return [
        Permission("alerts.read", "see alerts, and what they are judged by"),
        Permission("alerts.resolve", "resolve alerts"),
        Permission("thresholds.list", "see thresholds"),
        Permission("thresholds.create", "add thresholds"),
        Permission("thresholds.update", "change thresholds"),
        Permission("thresholds.delete", "remove thresholds"),
    ]


@hookimpl
def before_commit(events: Sequence[Event]) -> None:
    """What is said of a host goes with it."""
    for event in events:
        if isinstance(event, hosts.HostRemoved):
            forget_host(event.host_id)
