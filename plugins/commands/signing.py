"""`roci token rotate-keys`: new keys for the tokens that people are given when they sign in."""

from __future__ import annotations

import click

from roci import Roci, Settings, config_option, core, current_actor, hookimpl

from . import people


@click.command("rotate-keys")
@click.option("--forget-old", is_flag=True, help="Refuse at once what the last keys signed: everybody signs in again.")
@config_option
def rotate_keys(settings: Settings, forget_old: bool) -> None:
    """Sign with new keys, for the dialects whose tokens are signed (Raworc, RootCX, ChatOps).

    What was signed before stays good until it expires, unless --forget-old is given, or the keys are rotated once more.
    A running server notices within seconds. API tokens and browsers' sign-ins have no such key.
    """
    from ..domain import keyring, signing

    roci = Roci(settings)
    flatten = core("loading").flatten
    roci.store.prepare(flatten(roci.hook.register_models()), flatten(roci.hook.register_migrations()))
    before = current_actor.set(people.SHELL)
    try:
        with roci.store.transaction():
            signing.rotate(keyring.of(roci), forget_old)
    finally:
        current_actor.reset(before)
        roci.store.close()
    click.echo("tokens are signed with new keys" + ("; the old ones are refused" if forget_old else ""), err=True)


@hookimpl(trylast=True)  # into a group that another plugin brings
def register_commands(cli: click.Group) -> None:
    people.token.add_command(rotate_keys)
