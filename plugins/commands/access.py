"""`roci role` and `roci access`: who may do what, and why, from the host's own shell, while the server runs or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from roci import Settings, config_option, hookimpl

from .people import say, transaction

if TYPE_CHECKING:
    from ..domain.access import Source
    from ..domain.roles import Binding

space_option = click.option("--space", metavar="SPACE", help="In this space only (default: everywhere).")


@hookimpl
def register_commands(cli: click.Group) -> None:
    cli.add_command(role)
    cli.add_command(access_group)


@click.group()
def role() -> None:
    """Roles, and who has them.

    A role grants actions on resources: `hosts.*` on `*`. Whoever has it, everywhere or in one space, may do that.
    Nothing is allowed that no role grants.
    """


@role.command("list")
@config_option
def list_roles(settings: Settings) -> None:
    """List roles, with what they inherit from and how many have them."""
    from ..domain import access, roles

    with transaction(settings):
        access.seed()
        bound = [row.role for row in roles.bindings()]
        for row in sorted(roles.all_(), key=lambda row: row.name):
            words = [f"{bound.count(row.name)} bound", *(["built in"] if row.built_in else [])]
            words += [f"inherits {', '.join(row.inherits)}"] if row.inherits else []
            say(f"{row.name:24} {'; '.join(words):32} {row.description or ''}".rstrip())


@role.command("show")
@click.argument("name")
@config_option
def show_role(settings: Settings, name: str) -> None:
    """Show what a role grants, inherited rules included, and who has it."""
    from ..domain import access, roles

    with transaction(settings):
        access.seed()
        row = roles.get(name)
        say(f"{row.name}: {row.description or 'no description'}")
        for rule in access.effective_rules([name]):
            inherited = "" if rule in row.grants else "  (inherited)"
            say(f"  may {rule.action} on {rule.resource}{inherited}")
        for binding in reversed(roles.bindings()):
            if binding.role == name:
                say(f"  bound to {binding.subject} {_where(binding)}")


@role.command("grant")
@click.argument("name")
@click.argument("to")
@space_option
@config_option
def grant_role(settings: Settings, name: str, to: str, space: str | None) -> None:
    """Give a role to somebody: `roci role grant admin ann`. A running server notices within seconds."""
    from ..domain import access, principals

    with transaction(settings):
        access.seed()
        binding = access.bind(principals.by_name(to).name, name, space)
        said = f"{binding.subject} has the role {name} {_where(binding)}"
    click.echo(said, err=True)


@role.command("revoke")
@click.argument("name")
@click.argument("subject", metavar="FROM")
@space_option
@config_option
def revoke_role(settings: Settings, name: str, subject: str, space: str | None) -> None:
    """Take a role back from somebody. The last administrator keeps theirs."""
    from ..domain import access, roles

    with transaction(settings):
        binding = roles.find_binding(subject, name, space)
        if binding is None:
            where = f"in the space {space}" if space else "everywhere"
            raise click.ClickException(f"{subject} does not have the role {name} {where}")
        access.unbind(binding.id)
        said = f"{binding.subject} has the role {name} no more {_where(binding)}"
    click.echo(said, err=True)


def _where(binding: Binding) -> str:
    return f"in the space {binding.space}" if binding.space else "everywhere"


@click.group("access")
def access_group() -> None:
    """Why somebody may do something, or may not."""


@access_group.command("explain")
@click.argument("name")
@click.argument("action")
@click.argument("resource", default="")
@config_option
@click.pass_context
def explain(context: click.Context, settings: Settings, name: str, action: str, resource: str) -> None:
    """Say whether NAME may do ACTION on RESOURCE (default: on the whole of ROCI), and why.

    \b
        roci access explain ann hosts.decide
        roci access explain backup secrets.read-values space/default

    Ends with 0 for yes and with 3 for no. An API token can be for less than its owner may do: `roci token list`.
    """
    from ..domain import access, principals

    with transaction(settings):
        found = access.explain(principals.by_name(name), action, resource)
        say(f"{'yes' if found.allowed else 'no'}: {found.why}")
        for heading, sources in (("allowed by", found.because), ("not enough", found.nearly)):
            for source in sources:
                say(f"  {heading}: {_origin(source)}")
    context.exit(0 if found.allowed else 3)


def _origin(source: Source) -> str:
    grant, bound = source.grant, source.binding
    through = "" if source.role == bound.role else f", inherited by {bound.role}"
    where = f" in the space {grant.space}" if grant.space else ""
    return f"{grant.action} on {grant.resource}{where}, from the role {source.role}{through}"
