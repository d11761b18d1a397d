"""What raises alerts besides thresholds: the built-in conditions, which of them are on, and their times."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from ...domain.alerts import CONDITIONS


class AlertSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The conditions, all on by default. Times are in seconds where nothing else is said."""

    section: ClassVar[str] = "alerts"
    ignore: list[str] = []  # "image_update" everywhere, "container_stopped@nas" on one host, "*@nas"
    offline_after: float = 60
    unhealthy_after: float = 60
    stopped_after: float = 30
    restarts: int = 3
    restart_minutes: float = 10
    forecast_hours: float = 24
    update_hours: float = 24
    updates: int = 50  # images asked for at one time, for each host
    settle: float = 60  # what an operation of ours is given until its containers count again
    keep_days: int = 90  # resolved alerts; 0: for ever

    def __post_init__(self) -> None:
        for entry in self.ignore:
            condition, at, host = entry.partition("@")
            if condition not in (*CONDITIONS, "*") or (at and not host) or entry == "*":
                raise ValueError(
                    f"ignore: {entry!r} must be one of {', '.join(CONDITIONS)}, or one with @HOSTNAME, or *@HOSTNAME"
                )
        for name in ("offline_after", "unhealthy_after", "stopped_after", "settle", "keep_days"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}: 0 or more")
        for name in ("restarts", "restart_minutes", "forecast_hours", "update_hours", "updates"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name}: more than 0")

    def is_on(self, condition: str, hostname: str) -> bool:
        """Whether a host is judged by this condition."""
        return not {condition, f"{condition}@{hostname}", f"*@{hostname}"} & set(self.ignore)

    def hosts_without(self, condition: str) -> list[str]:
        """The names of the hosts that this condition leaves out."""
        return sorted({host for entry in self.ignore if (host := _host_of(entry, condition))})


def _host_of(entry: str, condition: str) -> str:
    name, _, host = entry.partition("@")
    return host if name in (condition, "*") else ""


MEANINGS = {
    "host_offline": ("critical", "the host is not connected", ("offline_after",)),
    "container_stopped": ("critical", "a container that ran ended, and nobody asked for it", ("stopped_after",)),
    "container_unhealthy": ("warning", "a container fails its health check", ("unhealthy_after",)),
    "container_restarting": ("critical", "a container is restarted again and again", ("restarts", "restart_minutes")),
    "disk_forecast": ("warning", "a disk will be full soon, if it goes on as it does", ("forecast_hours",)),
    "image_update": ("info", "the registry has a newer image of that name", ("update_hours", "updates")),
}
