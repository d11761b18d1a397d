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
    installed = _installed()
    for name, plugin in pm.list_name_plugin():
        if plugin is not None:
            callers = pm.get_hookcallers(plugin) or []
            yield Listed(name, _origin(name, plugin, installed), sorted(caller.name for caller in callers))


def left_out(name: str) -> Listed:
    """One that the settings disable."""
    return Listed(name, _origin(name, None, _installed()), [], True)


def _origin(name: str, plugin: object, installed: dict[str, str]) -> str:
    """Built in, a file of the operator's, or the distribution that installed it."""
    if name in installed:
        return installed[name]
    if name.startswith("local."):
        return str(getattr(plugin, "__file__", "plugins_dir"))
    return BUILT_IN


def _installed() -> dict[str, str]:
    """Distributions by the name of their plugin. Looking for them reads many files."""
    entries = importlib.metadata.entry_points(group="roci")
    return {entry.name: f"{entry.dist.name} {entry.dist.version}" for entry in entries if entry.dist}
