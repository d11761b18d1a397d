"""The tiers: what is averaged when, which tier answers what, what is removed."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from roci_plugins.agent.sample import ContainerUse, Nic, Sample
from roci_plugins.work.series import Row, Series

MINUTE, HOUR, DAY = 60_000, 3600_000, 86_400_000
NOW = 1_800_000_000_000 - 1_800_000_000_000 % DAY + 12 * HOUR + 7 * MINUTE


@pytest.fixture
def series(tmp_path: Path) -> Series:
    return Series(tmp_path / "metrics.db", (DAY, 7 * DAY, 30 * DAY))


def fill(series: Series, start: int, end: int, every: int, host: str = "h") -> None:
    """A sample every so often, whose CPU is the minute of its hour."""
    moments = range(start, end, every)
    series.add(
        Row(
            host,
            at,
            Sample(
                cpu_percent=float(at // MINUTE % 60),
                network=[Nic("eth0", at // 1000, 0)],
                containers=[ContainerUse("aaaaaaaaaaaa", "web", float(at // MINUTE % 60), 100)],
            ),
        )
        for at in moments
    )


def stored(series: Series) -> list[tuple[int, int]]:
    """How many points each tier has."""
    return series._use(lambda db: db.execute("select tier, count(*) from sample group by tier").fetchall())


def test_samples_become_averages_of_a_minute_and_of_a_quarter(series: Series) -> None:
    fill(series, NOW - HOUR, NOW, 15_000)
    series.roll_up("h", NOW)
    assert stored(series) == [(0, 240), (1, 59), (2, 4)]  # of the last minute more may come


def test_rolling_up_twice_changes_nothing(series: Series) -> None:
    fill(series, NOW - HOUR, NOW, 15_000)
    series.roll_up("h", NOW)
    before = stored(series)
    series.roll_up("h", NOW)
    assert stored(series) == before


def test_rolling_up_goes_on_where_it_ended_with_gaps_between(series: Series) -> None:
    fill(series, NOW - 20 * HOUR, NOW - 18 * HOUR, MINUTE)
    series.roll_up("h", NOW - 18 * HOUR)
    fill(series, NOW - HOUR, NOW, MINUTE)
    series.roll_up("h", NOW)
    assert dict(stored(series))[1] == 120 + 59


def test_averages_weigh_by_their_samples_and_counters_keep_the_last(series: Series) -> None:
    start = NOW - HOUR
    for second, cpu in ((0, 0.0), (1, 0.0), (2, 0.0), (60, 40.0)):
        at = start + second * 1000
        series.add([Row("h", at, Sample(cpu_percent=cpu, network=[Nic("eth0", second, second)]))])
    series.roll_up("h", NOW)
    (point,) = series.points("h", start - start % (15 * MINUTE), NOW, 1, 30 * MINUTE * 10, NOW)
    assert point.sample.cpu_percent == 10.0
    assert point.weight == 4
    assert point.sample.network[0].bytes_sent == 60


def test_what_is_too_old_is_removed_tier_by_tier(series: Series) -> None:
    fill(series, NOW - 31 * DAY, NOW, 10 * MINUTE)
    series.roll_up("h", NOW)
    removed = series.purge("h", NOW)
    assert removed > 0
    assert series.purge("h", NOW) == 0
    oldest = dict(series._use(lambda db: db.execute("select tier, min(at) from sample group by tier").fetchall()))
    assert [round((NOW - oldest[tier]) / DAY) for tier in (0, 1, 2)] == [1, 7, 30]
    assert all(NOW - oldest[tier] <= days * DAY for tier, days in enumerate((1, 7, 30)))


def test_the_whole_month_is_answered_across_the_tiers_without_a_gap(series: Series) -> None:
    fill(series, NOW - 30 * DAY, NOW, 10 * MINUTE)
    series.roll_up("h", NOW)
    series.purge("h", NOW)
    points = series.points("h", NOW - 30 * DAY, NOW, 2000, 4 * HOUR, NOW)
    assert len(points) == 180
    assert [after.at - before.at for before, after in itertools.pairwise(points)] == [4 * HOUR] * 179
    assert sum(point.weight for point in points) >= 30 * 24 * 6 - 2  # the oldest quarter has begun before


@pytest.mark.parametrize(("step", "expected"), [(30_000, {0}), (10 * MINUTE, {0, 1}), (2 * HOUR, {0, 1, 2})])
def test_a_coarse_question_is_answered_by_the_coarse_tier(series: Series, step: int, expected: set[int]) -> None:
    fill(series, NOW - 6 * HOUR, NOW, MINUTE)
    series.roll_up("h", NOW)
    finest = max(tier for tier, period in enumerate((0, MINUTE, 15 * MINUTE)) if period * 2 <= step)
    segments = series._use(lambda db: series._segments(db, 1, NOW - 6 * HOUR, NOW, finest, NOW))
    assert {tier for tier, _, _ in segments} == expected
    assert segments[0][0] == max(expected)
    assert [high for _, _, high in segments[:-1]] == [low for _, low, _ in segments[1:]]


@pytest.mark.parametrize("ago", [2 * DAY, 10 * DAY], ids=["minutes", "quarters"])
def test_an_average_that_has_begun_before_is_in_the_answer(series: Series, ago: int) -> None:
    fill(series, NOW - 11 * DAY, NOW, MINUTE)
    series.roll_up("h", NOW)
    series.purge("h", NOW)
    start = NOW - ago + 20_000
    (point,) = series.points("h", start, start + 20_000, 500, None, NOW)
    assert point.at == start


def test_few_points_come_as_they_are(series: Series) -> None:
    fill(series, NOW - HOUR, NOW, 15_000)
    series.roll_up("h", NOW)
    points = series.points("h", NOW - HOUR, NOW, 240, None, NOW)
    assert len(points) == 240 and {point.weight for point in points} == {1}
    assert len(series.points("h", NOW - HOUR, NOW, 239, None, NOW)) <= 239


def test_containers_are_averaged_with_their_host(series: Series) -> None:
    fill(series, NOW - 2 * HOUR, NOW, 15_000)
    series.roll_up("h", NOW)
    (point,) = series.uses("h", "web", NOW - HOUR - HOUR // 2, NOW - HOUR // 2, 1, None, NOW)
    assert point.uses[0][0] == "web" and point.weight == 300, "five quarters, of which the ends are cut"


def test_hosts_do_not_see_each_others_samples_and_are_forgotten_whole(series: Series) -> None:
    fill(series, NOW - HOUR, NOW, MINUTE, "a")
    fill(series, NOW - HOUR, NOW, 2 * MINUTE, "b")
    series.roll_up("a", NOW)
    series.forget("a")
    assert series.hosts() == ["b"]
    assert len(series.points("b", 0, NOW, 2000, None, NOW)) == 30
    assert dict(stored(series)) == {0: 30}


def test_the_file_belongs_to_its_owner_only(series: Series) -> None:
    fill(series, NOW - MINUTE, NOW, 15_000)
    assert series.path.stat().st_mode & 0o777 == 0o600
