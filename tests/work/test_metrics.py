"""Samples taken in, kept, averaged and told; the file that may be lost at any moment."""

from __future__ import annotations

import asyncio
import datetime
import logging
import sqlite3
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from roci import Invalid, Roci, Settings, now
from roci_plugins.agent.sample import ContainerUse, Disk, Memory, Nic, Process, Sample
from roci_plugins.agent.scripted import ScriptedAgent, scripted_agent, until
from roci_plugins.domain import hosts, policies
from roci_plugins.work.metrics import FILE, ROOM, Metrics

SECOND = datetime.timedelta(seconds=1)


@pytest.fixture
def metrics(roci: Roci) -> Metrics:
    return roci.part(Metrics)


@pytest_asyncio.fixture
async def agent(roci: Roci) -> AsyncIterator[ScriptedAgent]:
    """An approved host."""
    await roci.write(policies.add, "all", 1, {"type": "any"}, "approve")
    async with scripted_agent(roci) as agent:
        await agent.register("nas")
        yield agent


def sample(cpu: float = 10.0, ago: float = 0.0, **fields: Any) -> Sample:
    return Sample(timestamp=(now() - datetime.timedelta(seconds=ago)).isoformat(), cpu_percent=cpu, **fields)


async def all_of(metrics: Metrics, host: str, **options: Any) -> list[Sample]:
    return await metrics.history(host, now() - 3600 * SECOND, now() + 60 * SECOND, **options)


async def test_a_heartbeats_metrics_are_the_latest_sample_and_history(agent: ScriptedAgent, metrics: Metrics) -> None:
    said = {"cpu_percent": 12.5, "memory_percent": 40, "processes": [{"pid": 1, "name": "init"}]}
    await agent.say("heartbeat", metrics=said)
    await until(lambda: metrics.latest(agent.agent_id))
    latest = metrics.latest(agent.agent_id)
    assert latest and (latest.cpu_percent, latest.memory_percent) == (12.5, 40.0)
    assert latest.processes == [Process(1, "init")]
    assert latest.timestamp.endswith("Z")
    assert [point.cpu_percent for point in await all_of(metrics, agent.agent_id)] == [12.5]


async def test_processes_that_a_heartbeat_leaves_out_are_those_of_the_one_before(metrics: Metrics) -> None:
    metrics.accept("h", sample(processes=[Process(7, "nginx", 3.0)]))
    metrics.accept("h", sample())
    latest = metrics.latest("h")
    assert latest and latest.processes == [Process(7, "nginx", 3.0)]


@pytest.mark.parametrize("text", ["[]", '"busy"', "7"])
async def test_a_sample_that_is_none_is_dropped_and_the_link_goes_on(
    agent: ScriptedAgent, metrics: Metrics, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    for _ in range(3):
        await agent.say_raw(f'{{"type":"heartbeat","metrics":{text}}}')
    await agent.say("heartbeat", metrics={"cpu_percent": 1})
    await until(lambda: metrics.latest(agent.agent_id))
    assert sum("metrics that are dropped" in line for line in caplog.messages) == 1


async def test_numbers_that_are_no_json_cost_their_field_only(agent: ScriptedAgent, metrics: Metrics) -> None:
    nic = '{"interface":"eth0","bytes_sent":1,"bytes_recv":-1}'
    said = f'{{"cpu_percent":NaN,"memory_percent":-Infinity,"uptime":5,"network":[{nic}]}}'
    await agent.say_raw(f'{{"type":"heartbeat","metrics":{said}}}')
    await until(lambda: metrics.latest(agent.agent_id))
    latest = metrics.latest(agent.agent_id)
    assert latest and (latest.cpu_percent, latest.memory_percent, latest.uptime) == (None, None, 5.0)
    assert latest.network == []


def test_absurd_values_are_dropped_and_the_rest_counts(metrics: Metrics) -> None:
    disks = [Disk("/", 10**30, 1, 1, 1.0), Disk("/data", 100, 60, 40, 60.0), Disk("/x", 1, 1, 0, 101.0)]
    taken = metrics.accept(
        "h",
        Sample(cpu_percent=float("nan"), memory_percent=-1.0, load=[1.0, float("inf"), 1.0], cores=4, disk_usage=disks),
    )
    assert (taken.cpu_percent, taken.memory_percent, taken.load, taken.cores) == (None, None, None, 4)
    assert taken.disk_usage == [Disk("/data", 100, 60, 40, 60.0)]


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_host_whose_clock_is_an_hour_off_gets_the_servers_time(metrics: Metrics, hours: int) -> None:
    taken = metrics.accept("h", sample(ago=-hours * 3600))
    assert abs(datetime.datetime.fromisoformat(taken.timestamp) - now()) < 30 * SECOND


async def test_a_host_whose_clock_is_ahead_keeps_the_tail_of_its_history(metrics: Metrics) -> None:
    for number in range(3):
        metrics.accept("h", sample(float(number), ago=-50))
    assert [point.cpu_percent for point in await metrics.history("h", now() - 9 * SECOND, now() + SECOND)] == [0, 1, 2]
    assert all(datetime.datetime.fromisoformat(each.timestamp) <= now() + SECOND for each in await all_of(metrics, "h"))


def test_of_a_clock_that_was_put_back_the_time_it_came_counts(metrics: Metrics) -> None:
    first = metrics.accept("h", sample(ago=0))
    second = metrics.accept("h", sample(ago=50))
    assert first.timestamp < second.timestamp
    assert abs(datetime.datetime.fromisoformat(second.timestamp) - now()) < 30 * SECOND


@pytest.mark.parametrize("text", ["", "yesterday", "2024-13-45"])
def test_a_sample_without_a_time_gets_the_servers(metrics: Metrics, text: str) -> None:
    taken = metrics.accept("h", Sample(timestamp=text, cpu_percent=1.0))
    assert abs(datetime.datetime.fromisoformat(taken.timestamp) - now()) < 30 * SECOND


async def test_two_samples_of_one_moment_are_two(metrics: Metrics) -> None:
    same = sample()
    for _ in range(3):
        metrics.accept("h", same)
    assert len(await all_of(metrics, "h")) == 3


def test_listeners_hear_of_a_sample_with_the_one_before_and_do_not_harm_each_other(metrics: Metrics) -> None:
    heard: list[tuple[str, float | None, float | None]] = []

    def fails(host_id: str, sample: Sample, before: Sample | None) -> None:
        raise RuntimeError("a listener of somebody's")

    metrics.listeners += [
        fails,
        lambda id, sample, last: heard.append((id, sample.cpu_percent, last and last.cpu_percent)),
    ]
    metrics.accept("h", sample(1.0))
    metrics.accept("h", sample(2.0))
    assert heard == [("h", 1.0, None), ("h", 2.0, 1.0)]


async def test_history_is_oldest_first_and_within_its_bounds(metrics: Metrics) -> None:
    for ago in range(50, 0, -5):
        metrics.accept("h", sample(float(ago), ago=ago))
    assert [point.cpu_percent for point in await all_of(metrics, "h")] == [float(ago) for ago in range(50, 0, -5)]
    part = await metrics.history("h", now() - 32 * SECOND, now() - 18 * SECOND)
    assert [point.cpu_percent for point in part] == [30.0, 25.0, 20.0]
    assert await metrics.history("nobody", now() - SECOND, now()) == []


async def test_more_points_than_the_limit_are_averaged_and_counters_keep_the_last(metrics: Metrics) -> None:
    start = now() - 50 * SECOND
    for number in range(10):
        disk = Disk("/", 1000, 100 * number, 1000 - 100 * number, 10.0 * number)
        at = (start + (number * 5 + 1) * SECOND).isoformat()
        fields: dict[str, Any] = {"memory": Memory(100, number), "load": [number, 0.0, 0.0], "disk_usage": [disk]}
        nic = Nic("eth0", 1000 * number, 10)
        metrics.accept("h", Sample(timestamp=at, cpu_percent=float(number), network=[nic], **fields))
    found = await metrics.history("h", start, start + 50 * SECOND, limit=5)
    assert [point.cpu_percent for point in found] == [0.5, 2.5, 4.5, 6.5, 8.5]
    assert [point.network[0].bytes_sent for point in found] == [1000, 3000, 5000, 7000, 9000]
    assert found[0].disk_usage == [Disk("/", 1000, 50, 950, 5.0)]
    assert [point.load for point in found][-1] == [8.5, 0.0, 0.0]


async def test_a_step_forces_the_spans_and_those_with_nothing_in_them_are_left_out(metrics: Metrics) -> None:
    start = now() - 50 * SECOND
    for second in (1, 2, 41, 42):
        metrics.accept("h", sample(float(second), ago=50 - second))
    found = await metrics.history("h", start, start + 50 * SECOND, step=10)
    assert [point.cpu_percent for point in found] == [1.5, 41.5]


@pytest.mark.parametrize(
    ("options", "why"),
    [({"limit": 0}, "limit"), ({"limit": 2001}, "limit"), ({"step": 0}, "step"), ({"step": 0.1}, "step")],
    ids=["no limit", "too high a limit", "no step", "too short a step"],
)
async def test_a_question_that_makes_no_sense_is_invalid(metrics: Metrics, options: dict[str, Any], why: str) -> None:
    with pytest.raises(Invalid, match=why):
        await all_of(metrics, "h", **options)


async def test_an_end_before_the_start_is_invalid(metrics: Metrics) -> None:
    with pytest.raises(Invalid, match="start"):
        await metrics.history("h", now(), now() - SECOND)


async def test_containers_have_a_history_by_their_name_or_id(metrics: Metrics) -> None:
    for number, id in enumerate(("aaaaaaaaaaaa", "bbbbbbbbbbbb")):  # made anew in between
        use = ContainerUse(id, "web-1", float(number), 100 * number)
        metrics.accept("h", sample(ago=10 - number, containers=[use, ContainerUse("cccccccccccc", "db-1", 50.0, 5)]))
    start, end = now() - 60 * SECOND, now()
    named = await metrics.container_history("h", "web-1", start, end)
    assert [(point.cpu_percent, point.memory_bytes) for point in named] == [(0.0, 0), (1.0, 100)]
    assert len(await metrics.container_history("h", "bbbbbbbbbbbb" + "0" * 52, start, end)) == 1
    averaged = await metrics.container_history("h", "web-1", start, end, limit=1)
    assert [(point.cpu_percent, point.memory_bytes) for point in averaged] == [(0.5, 50)]
    assert await metrics.container_history("h", "gone", start, end) == []


async def enrolled(roci: Roci) -> str:
    """A host, known by its name."""
    async with scripted_agent(roci) as agent:
        await agent.register("nas")
        return agent.agent_id


async def test_history_and_the_latest_sample_outlive_a_restart(settings: Settings) -> None:
    first = Roci(settings)
    async with first.running():
        host = await enrolled(first)
        first.part(Metrics).accept(host, sample(1.0))
        first.part(Metrics).accept("removed meanwhile", sample(1.0))
    again = Roci(settings)
    async with again.running():
        metrics = again.part(Metrics)
        latest = metrics.latest(host)
        assert latest and latest.cpu_percent == 1.0
        metrics.accept(host, sample(2.0))
        assert [point.cpu_percent for point in await all_of(metrics, host)] == [1.0, 2.0]
        assert metrics.latest("removed meanwhile") is None
        assert await all_of(metrics, "removed meanwhile") == []


async def test_a_removed_hosts_metrics_go_with_it(agent: ScriptedAgent, roci: Roci, metrics: Metrics) -> None:
    await agent.say("heartbeat", metrics={"cpu_percent": 1})
    await until(lambda: metrics.latest(agent.agent_id))
    await metrics.flush()
    await roci.write(hosts.remove, agent.agent_id)
    await until(lambda: metrics.latest(agent.agent_id) is None)
    await agent.closed()
    assert await all_of(metrics, agent.agent_id) == []


async def test_of_a_host_whose_samples_come_too_fast_the_newest_is_kept(metrics: Metrics) -> None:
    for number in range(200):
        metrics.accept("h", sample(float(number) / 2))
    metrics.accept("other", sample(7.0))
    kept = [point.cpu_percent for point in await all_of(metrics, "h")]
    assert len(kept) <= ROOM + 5 and kept[-1] == 99.5
    latest = metrics.latest("h")
    assert latest and latest.cpu_percent == 99.5
    assert len(await all_of(metrics, "other")) == 1


async def test_large_samples_are_kept_less_often(metrics: Metrics) -> None:
    uses = [ContainerUse(f"{number:012}", f"c{number}", 1.0, 1) for number in range(500)]
    for _ in range(20):
        metrics.accept("h", sample(containers=uses))
    assert len(await all_of(metrics, "h")) <= 3


async def test_what_waits_for_a_file_that_cannot_be_written_has_an_end(
    metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("roci_plugins.work.metrics.WAITING", 100)
    disks = [Disk(f"/{number}", 1, 1, 0, 1.0) for number in range(30)]
    for number in range(10):
        metrics.accept(f"h{number}", sample(disk_usage=disks))
    assert [len(await all_of(metrics, f"h{number}")) for number in range(10)] == [0] * 7 + [1] * 3


def damage(path: Path, how: str) -> None:
    match how:
        case "deleted":
            for each in path.parent.glob(f"{path.name}*"):
                each.unlink()
        case "emptied":
            path.write_bytes(b"")
        case "cut":
            with path.open("r+b") as file:
                file.truncate(1000)
        case "replaced":
            path.unlink()
            path.write_bytes(b"no database" * 1000)


@pytest.mark.parametrize("how", ["deleted", "emptied", "cut", "replaced"])
async def test_a_file_damaged_under_a_running_server_is_made_anew_with_one_line(
    roci: Roci, metrics: Metrics, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    for number in range(500):
        metrics.accept(f"h{number}", sample(float(number) / 5))
    await metrics.flush()
    await metrics.tend()  # the first one, which the start began, is over too
    damage(roci.settings.data / FILE, how)
    metrics.accept("h", sample(7.0))
    assert [point.cpu_percent for point in await all_of(metrics, "h")] == [7.0]
    assert sum("made anew" in line for line in caplog.messages) == 1


@pytest.mark.parametrize("content", [b"no database" * 1000, b"SQLite format 3\0" + b"x" * 5000], ids=["text", "broken"])
async def test_a_file_that_is_damaged_at_the_start_is_made_anew(
    settings: Settings, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    settings.data.mkdir(parents=True)
    (settings.data / FILE).write_bytes(content)
    again = Roci(settings)
    async with again.running():
        metrics = again.part(Metrics)
        metrics.accept("h", sample(7.0))
        assert len(await all_of(metrics, "h")) == 1
    assert sum("made anew" in line for line in caplog.messages) == 1


async def test_a_file_of_another_format_is_made_anew(settings: Settings) -> None:
    settings.data.mkdir(parents=True)
    with sqlite3.connect(settings.data / FILE) as db:
        db.execute("pragma user_version = 99")
    again = Roci(settings)
    async with again.running():
        again.part(Metrics).accept("h", sample(7.0))
        assert len(await all_of(again.part(Metrics), "h")) == 1


async def test_a_question_that_is_given_up_costs_no_sample(metrics: Metrics) -> None:
    """A closed browser tab cancels it, while the thread is busy with something else."""
    for number in range(5):
        metrics.accept(f"h{number}", sample())
    free = threading.Event()
    busy = asyncio.create_task(metrics._run(free.wait))
    await asyncio.sleep(0)
    asking = asyncio.create_task(all_of(metrics, "h0"))
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    free.set()
    await busy
    assert [len(await all_of(metrics, f"h{number}")) for number in range(5)] == [1] * 5


def unusable(roci: Roci) -> Path:
    """The file of metrics, replaced by a folder that keeps it from being made."""
    folder = roci.settings.data / FILE
    folder.unlink(missing_ok=True)
    folder.mkdir()
    return folder


async def test_what_waits_of_a_host_that_is_removed_meanwhile_is_not_written_later(
    roci: Roci, metrics: Metrics
) -> None:
    folder = unusable(roci)
    for host in ("gone", "here"):
        metrics.accept(host, sample())
    writing = asyncio.create_task(metrics.flush())
    await asyncio.sleep(0)
    await metrics.forget("gone")
    await writing
    folder.rmdir()
    assert [len(await all_of(metrics, host)) for host in ("gone", "here")] == [0, 1]


async def test_a_file_that_cannot_be_used_is_told_of_calmly(
    roci: Roci, metrics: Metrics, caplog: pytest.LogCaptureFixture
) -> None:
    folder = unusable(roci)
    await metrics.tend()
    await metrics.forget("h")
    folder.rmdir()
    for words in ("not averaged this time", "a removed host"):
        assert any(words in line for line in caplog.messages)
    assert {record.levelname for record in caplog.records} == {"WARNING"}


async def test_no_more_samples_wait_than_there_is_room_for(
    roci: Roci, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("roci_plugins.work.metrics.WAITING", 3)
    folder = unusable(roci)
    for number in range(5):
        metrics.accept("h", sample(float(number)))
        await metrics.flush()
    folder.rmdir()
    assert [point.cpu_percent for point in await all_of(metrics, "h")] == [2.0, 3.0, 4.0]


async def test_samples_wait_while_the_file_cannot_be_written(
    roci: Roci, metrics: Metrics, caplog: pytest.LogCaptureFixture
) -> None:
    folder = unusable(roci)
    metrics.accept("h", sample(7.0))
    caplog.set_level(logging.WARNING)
    await metrics.flush()
    assert any("not saved yet" in line for line in caplog.messages)
    folder.rmdir()
    assert [point.cpu_percent for point in await all_of(metrics, "h")] == [7.0]
