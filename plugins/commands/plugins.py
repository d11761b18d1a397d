"""`roci plugins`: which plugins there are, where each comes from, and which hooks it implements."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.metadata
from collections.abc import Iterator

import click
import pluggy

from roci import Settings, config_option, core, hookimpl


@dataclasses.dataclass(frozen=True)
class Listed:
    """One plugin, as it is shown."""

    name: str
    origin: str
    hooks: list[str]
    is_disabled: bool = False


def listed(settings: Settings) -> list[Listed]:
    """The server's plugins in the order they are asked, then those of the command line, then the disabled ones."""
    builtin, load = importlib.import_module("roci_plugins"), core("loading").load
    server = load(settings)
    found = {plugin.name: plugin for plugin in _of(server)}
    for plugin in _of(load(settings, only=builtin.COMMANDS)):
        found.setdefault(plugin.name, plugin)
    return [*found.values(), *(Listed(name, _origin(name, None), [], True) for name in settings.disable)]


def _of(pm: pluggy.PluginManager) -> Iterator[Listed]:
    for name, plugin in pm.list_name_plugin():
        if plugin is not None:
            callers = pm.get_hookcallers(plugin) or []
            yield Listed(name, _origin(name, plugin), sorted(caller.name for caller in callers))


def _origin(name: str, plugin: object) -> str:
    """Built in, a file of the operator's, or the distribution that installed it."""
    for entry in importlib.metadata.entry_points(group="roci"):
        if entry.name == name and entry.dist:
            return f"{entry.dist.name} {entry.dist.version}"
    if name.startswith("local."):
        return str(getattr(plugin, "__file__", "plugins_dir"))
    return "built-in"


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
