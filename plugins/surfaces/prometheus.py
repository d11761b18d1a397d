"""GET /metrics: every figure that plugins register, as Prometheus reads them."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, ClassVar

import msgspec
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, SummaryMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector
from quart import Blueprint, Response

from roci import Answer, Roci, RociError, Surface, hookimpl

from ..core.loading import by_name
from ..work.telemetry import Metric, Point
from .http import needs, public, roci


class PrometheusSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Who may scrape. config.example.yaml explains it."""

    section: ClassVar[str] = "prometheus"

    public: bool = False


class Scrape(Collector):
    """What one scrape found."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    def collect(self) -> Iterable[Family]:
        return self._families


class Exposition:
    """The figures of one ROCI. Reached as `roci.part(Exposition)`."""

    def __init__(self, metrics: Mapping[str, Metric]) -> None:
        self._metrics = metrics

    async def text(self) -> bytes:
        families = []
        for metric in self._metrics.values():
            families.append(family(metric, await _points(metric)))
            await asyncio.sleep(0)  # with hundreds of hosts it takes a while: others come in between
        return await asyncio.to_thread(generate_latest, Scrape(families))


async def show() -> Response:
    """Figures of hosts, containers, operations, alerts and of this process, for Prometheus."""
    text = await roci.part(Exposition).text()
    return Response(text, content_type=CONTENT_TYPE_LATEST, headers={"Cache-Control": "no-store"})


async def _points(metric: Metric) -> Iterable[Point]:
    found = metric.read()
    return await found if inspect.isawaitable(found) else found


def family(metric: Metric, points: Iterable[Point]) -> Family:
    """A metric with its points, as the library wants it."""
    found = list(points)
    names = list(found[0].labels) if found else []
    if metric.kind == "summary":
        summary = SummaryMetricFamily(metric.name, metric.help, labels=names)
        for point in found:
            summary.add_metric(_values(point), count_value=point.count, sum_value=point.value)
        return summary
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    made: Any = kind(metric.name, metric.help, labels=names)
    for point in found:
        made.add_metric(_values(point), float(point.value))
    return made  # type: ignore[no-any-return]


def _values(point: Point) -> list[str]:
    """Names come from hosts, and half of a character is none."""
    return [text.encode(errors="replace").decode() for text in point.labels.values()]


def answer(error: RociError) -> Answer:
    """Plain text, which a scrape's error shows."""
    return f"{error.message}\n", error.status


@hookimpl
def register_settings() -> type[PrometheusSettings]:
    return PrometheusSettings


@hookimpl
def register_surfaces(roci: Roci) -> list[Surface]:
    routes = Blueprint("prometheus", __name__)

    async def view() -> Response:
        return await show()

    is_public = roci.section(PrometheusSettings).public
    routes.add_url_rule("/metrics", "show", public(view) if is_public else needs("metrics.read")(view))
    return [Surface("prometheus", "", routes, answer)]


@hookimpl
@contextlib.asynccontextmanager
async def lifespan(roci: Roci) -> AsyncIterator[None]:
    roci.provide(Exposition(by_name("metric", roci.hook.register_metrics(roci=roci))))
    yield
