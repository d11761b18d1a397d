"""Notices: what people are told, and the deliveries that bring it to them, one for each channel that wants it.

A delivery is a row from the transaction in which the thing happened until it is delivered, given up or muted, so
nothing is lost on a restart. It may be delivered twice, where the process was killed in between, then with the same id.
On one channel one thing is under way at a time, the oldest first. An end that overtakes a beginning goes alone:
where an alert is over before anybody could be told of it, its resolution says all.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

import msgspec
import peewee

from roci import Conflict, Event, NotFound, emit, hookimpl, now

from . import channels, quiet
from .channels import Channel
from .model import Json, Model, Utc, new_id

FIRED, RESOLVED, TEST = "alert.fired", "alert.resolved", "test"
PENDING, DELIVERED, FAILED, MUTED = STATES = ("pending", "delivered", "failed", "muted")
OVER = "it was over before it could be sent"
IN_QUIET = "it was over before the quiet hours were"
SWITCHED_OFF = "the channel was switched off"
LISTED = 20  # of many notices in one
LOOKED_AT = 20  # deliveries that are due, in one write: all share one writer
TOGETHER = 500  # notices in one, at most
LONGEST_REASON = 500


@dataclasses.dataclass(frozen=True)
class Notice:
    """What people are told. `path` is the page of ours that shows it; `id` is the same when it is sent again."""

    kind: str  # alert.fired, alert.resolved, test
    title: str
    body: str
    severity: str = "info"
    host_id: str | None = None
    hostname: str = ""
    subject: str = ""
    alert_id: str | None = None
    at: datetime.datetime = dataclasses.field(default_factory=now)
    path: str = ""
    data: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    id: str = ""
    url: str = ""  # of that page, where the settings say how people reach us


class Delivery(Model):
    channel = peewee.ForeignKeyField(Channel, backref="deliveries", on_delete="CASCADE")
    status = peewee.TextField(default=PENDING)
    notice = Json()
    kind = peewee.TextField()
    alert_id = peewee.TextField(null=True)
    batch = peewee.TextField(default="")  # those of one batch go out as one notice, under its id
    attempts = peewee.IntegerField(default=0)
    held = peewee.BooleanField(default=False)  # by quiet hours
    since = Utc(default=now)  # made, or let go by quiet hours: from then on it is tried
    next_at = Utc(default=now)
    ended_at = Utc(null=True)
    last_error = peewee.TextField(default="")

    class Meta:
        indexes = ((("channel", "status", "next_at"), False), (("channel", "alert_id"), False))


OLDEST_FIRST = peewee.SQL("t1.rowid")  # by the order of the writes: the clock may be put back


@dataclasses.dataclass(frozen=True)
class DeliveryGivenUp(Event):
    """Nobody was told, and nobody will be."""

    delivery_id: str
    channel: str
    title: str
    reason: str
    outcome: str = "failed"


# --- making ------------------------------------------------------------------


def enqueue(notice: Notice) -> list[Delivery]:
    """Have it sent on each channel that wants it; inside the write in which it happened.

    Whoever was told, or is to be told, of an alert hears of its end too, however severe that is; who was spared, not.
    """
    values = msgspec.to_builtins(dataclasses.replace(notice, id="", url=""))
    return [
        Delivery.create(channel=channel, notice=values, kind=notice.kind, alert_id=notice.alert_id)
        for channel in Channel.select().where(Channel.enabled).order_by(Channel.created_at, Channel.id)
        if _is_for(channel, notice)
    ]


def _is_for(channel: Channel, notice: Notice) -> bool:
    if notice.kind == RESOLVED and (begun := list(_beginnings(channel, notice.alert_id))):
        return any(row.status != MUTED for row in begun)
    return channels.wants(channel, notice.severity, notice.host_id)


def _beginnings(channel: Channel, alert_id: str | None) -> Any:
    """What a channel was to be told of an alert; more than once, where that became worse."""
    return Delivery.select().where(
        Delivery.channel == channel,
        Delivery.alert_id == alert_id,
        Delivery.kind == FIRED,
        Delivery.alert_id.is_null(False),
    )


# --- sending -----------------------------------------------------------------


def waiting() -> dict[str, datetime.datetime]:
    """When the next delivery is due, by the id of the channel; only those on which there is one."""
    rows = Delivery.select(Delivery.channel, peewee.fn.min(Delivery.next_at)).where(Delivery.status == PENDING)
    return {str(channel): at for channel, at in cast(Any, rows.group_by(Delivery.channel).tuples())}


@dataclasses.dataclass(frozen=True)
class Claim:
    """What is to be sent on a channel now, and the deliveries that end with it."""

    channel: Channel
    notice: Notice
    ids: tuple[str, ...]


def claim(channel_id: str, at: datetime.datetime, room: int, is_open: Callable[[str], bool]) -> Claim | None:
    """What to send on a channel now, while nothing is under way there.

    None: none of the oldest that are due may go; `waiting` tells whether there are more to look at.
    `room` is how many notices it may still get in this minute, 1 at least: the last one is for all that are due,
    up to a limit. `is_open` tells whether an alert still is.
    """
    channel = channels.find(channel_id)
    if channel is None:
        return None
    waits = (Delivery.channel == channel.id) & (Delivery.status == PENDING)
    if not channel.enabled:
        _mute(waits, SWITCHED_OFF, at)
        return None
    taken = _ready(waits, LOOKED_AT, at, is_open)[:1]
    if taken and (taken[0].batch or room == 1):
        taken = _ready(waits & (Delivery.batch == taken[0].batch), TOGETHER, at, is_open)
    if not taken:
        return None
    batch = taken[0].batch or (new_id() if len(taken) > 1 else "")
    for row in taken:
        row.batch, row.attempts = batch, row.attempts + 1
        row.save()
    return Claim(channel, _notice(taken), tuple(row.id for row in taken))


def _ready(waits: Any, most: int, at: datetime.datetime, is_open: Callable[[str], bool]) -> list[Delivery]:
    """Those that may go now, of the oldest that are due; the others of these are held or dropped."""
    rows = list(Delivery.select().where(waits, Delivery.next_at <= at).order_by(OLDEST_FIRST).limit(most))
    dropped = _drop_the_overtaken(rows, at)
    hours = quiet.all_()
    return [row for row in rows if row.id not in dropped and _may_go(row, hours, at, is_open)]


def _drop_the_overtaken(rows: Sequence[Delivery], at: datetime.datetime) -> set[str]:
    """Drop beginnings whose end waits too; and that end, where quiet hours held them all: there is nothing to tell."""
    about = {row.alert_id for row in rows if row.alert_id}
    if not about:
        return set()
    same = (Delivery.channel == rows[0].channel) & Delivery.alert_id.in_(about)
    waits = Delivery.select().where(same, Delivery.status == PENDING)
    ends = {row.alert_id: row.id for row in waits.where(Delivery.kind == RESOLVED)}
    if not ends:
        return set()
    begun = list(waits.where(Delivery.kind == FIRED, Delivery.alert_id.in_(list(ends))))
    tried = {row.alert_id for row in Delivery.select().where(same, Delivery.kind == FIRED, Delivery.attempts > 0)}
    slept = [row for row in begun if row.held and row.alert_id not in tried]
    in_quiet = {id for row in slept for id in (row.id, ends[row.alert_id])}
    over = {row.id for row in begun} - in_quiet
    _mute(Delivery.id.in_(in_quiet), IN_QUIET, at)
    _mute(Delivery.id.in_(over), OVER, at)
    return in_quiet | over


def _may_go(
    row: Delivery, hours: Sequence[quiet.QuietHours], at: datetime.datetime, is_open: Callable[[str], bool]
) -> bool:
    """Hold it where the hours are quiet; once they are over, only what still is so goes out."""
    end = quiet.held_until(hours, row.notice["severity"], row.notice["host_id"], at)
    if end is not None:
        row.held, row.next_at = True, end
        row.save()
        return False
    if not row.held:
        return True
    if row.kind == FIRED and row.alert_id and not is_open(row.alert_id):
        _mute(Delivery.id == row.id, IN_QUIET, at)
        return False
    row.held, row.since = False, at
    return True


def _notice(rows: Sequence[Delivery]) -> Notice:
    notices = [read(row) for row in rows]
    return notices[0] if len(notices) == 1 and not rows[0].batch else summary(notices, rows[0].batch)


def read(row: Delivery) -> Notice:
    """The notice of a delivery, under the id of that."""
    return dataclasses.replace(msgspec.convert(row.notice, Notice), id=row.id)


def summary(notices: Sequence[Notice], id: str) -> Notice:
    """Many as one, as severe as the worst, the newest last."""
    shown = notices[-LISTED:]
    lines = [f"{notice.title}{f' ({notice.hostname})' if notice.hostname else ''}" for notice in shown]
    if len(shown) < len(notices):
        lines.insert(0, f"{len(notices) - len(shown)} before these:")
    worst = max((notice.severity for notice in notices), key=_rank)
    return Notice(
        "summary",
        f"{len(notices)} more {'alerts' if len(notices) > 1 else 'alert'}",
        "\n".join(lines),
        worst,
        at=notices[-1].at,
        data={"count": len(notices)},
        id=id,
    )


def _rank(severity: str) -> int:
    return channels.SEVERITIES.index(severity) if severity in channels.SEVERITIES else len(channels.SEVERITIES)


def succeed(ids: Iterable[str], at: datetime.datetime) -> None:
    Delivery.update(status=DELIVERED, ended_at=at, last_error="").where(_is_still(ids)).execute()


def fail(ids: Iterable[str], reason: str, at: datetime.datetime, wait: Callable[[int], float], patience: float) -> None:
    """Note why not, and when to try again: after `wait(attempts)` seconds; after `patience` seconds never."""
    for row in Delivery.select().where(_is_still(ids)):
        row.last_error = reason[:LONGEST_REASON]
        row.next_at = at + datetime.timedelta(seconds=wait(row.attempts))
        if (row.next_at - row.since).total_seconds() > patience:
            row.status, row.ended_at = FAILED, at
            emit(DeliveryGivenUp(row.id, row.channel.name, row.notice["title"], row.last_error))
        row.save()


def _is_still(ids: Iterable[str]) -> Any:
    return Delivery.id.in_(list(ids)) & (Delivery.status == PENDING)


def _mute(which: Any, reason: str, at: datetime.datetime) -> None:
    Delivery.update(status=MUTED, ended_at=at, last_error=reason).where(which).execute()


def reconsider(at: datetime.datetime) -> None:
    """Quiet hours have changed: what they hold may go out sooner."""
    Delivery.update(next_at=at).where(Delivery.held, Delivery.status == PENDING).execute()


# --- looking -----------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class State:
    """How a channel does. `last_error` is why the newest attempt failed; empty: it did not."""

    waiting: int = 0
    last_error: str = ""
    delivered_at: datetime.datetime | None = None


def state(channel_id: str) -> State:
    mine = Delivery.channel == channel_id
    waits = Delivery.select().where(mine, Delivery.status == PENDING)
    last = Delivery.select().where(mine, Delivery.attempts > 0).order_by(peewee.SQL("t1.rowid desc")).first()
    best = Delivery.select().where(mine, Delivery.status == DELIVERED).order_by(Delivery.ended_at.desc()).first()
    return State(waits.count(), last.last_error if last else "", best.ended_at if best else None)


def list_(
    channel_id: str, status: str | None = None, limit: int | None = 100, offset: int = 0
) -> tuple[list[Delivery], int]:
    """Newest first, and how many there are. Raises NotFound where there is no such channel."""
    channels.get(channel_id)
    rows = Delivery.select().where(Delivery.channel == channel_id)
    if status is not None:
        rows = rows.where(Delivery.status == status)
    return list(rows.order_by(peewee.SQL("t1.rowid desc")).limit(limit).offset(offset)), rows.count()


def held(limit: int) -> tuple[list[Delivery], int]:
    """What waits for quiet hours to end, on all channels, the oldest first; and how much that is."""
    rows = Delivery.select(Delivery, Channel).join(Channel).where(Delivery.held, Delivery.status == PENDING)
    return list(rows.order_by(OLDEST_FIRST).limit(limit)), rows.count()


def of_alert(alert_id: str) -> list[Delivery]:
    """What was or is to be told of an alert, on all channels, the oldest first."""
    rows = Delivery.select(Delivery, Channel).join(Channel).where(Delivery.alert_id == alert_id)
    return list(rows.order_by(OLDEST_FIRST))


def retry(id: str, at: datetime.datetime) -> Delivery:
    """Try what was given up anew, and what waits after a failure at once. Quiet hours hold it all the same."""
    row: Delivery | None = Delivery.get_or_none(Delivery.id == id)
    if row is None:
        raise NotFound("there is no such delivery")
    if row.status not in (FAILED, PENDING):
        raise Conflict(f"this notice was {row.status}: there is nothing to try again")
    row.status, row.since, row.next_at, row.ended_at = PENDING, at, at, None
    row.save()
    return row


def prune(before: datetime.datetime) -> int:
    """Forget what ended before; how many that were."""
    return int(Delivery.delete().where(Delivery.status != PENDING, Delivery.ended_at < before).execute())


@hookimpl
def register_models() -> list[type[peewee.Model]]:
    return [Delivery]
