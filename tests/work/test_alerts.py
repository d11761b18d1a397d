"""From samples, heartbeats and links to alerts: spec/monitoring.md section 7, and what is judged without thresholds."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
import pytest_asyncio

from roci import Event, Roci, Settings, Unavailable, hookimpl
from roci_plugins.agent import wire
from roci_plugins.agent.hub import Hub, Live
from roci_plugins.agent.sample import Disk, Sample
from roci_plugins.agent.scripted import ScriptedAgent, scripted_agent, until
from roci_plugins.domain import alerts, applications, hosts, operations, policies
from roci_plugins.domain.alerts import Alert, NewThreshold, Threshold
from roci_plugins.domain.hosts import Host, Introduction
from roci_plugins.work import alerts as work
from roci_plugins.work import deploy, execute
from roci_plugins.work.alerts.live import Judge
from roci_plugins.work.alerts.mutes import MUTING
from roci_plugins.work.metrics import Metrics
from roci_plugins.work.operate import Operator

AT_ONCE = {"offline_after": 3600, "unhealthy_after": 0, "stopped_after": 0}
COMPOSE = "services:\n  web:\n    image: nginx\n"
GIB = 2**30


@pytest.fixture
def options() -> dict[str, Any]:
    """The section `alerts`; override it."""
    return dict(AT_ONCE)


@pytest.fixture
def settings(settings: Settings, options: dict[str, Any]) -> Settings:
    settings.sections = {"alerts": options}
    return settings


class Clock:
    """Time as a test wants it. `judge` is the one in charge, with this clock."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest_asyncio.fixture
async def clock(roci: Roci) -> Clock:
    await roci.write(policies.add, "all", 1, {"type": "any"}, "approve")
    return await under_control(roci)


async def under_control(roci: Roci) -> Clock:
    """A judge whose clock stands still, in the place of the one that the start made."""
    clock, before = Clock(), roci.part(Judge)
    judge = Judge(roci, clock)
    await judge.load()
    roci.provide(judge)
    roci.part(Hub).watchers[:] = [judge if each is before else each for each in roci.part(Hub).watchers]
    heard, begun = roci.part(Metrics).listeners, roci.part(Operator).listeners
    heard[:] = [judge.heard if each == before.heard else each for each in heard]
    begun[:] = [judge.begun if each == before.begun else each for each in begun]
    return clock


@pytest_asyncio.fixture
async def nas(roci: Roci, clock: Clock) -> Host:
    """A host that is approved and was here; nothing is connected."""
    host: Host = await roci.write(_admitted)
    await roci.part(Hub).load()
    return host


def _admitted(name: str = "nas") -> Host:
    return hosts.decide(hosts.add(Introduction(name, "10.0.0.1", "10.0.0.1", "10.0.0.1")), "approved", None, "test")


@pytest_asyncio.fixture
async def agent(roci: Roci, clock: Clock) -> AsyncIterator[ScriptedAgent]:
    async with scripted_agent(roci) as agent:
        await agent.register("pi", protocol=2, capabilities=["container", "reboot"])
        yield agent


async def listed(roci: Roci, status: Any = "all") -> list[Alert]:
    """All alerts, newest first, with what is judged but not written yet."""
    await roci.part(Judge).board.flush()
    return (await roci.read(alerts.list_, status))[0]


async def types(roci: Roci, status: Any = "active") -> list[tuple[str, str]]:
    return sorted((row.type, row.subject) for row in await listed(roci, status))


async def watch(roci: Roci, host: Host, **more: Any) -> Threshold:
    given = {"metric_type": "cpu", "threshold_value": 80.0, "comparison": "gt", **more}
    return await work.add_threshold(roci, NewThreshold(host.id, **given))


def miss(roci: Roci, clock: Clock) -> None:
    """Time goes by until who is not here counts as offline."""
    roci.part(Judge).sweep()
    clock.now += roci.part(Judge).settings.offline_after
    roci.part(Judge).sweep()


def tell(roci: Roci, host: Host, *cpu: float) -> None:
    for each in cpu:
        roci.part(Metrics).accept(host.id, Sample(cpu_percent=each))


# --- thresholds --------------------------------------------------------------


async def test_an_alert_opens_once_and_resolves_with_the_first_sample_that_is_well(roci: Roci, nas: Host) -> None:
    row = await watch(roci, nas)
    tell(roci, nas, 79, 80)
    assert await listed(roci) == []
    tell(roci, nas, 81, 95)
    (alert,) = await listed(roci)
    assert (alert.type, alert.severity, alert.threshold, alert.current_value) == ("cpu", "warning", 80.0, 81.0)
    assert (alert.threshold_id, alert.host_id, alert.hostname, alert.resolved) == (row.id, nas.id, "nas", False)
    assert alert.message == "cpu on nas is 81.0 (threshold: gt 80)"
    tell(roci, nas, 10)
    (alert,) = await listed(roci, "resolved")
    assert alert.resolved_at and alert.last_value == 10.0 and await listed(roci, "active") == []
    tell(roci, nas, 130)
    newest, _ = await listed(roci)
    assert newest.severity == "critical" and newest.id != alert.id


async def test_what_is_resolved_by_hand_opens_anew_with_the_next_violation(roci: Roci, nas: Host) -> None:
    await watch(roci, nas)
    tell(roci, nas, 130)
    (alert,) = await listed(roci)
    ended = await work.resolve(roci, alert.id)
    assert (await work.resolve(roci, alert.id)).resolved_at == ended.resolved_at
    assert await listed(roci, "active") == []
    tell(roci, nas, 131, 132)
    (newer,) = await listed(roci, "active")
    assert newer.id != alert.id and newer.current_value == 131.0


async def test_two_thresholds_on_one_metric_do_not_fight(roci: Roci, nas: Host) -> None:
    low = await watch(roci, nas, threshold_value=50.0)
    await watch(roci, nas, threshold_value=90.0)
    tell(roci, nas, *[60.0] * 6)
    (alert,) = await listed(roci)
    assert alert.threshold_id == low.id and not alert.resolved
    await work.remove_threshold(roci, low.id)
    assert await listed(roci, "active") == []
    tell(roci, nas, 60)
    assert len(await listed(roci)) == 1


async def test_below_half_of_the_limit_is_critical(roci: Roci, nas: Host) -> None:
    await watch(roci, nas, comparison="lt", threshold_value=20.0)
    tell(roci, nas, 5)
    assert [row.severity for row in await listed(roci)] == ["critical"]


async def test_an_alert_grows_more_severe_in_place_and_never_less(roci: Roci, nas: Host) -> None:
    await watch(roci, nas)
    tell(roci, nas, 81, 130, 90)
    (alert,) = await listed(roci)
    assert (alert.severity, alert.current_value, alert.last_value) == ("critical", 81.0, 90.0)


@pytest.mark.parametrize("change", [{"enabled": False}, {"threshold_value": 100.0}, {"comparison": "lt"}])
async def test_a_threshold_that_is_changed_resolves_and_judges_anew(
    roci: Roci, nas: Host, change: dict[str, Any]
) -> None:
    row = await watch(roci, nas)
    tell(roci, nas, 90)
    assert len(await listed(roci, "active")) == 1
    await work.change_threshold(roci, row.id, **change)
    assert await listed(roci, "active") == []
    tell(roci, nas, 90)
    assert len(await listed(roci)) == 1
    await work.change_threshold(roci, row.id, enabled=True, threshold_value=85.0, comparison="gt")
    tell(roci, nas, 90)
    assert len(await listed(roci, "active")) == 1


async def test_what_was_judged_before_a_change_is_not_written_after_it(roci: Roci, nas: Host) -> None:
    row = await watch(roci, nas)
    tell(roci, nas, 90)  # not written yet
    await roci.write(alerts.change_threshold, row.id, threshold_value=95.0)
    assert await listed(roci, "active") == []
    tell(roci, nas, 96)
    assert [each.current_value for each in await listed(roci, "active")] == [96.0]


async def test_for_seconds_is_how_long_it_must_be_violated_without_a_break(roci: Roci, nas: Host, clock: Clock) -> None:
    await watch(roci, nas, for_seconds=60)
    for seconds, value in ((0, 90.0), (30, 90.0), (15, 10.0), (15, 90.0), (59, 90.0)):
        clock.now += seconds
        tell(roci, nas, value)
    assert await listed(roci) == []
    clock.now += 1
    tell(roci, nas, 91)
    assert [row.current_value for row in await listed(roci)] == [91.0]


async def test_hysteresis_is_how_far_the_value_must_go_back(roci: Roci, nas: Host) -> None:
    await watch(roci, nas, hysteresis=10.0)
    tell(roci, nas, 75, 81, 75, 71)
    assert len(await listed(roci, "active")) == 1
    tell(roci, nas, 70)
    assert await listed(roci, "active") == []


async def test_a_sample_without_the_value_changes_nothing(roci: Roci, nas: Host) -> None:
    await watch(roci, nas)
    tell(roci, nas, 81)
    for sample in (Sample(), Sample(cpu_percent=float("nan")), Sample(cpu_percent=-5)):
        roci.part(Metrics).accept(nas.id, sample)
    assert len(await listed(roci, "active")) == 1


async def test_a_heartbeat_is_judged_like_any_sample(roci: Roci, agent: ScriptedAgent) -> None:
    host = await roci.read(hosts.get, agent.agent_id)
    await watch(roci, host, metric_type="disk", threshold_value=90.0)
    await watch(roci, host, metric_type="memory", threshold_value=90.0)
    disks = [{"path": path, "total": 100, "used": used, "free": 100 - used, "percent": used} for path, used in DISKS]
    await agent.say("heartbeat", metrics={"memory_percent": 50, "disk_usage": disks, "network": []})
    await until(lambda: roci.part(Metrics).latest(host.id))
    assert [(row.type, row.current_value) for row in await listed(roci)] == [("disk", 95.0)]


DISKS = (("/", 40), ("/data", 95))


async def test_a_host_whose_agent_never_came_is_judged_by_the_samples_that_are_posted_for_it(
    roci: Roci, clock: Clock
) -> None:
    host = await roci.write(hosts.expect, "pi")
    await watch(roci, host)
    tell(roci, host, 90)
    miss(roci, clock)
    assert [row.message for row in await listed(roci)] == ["cpu on pi is 90.0 (threshold: gt 80)"]


async def test_a_threshold_on_hosts_that_are_here_is_judged_by_the_sweep(roci: Roci, clock: Clock, nas: Host) -> None:
    async with scripted_agent(roci) as agent:
        await agent.register("nas", protocol=2)
        here = roci.part(Hub).roster[agent.agent_id].host
        await watch(roci, here, metric_type="service", threshold_value=1.0, comparison="lt")
        roci.part(Judge).sweep()
        assert ("service", "") in await types(roci)


async def test_a_host_that_tells_without_a_link_is_here_until_it_is_silent(roci: Roci, clock: Clock, nas: Host) -> None:
    miss(roci, clock)
    assert await types(roci) == [("host_offline", "")]
    hub = roci.part(Hub)
    await hub.told(nas, wire.Heartbeat())
    roci.part(Judge).sweep()
    assert await types(roci) == []
    hub.roster[nas.id].told_until = 0.0
    miss(roci, clock)
    assert await types(roci) == [("host_offline", "")]
    await roci.write(hosts.remove, nas.id)
    await until(lambda: nas.id not in hub.roster)
    await hub.told(nas, wire.Heartbeat())
    assert nas.id not in hub.roster, "what was on its way when it was removed"


async def test_service_is_one_while_the_host_is_offline(roci: Roci, agent: ScriptedAgent, clock: Clock) -> None:
    host = await roci.read(hosts.get, agent.agent_id)
    await watch(roci, host, metric_type="service", threshold_value=0.0)
    await watch(roci, host)
    tell(roci, host, 90)
    roci.part(Judge).sweep()
    assert await types(roci) == [("cpu", "")]
    await agent.hang_up()
    await until(lambda: not roci.part(Hub).connected)
    roci.part(Judge).sweep()
    assert await types(roci) == [("cpu", ""), ("service", "")], "at once; and metric alerts stay open"
    miss(roci, clock)
    assert await types(roci) == [("cpu", ""), ("host_offline", ""), ("service", "")]
    async with scripted_agent(roci) as again:
        await again.register("pi")
        assert again.agent_id == host.id
        assert await types(roci) == [("cpu", "")]


async def test_a_thousand_thresholds_cost_no_database(roci: Roci, nas: Host) -> None:
    def add() -> None:
        for limit in range(1000):
            alerts.add_threshold(NewThreshold(nas.id, "cpu", 1000.0 + limit, "gt"))

    await roci.write(add)
    writes = roci.store.write
    roci.store.write = None  # type: ignore[method-assign,assignment]
    tell(roci, nas, 90, 91)
    await roci.part(Judge).board.flush()
    roci.store.write = writes  # type: ignore[method-assign]
    tell(roci, nas, 5000)
    assert len(await listed(roci)) == 100 and (await roci.read(alerts.list_))[1] == 1000


# --- after a restart, and when the disk is full ------------------------------


async def test_a_restart_makes_no_second_alert_and_still_resolves_the_first(settings: Settings) -> None:
    first = Roci(settings)
    async with first.running():
        host = await first.write(_admitted)
        await watch(first, host)
        tell(first, host, 90)
        (alert,) = await listed(first)
    second = Roci(settings)
    async with second.running():
        tell(second, host, 91, 92)
        assert [row.id for row in await listed(second)] == [alert.id]
        tell(second, host, 10)
        assert await listed(second, "active") == []


async def test_after_a_start_hosts_have_time_to_come_back(roci: Roci, nas: Host, clock: Clock) -> None:
    judge = roci.part(Judge)
    judge.settings.offline_after = 60
    await watch(roci, nas, metric_type="service", threshold_value=0.0)
    judge.sweep()
    clock.now += 59
    judge.sweep()
    assert await types(roci) == []
    clock.now += 1
    judge.sweep()
    judge.sweep()
    assert await types(roci) == [("host_offline", ""), ("service", "")]


class FullDisk:
    """Refuses alerts as long as it is full."""

    error: Exception | None = None

    @hookimpl
    def before_commit(self, events: Sequence[Event]) -> None:
        if self.error and any(isinstance(event, alerts.AlertFired) for event in events):
            raise self.error


@pytest.mark.parametrize("error", [Unavailable("the disk is full"), RuntimeError("a plugin is broken")])
async def test_what_cannot_be_written_is_written_later(settings: Settings, error: Exception) -> None:
    disk = FullDisk()
    roci = Roci(settings, [disk])
    async with roci.running():
        host = await roci.write(_admitted)
        await watch(roci, host)
        disk.error = error
        tell(roci, host, 90)
        try:
            await roci.part(Judge).board.flush()
        except RuntimeError:
            tell(roci, host, 91)  # what was found is found again
        disk.error = None
        roci.part(Judge).board.retry_at = 0.0
        assert len(await listed(roci)) == 1


# --- hosts -------------------------------------------------------------------


async def test_a_host_that_stays_away_is_offline_until_it_is_back(
    roci: Roci, agent: ScriptedAgent, clock: Clock
) -> None:
    judge = roci.part(Judge)
    judge.settings.offline_after = 60
    await agent.hang_up()
    await until(lambda: not roci.part(Hub).connected)
    for _ in range(2):
        judge.sweep()
        assert await types(roci) == []
        clock.now += 30
    judge.sweep()
    judge.sweep()
    (alert,) = await listed(roci)
    assert (alert.type, alert.severity) == ("host_offline", "critical")
    assert alert.message.startswith("pi is not connected, last heard of at 20")
    async with scripted_agent(roci) as again:
        await again.register("pi")
        assert await types(roci) == []
    await until(lambda: not roci.part(Hub).connected)
    judge.sweep()
    assert await types(roci) == []


async def test_the_time_of_absence_counts_from_the_last_word(roci: Roci, agent: ScriptedAgent, clock: Clock) -> None:
    judge = roci.part(Judge)
    judge.settings.offline_after = 60
    roci.part(Hub).roster[agent.agent_id].heard -= 45  # a link that was silent for so long is closed
    await agent.hang_up()
    await until(lambda: not roci.part(Hub).connected)
    judge.sweep()
    assert await types(roci) == []
    clock.now += 15
    judge.sweep()
    assert await types(roci) == [("host_offline", "")]


async def test_a_host_that_cannot_be_judged_does_not_keep_others_from_it(
    roci: Roci, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("odd", "nas"):
        host = await roci.write(_admitted, name)
        roci.part(Hub).roster[host.id] = Live(host)
    odd = next(live for live in roci.part(Hub).roster.values() if live.host.hostname == "odd")
    odd.last_seen = "yesterday"  # type: ignore[assignment]
    for _ in range(3):
        miss(roci, clock)
    assert await types(roci) == [("host_offline", "")]
    assert sum("odd could not be judged" in line for line in caplog.messages) == 1


async def test_a_condition_that_is_dismissed_stays_quiet_until_it_comes_anew(
    roci: Roci, agent: ScriptedAgent, clock: Clock
) -> None:
    await agent.hang_up()
    await until(lambda: not roci.part(Hub).connected)
    miss(roci, clock)
    (alert,) = await listed(roci)
    await work.resolve(roci, alert.id)
    miss(roci, clock)
    assert await types(roci) == []
    async with scripted_agent(roci) as again:
        await again.register("pi")
    await until(lambda: not roci.part(Hub).connected)
    miss(roci, clock)
    assert await types(roci) == [("host_offline", "")]


async def test_a_host_that_is_removed_is_not_missed(roci: Roci, nas: Host, clock: Clock) -> None:
    await watch(roci, nas)
    tell(roci, nas, 90)
    miss(roci, clock)
    assert len(await listed(roci)) == 2
    tell(roci, nas, 10, 90)
    await roci.write(hosts.remove, nas.id)
    miss(roci, clock)
    assert await listed(roci) == [] and await roci.read(alerts.thresholds) == []


async def test_a_host_that_waits_for_a_decision_is_nobodys_business(roci: Roci, clock: Clock) -> None:
    await roci.write(policies.add, "none", 0, {"type": "any"}, "pending")
    async with scripted_agent(roci) as stranger:
        await stranger.register("odd")
    await until(lambda: roci.part(Hub).roster and not roci.part(Hub).connected)
    miss(roci, clock)
    assert await listed(roci) == []


@pytest.mark.parametrize("off", ["host_offline", "host_offline@nas", "*@nas"])
async def test_what_is_switched_off_is_not_told_and_what_was_open_is_over(
    settings: Settings, options: dict[str, Any], off: str
) -> None:
    options["offline_after"] = 0
    before = Roci(settings)
    async with before.running():
        await before.write(_admitted)
        await before.part(Hub).load()
        before.part(Judge).sweep()
        assert await types(before) == [("host_offline", "")]
    options["ignore"] = [off]
    after = Roci(settings)
    async with after.running():
        after.part(Judge).sweep()
        assert await types(after) == []


# --- containers --------------------------------------------------------------


def box(name: str, state: str, status: str = "running", **more: Any) -> dict[str, Any]:
    return {"id": f"{name:a<12}", "name": name, "image": "nginx", "status": status, "state": state, **more}


def died(name: str, code: int = 1, **more: Any) -> dict[str, Any]:
    return box(name, f"Exited ({code}) 1 second ago", "exited", **more)


async def beat(roci: Roci, agent: ScriptedAgent, *containers: dict[str, Any]) -> None:
    live = roci.part(Hub).roster[agent.agent_id]
    version = live.version
    await agent.say("heartbeat", containers=list(containers), running_commands=[])
    await until(lambda: live.version > version)


async def test_an_unhealthy_container_is_told_of_until_it_is_well(roci: Roci, agent: ScriptedAgent) -> None:
    await beat(roci, agent, box("web", "Up 5 minutes (unhealthy)"), box("db", "Up 5 minutes (healthy)"))
    (alert,) = await listed(roci)
    assert (alert.type, alert.subject, alert.severity) == ("container_unhealthy", "web", "warning")
    assert alert.message == "the container web fails its health check on pi"
    await beat(roci, agent, box("web", "Up 6 minutes (healthy)"))
    assert await types(roci) == []


async def test_a_container_that_died_is_told_of_until_it_runs_or_is_gone(roci: Roci, agent: ScriptedAgent) -> None:
    await beat(roci, agent, box("web", "Up 5 minutes"), box("db", "Up 5 minutes"), box("job", "Up 5 minutes"))
    await beat(roci, agent, died("web"), died("db"), died("job", 0))
    assert await types(roci) == [("container_stopped", "db"), ("container_stopped", "web")]
    await beat(roci, agent, box("web", "Up 1 second"), died("job", 0))
    assert await types(roci) == []


async def test_a_dismissed_container_that_is_gone_is_told_of_when_it_comes_again(
    roci: Roci, agent: ScriptedAgent
) -> None:
    for _ in range(2):
        await beat(roci, agent, box("web", "Up 5 minutes (unhealthy)"))
        (alert,) = await listed(roci, "active")
        await work.resolve(roci, alert.id)
        await beat(roci, agent, box("web", "Up 6 minutes (unhealthy)"))
        assert await types(roci) == []
        await beat(roci, agent, box("db", "Up 6 minutes"))


async def test_a_container_that_stays_down_is_told_of_in_time(roci: Roci, agent: ScriptedAgent, clock: Clock) -> None:
    judge = roci.part(Judge)
    judge.settings.stopped_after = 30
    await beat(roci, agent, box("web", "Up 5 minutes"))
    await beat(roci, agent, died("web"))
    judge.sweep()
    assert await types(roci) == []
    clock.now += 30
    judge.sweep()
    assert await types(roci) == [("container_stopped", "web")]


async def test_a_host_that_cannot_ask_its_engine_says_nothing_of_containers(roci: Roci, agent: ScriptedAgent) -> None:
    await beat(roci, agent, box("web", "Up 5 minutes (unhealthy)"))
    await agent.say("heartbeat", engine_error="the engine does not answer")
    await until(lambda: roci.part(Hub).roster[agent.agent_id].engine_error)
    assert await types(roci) == [("container_unhealthy", "web")]


async def test_containers_are_known_again_after_a_restart(roci: Roci, agent: ScriptedAgent, clock: Clock) -> None:
    looping = [box("loop", f"Up {seconds} seconds") for seconds in (50, 3, 2, 1)]
    for each in looping:
        await beat(roci, agent, box("web", "Up 5 minutes"), each, died("old"))
    assert await types(roci) == [("container_restarting", "loop")]
    await roci.part(Hub).flush()
    await agent.hang_up()
    await until(lambda: not roci.part(Hub).connected)
    roci.part(Hub).roster.clear()
    await roci.part(Hub).load()
    await under_control(roci)  # as after a start
    async with scripted_agent(roci) as again:
        await again.register("pi")
        await beat(roci, again, died("web"), box("loop", "Up 16 seconds"), died("old"))
        assert await types(roci) == [("container_restarting", "loop"), ("container_stopped", "web")]


async def deployed(roci: Roci, agent: ScriptedAgent) -> str:
    application = await roci.write(applications.add, "shop", COMPOSE)
    operation = await deploy.deploy(roci, application.id, agent.agent_id, {})
    await agent.answer()
    await ended(roci, operation.id)
    return str(application.id)


async def ended(roci: Roci, operation_id: str) -> None:
    if run := roci.part(Operator).run(operation_id):
        assert await run.finished(5)


async def test_what_roci_does_to_an_application_alarms_nobody(roci: Roci, agent: ScriptedAgent, clock: Clock) -> None:
    application_id = await deployed(roci, agent)
    clock.now += 61
    await beat(roci, agent, box("shop-web-1", "Up 5 minutes", app="shop"), box("other", "Up 5 minutes"))
    operation = await deploy.stop(roci, application_id)
    await beat(roci, agent, died("shop-web-1", 137, app="shop"), died("other", 137))
    assert await types(roci) == [("container_stopped", "other")], "it is another's"
    await agent.answer()
    await ended(roci, operation.id)
    clock.now += 61
    roci.part(Judge).sweep()
    await beat(roci, agent, died("shop-web-1", 137, app="shop"), died("other", 137))
    assert await types(roci) == [("container_stopped", "other")]


async def test_what_is_still_unhealthy_when_things_have_settled_is_told_of(
    roci: Roci, agent: ScriptedAgent, clock: Clock
) -> None:
    await deployed(roci, agent)
    await beat(roci, agent, box("shop-web-1", "Up 1 minute (unhealthy)", app="shop"))
    assert await types(roci) == []
    clock.now += 60
    roci.part(Judge).sweep()
    assert await types(roci) == [("container_unhealthy", "shop-web-1")]


async def test_a_container_that_roci_restarts_alarms_nobody(roci: Roci, agent: ScriptedAgent, clock: Clock) -> None:
    await beat(roci, agent, box("web", "Up 5 minutes"))
    run = await execute.control(roci, agent.agent_id, "stop", "web")
    await beat(roci, agent, died("web", 137))
    await agent.answer()
    await ended(roci, run.operation.id)
    assert await types(roci) == []


async def test_every_operation_on_containers_keeps_quiet(roci: Roci) -> None:
    harmless = {"exec", "image_pull", "prune", "registry_login", "registry_logout"}
    assert roci.operations.keys() == MUTING | harmless, "decide what a new one is"


async def test_a_host_that_roci_restarts_is_missed_only_when_it_does_not_come_back(
    roci: Roci, agent: ScriptedAgent, clock: Clock
) -> None:
    await execute.reboot(roci, agent.agent_id)
    await agent.hang_up()
    await until(lambda: not roci.part(Hub).connected)
    miss(roci, clock)
    assert await types(roci) == []
    (operation,) = (await roci.read(operations.list_, 1))[0]
    roci.part(Judge).ended(agent.agent_id, operation.id)
    clock.now += 60
    roci.part(Judge).sweep()
    assert await types(roci) == [("host_offline", "")]


async def test_what_was_under_way_before_a_restart_is_quiet_after_it(roci: Roci, agent: ScriptedAgent) -> None:
    await beat(roci, agent, box("web", "Up 5 minutes"))
    await execute.control(roci, agent.agent_id, "stop", "web")
    await under_control(roci)
    await beat(roci, agent, box("web", "Up 6 minutes"))
    await beat(roci, agent, died("web", 137))
    assert await types(roci) == []


# --- disks -------------------------------------------------------------------


async def test_a_disk_that_fills_is_told_of_before_it_is_full(roci: Roci, nas: Host, clock: Clock) -> None:
    def use(used: int) -> None:
        clock.now += 300
        disk = Disk(path="/data", total=100 * GIB, used=used, free=100 * GIB - used, percent=used / GIB)
        roci.part(Metrics).accept(nas.id, Sample(disk_usage=[disk]))

    for n in range(50):
        use(70 * GIB + n * GIB // 6)  # two GiB an hour
    (alert,) = await listed(roci)
    assert (alert.type, alert.subject, alert.severity) == ("disk_forecast", "/data", "warning")
    assert alert.message == "/data (76 % full) has room for about 12 hours at this rate on nas"
    for _ in range(50):
        use(70 * GIB)
    assert await types(roci) == []


async def test_a_disk_that_is_gone_is_no_longer_told_of(roci: Roci, nas: Host, clock: Clock) -> None:
    for n in range(50):
        clock.now += 300
        disk = Disk(path="/usb", total=100 * GIB, used=n * GIB, free=(100 - n) * GIB, percent=n)
        roci.part(Metrics).accept(nas.id, Sample(disk_usage=[disk]))
    assert await types(roci) == [("disk_forecast", "/usb")]
    clock.now += 300
    roci.part(Metrics).accept(nas.id, Sample())
    assert await types(roci) == []
