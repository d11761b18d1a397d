"""How alerts, rules and channels are put into words, in the reader's language. Pure."""

from __future__ import annotations

from ....domain.alerts import NewThreshold, Threshold
from ...language import N_, _

METRICS = {
    "cpu": N_("CPU"),
    "memory": N_("Memory"),
    "disk": N_("Fullest disk"),
    "network": N_("Network traffic"),
    "service": N_("Host away"),
}
CONDITIONS = {
    "host_offline": N_("Host not connected"),
    "container_stopped": N_("Container stopped"),
    "container_unhealthy": N_("Container unhealthy"),
    "container_restarting": N_("Container restarting"),
    "disk_forecast": N_("Disk full soon"),
    "image_update": N_("Newer image"),
}
MEANINGS = {
    "host_offline": N_("The host is not connected."),
    "container_stopped": N_("A container that ran ended, and nobody asked for it."),
    "container_unhealthy": N_("A container fails its health check."),
    "container_restarting": N_("A container is restarted again and again."),
    "disk_forecast": N_("A disk will be full soon if it goes on as it does."),
    "image_update": N_("The registry has a newer image of that name."),
}
SEVERITIES = {"info": N_("info"), "warning": N_("warning"), "critical": N_("critical")}
UNITS = {"cpu": "%", "memory": "%", "disk": "%", "network": "B/s"}
SPANS = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def kind(type: str) -> str:
    """What an alert is about."""
    known = METRICS | CONDITIONS
    return _(known[type]) if type in known else type.replace("_", " ")


def severity(word: str) -> str:
    return _(SEVERITIES[word]) if word in SEVERITIES else word


def amount(type: str, value: float | None) -> str:
    """A value with its unit: "91.5 %", "1.5 MB/s"; empty where there is none."""
    if value is None:
        return ""
    unit = UNITS.get(type, "")
    if unit == "B/s":
        for prefix in ("", "k", "M", "G"):
            if abs(value) < 1000 or prefix == "G":
                return f"{value:.3g} {prefix}{unit}"
            value /= 1000
    return f"{number(value)} {unit}".strip()


def number(value: float) -> str:
    """As short as it is exact to a tenth of a thousandth."""
    text = f"{value:.4f}".rstrip("0").rstrip(".")
    return text or "0"


def typed(type: str, value: float) -> str:
    """A value as one types it: traffic with k, M or G where that is exact."""
    if UNITS.get(type) == "B/s":
        for prefix, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
            if value >= size and value * 1000 % size == 0:
                return f"{number(value / size)}{prefix}"
    return number(value)


def span(seconds: float) -> str:
    """In the largest unit that says it exactly: "90 s", "5 min"."""
    for size, unit in SPANS:
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"


def rule(row: Threshold | NewThreshold) -> str:
    """A rule as one sentence without its host."""
    metric, value, time = kind(row.metric_type), amount(row.metric_type, row.threshold_value), span(row.for_seconds)
    if row.metric_type == "service" and row.comparison == "gt" and 0 <= row.threshold_value < 1:
        return _("%(metric)s for %(time)s", metric=metric, time=time) if row.for_seconds else metric
    if row.for_seconds:
        text = N_("%(metric)s above %(value)s for %(time)s")
        text = text if row.comparison == "gt" else N_("%(metric)s below %(value)s for %(time)s")
        return _(text, metric=metric, value=value, time=time)
    text = N_("%(metric)s above %(value)s") if row.comparison == "gt" else N_("%(metric)s below %(value)s")
    return _(text, metric=metric, value=value)
