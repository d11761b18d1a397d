"""GET /metrics: every figure that plugins register, as Prometheus reads them."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, cast

import msgspec
from quart import Blueprint, Response

from roci import Answer, Roci, RociError, Surface, hookimpl

from ..core.loading import by_name
from ..work.telemetry import Metric, Point
from .http import needs, public, roci

if TYPE_CHECKING:
    from prometheus_client.core import Metric as Family


class PrometheusSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Who may scrape. config.example.yaml explains it."""

    section: ClassVar[str] = "prometheus"

    public: bool = False


class Exposition:
    """The figures of one ROCI. Reached as `roci.part(Exposition)`."""

    def __init__(self, metrics: Mapping[str, Metric]) -> None:
        self._metrics = metrics

    async def text(self) -> tuple[bytes, str]:
        """With its media type."""
        found: list[tuple[Metric, list[Point]]] = []
        for metric in self._metrics.values():
            points = metric.read()
            found.append((metric, list(await points if inspect.isawaitable(points) else points)))
            await asyncio.sleep(0)  # with hundreds of hosts it takes a while: others come in between
        return await asyncio.to_thread(_written, found)


def _written(found: Iterable[tuple[Metric, list[Point]]]) -> tuple[bytes, str]:
    """The library is imported at the first scrape, and by nobody who is never scraped."""
    from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
    from prometheus_client.registry import Collector

    class Scrape(Collector):
        def collect(self) -> Iterable[Family]:
            return (family(metric, points) for metric, points in found)

    return generate_latest(Scrape()), CONTENT_TYPE_LATEST


def family(metric: Metric, points: list[Point]) -> Family:
    """A metric with its points, as the library wants it."""
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, SummaryMetricFamily

    names = list(points[0].labels) if points else []
    if metric.kind == "summary":
        summary = SummaryMetricFamily(metric.name, metric.help, labels=names)
        for point in points:
            summary.add_metric(_values(point), count_value=point.count, sum_value=point.value)
        return summary
    kind: Any = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    made = kind(metric.name, metric.help, labels=names)
    for point in points:
        made.add_metric(_values(point), float(point.value))
    return cast("Family", made)


def _values(point: Point) -> list[str]:
    """Names come from hosts, and half of a character is none."""
    return [text.encode(errors="replace").decode() for text in point.labels.values()]


async def show() -> Response:
    """Figures of hosts, containers, operations, alerts and of this process, for Prometheus."""
    text, media = await roci.part(Exposition).text()
    return Response(text, content_type=media, headers={"Cache-Control": "no-store"})


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
