"""`roci plugins`: which plugins there are, where each comes from, and which hooks it implements."""

from __future__ import annotations

import importlib

import click

from roci import Settings, config_option, core, hookimpl

from ..core import listing
from ..core.listing import Listed


def listed(settings: Settings) -> list[Listed]:
    """The server's plugins in the order they are asked, then those of the command line, then the disabled ones."""
    builtin, load = importlib.import_module("roci_plugins"), core("loading").load
    server = load(settings)
    found = {plugin.name: plugin for plugin in listing.of(server)}
    for plugin in listing.of(load(settings, only=builtin.COMMANDS)):
        found.setdefault(plugin.name, plugin)
    return [*found.values(), *map(listing.left_out, settings.disable)]


@click.command
@config_option
def plugins(settings: Settings) -> None:
    """List the plugins in the order they are asked."""
    everything = listed(settings)
    width = max((len(plugin.name) for plugin in everything), default=0)
    origins = max((len(plugin.origin) for plugin in everything), default=0)
    for plugin in everything:
        rest = "disabled" if plugin.is_disabled else ", ".join(plugin.hooks)
        click.echo(f"{plugin.name:<{width}}  {plugin.origin:<{origins}}  {rest}".rstrip())


@hookimpl
def register_commands(cli: click.Group) -> None:
    cli.add_command(plugins)
