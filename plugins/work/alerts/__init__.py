"""Alerts, as surfaces reach them: thresholds are changed and alerts resolved here, and the judge hears of it."""

from __future__ import annotations

from typing import Any

from roci import Roci

from ...domain import alerts
from ...domain.alerts import Alert, NewThreshold, Threshold


async def resolve(roci: Roci, alert_id: str) -> Alert:
    """End an alert by hand. A threshold that is still violated opens a new one with the next sample."""
    return await roci.write(alerts.resolve, alert_id)


async def add_threshold(roci: Roci, new: NewThreshold) -> Threshold:
    return await roci.write(alerts.add_threshold, new)


async def change_threshold(roci: Roci, threshold_id: str, **changes: Any) -> Threshold:
    return await roci.write(alerts.change_threshold, threshold_id, **changes)


async def remove_threshold(roci: Roci, threshold_id: str) -> None:
    await roci.write(alerts.remove_threshold, threshold_id)
