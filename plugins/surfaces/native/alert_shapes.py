"""The wire shapes of alerts and of what they are judged by."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from typing_extensions import TypedDict

from ...domain.alerts import LONGEST, Alert, Threshold
from ...domain.model import wire_time
from ...work.alerts.settings import MEANINGS, AlertSettings
from .shapes import Body, Id

Metric = Literal["cpu", "memory", "disk", "network", "service"]
Comparison = Literal["gt", "lt"]
Severity = Literal["info", "warning", "critical"]


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


Number = Annotated[float, Field(allow_inf_nan=False)]
Seconds = Annotated[int, BeforeValidator(_whole), Field(ge=0, le=LONGEST)]


class NewRule(Body):
    agent_id: Id
    metric_type: Metric
    threshold_value: Number
    comparison: Comparison
    enabled: bool = True
    for_seconds: Seconds = 0
    hysteresis: Annotated[Number, Field(ge=0)] = 0.0


class RuleChanges(Body):
    metric_type: Metric | None = None
    threshold_value: Number | None = None
    comparison: Comparison | None = None
    enabled: bool | None = None
    for_seconds: Seconds | None = None
    hysteresis: Annotated[Number, Field(ge=0)] | None = None


class RuleOut(TypedDict):
    id: Id
    agent_id: Id
    metric_type: Metric
    threshold_value: float
    comparison: Comparison
    enabled: bool
    for_seconds: int
    hysteresis: float
    created_at: str
    updated_at: str


class Rules(TypedDict):
    rules: list[RuleOut]
    total: int


class AlertOut(TypedDict):
    """`type` is the metric of a rule, or a condition; `subject` its container, disk or image."""

    id: Id
    agent_id: Id
    hostname: str
    type: str
    subject: str
    severity: Severity
    message: str
    rule_id: str | None
    threshold: float | None
    current_value: float | None
    last_value: float | None
    status: Literal["active", "resolved"]
    created_at: str
    resolved_at: str | None


class Alerts(TypedDict):
    alerts: list[AlertOut]
    total: int


class Condition(TypedDict):
    """What is judged without rules. `settings` are those of the server's configuration, section `alerts`."""

    type: str
    meaning: str
    severity: Severity
    enabled: bool
    ignored_on: list[str]
    settings: dict[str, float]


class Conditions(TypedDict):
    conditions: list[Condition]
    total: int


def rule(row: Threshold) -> dict[str, Any]:
    return {
        "id": row.id,
        "agent_id": row.host_id,
        "metric_type": row.metric_type,
        "threshold_value": row.threshold_value,
        "comparison": row.comparison,
        "enabled": row.enabled,
        "for_seconds": row.for_seconds,
        "hysteresis": row.hysteresis,
        "created_at": wire_time(row.created_at),
        "updated_at": wire_time(row.updated_at),
    }


def alert(row: Alert) -> dict[str, Any]:
    return {
        "id": row.id,
        "agent_id": row.host_id,
        "hostname": row.hostname,
        "type": row.type,
        "subject": row.subject,
        "severity": row.severity,
        "message": row.message,
        "rule_id": row.threshold_id,
        "threshold": row.threshold,
        "current_value": row.current_value,
        "last_value": row.last_value,
        "status": "resolved" if row.resolved else "active",
        "created_at": wire_time(row.created_at),
        "resolved_at": wire_time(row.resolved_at),
    }


def conditions(settings: AlertSettings) -> list[dict[str, Any]]:
    return [
        {
            "type": name,
            "meaning": meaning,
            "severity": severity,
            "enabled": name not in settings.ignore,
            "ignored_on": settings.hosts_without(name),
            "settings": {key: getattr(settings, key) for key in keys},
        }
        for name, (severity, meaning, keys) in MEANINGS.items()
    ]
