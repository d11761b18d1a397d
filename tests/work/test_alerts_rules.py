"""What thresholds, containers and disks make of what they are told: tables, without a clock or a database."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from roci_plugins.agent.sample import Disk, Nic, Sample
from roci_plugins.agent.wire import Container
from roci_plugins.domain.alerts import Threshold
from roci_plugins.work.alerts.containers import Watched, age, exit_code
from roci_plugins.work.alerts.forecast import LEAST, STEP, Growth, hours_left
from roci_plugins.work.alerts.mutes import Mute, Mutes
from roci_plugins.work.alerts.rules import Rule, value_of
from roci_plugins.work.alerts.settings import AlertSettings

GIB = 2**30


def rule(comparison: str = "gt", limit: float = 80.0, hysteresis: float = 0.0, metric: str = "cpu") -> Rule:
    return Rule(
        Threshold(host_id="h", metric_type=metric, threshold_value=limit, comparison=comparison, hysteresis=hysteresis)
    )


# --- thresholds --------------------------------------------------------------


@pytest.mark.parametrize(
    ("comparison", "limit", "value", "violated", "severity"),
    [
        ("gt", 80, 79.0, False, ""),
        ("gt", 80, 80.0, False, ""),
        ("gt", 80, 81.0, True, "warning"),
        ("gt", 80, 120.0, True, "warning"),
        ("gt", 80, 120.1, True, "critical"),
        ("gt", 80, 130.0, True, "critical"),
        ("gt", 0, 1.0, True, "critical"),
        ("lt", 20, 21.0, False, ""),
        ("lt", 20, 20.0, False, ""),
        ("lt", 20, 19.0, True, "warning"),
        ("lt", 20, 10.0, True, "warning"),
        ("lt", 20, 5.0, True, "critical"),
    ],
)
def test_a_comparison_is_strict_and_half_as_much_again_is_critical(
    comparison: str, limit: float, value: float, violated: bool, severity: str
) -> None:
    assert rule(comparison, limit).is_violated(value, is_open=False) == violated
    assert rule(comparison, limit).is_violated(value, is_open=True) == violated
    assert not violated or rule(comparison, limit).severity(value) == severity


@pytest.mark.parametrize(
    ("comparison", "value", "violated"),
    [("gt", 76.0, True), ("gt", 75.0, False), ("lt", 84.0, True), ("lt", 85.0, False)],
)
def test_what_is_open_ends_when_the_value_is_back_by_the_hysteresis(
    comparison: str, value: float, violated: bool
) -> None:
    assert rule(comparison, hysteresis=5).is_violated(value, is_open=True) == violated
    assert not rule(comparison, hysteresis=5).is_violated(value, is_open=False)


def test_the_message_names_metric_value_comparison_and_limit() -> None:
    assert rule().message("nas", 81.06) == "cpu on nas is 81.1 (threshold: gt 80)"
    assert rule("lt", 2_500_000_000.25, metric="network").message("nas", 7) == (
        "network on nas is 7.0 (threshold: lt 2500000000.25)"
    )
    assert rule(limit=0, metric="service").message("nas", 1) == "nas is offline (service 1.0 gt 0)"


def disk(path: str, percent: float, used: int = 0, free: int = 0) -> Disk:
    return Disk(path=path, total=used + free, used=used, free=free, percent=percent)


def moved(received: int, sent: int = 0, interface: str = "eth0", second: int = 0) -> Sample:
    nic = Nic(interface=interface, bytes_sent=sent, bytes_recv=received)
    return Sample(timestamp=f"2026-01-01T00:00:{second:02}Z", network=[nic])


def test_the_fullest_disk_counts() -> None:
    assert value_of("disk", Sample(disk_usage=[disk("/", 40), disk("/data", 91), disk("/boot", 12)]), None) == 91


@pytest.mark.parametrize("metric", ["cpu", "memory", "disk", "network", "service"])
def test_what_a_sample_does_not_tell_is_no_value(metric: str) -> None:
    assert value_of(metric, Sample(timestamp="2026-01-01T00:00:01Z"), Sample(timestamp="2026-01-01T00:00:00Z")) is None


@pytest.mark.parametrize(
    ("before", "after", "value"),
    [
        (moved(1000, 100), moved(3000, 600, second=10), 250.0),
        (moved(5000), moved(3000, second=10), None),
        (moved(1000, 700), moved(3000, 600, second=10), None),
        (moved(1000), moved(3000), None),
        (moved(1000, second=10), moved(3000), None),
        (moved(1000, interface="eth1"), moved(3000, second=10), None),
        (None, moved(3000), None),
    ],
    ids=["both ways", "received anew", "sent anew", "no time", "time backwards", "another interface", "the first"],
)
def test_network_is_bytes_a_second_since_the_sample_before(
    before: Sample | None, after: Sample, value: float | None
) -> None:
    assert value_of("network", after, before) == value


def test_an_interface_that_is_new_does_not_count_yet() -> None:
    new = Nic(interface="eth1", bytes_sent=10**9, bytes_recv=10**9)
    after = moved(3000, second=10)
    assert value_of("network", msgspec.structs.replace(after, network=[*after.network, new]), moved(1000)) == 200


# --- containers --------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Up Less than a second", 0),
        ("Up 1 second", 1),
        ("Up 42 seconds (health: starting)", 42),
        ("Up About a minute", 60),
        ("Up 3 minutes (healthy)", 180),
        ("Up About an hour (unhealthy)", 3600),
        ("Up 47 hours", 169_200),
        ("Up 13 days", 1_123_200),
        ("Up 3 weeks (Paused)", 1_814_400),
        ("Up 2 months", 5_184_000),
        ("Up 2 years", 63_072_000),
        ("Restarting (1) 12 seconds ago", 12),
        ("Exited (137) 2 hours ago", 7200),
        ("Created", None),
        ("", None),
    ],
)
def test_the_age_of_a_state_is_read_from_its_words(text: str, seconds: float | None) -> None:
    assert age(text) == seconds


def test_an_exit_code_is_read_from_the_words_too() -> None:
    assert (exit_code("Exited (137) 2 hours ago"), exit_code("Dead")) == (137, None)


def test_numbers_that_are_too_long_to_mean_anything_say_nothing() -> None:
    for digits in (400, 5000):
        assert age(f"Up {'9' * digits} minutes") is None
        assert exit_code(f"Exited ({'9' * digits}) 2 hours ago") is None


def one(
    state: str, status: str = "", id: str = "aaaa", name: str = "web", app: str | None = None, oom: bool | None = None
) -> Container:
    words = {"Up": "running", "Exited": "exited", "Restarting": "restarting", "Dead": "dead", "Created": "created"}
    return Container(id=id, name=name, status=status or words[state.split()[0]], state=state, app=app, oom=oom)


def judged(
    *beats: tuple[float, Sequence[Container]] | tuple[float, Sequence[Container], bool], **options: Any
) -> dict[str, bool | None]:
    """What is said after the last of these heartbeats: a time, what ran, and whether ROCI was at work on it."""
    settings = AlertSettings(**{"unhealthy_after": 60, "stopped_after": 30, **options})
    watched = Watched()
    for at, found, *ours in beats:
        watched.see(found, at, lambda _, ours=bool(ours and ours[0]): ours)
        said = {verdict.type: verdict.bad for verdict in watched.verdicts(at, settings)}
    return said


RUNS, DIED, ENDED = one("Up 5 minutes"), one("Exited (1) 1 second ago"), one("Exited (0) 1 second ago")
SICK = one("Up 5 minutes (unhealthy)")
KILLED = "Exited (137) 1 second ago"


@pytest.mark.parametrize(
    ("beats", "bad"),
    [
        ([(0, [RUNS]), (15, [RUNS])], False),
        ([(0, [RUNS]), (15, [DIED])], None),
        ([(0, [RUNS]), (15, [DIED]), (45, [DIED])], True),
        ([(0, [RUNS]), (15, [DIED]), (45, [RUNS])], False),
        ([(0, [RUNS]), (15, [ENDED]), (60, [ENDED])], None),
        ([(0, [RUNS]), (15, [one("Exited (143) 1 second ago")]), (60, [one("Exited (143) 1 minute ago")])], None),
        ([(0, [RUNS]), (15, [one("Exited (137) 1 second ago")]), (60, [one("Exited (137) 1 minute ago")])], True),
        ([(0, [RUNS]), (15, [one(KILLED, oom=True)]), (60, [one(KILLED, oom=True)])], True),
        ([(0, [RUNS]), (15, [one(KILLED, oom=False)]), (60, [one(KILLED, oom=False)])], None),
        ([(0, [RUNS]), (15, [one(KILLED)]), (30, [one(KILLED, oom=False)]), (60, [one(KILLED, oom=False)])], None),
        ([(0, [RUNS]), (15, [one("Dead")]), (60, [one("Dead")])], True),
        ([(0, [DIED]), (60, [DIED])], None),
        ([(0, [one("Created")]), (15, [DIED]), (60, [DIED])], None),
        ([(0, [RUNS]), (15, [DIED], True), (60, [DIED]), (120, [DIED])], None),
        ([(0, [one("Restarting (1) 1 second ago")]), (15, [DIED]), (45, [DIED])], True),
    ],
    ids=[
        "it runs",
        "it ended just now",
        "it stays down",
        "it came back",
        "it was done",
        "it was asked to end",
        "it was killed, nobody knows why",
        "it took too much memory",
        "it was killed by hand",
        "it was killed by hand, as is known later",
        "it is dead",
        "it was down before we came",
        "it never ran",
        "ROCI stopped it",
        "its engine gave up",
    ],
)
def test_a_container_counts_as_stopped_when_it_ended_and_nobody_asked_it_to(beats: list[Any], bad: bool | None) -> None:
    assert judged(*beats)["container_stopped"] is bad


@pytest.mark.parametrize(
    ("beats", "bad"),
    [
        ([(0, [SICK])], None),
        ([(0, [SICK]), (60, [SICK])], True),
        ([(0, [SICK]), (30, [RUNS]), (60, [SICK])], None),
        ([(0, [SICK]), (60, [one("Up 5 minutes (healthy)")])], False),
        ([(0, [SICK]), (60, [one("Up 1 second (health: starting)")])], None),
        ([(0, [SICK], True), (60, [SICK], True)], True),
    ],
    ids=["just now", "for long", "in between well", "well again", "restarted, who knows", "whoever is at work"],
)
def test_a_container_is_unhealthy_after_a_while(beats: list[Any], bad: bool | None) -> None:
    assert judged(*beats)["container_unhealthy"] is bad


def up(seconds: int, id: str = "aaaa") -> list[Container]:
    return [one(f"Up {seconds} seconds", id=id)]


def down(seconds: int) -> list[Container]:
    return [one(f"Restarting (1) {seconds} seconds ago")]


@pytest.mark.parametrize(
    ("beats", "bad"),
    [
        ([(0, up(50)), (15, up(3)), (30, up(2)), (45, up(17))], False),
        ([(0, up(50)), (15, up(3)), (30, up(2)), (45, up(1))], True),
        ([(0, up(50)), (15, down(1)), (30, up(1)), (45, down(1)), (60, up(2))], False),
        ([(0, up(50)), (15, down(1)), (30, up(1)), (45, down(1)), (60, up(2)), (75, down(1))], True),
        ([(0, down(3))], False),
        ([(0, down(8))], True),
        ([(0, up(50)), (15, up(3)), (30, up(2)), (45, up(1)), (1000, [RUNS])], False),
        ([(0, up(50)), (15, up(3, "bbbb")), (30, up(2, "cccc")), (45, up(1, "dddd"))], False),
        ([(0, up(50)), (15, up(3), True), (30, up(2), True), (45, up(1), True)], False),
        ([(0, up(50)), (15, up(3)), (30, up(2)), (45, up(1)), (60, [DIED])], True),
    ],
    ids=[
        "twice",
        "three times",
        "seen between, twice",
        "seen between, three times",
        "one restart",
        "its engine waits long",
        "long ago",
        "made anew each time",
        "by ROCI",
        "gave up",
    ],
)
def test_restarts_are_counted_rather_than_seen(beats: list[Any], bad: bool) -> None:
    assert judged(*beats)["container_restarting"] is bad


def test_what_was_known_before_a_restart_of_the_server_counts_as_seen() -> None:
    watched = Watched([RUNS])
    watched.see([DIED], 0, lambda _: False)
    assert watched.is_waiting
    said = {verdict.type: verdict for verdict in watched.verdicts(30, AlertSettings(), waiting_only=True)}
    assert said["container_stopped"].bad
    assert said["container_stopped"].message == "the container web stopped with exit code 1"


def test_a_container_that_is_gone_is_told_of_once() -> None:
    watched = Watched()
    assert watched.see([RUNS, one("Up 1 second", name="db")], 0, lambda _: False) == set()
    assert watched.see([RUNS], 15, lambda _: False) == {"db"}
    assert watched.see([RUNS], 30, lambda _: False) == set() and not watched.is_waiting


# --- what ROCI does itself ---------------------------------------------------


@pytest.mark.parametrize(
    ("mute", "covered"),
    [
        (Mute(), ["web", "db", "other", "bbbb"]),
        (Mute(project="shop"), ["web", "db"]),
        (Mute(container="web"), ["web"]),
        (Mute(container="cccc11"), ["other"]),
        (Mute(container="cccc1111cccc1111cccc"), ["other"]),
        (Mute(container="/web"), ["web"]),
        (Mute(container="bbbb"), ["bbbb"]),
        (Mute(container="bbbb1"), ["db"]),
        (Mute(container="ccc"), []),
        (Mute(project="shop", container="other"), ["web", "db", "other"]),
    ],
)
def test_a_mute_covers_what_the_operation_is_about(mute: Mute, covered: list[str]) -> None:
    found = [
        one("Up 1 second", id="aaaa1111", name="web", app="shop"),
        one("Up 1 second", id="bbbb1111", name="db", app="shop"),
        one("Up 1 second", id="cccc1111", name="other"),
        one("Up 1 second", id="dddd1111", name="bbbb"),
    ]
    assert [each.name for each in mute.covered(found)] == covered


def test_a_mute_lasts_until_some_time_after_its_operation() -> None:
    mutes = Mutes()
    mutes.begin("nas", "op1", Mute())
    mutes.begin("nas", "op2", Mute(project="shop"))
    assert len(mutes.of("nas", 10**9)) == 2 and mutes.of("pi", 0) == []
    mutes.end("nas", "op1", 60)
    mutes.end("nas", "never begun", 60)
    assert len(mutes.of("nas", 59)) == 2
    assert [mute.project for mute in mutes.of("nas", 60)] == ["shop"]
    mutes.forget("nas")
    assert mutes.of("nas", 0) == []


# --- disks -------------------------------------------------------------------


def line(count: int, each: float, wobble: float = 0.0) -> list[tuple[float, float]]:
    """Points five minutes apart, so many bytes more each, with a movement of their own."""
    return [(n * STEP, 50 * GIB + n * each + wobble * math.sin(n * 1.7)) for n in range(count)]


def test_a_disk_that_fills_steadily_is_told_how_long_it_has() -> None:
    hours = hours_left(line(72, GIB / 12), room=10 * GIB)  # a GiB an hour
    assert hours == pytest.approx(10, rel=0.01)
    wavering = hours_left(line(72, GIB / 12, wobble=GIB / 4), room=10 * GIB)
    assert wavering == pytest.approx(10, rel=0.1)


BURST = [(n * STEP, 50 * GIB + max(0, n - 60) * GIB) for n in range(72)]  # a copy in the last hour
SAWTOOTH = [(n * STEP, 50 * GIB + (n % 12) * GIB) for n in range(72)]  # written and rotated


@pytest.mark.parametrize(
    "points",
    [line(LEAST - 1, GIB), line(72, 0), line(72, -GIB), line(72, GIB / 120, wobble=GIB), BURST, SAWTOOTH],
    ids=["too few", "still", "emptied", "noise", "a copy", "rotated logs"],
)
def test_there_is_no_telling_from_noise(points: list[tuple[float, float]]) -> None:
    assert hours_left(points, room=GIB) is None


def filled(growth: Growth, used: Sequence[float], start: float = 0.0) -> Disk:
    for n, each in enumerate(used):
        now = disk("/", 50, int(each), int(100 * GIB - each))
        assert growth.take([now], start + n * STEP)
        assert not growth.take([now], start + n * STEP + STEP - 1)
    return now


def test_a_forecast_says_nothing_before_it_knows_enough() -> None:
    growth = Growth()
    last = filled(growth, [y for _, y in line(LEAST - 1, GIB / 12)])
    assert growth.is_filling(last, 48, is_open=False) == (None, 0.0)
    growth.take([], LEAST * STEP)
    assert growth.is_filling(last, 48, is_open=False) == (None, 0.0), "the disk was away"


def test_an_open_forecast_holds_until_there_is_half_as_much_time_again() -> None:
    growth = Growth()
    last = filled(growth, [y for _, y in line(72, GIB / 12)])  # 44 GiB left: 44 hours
    assert [growth.is_filling(last, within, False)[0] for within in (48, 40, 24)] == [True, False, False]
    assert [growth.is_filling(last, within, True)[0] for within in (48, 40, 24)] == [True, True, False]


def test_a_disk_that_hardly_moves_is_no_growth() -> None:
    growth = Growth()
    last = filled(growth, [99 * GIB + n * 2**20 for n in range(72)])  # 12 MiB an hour, a GiB left
    assert growth.is_filling(last, 24 * 365, is_open=False)[0] is False


# --- settings ----------------------------------------------------------------


def test_a_condition_is_switched_off_everywhere_or_on_a_host() -> None:
    settings = AlertSettings(ignore=["image_update", "container_stopped@nas", "*@pi"])
    assert not settings.is_on("image_update", "x")
    assert not settings.is_on("container_stopped", "nas") and settings.is_on("container_stopped", "x")
    assert not settings.is_on("host_offline", "pi") and settings.is_on("host_offline", "nas")
    assert settings.hosts_without("container_stopped") == ["nas", "pi"]


@pytest.mark.parametrize("wrong", ["cpu", "*", "host_offline@", ""])
def test_a_condition_that_there_is_not_refuses_to_start(wrong: str) -> None:
    with pytest.raises(ValueError, match="ignore"):
        AlertSettings(ignore=[wrong])


@pytest.mark.parametrize("wrong", [{"settle": -1}, {"restarts": 0}, {"forecast_hours": 0}])
def test_times_that_make_no_sense_refuse_to_start(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        AlertSettings(**wrong)
