"""The event log, which is the audit trail: what was emitted, who did it and when, in the transaction it belongs to.

Rows are added and never changed: triggers refuse it, and a chain of seals (see `chain.py`) shows it where somebody
did it all the same. Nothing is ever forgotten. How an event is filed follows from its class: `HostRemoved` is a DELETE
of the host that its first field names. An event says more of itself, where there is more to say, by the attributes
`before` and `after` (what changed), `outcome` (done, refused, failed) and `realm` (an app's id).
"""

from __future__ import annotations

import dataclasses
import datetime
import enum
import functools
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import msgspec
import peewee

from roci import Event, Migration, NotFound, Permission, Roci, Sensitive, hookimpl

from . import chain, keyring
from .model import Json, Utc

log = logging.getLogger("roci.audit")
STAMP = {field.name for field in dataclasses.fields(Event)}  # columns of their own
APART = {"before", "after", "outcome", "realm"}  # these too, where an event has them
VERBS = {
    "INSERT": {"Added", "Issued", "Set", "Made", "Started", "Begun", "Opened", "Created", "LoggedIn", "Fired"},
    "UPDATE": {"Changed", "Moved", "Decided", "Finished", "Disabled", "Enabled", "Renamed", "Rotated", "Reset", "Used"}
    | {"Raised", "Resolved"},
    "DELETE": {"Removed", "Revoked", "Deleted", "Closed", "Ended", "LoggedOut"},
}
OPERATIONS = {verb: operation for operation, verbs in VERBS.items() for verb in verbs}
APPEND_ONLY = """create trigger if not exists recorded_no_{0} before {0} on recorded
begin select raise(abort, 'the audit trail is append-only'); end"""
HOST_OF = "json_extract(data, '$.host_id')"
BY_HOST = f"create index if not exists recorded_host on recorded ({HOST_OF}, seq) where {HOST_OF} <> ''"


class Recorded(peewee.Model):
    """One event. `seq` has no gaps; `hash` seals the row and all before it ('': it is older than the seals)."""

    seq = peewee.AutoField(constraints=[peewee.SQL("autoincrement")])
    at = Utc(index=True)
    name = peewee.TextField(index=True)  # the event's class: HostAdded
    noun = peewee.TextField()  # host
    subject_id = peewee.TextField(index=True)
    operation = peewee.TextField()  # INSERT, UPDATE, DELETE, NONE
    realm = peewee.TextField()
    outcome = peewee.TextField()  # done, refused, failed
    actor_id = peewee.TextField(index=True)
    actor_name = peewee.TextField()
    actor_kind = peewee.TextField()
    via = peewee.TextField()
    credential = peewee.TextField()
    address = peewee.TextField()
    before = Json(null=True)
    after = Json(null=True)
    data = Json()
    hash = peewee.TextField()

    class Meta:
        legacy_table_names = False

    @classmethod
    def create_table(cls, safe: bool = True, **options: Any) -> None:
        super().create_table(safe, **options)
        for change in ("update", "delete"):
            cls._meta.database.execute_sql(APPEND_ONLY.format(change))
        cls._meta.database.execute_sql(BY_HOST)


class RecordedHead(peewee.Model):
    """Where the trail ends: one row."""

    id = peewee.IntegerField(primary_key=True, default=1)
    seq = peewee.IntegerField()
    hash = peewee.TextField()
    mac = peewee.TextField()

    class Meta:
        legacy_table_names = False


COLUMNS = tuple(field.name for field in Recorded._meta.sorted_fields)
SELECT = f"select {', '.join(COLUMNS)} from recorded order by seq"  # noqa: S608  our own names
INSERT = f"insert into recorded ({', '.join(COLUMNS)}) values ({', '.join('?' * len(COLUMNS))})"  # noqa: S608


# --- reading -----------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Where:
    """A condition on a column, or on `actor` (id or name), `host` (whose id the event has), `action` (the event, or
    what was refused) or `text`."""

    column: str
    value: Any
    test: str = "eq"  # eq, neq, contains, gte, lte, lt, gt


def _either(*names: str, contains: bool = False) -> Any:
    def condition(value: Any) -> Any:
        fields = [getattr(Recorded, name) for name in names]
        tests = [_contains(field, value) if contains else field == value for field in fields]
        return functools.reduce(lambda a, b: a | b, tests)

    return condition


def _contains(field: Any, value: Any) -> Any:
    # instr, not LIKE: no wildcards to escape, and it tells capitals apart as = does.
    return peewee.fn.instr(field, str(value)) > 0


SPECIAL = {
    "actor": _either("actor_id", "actor_name"),
    "text": _either("data", "before", "after", contains=True),
    "host": lambda value: peewee.SQL(f"({HOST_OF} <> '' and {HOST_OF} = ?)", [value]),  # the first half is the index's
    "action": lambda value: (Recorded.name == value) | ((Recorded.noun == "attempt") & (Recorded.subject_id == value)),
}
TESTS: Mapping[str, Any] = {
    "eq": lambda field, value: field == value,
    "neq": lambda field, value: field != value,
    "contains": _contains,
    "gte": lambda field, value: field >= value,
    "lte": lambda field, value: field <= value,
    "lt": lambda field, value: field < value,
    "gt": lambda field, value: field > value,
}


def _condition(where: Where) -> Any:
    if where.column in SPECIAL:
        return SPECIAL[where.column](where.value)
    return TESTS[where.test](getattr(Recorded, where.column), where.value)


def _found(where: Sequence[Where]) -> Any:
    return Recorded.select().where(*map(_condition, where)) if where else Recorded.select()


def find(
    where: Sequence[Where] = (), limit: int = 100, offset: int = 0, order_by: str = "seq", descending: bool = True
) -> list[Recorded]:
    """The rows for which all of it holds, by default the newest first."""
    fields = [getattr(Recorded, order_by), *([Recorded.seq] if order_by != "seq" else [])]
    order = [field.desc() if descending else field for field in fields]
    return list(_found(where).order_by(*order).limit(limit).offset(offset))


def list_(
    limit: int = 100,
    offset: int = 0,
    name: str | None = None,
    where: Sequence[Where] = (),
    descending: bool = True,
) -> tuple[list[Recorded], int]:
    """The same by pages, and how many there are in all. `name` narrows to one kind of event."""
    where = [*where, *([Where("name", name)] if name is not None else [])]
    return find(where, limit, offset, descending=descending), _found(where).count()


def get(seq: int) -> Recorded:
    row: Recorded | None = Recorded.get_or_none(Recorded.seq == seq)
    if row is None:
        raise NotFound("Audit entry not found")
    return row


def stored_rows() -> Iterator[tuple[Any, ...]]:
    """Every row as the table has it, the oldest first, one at a time."""
    cursor = Recorded._meta.database.cursor()
    cursor.arraysize = 1000
    return iter(cursor.execute(SELECT))


def head() -> chain.Head | None:
    found: RecordedHead | None = RecordedHead.get_or_none()
    return chain.Head(found.seq, found.hash, found.mac) if found else None


# --- filing ------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Filing:
    """How a kind of event is filed."""

    name: str
    noun: str
    operation: str
    subject: str | None
    fields: tuple[str, ...]


@functools.cache
def filing(kind: Any) -> Filing:
    fields = [field.name for field in dataclasses.fields(kind) if field.name not in STAMP | APART]
    noun, operation = filed(kind.__name__)
    return Filing(kind.__name__, noun, operation, fields[0] if fields else None, tuple(sorted(fields)))


@functools.cache
def filed(name: str) -> tuple[str, str]:
    """The noun and the operation in an event's name: HostAdded is an INSERT of a host."""
    if name in OPERATIONS:
        return "login", OPERATIONS[name]
    *words, verb = re.findall(r"[A-Z][a-z0-9]*", name) or [name]
    return "_".join(words).lower() or verb.lower(), OPERATIONS.get(verb, "NONE")


def _plain(value: Any) -> Any:
    """A value as JSON has it. A secret never is."""
    if isinstance(value, Sensitive):
        return "[hidden]"
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, set | frozenset):
        return sorted(map(str, value))
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value)


def _json(value: Any) -> str | None:
    return None if value is None else msgspec.json.encode(_plain(value)).decode()


_moment = Utc().db_value


def _row(event: Event) -> tuple[Any, ...]:
    """An event as the columns between its number and its seal."""
    kind, actor = filing(cast(Any, type(event))), event.actor
    before, after = getattr(event, "before", None), getattr(event, "after", None)
    again = kind.operation == "INSERT" and before is not None  # what was set before is set anew
    return (
        _moment(event.at),
        kind.name,
        kind.noun,
        str(getattr(event, kind.subject)) if kind.subject else "",
        "UPDATE" if again else kind.operation,
        getattr(event, "realm", "core"),
        getattr(event, "outcome", "done"),
        actor.id,
        actor.name,
        actor.kind,
        actor.via,
        actor.credential,
        actor.address,
        _json(before),
        _json(after),
        _json({name: getattr(event, name) for name in kind.fields}),
    )


# --- sealing -----------------------------------------------------------------


def _end(cursor: Any, key: bytes, begun: bool) -> tuple[int, str]:
    """The last row's number and seal, read in the transaction: the command line writes beside the server."""
    last = cursor.execute("select max(seq) from recorded").fetchone()[0] or 0
    kept = cursor.execute("select seq, hash, mac from recorded_head").fetchone()
    if kept is None and not begun:
        if not last:
            return 0, chain.START
        if cursor.execute("select 1 from recorded where hash <> '' limit 1").fetchone() is None:
            return last, _first_seal(cursor, key)
    elif kept is not None and chain.holds(key, end := chain.Head(*kept)):
        return max(last, end.seq), end.hash
    log.error("the audit trail does not end where it did: it is sealed anew; see `roci audit verify`")
    return max(last, kept[0] if kept and isinstance(kept[0], int) else 0), chain.BROKEN


def _first_seal(cursor: Any, key: bytes) -> str:
    """One seal over all rows that are older than the seals."""
    previous = chain.START
    for row in cursor.execute(SELECT):
        previous = chain.seal(key, previous, row[:-1])
    return previous


def append(key: bytes, events: Sequence[Event], begun: bool = False) -> None:
    """Add events to the trail, inside a write. `begun`: it is known to have seals, so that without a head it is broken.

    Plain statements: every change passes here, and peewee is slow.
    """
    cursor = Recorded._meta.database.cursor()
    seq, previous = _end(cursor, key, begun)
    rows = []
    for event in events:
        seq += 1
        values = (seq, *_row(event))
        previous = chain.seal(key, previous, values)
        rows.append((*values, previous))
    cursor.executemany(INSERT, rows)
    end = chain.head(key, seq, previous)
    cursor.execute(
        "insert or replace into recorded_head (id, seq, hash, mac) values (1, ?, ?, ?)", dataclasses.astuple(end)
    )


def _note_seals(ring: keyring.Keyring) -> None:
    """Note that the trail has seals, once some were committed: before that, a write that fails would take them back."""
    end = head()
    if end is None or not chain.holds(ring.audit_key, end):
        return
    sealed = Recorded.select(Recorded.seq).where(Recorded.hash != "").order_by(Recorded.seq).first()
    try:
        ring.note_seals(sealed.seq if sealed else 1)
    except OSError as error:
        log.warning("cannot note in %s that the audit trail has seals: %s", ring.path, error.strerror)


# --- migrations --------------------------------------------------------------

SEALED = """create table recorded (
seq integer not null primary key autoincrement, at text not null, name text not null, noun text not null,
subject_id text not null, operation text not null, realm text not null, outcome text not null, actor_id text not null,
actor_name text not null, actor_kind text not null, via text not null, credential text not null, address text not null,
before text, after text, data text not null, hash text not null)"""


def _number_and_file(db: peewee.SqliteDatabase) -> None:
    """Rows get numbers and are filed as later ones are. They have no seals; the first one to come covers them too."""
    if "recorded" not in db.get_tables():
        return
    cursor = cast(Any, db).cursor()
    cursor.execute("alter table recorded rename to recorded_unsealed")
    indexes = (
        "select name from sqlite_master where type = 'index' and tbl_name = 'recorded_unsealed' and sql is not null"
    )
    for (index,) in cursor.execute(indexes).fetchall():
        cursor.execute(f'drop index "{index}"')
    cursor.execute(SEALED)
    old = "select at, name, actor_id, actor_name, actor_kind, via, data from recorded_unsealed order by at, rowid"
    rows = cast(Any, db).cursor().execute(old)
    cursor.executemany(INSERT, (_numbered(seq, *row) for seq, row in enumerate(rows, 1)))
    cursor.execute("drop table recorded_unsealed")


def _numbered(seq: int, at: str, name: str, id: str, actor: str, kind: str, via: str, data: str) -> tuple[Any, ...]:
    noun, operation = filed(name)
    subject = msgspec.json.decode(data).get(f"{'principal' if noun == 'login' else noun}_id", "")
    return seq, at, name, noun, subject, operation, "core", "done", id, actor, kind, via, "", "", None, None, data, ""


@hookimpl
def register_models() -> list[type[peewee.Model]]:
    return [Recorded, RecordedHead]


@hookimpl
def register_migrations() -> list[Migration]:
    return [Migration("events_0001_number_and_seal", _number_and_file)]


@hookimpl
def register_permissions() -> list[Permission]:
    return [Permission("audit.read", "read the audit trail")]


@hookimpl
def before_commit(roci: Roci, events: Sequence[Event]) -> None:
    ring = keyring.of(roci)
    if ring.sealed_from is None:
        _note_seals(ring)
    append(ring.audit_key, events, ring.sealed_from is not None)
