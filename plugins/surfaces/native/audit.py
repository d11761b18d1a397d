"""/api/v1/audit: who did what, when, from where; and what was refused. There is nothing here to change it with."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import msgspec
from quart import Blueprint, Response, request
from typing_extensions import TypedDict

from roci import Malformed, Roci

from ...domain import events
from ...domain.events import Recorded, Where
from ...domain.model import wire_time
from ..http import moment, needs, paging, returns, roci, server

routes = Blueprint("audit", __name__, url_prefix="/audit")
EXACT = ("actor", "action", "name", "noun", "subject_id", "operation", "outcome", "via", "address", "realm")
FILTERS = dict.fromkeys((*EXACT, "since", "until", "q", "order", "format"), "string")
FLAT = events.COLUMNS
CHUNK = 500  # rows of an export that are read at a time


class Who(TypedDict):
    id: str
    name: str
    kind: str


class Entry(TypedDict):
    seq: int
    at: str
    name: str
    noun: str
    subject_id: str
    operation: str
    realm: str
    outcome: str
    actor: Who
    via: str
    credential: str
    address: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    data: dict[str, Any]
    hash: str


class Entries(TypedDict):
    entries: list[Entry]
    total: int


@routes.get("")
@needs("audit.read")
@returns(Entries, paged=True, query=FILTERS)
async def index() -> Any:
    """List the audit trail, newest first; 100 entries unless a limit is given. `format` csv or ndjson exports it all.

    `actor` is an id or a name, `action` an event or what was refused, `q` any text in what happened. Times are ISO
    8601: from `since`, up to but not including `until`.
    """
    limit, offset = paging()
    where, descending = _asked(), _choice("order", "desc", "asc") == "desc"
    form = _choice("format", "json", "csv", "ndjson")
    if form != "json":
        return _export(form, where, descending)
    rows, total = await roci.read(events.list_, 100 if limit is None else limit, offset, None, where, descending)
    return {"entries": [_entry(row) for row in rows], "total": total}


@routes.get("/<int:seq>")
@needs("audit.read")
@returns(Entry)
async def show(seq: int) -> Any:
    """Get one entry by its number."""
    return _entry(await roci.read(events.get, min(seq, 2**63 - 1)))


def _choice(name: str, *choices: str) -> str:
    """One of a few words of the query; the first is the default. Raises Malformed."""
    asked = request.args.get(name, choices[0])
    if asked not in choices:
        raise Malformed(f"{name}: one of {', '.join(choices)}")
    return asked


def _asked() -> list[Where]:
    args = request.args
    where = [Where(name, args[name].upper() if name == "operation" else args[name]) for name in EXACT if name in args]
    if args.get("q"):
        where.append(Where("text", args["q"]))
    tests = {"since": "gte", "until": "lt"}
    return where + [Where("at", moment(name, args[name]), test) for name, test in tests.items() if name in args]


def _entry(row: Recorded) -> dict[str, Any]:
    flat = {name: getattr(row, name) for name in FLAT} | {"at": wire_time(row.at)}
    actor = {name: flat.pop(f"actor_{name}") for name in ("id", "name", "kind")}
    return {**flat, "actor": actor}


# --- export ---


def _export(form: str, where: Sequence[Where], descending: bool) -> Response:
    encode, media = (_csv, "text/csv") if form == "csv" else (_lines, "application/x-ndjson")
    pages = _pages(server(), where, descending)
    response = Response(_encoded(pages, encode), content_type=f"{media}; charset=utf-8")
    response.headers["Content-Disposition"] = f"attachment; filename=roci-audit.{form}"
    response.headers["Cache-Control"] = "no-store"
    response.timeout = None
    return response


async def _encoded(
    pages: AsyncIterator[list[Recorded]], encode: Callable[[list[Recorded], bool], bytes]
) -> AsyncIterator[bytes]:
    first = True
    async for rows in pages:
        yield encode(rows, first)
        first = False


async def _pages(roci: Roci, where: Sequence[Where], descending: bool) -> AsyncIterator[list[Recorded]]:
    """All that fits, a chunk at a time: what is added while the export runs is not in it, or only at its end."""
    rows = await roci.read(events.find, where, CHUNK, descending=descending)
    yield rows
    while len(rows) == CHUNK and not roci.draining.is_set():
        on = Where("seq", rows[-1].seq, "lt" if descending else "gt")
        rows = await roci.read(events.find, [*where, on], CHUNK, descending=descending)
        yield rows


def _lines(rows: list[Recorded], first: bool) -> bytes:
    return b"".join(msgspec.json.encode(_entry(row)) + b"\n" for row in rows)


def _csv(rows: list[Recorded], first: bool) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    if first:
        writer.writerow(FLAT)
    writer.writerows([_cell(row, name) for name in FLAT] for row in rows)
    return text.getvalue().encode()


def _cell(row: Recorded, name: str) -> Any:
    value = wire_time(row.at) if name == "at" else getattr(row, name)
    if name in ("before", "after", "data"):
        return "" if value is None else msgspec.json.encode(value).decode()
    # A spreadsheet would run what begins like a formula, and names come from outside.
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
