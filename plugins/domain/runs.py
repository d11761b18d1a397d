"""What CI systems did, run by run: operations that name the same run belong together."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterable, Mapping
from typing import Any, cast

import peewee

from .operations import Operation

MOST = 2000  # operations of one page of runs
WITHOUT = (Operation.output, Operation.result)


@dataclasses.dataclass(frozen=True)
class Run:
    """Its operations, the oldest first; `context` is what the client said of it."""

    id: str
    context: Mapping[str, Any]
    operations: list[Operation]

    @property
    def begun(self) -> datetime.datetime:
        begun: datetime.datetime = self.operations[0].created_at
        return begun

    @property
    def ended(self) -> datetime.datetime | None:
        """None: something of it runs."""
        ends = [row.finished_at for row in self.operations]
        return None if None in ends else max(ends)

    @property
    def status(self) -> str:
        """running, succeeded, or failed where any of it did not succeed."""
        found = {row.status for row in self.operations}
        return "running" if "running" in found else "succeeded" if found == {"succeeded"} else "failed"


def list_(limit: int, offset: int = 0, credential: str | None = None) -> tuple[list[Run], int]:
    """The newest first, and how many there are; `credential`: those in which this key was used."""
    named = Operation.select(Operation.run_id).where(Operation.run_id.is_null(False))
    if credential is not None:
        named = named.where(Operation.credential == credential)
    newest = named.group_by(Operation.run_id).order_by(peewee.fn.max(Operation.created_at).desc(), Operation.run_id)
    ids = [run_id for (run_id,) in cast(Iterable[tuple[str]], newest.limit(limit).offset(offset).tuples())]
    return _runs(ids), named.distinct().count()


def _runs(ids: list[str]) -> list[Run]:
    fields = [field for field in Operation._meta.sorted_fields if field not in WITHOUT]
    rows = Operation.select(*fields).where(Operation.run_id.in_(ids)).order_by(Operation.created_at, Operation.id)
    of: dict[str, list[Operation]] = {}
    for row in rows.limit(MOST):
        of.setdefault(str(row.run_id), []).append(row)
    return [Run(id, _context(of[id]), of[id]) for id in ids if id in of]


def _context(rows: list[Operation]) -> dict[str, Any]:
    """What was said last of each."""
    found: dict[str, Any] = {}
    for row in rows:
        found |= row.run_context or {}
    return found
