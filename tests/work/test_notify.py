"""Notices on their way: to real receivers, past those that hang, again after a failure, across a restart."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from roci import Conflict, NotFound, Roci, Sensitive, Settings, StartupError, TooMany, Unavailable, hookimpl, now
from roci_plugins.agent.scripted import until
from roci_plugins.domain import alerts, channels, events, hosts, notices, quiet, secrets
from roci_plugins.domain.channels import Channel, NewChannel
from roci_plugins.domain.hosts import Introduction
from roci_plugins.domain.notices import FIRED, Notice
from roci_plugins.domain.quiet import NewQuietHours
from roci_plugins.notifiers import Notifier, in_thread
from roci_plugins.work.notify import Courier, Notify

from ..notifiers.receivers import Inbox, inbox


class Place(msgspec.Struct, kw_only=True):
    name: str = "here"
    token: Sensitive = Sensitive("")


class Fake:
    """A notifier that does as it is told."""

    name = "fake"
    settings = Place

    def __init__(self) -> None:
        self.got: list[Any] = []
        self.errors: list[BaseException] = []
        self.hangs: set[str] = set()
        self.go_on = asyncio.Event()
        self.blocks: dict[str, threading.Event] = {}

    async def send(self, settings: Any, notice: Any) -> None:
        if settings.name in self.hangs:
            await self.go_on.wait()
        if go := self.blocks.get(settings.name):
            await in_thread(go.wait)
        if self.errors:
            raise self.errors.pop(0)
        self.got.append(notice)

    @hookimpl
    def register_notifiers(self, roci: Roci) -> Iterable[Notifier]:
        return [self]

    @property
    def titles(self) -> list[str]:
        return [notice.title for notice in self.got]


@pytest.fixture
def fake() -> Fake:
    return Fake()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    quick = {"retry_first": 0.01}
    return Settings(
        data_dir=str(tmp_path / "data"),
        local_agent=False,
        public_url="https://roci.lan/",
        sections={"notify": quick},
    )


@pytest.fixture
async def roci(settings: Settings, fake: Fake) -> Any:
    instance = Roci(settings, plugins=[fake])
    async with instance.running():
        yield instance


async def channel(roci: Roci, name: str = "here", kind: str = "fake", **given: Any) -> Channel:
    new = NewChannel(name, kind, min_severity="info")
    return await roci.part(Courier).add(new, given or {"name": name})


async def tell(roci: Roci, *titles: str, **fields: Any) -> None:
    """Have notices sent as if an alert had fired."""

    def write() -> None:
        for title in titles:
            notices.enqueue(Notice(FIRED, title, "too much", **{"severity": "warning", **fields}))

    await roci.write(write)
    roci.part(Courier).wake()


async def ended(roci: Roci, row: Channel, count: int = 1) -> list[notices.Delivery]:
    """The deliveries of a channel, once so many have ended."""
    async with asyncio.timeout(30):
        while True:
            rows, _ = await roci.read(notices.list_, row.id)
            if len([each for each in rows if each.status != "pending"]) >= count:
                return rows
            await asyncio.sleep(0.01)


async def test_a_notice_arrives_with_the_address_of_its_page(roci: Roci, fake: Fake) -> None:
    row = await channel(roci)
    await tell(roci, "nas: cpu", path="/hosts/1", hostname="nas")
    (delivery,) = await ended(roci, row)
    assert (delivery.status, delivery.attempts, delivery.last_error) == ("delivered", 1, "")
    (got,) = fake.got
    assert (got.id, got.url, got.hostname) == (delivery.id, "https://roci.lan/hosts/1", "nas")


async def test_an_alert_that_fires_and_resolves_is_told_without_anybody_waking_us(roci: Roci, fake: Fake) -> None:
    row = await channel(roci)
    host = await roci.write(hosts.add, Introduction("nas", "10.0.0.1", "10.0.0.1", "10.0.0.1"))
    found = alerts.Fire(host_id=host.id, type="host_offline", severity="critical", message="it does not answer")
    alert = await roci.write(alerts.fire, found)
    await ended(roci, row)
    assert alert
    await roci.write(alerts.resolve, alert.id)
    await ended(roci, row, 2)
    assert [got.kind for got in fake.got] == ["alert.fired", "alert.resolved"]
    assert {got.alert_id for got in fake.got} == {alert.id} and fake.got[0].hostname == "nas"


async def test_a_failure_is_tried_again_until_it_arrives(roci: Roci, fake: Fake, caplog: Any) -> None:
    row = await channel(roci)
    fake.errors = [Unavailable("no route"), Unavailable("no route")]
    await tell(roci, "nas: cpu")
    (delivery,) = await ended(roci, row)
    assert (delivery.status, delivery.attempts, len({got.id for got in fake.got})) == ("delivered", 3, 1)
    assert "the channel here was not reached: no route" in caplog.text


async def test_what_hangs_is_cut_and_holds_up_no_other_channel(roci: Roci, fake: Fake) -> None:
    roci.section(Notify).timeout = 0.2
    stuck, well = await channel(roci, "stuck"), await channel(roci, "well")
    fake.hangs = {"stuck"}
    await tell(roci, "one", "two")
    assert {each.status for each in await ended(roci, well, 2)} == {"delivered"}
    assert fake.titles == ["one", "two"]

    async with asyncio.timeout(30):
        while not (state := await roci.read(notices.state, stuck.id)).last_error:
            await asyncio.sleep(0.01)
    assert state.last_error == "no answer within 0.2 s"
    fake.hangs = set()
    await ended(roci, stuck, 2)


async def test_a_notifier_that_breaks_is_said_to_and_shows_nothing(roci: Roci, fake: Fake, caplog: Any) -> None:
    row = await channel(roci, token="t0p-secret-token")
    fake.errors = [RuntimeError("t0p-secret-token"), Unavailable("t0p-secret-token is unknown\r\nthere")]
    with pytest.raises(Unavailable, match=r"^here was not reached: the notifier fake failed: RuntimeError$"):
        await roci.part(Courier).test(row.id)
    with pytest.raises(Unavailable, match=r"^here was not reached: \*\*\* is unknown there$"):
        await roci.part(Courier).test(row.id)
    assert "t0p-secret-token" not in "".join(
        record.getMessage() for record in caplog.records if record.levelno > logging.DEBUG
    )


async def test_a_test_goes_out_whatever_the_hours_and_is_no_delivery(roci: Roci, fake: Fake) -> None:
    row = await channel(roci)
    await roci.write(quiet.add, NewQuietHours("holidays", until=now().replace(year=now().year + 1, day=1), passes=[]))
    await roci.part(Courier).test(row.id)
    assert [got.kind for got in fake.got] == ["test"]
    assert await roci.read(notices.list_, row.id) == ([], 0)
    with pytest.raises(NotFound):
        await roci.part(Courier).test("nowhere")


async def test_a_channel_sends_one_thing_at_a_time_tests_included(roci: Roci, fake: Fake) -> None:
    row, other = await channel(roci), await channel(roci, "other")
    fake.hangs = {"here"}
    first = asyncio.create_task(roci.part(Courier).test(row.id))
    await until(lambda: row.id in roci.part(Courier)._busy)
    with pytest.raises(Conflict, match="a notice is on its way on here"):
        await roci.part(Courier).test(row.id)
    await roci.part(Courier).test(other.id)
    await tell(roci, "one")
    assert [each.status for each in (await roci.read(notices.list_, row.id))[0]] == ["pending"]
    fake.hangs = set()
    fake.go_on.set()
    await first
    assert (await ended(roci, row))[0].status == "delivered", "what waited goes out after the test"


async def test_what_cannot_be_ended_holds_up_its_own_channel_only(roci: Roci, fake: Fake) -> None:
    roci.section(Notify).timeout = 0.2
    row, other = await channel(roci, "stuck"), await channel(roci, "well")
    go = threading.Event()
    fake.blocks = {"stuck": go}
    with pytest.raises(Unavailable, match="no answer"):
        await roci.part(Courier).test(row.id)
    with pytest.raises(Unavailable, match="what was sent before has not ended yet"):
        await roci.part(Courier).test(row.id)
    await roci.part(Courier).test(other.id)
    go.set()
    fake.blocks = {}
    await tell(roci, "one")
    assert (await ended(roci, row))[0].status == "delivered"


async def test_who_asks_for_patience_gets_it(roci: Roci, fake: Fake) -> None:
    row = await channel(roci)
    fake.errors = [TooMany("slow down", retry_after=1200)]
    await tell(roci, "one")
    await until(lambda: not fake.errors)
    async with asyncio.timeout(30):
        while not (rows := (await roci.read(notices.list_, row.id))[0])[0].last_error:
            await asyncio.sleep(0.01)
    assert (rows[0].next_at - now()).total_seconds() > 1000


async def test_what_may_go_arrives_past_many_that_are_held(roci: Roci, fake: Fake) -> None:
    row = await channel(roci)
    await roci.write(quiet.add, NewQuietHours("x", until=now().replace(year=now().year + 1, day=1)))
    await tell(roci, *(f"held {number}" for number in range(2 * notices.LOOKED_AT)))
    await tell(roci, "now", severity="critical")
    await ended(roci, row)
    assert fake.titles == ["now"]


async def test_quiet_hours_hold_it_and_let_go_when_they_are_taken_away(roci: Roci, fake: Fake) -> None:
    row = await channel(roci)
    holidays = await roci.write(quiet.add, NewQuietHours("x", until=now().replace(year=now().year + 1, day=1)))
    await tell(roci, "one")
    async with asyncio.timeout(30):
        while not (await roci.read(notices.list_, row.id))[0][0].held:
            await asyncio.sleep(0.01)
    assert fake.got == []
    await roci.write(quiet.remove, holidays.id)
    await ended(roci, row)
    assert fake.titles == ["one"]


async def test_a_storm_ends_in_one_notice_for_all_the_rest(settings: Settings, fake: Fake) -> None:
    settings.sections["notify"] = {"per_minute": "3"}
    async with Roci(settings, plugins=[fake]).running() as roci:
        row = await channel(roci)
        await tell(roci, *(f"a{number}" for number in range(100)))
        await ended(roci, row, 100)
        assert fake.titles == ["a0", "a1", "98 more alerts"]
        await tell(roci, "later")
        assert roci.part(Courier)._blocked(row.id) > 0, "the minute is full"


async def test_a_channel_without_its_plugin_is_listed_and_says_so(settings: Settings, fake: Fake) -> None:
    async with Roci(settings, plugins=[fake]).running() as roci:
        row = await channel(roci)
    async with Roci(settings).running() as roci:
        ((_, setup, _),) = await roci.part(Courier).shown([row])
        assert setup == {}
        with pytest.raises(Unavailable, match="the plugin for channels of the kind fake is not there"):
            await roci.part(Courier).test(row.id)
        with pytest.raises(Unavailable, match="fake"):
            await roci.part(Courier).change(row.id, {"name": "x"})
        assert (await roci.part(Courier).change(row.id, None, name="y")).name == "y"


async def test_a_channel_whose_settings_are_lost_can_be_set_up_anew(roci: Roci, fake: Fake) -> None:
    row = await channel(roci)
    await roci.write(secrets.remove_scope, f"channel/{row.id}")
    with pytest.raises(Unavailable, match="set it up anew"):
        await roci.part(Courier).test(row.id)
    ((_, setup, _),) = await roci.part(Courier).shown([row])
    assert setup == {}
    await roci.part(Courier).change(row.id, {"name": "there"})
    await roci.part(Courier).test(row.id)
    assert len(fake.got) == 1


async def test_an_error_of_a_plugins_own_making_is_a_failure_as_any(roci: Roci, fake: Fake) -> None:
    class Odd(Unavailable):
        def __init__(self) -> None:
            super().__init__("odd", retry_after="soon")

    row = await channel(roci)
    fake.errors = [Odd()]
    await tell(roci, "one")
    (delivery,) = await ended(roci, row)
    assert (delivery.status, delivery.attempts) == ("delivered", 2)


def test_two_notifiers_of_one_name_refuse_the_start(settings: Settings) -> None:

    async def start() -> None:
        async with Roci(settings, plugins=[Fake(), type("Other", (Fake,), {})()]).running():
            pass

    with pytest.raises(StartupError, match="two plugins register a notifier named 'fake'"):
        asyncio.run(start())


@pytest.mark.parametrize(("attempts", "seconds"), [(1, 10), (2, 20), (5, 160), (9, 2560), (10, 3600), (10_000, 3600)])
def test_each_attempt_waits_longer_and_none_longer_than_an_hour(attempts: int, seconds: float) -> None:
    assert Notify().wait(attempts) == seconds


@pytest.mark.parametrize("values", [{"per_minute": 0}, {"timeout": 0}, {"keep_days": 0}, {"retry_first": -1}])
def test_settings_that_make_no_sense_refuse_the_start(tmp_path: Path, values: dict[str, Any]) -> None:
    with pytest.raises(StartupError, match="notify"):
        Roci(Settings(data_dir=str(tmp_path), local_agent=False, sections={"notify": values}))


async def test_what_was_delivered_long_ago_is_forgotten(roci: Roci) -> None:
    row = await channel(roci)
    await tell(roci, "one")
    await ended(roci, row)
    old = now().replace(year=now().year - 1, day=1)
    await roci.write(lambda: notices.Delivery.update(ended_at=old).execute())
    await roci.tasks["notices.prune"].run()
    assert (await roci.read(notices.list_, row.id))[1] == 0


async def test_what_is_done_to_channels_is_in_the_audit_trail_without_secrets(roci: Roci) -> None:
    row = await channel(roci, token="t0p-secret-token")
    await roci.part(Courier).change(row.id, {"token": "an0ther-token"}, enabled=False)
    await roci.write(channels.remove, row.id)
    rows, _ = await roci.read(events.list_)
    assert {"ChannelAdded", "ChannelChanged", "ChannelRemoved"} <= {each.name for each in rows}
    text = repr([(each.before, each.after, each.data) for each in rows])
    assert "t0p-secret-token" not in text and "an0ther-token" not in text


SERVER = """
import asyncio, sys
from roci import Roci, Settings
from roci_plugins.domain import notices
from roci_plugins.domain.channels import NewChannel
from roci_plugins.work.notify import Courier

async def main(data, url):
    async with Roci(Settings(data_dir=data, local_agent=False)).running() as roci:
        new = NewChannel("hook", "webhook")
        await roci.part(Courier).add(new, {"url": url})
        await roci.write(notices.enqueue, notices.Notice(notices.FIRED, "nas: cpu", "too much", "warning"))
        roci.part(Courier).wake()
        await asyncio.Event().wait()

asyncio.run(main(*sys.argv[1:]))
"""


def _kill_in_the_middle_of_sending(data: str, http: Inbox) -> None:
    """A server of its own process, killed while the receiver has not answered yet."""
    http.hang = threading.Event()
    server = subprocess.Popen([sys.executable, "-c", SERVER, data, http.url])
    try:
        for _ in range(3000):  # a minute
            if http.requests:
                break
            assert server.poll() is None
            threading.Event().wait(0.02)
    finally:
        server.send_signal(signal.SIGKILL)
        server.wait(10)
    http.hang.set()
    http.hang = None


async def test_killed_in_the_middle_it_is_sent_again_under_the_same_id(tmp_path: Path) -> None:
    with inbox() as http:
        await asyncio.to_thread(_kill_in_the_middle_of_sending, str(tmp_path), http)
        async with Roci(Settings(data_dir=str(tmp_path), local_agent=False)).running() as roci:
            (row,) = await roci.read(channels.all_)
            (delivery,) = await ended(roci, row)
        assert (delivery.status, delivery.attempts, len(http.requests)) == ("delivered", 2, 2)
        ids = {headers["x-roci-delivery"] for _, headers, _ in http.requests}
        assert ids == {delivery.id} == {json.loads(body)["id"] for _, _, body in http.requests}
