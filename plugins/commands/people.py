"""`roci user` and `roci token`: people and tokens from the host's own shell, while the server runs or not."""

from __future__ import annotations

import contextlib
import datetime
import sys
from collections.abc import Iterator
from typing import Any

import click

from roci import Actor, Settings, config_option, core, current_actor, hookimpl, now

SHELL = Actor("shell", "the host's shell", "system", via="shell")


@hookimpl
def register_commands(cli: click.Group) -> None:
    cli.add_command(user)
    cli.add_command(token)


@contextlib.contextmanager
def transaction(settings: Settings) -> Iterator[None]:
    """One transaction on the server's database, made first where there is none."""
    from roci import Roci

    roci = Roci(settings)
    flatten = core("loading").flatten
    roci.store.prepare(flatten(roci.hook.register_models()), flatten(roci.hook.register_migrations()))
    before = current_actor.set(SHELL)
    try:
        with roci.store.transaction():
            yield
    finally:
        current_actor.reset(before)
        roci.store.close()


def printable(text: str) -> str:
    """Names and descriptions come from outside: they do not get to move the cursor."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def say(line: str) -> None:
    """Print one line, whatever is in it."""
    click.echo(printable(line))


def _ask_password() -> Any:
    """From the terminal, twice; or the first line of standard input. Never from the command line, which others see."""
    from ..auth import passwords

    if sys.stdin.isatty():
        text = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    else:
        text = sys.stdin.readline().rstrip("\n")
    passwords.check(text)
    return passwords.hashed(text)


@click.group()
def user() -> None:
    """People who may sign in."""


@user.command("add")
@click.argument("name")
@click.option("--email", default="", help="Where they can be reached.")
@click.option("--administrator", is_flag=True, help="May do everything: --role admin.")
@click.option("--role", "named", multiple=True, metavar="ROLE", help="May do what this role grants. May be repeated.")
@config_option
def add_user(settings: Settings, name: str, email: str, administrator: bool, named: tuple[str, ...]) -> None:
    """Add a person. The password is asked for, or read from standard input.

    Without a role they may sign in and see who they are, no more. `roci role list` names the roles.
    """
    from ..domain import access, principals

    hashed = _ask_password()
    with transaction(settings):
        new = principals.NewPrincipal(name, email=email, password_hash=hashed)
        (access.add_administrator if administrator else principals.add)(new)
        access.seed()
        for role in dict.fromkeys(named):
            access.bind(name, role)
    click.echo(f"{name} may sign in", err=True)


@user.command("list")
@config_option
def list_users(settings: Settings) -> None:
    """List everybody, services too."""
    from ..domain import principals

    with transaction(settings):
        for row in principals.all_():
            words = [
                row.kind,
                *(["administrator"] if row.administrator else []),
                *(["disabled"] if row.disabled else []),
            ]
            say(f"{row.name:30} {', '.join(words)}")


@user.command("password")
@click.argument("name")
@config_option
def set_password(settings: Settings, name: str) -> None:
    """Set a password anew. It ends every stay of that person."""
    from ..domain import principals

    hashed = _ask_password()
    with transaction(settings):
        principals.set_password(principals.by_name(name).id, hashed)
    click.echo(f"{name} has a new password", err=True)


@user.command("disable")
@click.argument("name")
@click.option("--undo", is_flag=True, help="Let them in again.")
@config_option
def disable_user(settings: Settings, name: str, undo: bool) -> None:
    """Keep somebody out, and every token of theirs."""
    from ..domain import principals

    with transaction(settings):
        (principals.enable if undo else principals.disable)(principals.by_name(name).id)
    click.echo(f"{name} is {'enabled' if undo else 'disabled'}", err=True)


@user.command("enable")
@click.argument("name")
@config_option
def enable_user(settings: Settings, name: str) -> None:
    """Let somebody in again who was kept out."""
    from ..domain import principals

    with transaction(settings):
        principals.enable(principals.by_name(name).id)
    click.echo(f"{name} is enabled", err=True)


@user.command("reset-factors")
@click.argument("name")
@config_option
def reset_factors(settings: Settings, name: str) -> None:
    """Take somebody's second factors away, for who lost the phone and the recovery codes. It ends their logins."""
    from ..domain import factors, principals

    with transaction(settings):
        factors.reset(principals.by_name(name).id)
    click.echo(f"{name} signs in with the password alone, until new factors are set up", err=True)


@user.command("remove")
@click.argument("name")
@config_option
def remove_user(settings: Settings, name: str) -> None:
    """Remove somebody, with every token of theirs. What they did stays recorded."""
    from ..domain import principals

    with transaction(settings):
        principals.remove(principals.by_name(name).id)
    click.echo(f"{name} is removed", err=True)


@click.group()
def token() -> None:
    """API tokens, for scripts and services."""


@token.command("create")
@click.argument("name")
@click.option("--user", "owner", help="Whose rights it has (default: a service of the token's name).")
@click.option("--expires", type=click.IntRange(1, 36500), metavar="DAYS", help="Days until it stops working.")
@click.option("--scope", "scopes", multiple=True, help="Narrow it to permissions: 'applications.*'. May be repeated.")
@config_option
def create_token(
    settings: Settings, name: str, owner: str | None, expires: int | None, scopes: tuple[str, ...]
) -> None:
    """Make a token and print it, this once.

    Without --user it belongs to who is called NAME; to a new service, where nobody is, which may do everything that
    --scope does not exclude: whoever has this shell could do so anyway.
    """
    from ..domain import access, credentials, principals

    with transaction(settings):
        if owner:
            whose = principals.by_name(owner)
        else:
            service = principals.NewPrincipal(name, kind="service")
            whose = principals.find(name) or access.add_administrator(service)
        until = now() + datetime.timedelta(days=expires) if expires else None
        row, secret = credentials.issue(whose.id, name, list(scopes) or None, until)
        token_id = row.id
    click.echo(str(secret))
    click.echo(f"token {name} ({token_id}); it is not shown again", err=True)


@token.command("list")
@config_option
def list_tokens(settings: Settings) -> None:
    """List tokens, without what they are."""
    from ..domain import credentials

    with transaction(settings):
        for row in credentials.tokens():
            state = (
                "revoked" if row.revoked_at else "expired" if row.expires_at and row.expires_at <= now() else "valid"
            )
            used = row.last_used_at.date().isoformat() if row.last_used_at else "never"
            scopes = " ".join(row.scopes) if row.scopes is not None else "all rights"
            say(f"{row.id}  {row.name:24} {row.principal.name:24} {state:8} last used {used}  {scopes}")


@token.command("revoke")
@click.argument("name")
@config_option
def revoke_token(settings: Settings, name: str) -> None:
    """Revoke a token, by its id or its name. A running server notices within seconds."""
    from ..domain import credentials

    with transaction(settings):
        found = [row for row in credentials.tokens() if name in (row.id, row.name) and row.revoked_at is None]
        if not found:
            raise click.ClickException(f"no valid token is named {name}")
        if len(found) > 1:
            raise click.ClickException(f"several tokens are named {name}: give an id, as `roci token list` tells it")
        credentials.revoke(found[0].id)
    click.echo(f"{name} is revoked", err=True)
