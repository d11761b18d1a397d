"""Alerts and thresholds on the wire. Pure."""

from __future__ import annotations

import uuid
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from ...domain.alerts import LONGEST, Alert, NewThreshold, Threshold
from ...domain.model import wire_time
from .shapes import Body

Metric = Literal["cpu", "memory", "disk", "network", "service"]
Comparison = Literal["gt", "lt"]
Value = Annotated[float, Field(allow_inf_nan=False)]
TYPES = {  # what ROCI watches by itself, in the words of this dialect
    "host_offline": "service",
    "container_stopped": "service",
    "container_unhealthy": "service",
    "container_restarting": "service",
    "disk_forecast": "disk",
    "image_update": "service",
}


class Which(Body):
    status: Literal["active", "resolved", "all"] | None = None
    resolved: bool | None = None
    server_id: uuid.UUID | None = None
    skip: int = Field(0, ge=0, le=2**53)
    limit: int = Field(100, ge=1, le=1000)

    @property
    def state(self) -> Literal["active", "resolved", "all"]:
        if self.status or self.resolved is None:
            return self.status or "all"
        return "resolved" if self.resolved else "active"


class OfServer(Body):
    server_id: uuid.UUID | None = None


class Extras(Body):
    for_seconds: int = Field(0, ge=0, le=LONGEST)
    hysteresis: Value = Field(0.0, ge=0)


class ThresholdNew(Extras):
    server_id: uuid.UUID
    metric_type: Metric
    threshold_value: Value
    comparison: Comparison
    enabled: bool = True


class ThresholdChange(Extras):
    metric_type: Metric = "cpu"
    threshold_value: Value = 0.0
    comparison: Comparison = "gt"
    enabled: bool = True


class AlertOut(BaseModel):
    id: str
    server_id: str
    type: Metric
    severity: Literal["info", "warning", "critical"]
    message: str
    threshold: float | None
    current_value: float | None
    resolved: bool
    created_at: str
    resolved_at: str | None
    status: Literal["active", "resolved"]
    threshold_id: str | None
    last_value: float | None
    subject: str


class ThresholdOut(BaseModel):
    id: str
    server_id: str
    metric_type: Metric
    threshold_value: float
    comparison: Comparison
    enabled: bool
    created_at: str
    updated_at: str
    for_seconds: int
    hysteresis: float


def new_threshold(given: ThresholdNew) -> NewThreshold:
    values = given.model_dump(exclude={"server_id"})
    return NewThreshold(host_id=str(given.server_id), **values)


def alert(row: Alert) -> dict[str, Any]:
    return {
        "id": row.id,
        "server_id": row.host_id,
        "type": TYPES.get(row.type, row.type),
        "severity": row.severity,
        "message": row.message,
        "threshold": row.threshold,
        "current_value": row.current_value,
        "resolved": row.resolved,
        "created_at": wire_time(row.created_at),
        "resolved_at": wire_time(row.resolved_at),
        "status": "resolved" if row.resolved else "active",
        "threshold_id": row.threshold_id,
        "last_value": row.last_value,
        "subject": row.subject,
    }


def threshold(row: Threshold) -> dict[str, Any]:
    return {
        "id": row.id,
        "server_id": row.host_id,
        "metric_type": row.metric_type,
        "threshold_value": row.threshold_value,
        "comparison": row.comparison,
        "enabled": row.enabled,
        "created_at": wire_time(row.created_at),
        "updated_at": wire_time(row.updated_at),
        "for_seconds": row.for_seconds,
        "hysteresis": row.hysteresis,
    }
