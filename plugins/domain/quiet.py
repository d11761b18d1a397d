"""Quiet hours: when notices wait. By the week, as in "22:00 to 07:00 in Berlin", or once, until a moment.

A window belongs to the day it begins on, and is as long as the clock on the wall says: when that is put forward or
back in between, the window is an hour shorter or longer.
"""

from __future__ import annotations

import dataclasses
import datetime
import functools
import re
from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

import peewee

from roci import Event, Invalid, NotFound, Permission, emit, hookimpl, now

from . import channels
from .model import Json, Model, Utc, picked

CLOCK = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")
EVERY_DAY = tuple(range(7))
COLUMNS = ("name", "enabled", "days", "starts", "ends", "zone", "until", "passes", "host_ids")


class QuietHours(Model):
    name = peewee.TextField()
    enabled = peewee.BooleanField(default=True)
    days = Json(default=list)  # on which it begins: 0 is Monday
    starts = peewee.TextField(default="")  # "22:00"
    ends = peewee.TextField(default="")  # "07:00": the next day's, unless it is later than the start
    zone = peewee.TextField(default="UTC")  # of the IANA database
    until = Utc(null=True)  # once, from now on; the four before do not count then
    passes = Json(default=list)  # severities that are not held
    host_ids = Json(default=list)  # []: every host
    updated_at = Utc(default=now)


@dataclasses.dataclass(frozen=True)
class NewQuietHours:
    name: str
    days: Sequence[int] = EVERY_DAY
    starts: str = ""
    ends: str = ""
    zone: str = "UTC"
    until: datetime.datetime | None = None
    passes: Sequence[str] = ("critical",)
    host_ids: Sequence[str] = ()
    enabled: bool = True


@dataclasses.dataclass(frozen=True)
class QuietHoursEvent(Event):
    quiet_hours_id: str
    name: str
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None


class QuietHoursAdded(QuietHoursEvent):
    pass


class QuietHoursChanged(QuietHoursEvent):
    pass


class QuietHoursRemoved(QuietHoursEvent):
    pass


def all_() -> list[QuietHours]:
    return list(QuietHours.select().order_by(QuietHours.name, QuietHours.created_at, QuietHours.id))


def get(id: str) -> QuietHours:
    found: QuietHours | None = QuietHours.get_or_none(QuietHours.id == id)
    if found is None:
        raise NotFound("Quiet hours not found")
    return found


def add(new: NewQuietHours) -> QuietHours:
    row = QuietHours(**dataclasses.asdict(new))
    _tidy(row)
    _check_ahead(row.until)
    channels.check_host_ids(row.host_ids)
    row.save(force_insert=True)
    emit(QuietHoursAdded(row.id, row.name, after=_state(row)))
    return row


def change(id: str, **changes: Any) -> QuietHours:
    """Change any of the fields of NewQuietHours."""
    row = get(id)
    before = _state(row)
    for name, value in changes.items():
        setattr(row, name, value)
    _tidy(row)
    _check_ahead(changes.get("until"))
    channels.check_host_ids(set(row.host_ids) - set(before["host_ids"]))
    row.updated_at = now()
    row.save()
    emit(QuietHoursChanged(row.id, row.name, before, _state(row)))
    return row


def remove(id: str) -> None:
    row = get(id)
    row.delete_instance()
    emit(QuietHoursRemoved(row.id, row.name, before=_state(row)))


def remove_past(before: datetime.datetime) -> None:
    """Those that were meant once and ended long ago."""
    for row in QuietHours.select().where(QuietHours.until < before):
        remove(row.id)


def held_until(rows: Sequence[QuietHours], severity: str, host_id: str | None, at: datetime.datetime) -> Any:
    """When the quiet ends that such a notice falls into (a datetime), or None: it may go out."""
    ends = [
        end
        for row in rows
        if row.enabled and severity not in row.passes and (not row.host_ids or host_id in row.host_ids)
        if (end := ending(row, at)) is not None
    ]
    return max(ends, default=None)


def ending(row: QuietHours, at: datetime.datetime) -> datetime.datetime | None:
    """When the window that is open at this moment closes; None: none is."""
    if row.until is not None:
        return row.until if at < row.until else None
    today = at.astimezone(ZoneInfo(row.zone)).date()
    for day in (today - datetime.timedelta(days=1), today):
        begin, end = window(row, day)
        if day.weekday() in row.days and begin <= at < end:
            return end
    return None


def window(row: QuietHours, day: datetime.date) -> tuple[datetime.datetime, datetime.datetime]:
    """The window that begins on this day, in UTC."""
    last = day if row.ends > row.starts else day + datetime.timedelta(days=1)
    zone = ZoneInfo(row.zone)
    return _moment(day, row.starts, zone, later=False), _moment(last, row.ends, zone, later=True)


def _moment(day: datetime.date, clock: str, zone: ZoneInfo, later: bool) -> datetime.datetime:
    """When the clock on the wall says so: the first or the later time if it does twice, after the jump if never."""
    local = datetime.datetime.combine(day, datetime.time.fromisoformat(clock), zone)
    second = local.replace(fold=1)
    happens_twice = (local.utcoffset() or 0) > (second.utcoffset() or 0)  # type: ignore[operator]
    return (second if later and happens_twice else local).astimezone(datetime.UTC)


def _state(row: QuietHours) -> dict[str, Any]:
    return picked(row, *COLUMNS)


def _tidy(row: QuietHours) -> None:
    """Raises Invalid, with the field."""
    row.name = row.name.strip()
    row.days, row.host_ids, row.passes = sorted(set(row.days)), list(row.host_ids), list(row.passes)
    if not row.name or len(row.name) > channels.LONGEST_NAME or not row.name.isprintable():
        raise Invalid(f"name: one line of 1 to {channels.LONGEST_NAME} characters")
    if not set(row.passes) <= set(channels.SEVERITIES):
        raise Invalid(f"passes: some of {', '.join(channels.SEVERITIES)}")
    if row.until is not None:
        return
    if not row.days or not set(row.days) <= set(EVERY_DAY):
        raise Invalid("days: some of 0 (Monday) to 6 (Sunday)")
    for field, clock in (("from", row.starts), ("to", row.ends)):
        if not CLOCK.fullmatch(clock):
            raise Invalid(f"{field}: a time such as 22:00 is needed, or `until`, which holds once")
    if not _is_zone(row.zone):
        raise Invalid(f"time_zone: {row.zone[:50]!r} is none, as Europe/Berlin is")


def _check_ahead(until: datetime.datetime | None) -> None:
    if until is not None and until <= now():
        raise Invalid("until: this moment has passed")


@functools.lru_cache(maxsize=100)
def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
        return True
    except (ValueError, OSError, LookupError):
        return False


@hookimpl
def register_models() -> list[type[peewee.Model]]:
    return [QuietHours]


@hookimpl
def register_permissions() -> list[Permission]:
    return [
        Permission("quiet-hours.list", "see when notices wait"),
        Permission("quiet-hours.create", "let notices wait at some hours, or until a moment"),
        Permission("quiet-hours.update", "change when notices wait"),
        Permission("quiet-hours.delete", "let notices no longer wait"),
    ]
