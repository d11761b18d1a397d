"""GET /metrics: who may read it, what is in it, and that Prometheus' own checker is content with it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families
from quart.typing import TestClientProtocol as Client

from roci import Roci, Settings, StartupError, hookimpl
from roci_plugins.agent.hub import Hub
from roci_plugins.agent.sample import Disk, Memory, Nic, Sample
from roci_plugins.agent.scripted import ScriptedAgent, scripted_agent, until
from roci_plugins.core.app import create_app
from roci_plugins.domain import access, credentials, policies, principals
from roci_plugins.domain.operations import OperationFinished, OperationStarted
from roci_plugins.domain.principals import NewPrincipal
from roci_plugins.domain.roles import NewRole
from roci_plugins.domain.rules import Rule
from roci_plugins.surfaces.prometheus import family
from roci_plugins.work.fleet import state_of
from roci_plugins.work.metrics import Metrics
from roci_plugins.work.telemetry import Metric, Point
from roci_plugins.work.vitals import Vitals

from ..e2e.engines import unavailable

CHECKOUT = Path(__file__).parents[2]
AWKWARD = 'nas "two"\\\n'  # what a label must escape
SAMPLE = Sample(
    cpu_percent=50.0,
    memory=Memory(total=8_000, used=2_000),
    load=[0.5, 0.4, 0.3],
    disk_usage=[Disk("/", 100, 60, 40, 60.0)],
    network=[Nic("eth0", bytes_sent=7, bytes_recv=9)],
)
CONTAINERS = [
    {"id": "a" * 12, "name": "web", "status": "running"},
    {"id": "b" * 12, "name": "db", "status": "running"},
    {"id": "c" * 12, "name": "job", "status": "exited"},
]


@pytest_asyncio.fixture
async def agent(roci: Roci) -> AsyncIterator[ScriptedAgent]:
    """A connected host that told how it is."""
    await roci.write(policies.add, "all", 1, {"type": "any"}, "approve")
    async with scripted_agent(roci) as agent:
        await agent.register(AWKWARD.strip())
        await agent.say("heartbeat", containers=CONTAINERS)
        await until(lambda: roci.part(Hub).roster[agent.agent_id].reported)
        roci.part(Metrics).accept(agent.agent_id, SAMPLE)
        yield agent


async def scrape(client: Client) -> str:
    answer = await client.get("/metrics")
    assert answer.status_code == 200 and answer.mimetype == "text/plain"
    return str(await answer.get_data(as_text=True))


def values(text: str, name: str) -> dict[frozenset[tuple[str, str]], float]:
    """By labels."""
    found = (sample for each in text_string_to_metric_families(text) for sample in each.samples)
    return {frozenset(sample.labels.items()): sample.value for sample in found if sample.name == name}


def one(text: str, name: str, **labels: str) -> float:
    [value] = [value for found, value in values(text, name).items() if labels.items() <= dict(found).items()]
    return value


async def test_it_takes_the_right_and_a_token_is_enough(roci: Roci, anonymous: Client, client: Client) -> None:
    assert (await anonymous.get("/metrics")).status_code == 401
    await scrape(client)

    def make() -> str:
        row = principals.add(NewPrincipal("prometheus", "service"))
        access.add_role(NewRole("scrape", [Rule("metrics.read")]))
        access.bind("prometheus", "scrape")
        return str(credentials.issue(row.id, "scrape")[1])

    token = await roci.write(make)
    answer = await anonymous.get("/metrics", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200
    assert (await anonymous.get("/api/v1/agents", headers={"Authorization": f"Bearer {token}"})).status_code == 403


async def test_it_can_be_open_to_everybody(tmp_path: Path) -> None:
    settings = Settings(data_dir=str(tmp_path), local_agent=False, sections={"prometheus": {"public": True}})
    async with Roci(settings).running() as roci:
        text = await scrape(create_app(roci).test_client())
    assert values(text, "roci_hosts")


async def test_hosts_their_containers_and_how_they_are(roci: Roci, client: Client, agent: ScriptedAgent) -> None:
    text = await scrape(client)
    assert values(text, "roci_hosts") == {
        frozenset({("status", "approved")}): 1,
        frozenset({("status", "pending")}): 0,
        frozenset({("status", "rejected")}): 0,
    }
    host = {"host": AWKWARD.strip(), "host_id": agent.agent_id}
    assert one(text, "roci_host_up", **host) == 1
    assert 0 <= one(text, "roci_host_heartbeat_age_seconds", **host) < 60
    assert one(text, "roci_containers", **host, state="running") == 2
    assert one(text, "roci_containers", **host, state="exited") == 1
    assert one(text, "roci_host_cpu_ratio", **host) == 0.5
    assert one(text, "roci_host_memory_used_bytes", **host) == 2_000
    assert one(text, "roci_host_disk_used_bytes", **host, path="/") == 60
    assert one(text, "roci_host_network_receive_bytes_total", **host, interface="eth0") == 9
    assert one(text, "roci_build_info") == 1 and one(text, "process_resident_memory_bytes") > 1_000_000
    assert len(values(text, "roci_event_loop_lag_seconds")) == 3 and one(text, "roci_store_writes_waiting") == 0


async def test_a_host_that_is_gone_is_down_and_its_containers_are_unknown(
    roci: Roci, client: Client, agent: ScriptedAgent
) -> None:
    await agent.hang_up()
    await until(lambda: not roci.part(Hub).connected)
    text = await scrape(client)
    assert one(text, "roci_host_up", host_id=agent.agent_id) == 0
    assert values(text, "roci_containers") == {}


async def test_operations_are_counted_by_how_they_ended(roci: Roci, client: Client) -> None:
    vitals = roci.part(Vitals)
    vitals.resume({"old": "stop"})
    for id, status in [("one", "succeeded"), ("two", "failed"), ("old", "succeeded")]:
        if id != "old":
            vitals.begin(_started(id))
        vitals.end(_finished(id, status, "stop" if id == "old" else "deploy"))
    vitals.begin(_started("three"))
    text = await scrape(client)
    assert one(text, "roci_operations_started_total", kind="deploy") == 3
    assert one(text, "roci_operations_finished_total", kind="deploy", status="failed") == 1
    assert one(text, "roci_operations_finished_total", kind="stop", status="succeeded") == 1
    assert one(text, "roci_operations_running", kind="deploy") == 1
    assert one(text, "roci_operation_duration_seconds_count", kind="deploy") == 2
    assert values(text, "roci_operation_duration_seconds_count").keys() == {frozenset({("kind", "deploy")})}


def _started(id: str) -> OperationStarted:
    return OperationStarted(id, "deploy", "h", None)


def _finished(id: str, status: str, kind: str) -> OperationFinished:
    return OperationFinished(id, kind, "h", None, status, "", 0)


class Backups:
    """A plugin with a figure of its own, which takes time to read."""

    @hookimpl
    def register_metrics(self) -> list[Metric]:
        async def read() -> list[Point]:
            return [Point(3600, {"kind": "full"})]

        return [Metric("backup_age_seconds", "gauge", "Since the last backup.", read)]


class Twice:
    @hookimpl
    def register_metrics(self) -> list[Metric]:
        return [Metric("roci_hosts", "gauge", "Hosts again.", list)]


async def test_register_metrics_brings_the_figures_of_a_plugin(tmp_path: Path) -> None:
    settings = Settings(data_dir=str(tmp_path), local_agent=False, sections={"prometheus": {"public": True}})
    async with Roci(settings, [Backups()]).running() as roci:
        text = await scrape(create_app(roci).test_client())
    assert one(text, "backup_age_seconds", kind="full") == 3600


async def test_two_figures_of_one_name_refuse_the_start(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="'roci_hosts'"):
        async with Roci(Settings(data_dir=str(tmp_path), local_agent=False), [Twice()]).running():
            pass


def test_half_a_character_in_a_name_does_not_end_the_scrape() -> None:
    made = family(Metric("x", "gauge", "X.", list), [Point(1, {"host": "nas\ud800"})])
    assert made.samples[0].labels == {"host": "nas?"}


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("running", "running"),
        ("Up 3 minutes (healthy)", "running"),
        ("Exited (0) 2 days ago", "exited"),
        ("", "unknown"),
    ],
)
def test_states_are_words(status: str, state: str) -> None:
    assert state_of(status) == state


async def test_promtool_is_content(roci: Roci, client: Client, agent: ScriptedAgent) -> None:
    vitals = roci.part(Vitals)
    vitals.begin(_started("one"))
    vitals.end(_finished("one", "succeeded", "deploy"))
    found = shutil.which("promtool") or shutil.which("promtool", path=CHECKOUT / ".cache" / "promtool" / "usr" / "bin")
    if found is None:
        unavailable("no promtool here, the checker that comes with Prometheus")
    text = await scrape(client)
    done = subprocess.run([found, "check", "metrics"], input=text, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
