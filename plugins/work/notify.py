"""Notices on their way: each channel has its own pace, so that one that hangs or fails holds up no other.

What is due is claimed in one write, sent, and its end recorded in another: killed in between, it is sent again under
the same id. What fails is tried again, later each time, until it is given up.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime
import logging
import threading
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from roci import Conflict, Event, Invalid, NotFound, Roci, RociError, Task, Unavailable, core, hookimpl, now

from ..agent.masking import Masker
from ..domain import alerts, channels, keyring, notices, quiet
from ..domain.channels import Channel, NewChannel
from ..domain.model import new_id
from ..domain.notices import Notice
from ..notifiers import Notifier, left_behind, one_line
from . import setups

log = logging.getLogger("roci.notices")
SWEEP = 15.0  # seconds until what nobody announced is looked for
STUMBLE = 5.0  # seconds a channel rests after an error of ours
MINUTE = 60.0


class Notify(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How notices are delivered; times are in seconds."""

    section: ClassVar[str] = "notify"
    timeout: float = 20
    retry_first: float = 10
    retry_most: float = 3600
    give_up_after: float = 86_400
    per_minute: int = 20
    keep_days: int = 30

    def __post_init__(self) -> None:
        if min(self.timeout, self.retry_first, self.retry_most, self.give_up_after) <= 0:
            raise ValueError("notify: times are more than 0")
        if self.per_minute < 1 or self.keep_days < 1:
            raise ValueError("notify: per_minute and keep_days are 1 at least")

    def wait(self, attempts: int) -> float:
        """Seconds from an attempt that failed to the next."""
        return min(self.retry_first * 2.0 ** min(attempts - 1, 60), self.retry_most)


class Courier:
    """Reached as `roci.part(Courier)`."""

    def __init__(self, roci: Roci, notifiers: Mapping[str, Notifier]) -> None:
        self.roci, self.notifiers = roci, notifiers
        self.clock = now
        self._settings = roci.section(Notify)
        self._wake = asyncio.Event()
        self._busy: set[str] = set()  # channels on which something is under way
        self._rest: dict[str, float] = {}  # until when, by the loop's clock
        self._sent: dict[str, deque[float]] = defaultdict(deque)  # when, in the last minute
        self._left: dict[str, list[threading.Thread]] = {}  # what runs on a channel though nobody waits for it

    # --- channels ---

    def kinds(self) -> list[dict[str, Any]]:
        """What channels there can be, and the fields of their settings."""
        return [{"name": name, "settings": setups.schema(each.settings)} for name, each in self.notifiers.items()]

    async def add(self, new: NewChannel, given: Mapping[str, Any]) -> Channel:
        """Raises Invalid, with the field, and Conflict."""
        model = self._model(new.kind)
        if model is None:
            raise Invalid(f"kind: must be one of {', '.join(self.notifiers)}")
        setup = setups.plain(setups.read(model, {name: value for name, value in given.items() if value is not None}))
        return await self.roci.write(channels.add, keyring.of(self.roci), new, setup)

    async def change(self, id: str, given: Mapping[str, Any] | None = None, **changes: Any) -> Channel:
        """Settings that are not given stay; null is the default again."""

        def write() -> Channel:
            row, setup = channels.get(id), None
            if given:
                model = self._model(row.kind)
                if model is None:
                    raise Unavailable(f"the plugin for channels of the kind {row.kind} is not there")
                setup = setups.merged(model, self._known(id), given)
            return channels.change(keyring.of(self.roci), id, setup, **changes)

        return await self.roci.write(write)

    async def shown(self, rows: list[Channel]) -> list[tuple[Channel, dict[str, Any], notices.State]]:
        """Channels with the settings people may see, and how each does."""

        def look(row: Channel) -> tuple[Channel, dict[str, Any], notices.State]:
            model = self._model(row.kind)
            setup: dict[str, Any] = {}
            if model is not None:
                setup = setups.shown(model, self._known(row.id))
            return row, setup, notices.state(row.id)

        return await self.roci.read(lambda: [look(row) for row in rows])

    async def kept(self, row: Channel) -> set[str]:
        """The names of the secrets that it is set up with."""
        model = self._model(row.kind)
        if model is None:
            return set()
        known = await self.roci.read(self._known, row.id)
        return {name for name in setups.secret_fields(model) if known.get(name) is not None}

    def _known(self, id: str) -> dict[str, Any]:
        """A channel's settings; none where they were lost with their key: it can be listed, and set up anew."""
        try:
            return channels.settings(keyring.of(self.roci), id)
        except Unavailable as error:
            log.warning("the settings of the channel %s: %s", id, error.message)
            return {}

    def _model(self, kind: str) -> type[msgspec.Struct] | None:
        notifier = self.notifiers.get(kind)
        return notifier.settings if notifier else None

    async def test(self, id: str) -> None:
        """Send a notice at once, whatever the hours. Raises Unavailable, with the reason, and Conflict."""
        row = await self.roci.read(channels.get, id)
        if id in self._busy:
            raise Conflict(f"a notice is on its way on {row.name}: try again when that has ended")
        text = f"This is how notices arrive on the channel {row.name}."
        notice = Notice(notices.TEST, "ROCI can reach you", text, id=new_id(), at=self.clock())
        self._busy.add(id)
        try:
            why = await self._attempt(row, notice)
        finally:
            self._busy.discard(id)
            self.wake()
        if why is not None:
            raise Unavailable(f"{row.name} was not reached: {why.message}")

    # --- deliveries ---

    async def retry(self, id: str) -> None:
        """Raises Conflict for what has arrived or was muted."""
        await self.roci.write(notices.retry, id, self.clock())
        self.wake()

    def wake(self) -> None:
        """There may be something to send."""
        self._wake.set()

    async def run(self) -> None:
        """For as long as the process lives."""
        while True:
            self._wake.clear()
            try:
                pause = await self._start_what_is_due()
            except Exception:
                log.exception("what notices wait could not be read; it is tried again")
                pause = STUMBLE
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()

    async def _start_what_is_due(self) -> float:
        """Seconds until there may be more."""
        pause = SWEEP
        for channel, at in (await self.roci.read(notices.waiting)).items():
            if channel in self._busy:
                continue
            left = max((at - self.clock()).total_seconds(), self._blocked(channel))
            if left > 0:
                pause = min(pause, left)
            else:
                self._busy.add(channel)
                self.roci.spawn(self._serve(channel), f"notices of {channel}")
        return pause

    def _blocked(self, channel: str) -> float:
        """Seconds until a channel may get something again."""
        moment = asyncio.get_running_loop().time()
        sent = self._sent[channel]
        while sent and sent[0] <= moment - MINUTE:
            sent.popleft()
        full = sent[0] + MINUTE - moment if len(sent) >= self._settings.per_minute else 0.0
        return max(full, self._rest.get(channel, 0.0) - moment)

    async def _serve(self, channel: str) -> None:
        """Send what is due on a channel, one thing at a time."""
        try:
            while self._blocked(channel) <= 0 and await self._send_next(channel):
                pass
        except Exception:
            self._rest[channel] = asyncio.get_running_loop().time() + STUMBLE
            raise
        finally:
            self._busy.discard(channel)
            self.wake()

    async def _send_next(self, channel: str) -> bool:
        room = self._settings.per_minute - len(self._sent[channel])
        claim = await self.roci.write(notices.claim, channel, self.clock(), room, _is_open)
        if claim is None:
            return False
        self._sent[channel].append(asyncio.get_running_loop().time())
        why = await self._attempt(claim.channel, claim.notice)
        if why is None:
            await self.roci.write(notices.succeed, claim.ids, self.clock())
        else:
            log.warning("the channel %s was not reached: %s", claim.channel.name, why.message)
            await self._retry_later(claim.ids, why)
        return True

    async def _retry_later(self, ids: Sequence[str], why: Unavailable) -> None:
        said = why.details.get("retry_after", 0)
        asked = min(said, self._settings.retry_most) if isinstance(said, int | float) else 0

        def wait(attempts: int) -> float:
            return max(self._settings.wait(attempts), asked)

        await self.roci.write(notices.fail, ids, why.message, self.clock(), wait, self._settings.give_up_after)

    async def _attempt(self, row: Channel, notice: Notice) -> Unavailable | None:
        """Why it was not delivered, with nothing secret in it; None: it was."""
        notifier = self.notifiers.get(row.kind)
        if notifier is None:
            return Unavailable(f"the plugin for channels of the kind {row.kind} is not there")
        if self._is_stuck(row.id):
            return Unavailable("what was sent before has not ended yet")
        values: Mapping[str, Any] = {}
        left: list[threading.Thread] = []
        token = left_behind.set(left)
        try:
            values = await self.roci.read(channels.settings, keyring.of(self.roci), row.id)
            setup = setups.read(notifier.settings, values)
            async with asyncio.timeout(self._settings.timeout):
                await notifier.send(setup, dataclasses.replace(notice, url=self._url(notice)))
            return None
        except TimeoutError:
            return Unavailable(f"no answer within {self._settings.timeout:g} s")
        except RociError as error:
            masker = Masker(setups.secrets_in(notifier.settings, values))
            patience = {name: value for name, value in error.details.items() if name == "retry_after"}
            return Unavailable(one_line(masker.mask(error.message), notices.LONGEST_REASON), **patience)
        except Exception as error:  # whose text may hold anything
            log.error("the notifier %s failed with %s", row.kind, type(error).__name__)
            log.debug("the notifier %s", row.kind, exc_info=True)
            return Unavailable(f"the notifier {row.kind} failed: {type(error).__name__}")
        finally:
            left_behind.reset(token)
            if left:
                self._left[row.id] = left

    def _is_stuck(self, channel: str) -> bool:
        """Whether something still runs there from before."""
        self._left = {id: left for id, left in self._left.items() if any(each.is_alive() for each in left)}
        return channel in self._left

    def _url(self, notice: Notice) -> str:
        base = self.roci.settings.public_url
        return f"{base.rstrip('/')}/{notice.path.lstrip('/')}" if base and notice.path else ""


def _is_open(alert_id: str) -> bool:
    try:
        return not alerts.get(alert_id).resolved
    except NotFound:
        return False


@hookimpl
def register_settings() -> type[Notify]:
    return Notify


@hookimpl
@contextlib.asynccontextmanager
async def lifespan(roci: Roci) -> AsyncIterator[None]:
    notifiers = core("loading").by_name("notifier", roci.hook.register_notifiers(roci=roci))
    courier = Courier(roci, notifiers)
    roci.provide(courier)
    roci.spawn(courier.run(), "notices")
    yield


@hookimpl
async def on_event(roci: Roci, event: Event) -> None:
    courier = roci.find(Courier)
    if courier is None:
        return
    if isinstance(event, quiet.QuietHoursEvent):
        await roci.write(notices.reconsider, courier.clock())
    if isinstance(event, alerts.AlertFired | alerts.AlertResolved | channels.ChannelEvent | quiet.QuietHoursEvent):
        courier.wake()


@hookimpl
def register_tasks(roci: Roci) -> list[Task]:
    async def prune() -> None:
        before = now() - datetime.timedelta(days=roci.section(Notify).keep_days)
        await roci.write(notices.prune, before)
        await roci.write(quiet.remove_past, before)

    return [Task("notices.prune", 3600, prune)]
