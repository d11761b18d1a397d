"""The tab of a host with its charts, from an hour to thirty days."""

from __future__ import annotations

import asyncio
import datetime
import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal

from quart import Blueprint, jsonify, request

from roci import Invalid, now

from ....agent.sample import Nic, Sample
from ....surfaces.http import moment, needs, returns, server, uuid
from ....work.metrics import ContainerPoint, Metrics
from ... import shell
from ...language import N_, _
from .. import shown

routes = Blueprint("metrics", __name__)
HOURS = {"1h": 1, "12h": 12, "24h": 24, "7d": 24 * 7, "30d": 24 * 30}
LABELS = {"1h": N_("1 hour"), "12h": N_("12 hours"), "24h": N_("24 hours"), "7d": N_("7 days"), "30d": N_("30 days")}
POINTS = 400
MOST_DISKS, MOST_CONTAINERS = 8, 6
GAP = 3.0  # times the usual distance: then nothing was known in between
VIRTUAL = ("lo", "veth", "br-", "docker", "virbr", "tap", "cni", "flannel")  # what goes over these is counted elsewhere

Unit = Literal["percent", "bytes", "rate", "number"]
Values = list[float | None]


@dataclass(frozen=True)
class Series:
    label: str
    values: Values

    @property
    def known(self) -> list[float]:
        return [value for value in self.values if value is not None]


@dataclass(frozen=True)
class Chart:
    """One chart: all its series have a value, or None for not known, at each of `times` (seconds since 1970)."""

    name: str
    label: str
    unit: Unit
    times: list[float]
    series: list[Series]


def gapless(times: Sequence[float], columns: Sequence[Values]) -> tuple[list[float], list[Values]]:
    """The same, with a moment of not knowing wherever the points lie much further apart than usual."""
    if len(times) < 3:
        return list(times), [list(column) for column in columns]
    usual = median(after - before for before, after in itertools.pairwise(times))
    new_times: list[float] = []
    new_columns: list[Values] = [[] for _column in columns]
    for at, time in enumerate(times):
        if at and time - times[at - 1] > GAP * usual:
            new_times.append(times[at - 1] + usual)
            for column in new_columns:
                column.append(None)
        new_times.append(time)
        for column, old in zip(new_columns, columns, strict=True):
            column.append(old[at])
    return new_times, new_columns


def chart(name: str, label: str, unit: Unit, times: Sequence[float], lines: dict[str, Values]) -> Chart | None:
    """None where nothing of it is known."""
    known = {line: values for line, values in lines.items() if any(value is not None for value in values)}
    if not known:
        return None
    whole, columns = gapless(times, list(known.values()))
    return Chart(name, label, unit, whole, [Series(*each) for each in zip(known, columns, strict=True)])


def _seconds(timestamp: str) -> float:
    return datetime.datetime.fromisoformat(timestamp).timestamp()


def rates(times: Sequence[float], counters: Sequence[int | None]) -> Values:
    """What counters grew by in a second, at each moment since the one before. None where they began anew."""
    found: Values = [None] if counters else []
    for at in range(1, len(counters)):
        before, after, seconds = counters[at - 1], counters[at], times[at] - times[at - 1]
        is_known = before is not None and after is not None and after >= before and seconds > 0
        found.append((after - before) / seconds if is_known else None)  # type: ignore[operator]
    return found


def _traffic(sample: Sample, of: Callable[[Nic], int]) -> int | None:
    real = [nic for nic in sample.network if not nic.interface.startswith(VIRTUAL)]
    return sum(map(of, real)) if real else None


def _disks(samples: Sequence[Sample]) -> dict[str, Values]:
    paths = dict.fromkeys(disk.path for sample in samples for disk in sample.disk_usage)
    by_moment = [{disk.path: disk.percent for disk in sample.disk_usage} for sample in samples]
    return {path: [disks.get(path) for disks in by_moment] for path in list(paths)[:MOST_DISKS]}


def charts_of_host(samples: Sequence[Sample]) -> list[Chart]:
    """All that is known of the machine itself."""
    times = [_seconds(sample.timestamp) for sample in samples]
    loads = [sample.load or (None, None, None) for sample in samples]
    swaps = [sample.swap for sample in samples]
    received = rates(times, [_traffic(sample, lambda nic: nic.bytes_recv) for sample in samples])
    sent = rates(times, [_traffic(sample, lambda nic: nic.bytes_sent) for sample in samples])
    wanted = [
        chart("cpu", _("CPU"), "percent", times, {_("CPU"): [sample.cpu_percent for sample in samples]}),
        chart(
            "memory",
            _("Memory"),
            "percent",
            times,
            {
                _("Memory"): [sample.memory_percent for sample in samples],
                _("Swap"): [100 * swap.used / swap.total if swap and swap.total else None for swap in swaps],
            },
        ),
        chart("disks", _("Disks"), "percent", times, _disks(samples)),
        chart("network", _("Network"), "rate", times, {_("received"): received, _("sent"): sent}),
        chart(
            "load",
            _("Load"),
            "number",
            times,
            {
                _("1 minute"): [load[0] for load in loads],
                _("15 minutes"): [load[2] for load in loads],
            },
        ),
    ]
    return [each for each in wanted if each]


def charts_of_containers(found: dict[str, Sequence[ContainerPoint]]) -> list[Chart]:
    """Processor and memory of some containers, on one axis of time each."""
    times = sorted({_seconds(point.timestamp) for points in found.values() for point in points})
    cpu: dict[str, Values] = {}
    memory: dict[str, Values] = {}
    for name, points in found.items():
        by_time = {_seconds(point.timestamp): point for point in points}
        at_times = [by_time.get(time) for time in times]
        cpu[name] = [point.cpu_percent if point else None for point in at_times]
        memory[name] = [point.memory_bytes if point else None for point in at_times]
    wanted = [
        chart("containers-cpu", _("CPU of the busiest containers"), "percent", times, cpu),
        chart("containers-memory", _("Memory of the busiest containers"), "bytes", times, memory),
    ]
    return [each for each in wanted if each]


def busiest(sample: Sample | None) -> list[str]:
    """Names of the containers that do most now, in an order that does not change with what they do."""
    containers = sample.containers if sample else []
    most = sorted(containers, key=lambda each: -(each.cpu_percent or 0))[:MOST_CONTAINERS]
    return sorted(each.name for each in most)


def _asked() -> tuple[str, datetime.datetime, datetime.datetime]:
    """The range that the address names, and its ends: until now, or around `at`. Raises Invalid."""
    name = request.args.get("range", "1h")
    if name not in HOURS:
        raise Invalid(f"range: one of {', '.join(HOURS)}")
    span = datetime.timedelta(hours=HOURS[name])
    if not (text := request.args.get("at")):
        return name, now() - span, now()
    at = moment("at", text)
    return name, at - span / 2, min(at + span / 2, now())


async def _charts(host_id: str, start: datetime.datetime, end: datetime.datetime) -> list[Chart]:
    metrics = server().part(Metrics)
    names = busiest(metrics.latest(host_id))
    samples = await metrics.history(host_id, start, end, POINTS)
    points = await asyncio.gather(*(metrics.container_history(host_id, name, start, end, POINTS) for name in names))
    return [*charts_of_host(samples), *charts_of_containers(dict(zip(names, points, strict=True)))]


@routes.get("/hosts/<id>/metrics")
@needs("metrics.read", on="host/{id}")
async def show(id: str) -> Any:
    """The charts: drawn by the browser, and in figures for whoever has no scripts or does not see them."""
    live = shown.live(server(), uuid(id))
    name, start, end = _asked()
    return await shell.render(
        "hosts/metrics.html",
        _("Metrics"),
        (f"host/{id}", "beats"),
        shell.Subject("host", id, live.host.hostname),
        scripts=("metrics.js",),
        styles=("metrics.css",),
        libraries=("uplot.css", "uplot.js"),
        charts=await _charts(id, start, end),
        ranges=LABELS,
        range=name,
        at=request.args.get("at"),
    )


@routes.get("/hosts/<id>/metrics/data")
@needs("metrics.read", on="host/{id}")
@returns(dict[str, Any])
async def data(id: str) -> Any:
    """What the charts show, from `start` to `end`: each with `name`, `label`, `unit`, `times` and `series`."""
    shown.live(server(), uuid(id))
    _name, start, end = _asked()
    charts = [_plain(each) for each in await _charts(id, start, end)]
    return jsonify(start=start.timestamp(), end=end.timestamp(), charts=charts)


def _plain(chart: Chart) -> dict[str, Any]:
    series = [{"label": each.label, "values": list(_short(each.values))} for each in chart.series]
    return {"name": chart.name, "label": chart.label, "unit": chart.unit, "times": chart.times, "series": series}


def _short(values: Iterable[float | None]) -> Iterable[float | None]:
    return (None if value is None else round(value, 2) for value in values)
