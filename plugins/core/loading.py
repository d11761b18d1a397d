"""Finding and loading plugins. Whatever is wrong with one refuses the start and names it."""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import logging
import os
import sys
import types
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import pluggy

from roci import Hooks, Settings, StartupError

T = TypeVar("T")
log = logging.getLogger("roci.plugins")


def load(settings: Settings, extra: Iterable[Any] = (), only: Sequence[str] | None = None) -> pluggy.PluginManager:
    """Built-in plugins first, then installed ones, then the operator's own files, then `extra`.

    `only` narrows the built-in ones: an agent and the command line need few. Anything wrong raises
    StartupError and names the plugin.
    """
    builtin = importlib.import_module("roci_plugins")
    pm = pluggy.PluginManager("roci")
    pm.add_hookspecs(Hooks)
    known = set(builtin.ESSENTIAL) | set(builtin.DEFAULT)
    for name in settings.disable:
        if name in builtin.ESSENTIAL:
            raise StartupError(f"disable: {name} is essential and cannot be left out")
        pm.set_blocked(name)
    for name in only if only is not None else (*builtin.ESSENTIAL, *builtin.DEFAULT):
        if not pm.is_blocked(name):
            _register(pm, name, functools.partial(importlib.import_module, f"roci_plugins.{name}"))
    for entry in importlib.metadata.entry_points(group="roci"):
        known.add(entry.name)
        if not pm.is_blocked(entry.name):
            _register(pm, entry.name, entry.load)
    for stem in _local_plugins(settings):
        known.add(f"local.{stem}")
        if not pm.is_blocked(f"local.{stem}"):
            _register(pm, f"local.{stem}", functools.partial(importlib.import_module, f"roci_local.{stem}"))
    for plugin in extra:
        _register(pm, getattr(plugin, "__name__", type(plugin).__name__), functools.partial(_itself, plugin))
    if unknown := set(settings.disable) - known:
        raise StartupError(f"disable: there is no plugin named {', '.join(sorted(unknown))}")
    if os.environ.get("ROCI_TRACE"):
        pm.trace.root.setwriter(lambda text: log.info("%s", text.rstrip()))
        pm.enable_tracing()
    return pm


def _itself(plugin: Any) -> Any:
    return plugin


def _local_plugins(settings: Settings) -> list[str]:
    """The operator's own files, importable under a name of their own: email.py must not shadow email."""
    if not settings.plugins_dir:
        return []
    folder = Path(settings.plugins_dir).expanduser()
    if not folder.is_dir():
        raise StartupError(f"plugins_dir: {folder} is not a folder")
    for name in [name for name in sys.modules if name.startswith("roci_local.")]:
        del sys.modules[name]  # another Roci in this process had another folder
    local = types.ModuleType("roci_local")
    local.__path__ = [str(folder)]
    sys.modules["roci_local"] = local
    found = sorted(folder.glob("[!_.]*"))
    return [path.stem for path in found if path.suffix == ".py" or (path / "__init__.py").exists()]


def _register(pm: pluggy.PluginManager, name: str, load: Callable[[], Any]) -> None:
    try:
        plugin = load()
        if brought := getattr(plugin, "register_hookspecs", None):
            pm.add_hookspecs(brought())
        pm.register(plugin, name)
        pm.check_pending()
    except StartupError:
        raise
    except Exception as error:
        log.debug("plugin %s", name, exc_info=True)
        raise StartupError(f"the plugin {name} cannot be loaded: {type(error).__name__}: {error}") from error


def flatten(results: list[Iterable[T]]) -> list[T]:
    """The items of every result, in plugin order: pluggy asks the last registered first."""
    return [item for result in reversed(results) for item in result]


def by_name(kind: str, results: list[Iterable[T]]) -> dict[str, T]:
    """What plugins registered, by name. Two of one name: StartupError."""
    found: dict[str, T] = {}
    for thing in flatten(results):
        if (name := cast(Any, thing).name) in found:
            raise StartupError(f"two plugins register a {kind} named {name!r}")
        found[name] = thing
    return found
