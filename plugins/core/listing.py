"""Which plugins there are, where each comes from, and which hooks it implements."""

from __future__ import annotations

import dataclasses
import importlib.metadata
from collections.abc import Iterator

import pluggy

BUILT_IN = "built-in"


@dataclasses.dataclass(frozen=True)
class Listed:
    """One plugin, as it is shown."""

    name: str
    origin: str
    hooks: list[str]
    is_disabled: bool = False

    @property
    def is_built_in(self) -> bool:
        return self.origin == BUILT_IN


def of(pm: pluggy.PluginManager) -> Iterator[Listed]:
    """Those that are loaded, in the order they are asked."""
    for name, plugin in pm.list_name_plugin():
        if plugin is not None:
            callers = pm.get_hookcallers(plugin) or []
            yield Listed(name, _origin(name, plugin), sorted(caller.name for caller in callers))


def left_out(name: str) -> Listed:
    """One that the settings disable."""
    return Listed(name, _origin(name, None), [], True)


def _origin(name: str, plugin: object) -> str:
    """Built in, a file of the operator's, or the distribution that installed it."""
    for entry in importlib.metadata.entry_points(group="roci"):
        if entry.name == name and entry.dist:
            return f"{entry.dist.name} {entry.dist.version}"
    if name.startswith("local."):
        return str(getattr(plugin, "__file__", "plugins_dir"))
    return BUILT_IN
