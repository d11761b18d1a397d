"""`roci audit`: read the audit trail from the host's own shell, and prove that it is as it was written."""

from __future__ import annotations

import contextlib
import datetime
import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from roci import NotFound, Settings, config_option, core, hookimpl

from .people import say

if TYPE_CHECKING:
    from roci import Roci

    from ..domain.events import Recorded, Where


@contextlib.contextmanager
def _reading(settings: Settings) -> Iterator[Roci]:
    """One view of the server's database, which goes on being written to."""
    from roci import Roci

    if not settings.database.exists():
        raise NotFound(f"there is no database in {settings.data}")
    roci = Roci(settings)
    flatten = core("loading").flatten
    roci.store.prepare(flatten(roci.hook.register_models()), flatten(roci.hook.register_migrations()))
    try:
        with roci.store.db.connection_context(), roci.store.db.atomic():
            yield roci
    finally:
        roci.store.close()


@click.group()
def audit() -> None:
    """What was done and what was refused, by whom."""


@audit.command("verify")
@click.option("--head", "expected", metavar="SEQ:HASH", help="Also check that row SEQ has this seal, noted earlier.")
@config_option
def verify(settings: Settings, expected: str | None) -> None:
    """Prove that no entry was edited, removed or inserted. Exits with 1, and the first that is wrong, else.

    A whole database that was put in the place of another proves itself: note the head that is printed somewhere else,
    and give it back with --head. The key is in secret.key, in the data directory.
    """
    from ..domain import chain, events, keyring

    with _reading(settings) as roci:
        end, ring = events.head(), keyring.of(roci)
        checked = chain.verify(ring.audit_key, end, events.stored_rows(), ring.sealed_from)
        fault = checked.fault or _unexpected(expected)
    if fault:
        click.echo(f"The audit trail is not as it was written. Entry {fault.seq}: {fault.what}", err=True)
        raise SystemExit(1)
    click.echo(f"{checked.rows} entries, all as they were written. Head: {f'{end.seq}:{end.hash}' if end else 'none'}")
    if checked.unsealed:
        covered = "the first one behind them covers them" if end else "nothing proves them yet"
        click.echo(f"{checked.unsealed} of them have no seal of their own, being older than the seals: {covered}")


def _unexpected(expected: str | None) -> Any:
    """What is wrong with a head that was noted earlier."""
    from ..domain import chain, events

    if expected is None:
        return None
    seq, _, seal = expected.partition(":")
    if not seq.isdecimal() or not seal:
        raise click.BadParameter("such as 120:4f1c…, as `roci audit verify` prints it", param_hint="--head")
    rows = events.find([events.Where("seq", int(seq))])
    if rows and rows[0].hash == seal:
        return None
    return chain.Fault(int(seq), "another trail: this entry had another seal when its head was noted")


@audit.command("list")
@click.option("--actor", help="Whose, by id or name.")
@click.option("--action", help="Which event (HostRemoved), or what was refused (hosts.remove).")
@click.option("--outcome", type=click.Choice(["done", "refused", "failed"]), help="How it ended.")
@click.option("--since", type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]), help="From this time on, in UTC.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="How many, the newest.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object to a line, with all there is.")
@config_option
def list_(
    settings: Settings,
    actor: str | None,
    action: str | None,
    outcome: str | None,
    since: datetime.datetime | None,
    limit: int,
    as_json: bool,
) -> None:
    """List what happened, the newest last."""
    from ..domain import events

    asked = {"actor": actor, "action": action, "outcome": outcome}
    where: list[Where] = [events.Where(name, value) for name, value in asked.items() if value is not None]
    if since:
        where.append(events.Where("at", since.replace(tzinfo=datetime.UTC), "gte"))
    with _reading(settings):
        rows = events.find(where, limit)
    _show(list(reversed(rows)), as_json)


def _show(rows: Sequence[Recorded], as_json: bool) -> None:
    from ..domain import events

    for row in rows:
        if as_json:
            values = {name: getattr(row, name) for name in events.COLUMNS} | {"at": row.at.isoformat()}
            click.echo(json.dumps(values))
            continue
        who = f"{row.actor_name}{f' ({row.address})' if row.address else ''}"
        words = " ".join(f"{name}={value}" for name, value in row.data.items() if value not in (None, "", [], {}))
        ended = "" if row.outcome == "done" else f" {row.outcome}"
        say(f"{row.seq:>6}  {row.at:%Y-%m-%d %H:%M:%S}  {who:24} {row.name}{ended}  {words}")


@hookimpl
def register_commands(cli: click.Group) -> None:
    cli.add_command(audit)
