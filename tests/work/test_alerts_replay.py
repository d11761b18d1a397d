"""What a rule would have raised, from samples as they are kept."""

from __future__ import annotations

import datetime

import pytest

from roci_plugins.agent.sample import Sample
from roci_plugins.domain.alerts import Threshold
from roci_plugins.work.alerts import replay

BEGIN = datetime.datetime(2026, 5, 1, tzinfo=datetime.UTC)
MINUTE = datetime.timedelta(minutes=1)


def rule(**changes: object) -> Threshold:
    values = {"host_id": "x", "metric_type": "cpu", "threshold_value": 80.0, "comparison": "gt", "hysteresis": 0.0}
    return Threshold(**{**values, **changes})


def samples(*values: float | None) -> list[Sample]:
    times = (BEGIN + MINUTE * at for at in range(len(values)))
    return [Sample(timestamp=at.isoformat(), cpu_percent=value) for at, value in zip(times, values, strict=True)]


def told(row: Threshold, *values: float | None) -> list[tuple[int, int | None, str, float]] | None:
    """Minutes of begin and end, severity and worst value."""
    found = replay.episodes(row, samples(*values))
    if found is None:
        return None
    return [
        ((each.begin - BEGIN) // MINUTE, each.end and (each.end - BEGIN) // MINUTE, each.severity, each.worst)
        for each in found
    ]


@pytest.mark.parametrize(
    ("row", "values", "expected"),
    [
        pytest.param(rule(), (50, 90, 95, 60), [(1, 3, "warning", 95)], id="above"),
        pytest.param(rule(), (90, 99), [(0, None, "warning", 99)], id="still open"),
        pytest.param(rule(for_seconds=120), (90, 90, 60, 90, 90, 90), [(5, None, "warning", 90)], id="long enough"),
        pytest.param(
            rule(hysteresis=10.0), (90, 75, 69, 90), [(0, 2, "warning", 90), (3, None, "warning", 90)], id="back"
        ),
        pytest.param(rule(threshold_value=50.0), (60, 80), [(0, None, "critical", 80)], id="worse"),
        pytest.param(rule(comparison="lt", threshold_value=10.0), (20, 8, 4, 20), [(1, 3, "critical", 4)], id="below"),
        pytest.param(rule(), (50, 60), [], id="never"),
        pytest.param(rule(), (None, None), None, id="unknown"),
        pytest.param(rule(metric_type="service"), (90, 90), None, id="nothing a sample tells"),
    ],
)
def test_a_rule_is_tried_on_what_was(
    row: Threshold, values: tuple[float | None, ...], expected: list[tuple[int, int | None, str, float]] | None
) -> None:
    assert told(row, *values) == expected
