"""`roci secret`: stored secrets and the key that seals them, from the host's own shell, server or no server."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from roci import Actor, Invalid, NotFound, Roci, Sensitive, Settings, config_option, core, current_actor, hookimpl

from .people import printable

if TYPE_CHECKING:
    from ..domain.keyring import Keyring

SHELL = Actor("shell", "the host's shell", "system", via="shell")
scope_option = click.option(
    "--scope", default="platform", show_default=True, help="platform, space/NAME, app/ID or application/NAME."
)


@hookimpl
def register_commands(cli: click.Group) -> None:
    cli.add_command(secret)


@contextlib.contextmanager
def _opened(settings: Settings) -> Iterator[tuple[Roci, Keyring]]:
    """The server's database, made first where there is none, and its keyring."""
    from ..domain import keyring

    roci = Roci(settings)
    flatten = core("loading").flatten
    roci.store.prepare(flatten(roci.hook.register_models()), flatten(roci.hook.register_migrations()))
    before = current_actor.set(SHELL)
    try:
        yield roci, keyring.of(roci)
    finally:
        current_actor.reset(before)
        roci.store.close()


def _scope(text: str) -> str:
    """As it is stored: applications by their id. Raises NotFound without an owner, and for internal ones."""
    from ..domain import applications, secrets, spaces

    if secrets.is_internal(text):
        raise NotFound(f"there are no secrets in {text}")
    secrets.check_scope(text)
    kind, _, name = text.partition("/")
    if kind == "space":
        spaces.get(name)
    if kind != "application":
        return text
    found = [row.id for row in applications.all_() if name in (row.id, row.name)]
    if not found:
        raise NotFound(f"there is no application {name!r}")
    return f"application/{found[0]}"


def _ask_value() -> Sensitive:
    """From the terminal, or all of standard input but its last line's end. Never from the command line."""
    if sys.stdin.isatty():
        return Sensitive(click.prompt("Value", hide_input=True, confirmation_prompt=True))
    try:
        text = sys.stdin.buffer.read().decode()
    except UnicodeDecodeError:
        raise Invalid("the value is not text") from None
    return Sensitive(text.removesuffix("\n").removesuffix("\r"))


@click.group()
def secret() -> None:
    """Secrets: values that ROCI keeps encrypted."""


@secret.command("list")
@click.option("--scope", default=None, help="Only those of this scope.")
@config_option
def list_secrets(settings: Settings, scope: str | None) -> None:
    """List the database's secrets, without their values."""
    from ..domain import applications, secrets

    with _opened(settings) as (roci, _), roci.store.transaction():
        names = {f"application/{row.id}": f"application/{row.name}" for row in applications.all_()}
        for row in secrets.list_(_scope(scope) if scope else None):
            if not secrets.is_internal(row.scope):
                cells = (names.get(row.scope, row.scope), row.name, f"{row.updated_at:%Y-%m-%d}", row.description)
                click.echo("\t".join(map(printable, cells)))


@secret.command("set")
@click.argument("name")
@scope_option
@click.option("--description", help="What it is for.")
@config_option
def set_secret(settings: Settings, name: str, scope: str, description: str | None) -> None:
    """Set a secret. The value is asked for, or read from standard input."""
    from ..domain import secrets

    value = _ask_value()
    with _opened(settings) as (roci, ring), roci.store.transaction():
        secrets.put(ring, _scope(scope), name, value, description)
    click.echo(f"{name} is set", err=True)


@secret.command("remove")
@click.argument("name")
@scope_option
@config_option
def remove_secret(settings: Settings, name: str, scope: str) -> None:
    """Remove a secret."""
    from ..domain import secrets

    with _opened(settings) as (roci, _), roci.store.transaction():
        secrets.remove(_scope(scope), name)
    click.echo(f"{name} is removed", err=True)


@secret.command("rotate")
@config_option
def rotate(settings: Settings) -> None:
    """Make a new key and seal every secret with it, while the server runs or not.

    When it is interrupted, the next one, or the next start of the server, finishes it.
    """
    from ..domain import secrets

    with _opened(settings) as (roci, ring):
        with roci.store.transaction():
            secrets.check_keys(ring)
        new, count = ring.turn(), 0
        while done := _in_transaction(roci, secrets.reseal, ring):
            count += done
        dropped = _in_transaction(roci, secrets.drop_keys, ring)
        left = len(ring.read().keys) - 1
    click.echo(f"{count} secrets are sealed with the new key {new}; {len(dropped)} old keys are dropped.")
    if left:
        click.echo("An old key is kept for the backup that is being made; the next start drops it.", err=True)


def _in_transaction(roci: Roci, fn: Any, *args: Any) -> Any:
    with roci.store.transaction():
        return fn(*args)


@secret.command("forget")
@click.option("--yes", is_flag=True, help="Do not ask.")
@config_option
def forget(settings: Settings, yes: bool) -> None:
    """Give up the secrets whose key is lost, so that the server starts again.

    Nothing can open them any more; a backup of the key file can. What they were for must be set up anew.
    """
    from ..domain import keyring, secrets

    with _opened(settings) as (roci, ring):
        keys = set(keyring.load(ring.path).keys) if ring.path.exists() else set()
        with roci.store.transaction():
            lost = [f"{row.scope}/{row.name}" for row in secrets.list_() if row.key_id not in keys]
        if not lost:
            click.echo("Every secret has its key: there is nothing to give up.")
            return
        click.echo("\n".join(lost))
        if not yes:
            click.confirm(f"Give up these {len(lost)} secrets for good?", abort=True)
        if not keys:
            ring.make()
        forgotten = _in_transaction(roci, secrets.forget, ring)
    click.echo(
        f"{len(forgotten)} secrets are forgotten. What used them needs new ones: sign-ins, one-time codes, keys."
    )
