"""Operations and the audit on one time axis, the newest first, in pages that begin where another one ended.

Both are read along the index of their times, and never further than SCAN rows for one page, whatever is looked for: a
page that found too little there says how far it looked, and the next one goes on from there.
"""

from __future__ import annotations

import dataclasses
import datetime
import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import peewee

from .events import Recorded
from .model import Utc
from .operations import Operation

SCAN = 10_000  # rows of each kind that one page looks through
TOLD = ("OperationStarted", "OperationFinished", "DeploymentBegun", "DeploymentMoved", "ApplicationMoved")
LAST = datetime.datetime.max.replace(tzinfo=datetime.UTC)
OUTCOMES = {
    "done": ("succeeded",),
    "failed": ("failed", "timed_out", "interrupted"),
    "cancelled": ("cancelled",),
    "running": ("running",),
    "refused": (),
}
_text_of = Utc().db_value


@dataclasses.dataclass(frozen=True)
class Asked:
    """What to show. Empty: whatever it is. `who` is a name or an id, `action` a kind of operation or an event."""

    kind: str = ""  # operations, audit
    who: str = ""
    host_id: str = ""
    application_id: str = ""
    action: str = ""
    outcome: str = ""  # of OUTCOMES
    text: str = ""  # in any case
    since: datetime.datetime | None = None
    until: datetime.datetime | None = None

    @property
    def is_narrow(self) -> bool:
        """Whether rows may have to be passed over."""
        return any((self.who, self.host_id, self.application_id, self.action, self.outcome, self.text))


@dataclasses.dataclass(frozen=True, order=True)
class Mark:
    """A place on the axis. Of what happened in the same moment, the audit is the newer."""

    at: datetime.datetime
    seq: int = 0
    operation_id: str = ""


START = Mark(LAST, 2**62, "~")


@dataclasses.dataclass(frozen=True)
class Entry:
    """One of both: what was done to a host, or what was kept of anything else."""

    at: datetime.datetime
    operation: Operation | None = None
    event: Recorded | None = None

    @property
    def mark(self) -> Mark:
        """Where what is older begins."""
        if self.event is not None:
            return Mark(self.at, self.event.seq, "~")
        return Mark(self.at, 0, self.operation.id if self.operation else "")


@dataclasses.dataclass(frozen=True)
class Page:
    """`further`: where older ones begin, None where there are none. `looked_until`: it found less than a page."""

    entries: list[Entry]
    further: Mark | None
    looked_until: datetime.datetime | None = None


def page(asked: Asked, with_audit: bool, mark: Mark = START, limit: int = 50) -> Page:
    """What is older than a mark. Without the audit, operations alone."""
    kinds = [kind for kind in _kinds(asked, with_audit) if kind is not None]
    floor = max((each for kind in kinds if (each := kind.floor(mark))), default=None) if asked.is_narrow else None
    found = [entry for kind in kinds for entry in kind.older(mark, floor, limit + 1)]
    found.sort(key=operator.attrgetter("mark"), reverse=True)
    if len(found) > limit:
        return Page(found[:limit], found[limit - 1].mark)
    return Page(found, Mark(floor) if floor else None, floor)


def _kinds(asked: Asked, with_audit: bool) -> Iterator[_Kind | None]:
    if asked.kind != "audit" and asked.outcome != "refused":
        yield _Kind(Operation, Operation.created_at, Operation.id, list(_of_operations(asked)), asked, _operation)
    if with_audit and asked.kind != "operations" and asked.outcome not in ("cancelled", "running"):
        yield _Kind(Recorded, Recorded.at, Recorded.seq, list(_of_audit(asked)), asked, _event)


def _operation(row: Operation) -> Entry:
    return Entry(row.created_at, operation=row)


def _event(row: Recorded) -> Entry:
    return Entry(row.at, event=row)


@dataclasses.dataclass(frozen=True)
class _Kind:
    """One of the two tables, with what must hold of its rows."""

    table: Any
    time: Any
    key: Any
    holds: Sequence[Any]
    asked: Asked
    entry: Callable[[Any], Entry]

    def _range(self, mark: Mark, floor: datetime.datetime | None = None) -> Any:
        key = mark.seq if self.table is Recorded else mark.operation_id
        query = peewee.Tuple(self.time, self.key) < peewee.Tuple(_text_of(mark.at), key)
        for bound in (self.asked.since, floor):
            query = query if bound is None else query & (self.time >= bound)
        return query if self.asked.until is None else query & (self.time < self.asked.until)

    def floor(self, mark: Mark) -> datetime.datetime | None:
        """The time at which this page stops looking. None: it gets to the end."""
        query = self.table.select(self.time).where(self._range(mark))
        found: datetime.datetime | None = self._newest_first(query).limit(1).offset(SCAN - 1).scalar()
        return found

    def older(self, mark: Mark, floor: datetime.datetime | None, limit: int) -> list[Entry]:
        left_out = {"output", "result", "hash"}
        fields = [field for field in self.table._meta.sorted_fields if field.name not in left_out]
        query = self.table.select(*fields).where(self._range(mark, floor), *self.holds)
        return [self.entry(row) for row in self._newest_first(query).limit(limit)]

    def _newest_first(self, query: Any) -> Any:
        return query.order_by(self.time.desc(), self.key.desc())


def _by_scan(field: Any) -> Any:
    """A column whose index is not to be used: rows come in the order of their times, or all would be sorted first."""
    return peewee.NodeList((peewee.SQL("+"), field), glue="")


def _either(fields: Sequence[Any], value: str) -> Any:
    first, *rest = (peewee.Expression(_by_scan(field), peewee.OP.EQ, value) for field in fields)
    for one in rest:
        first = first | one
    return first


def _contains(fields: Sequence[Any], text: str) -> Any:
    """Whether one of them has this text, in any case; instr, since LIKE has signs to escape."""
    first, *rest = (
        peewee.fn.instr(peewee.fn.lower(peewee.fn.coalesce(field, "")), text.lower()) > 0 for field in fields
    )
    for one in rest:
        first = first | one
    return first


def _of_operations(asked: Asked) -> Iterator[Any]:
    if asked.who:
        yield _either((Operation.actor_id, Operation.actor_name), asked.who)
    if asked.host_id:
        yield _either((Operation.host_id,), asked.host_id)
    if asked.application_id:
        yield _either((Operation.application_id,), asked.application_id)
    if asked.action:
        yield _either((Operation.kind,), asked.action)
    if asked.outcome:
        first, *rest = OUTCOMES[asked.outcome]
        condition = _either((Operation.status,), first)
        for status in rest:
            condition = condition | _either((Operation.status,), status)
        yield condition
    if asked.text:
        fields = (
            Operation.kind,
            Operation.hostname,
            Operation.application_name,
            Operation.actor_name,
            Operation.reason,
        )
        yield _contains((*fields, peewee.Cast(Operation.args, "text")), asked.text)


def _of_audit(asked: Asked) -> Iterator[Any]:
    if asked.kind != "audit":  # operations speak for themselves
        yield Recorded.name.not_in(TOLD)
    if asked.who:
        yield _either((Recorded.actor_id, Recorded.actor_name), asked.who)
    for id in filter(None, (asked.host_id, asked.application_id)):
        yield peewee.fn.instr(peewee.Cast(Recorded.data, "text"), id) > 0
    if asked.action:
        refused = (Recorded.noun == "attempt") & _either((Recorded.subject_id,), asked.action)
        yield _either((Recorded.name,), asked.action) | refused
    if asked.outcome:
        yield Recorded.outcome == asked.outcome
    if asked.text:
        data = (peewee.Cast(each, "text") for each in (Recorded.data, Recorded.before, Recorded.after))
        yield _contains((*data, Recorded.name, Recorded.actor_name, Recorded.address), asked.text)
