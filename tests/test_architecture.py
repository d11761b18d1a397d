"""Imports go down, hooks go up; files and functions stay readable; what is registered is described."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from quart import Quart

import roci as spine
import roci_plugins
from roci import Roci

ROOT = Path(__file__).parent.parent
PLUGINS = sorted((ROOT / "plugins").rglob("*.py"))

# layer: the layers it may import from, besides itself and roci
BELOW: dict[str, set[str]] = {
    "core": set(),
    "domain": set(),
    "facts": set(),
    "matchers": set(),
    "backends": set(),
    "secretstores": set(),
    "notifiers": set(),
    "agent": {"domain", "backends"},
    "work": {"domain", "backends", "agent", "core", "secretstores", "notifiers"},
    "auth": {"domain", "core"},
    "surfaces": {"domain", "work", "agent", "auth", "core"},
    "web": {"domain", "backends", "work", "auth", "surfaces", "core", "agent"},
    "commands": {"domain", "work", "agent", "auth", "web", "core"},
}
HUB_SIDE = {
    "hub.py",
    "live.py",
    "socket.py",
    "local.py",
    "scripted.py",
}  # the server's end of the link may know the domain
FORBIDDEN = {
    "domain": {"quart", "hypercorn", "asyncio", "click", "httpx", "docker"},
    "matchers": {"quart", "peewee", "subprocess", "asyncio", "socket"},
    "backends": {"quart", "peewee", "subprocess", "asyncio", "socket", "docker"},
}
LIGHT = {"quart", "peewee", "pydantic", "hypercorn", "docker", "websockets", "dns", "argon2", "pyrage", "psutil"}
AGENT_SIDE = {
    *("worker.py", "journal.py", "wire.py", "process.py", "steps.py", "masking.py", "output.py", "engine.py"),
    *("sample.py", "metrics.py", "procfs.py", "cgroups.py", "machine.py"),
    *("terminals.py", "terminal_wire.py", "ttys.py"),
}
LOADED_EVERYWHERE = [
    path
    for path in PLUGINS
    if "commands" in path.parts or "backends" in path.parts or (path.parent.name == "agent" and path.name in AGENT_SIDE)
]


def imported(path: Path, top_only: bool = False) -> Iterator[str]:
    """The absolute dotted names a module imports, relative ones resolved; not those for type checkers only."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    tree = ast.parse(path.read_text())
    nodes = tree.body if top_only else list(ast.walk(tree))
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            for alias in node.names:
                yield ".".join([*base, *filter(None, [node.module]), alias.name])


@pytest.mark.parametrize("path", PLUGINS, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down(path: Path) -> None:
    parts = path.relative_to(ROOT / "plugins").parts
    if len(parts) == 1:
        return
    layer = parts[0]
    for name in imported(path):
        head, *rest = name.split(".")
        assert head not in FORBIDDEN.get(layer, set()), f"{layer} imports {name}"
        if head not in {"plugins", "roci_plugins"} or not rest:
            continue
        assert name.split(".")[0] == "plugins", f"{name}: relative imports inside plugins"
        assert rest[0] == layer or rest[0] in BELOW[layer], f"{layer} imports {name}"
        if layer == "agent" and rest[0] == "domain":
            assert parts[-1] in HUB_SIDE, f"{parts[-1]} runs on hosts and imports {name}"
        if layer == "surfaces" and rest[0] == "surfaces" and len(parts) > 2:
            assert rest[1] in {parts[1], "http", "stream", "dialect"}, f"{name}: one surface imports another"


@pytest.mark.parametrize("path", LOADED_EVERYWHERE, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_agent_and_the_command_line_start_light(path: Path) -> None:
    heavy = {name.split(".")[0] for name in imported(path, top_only=True)} & LIGHT
    assert not heavy, f"{path.name} imports {heavy} when it is loaded"


def test_the_spine_stays_readable_and_names_no_plugin() -> None:
    text = (ROOT / "roci.py").read_text()
    assert len(text.splitlines()) <= 700
    typed = re.sub(r"if TYPE_CHECKING:\n(    .*\n|\n)+", "", text)
    assert not re.search(r"^\s*(from|import) (plugins|roci_plugins)\b", typed, re.MULTILINE)


@pytest.mark.parametrize("path", [ROOT / "roci.py", *PLUGINS], ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_stay_short(path: Path) -> None:
    text = path.read_text()
    assert path.name == "roci.py" or len(text.splitlines()) <= 450
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 60, f"{node.name} is too long"


def test_every_module_says_what_it_is_for() -> None:
    silent = [str(path) for path in PLUGINS if not ast.get_docstring(ast.parse(path.read_text()))]
    assert silent == []


def test_every_view_says_who_may_call_it(app: Quart) -> None:
    silent = [
        rule.rule for rule in app.url_map.iter_rules() if not hasattr(app.view_functions[rule.endpoint], "access")
    ]
    assert silent == []


def asked_inside(path: Path) -> Iterator[str]:
    """The permissions that views of a module ask for with `require`."""
    calls = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
    for call in calls:
        if getattr(call.func, "id", "") == "require" and call.args and isinstance(call.args[0], ast.Constant):
            yield str(call.args[0].value)


def test_every_permission_that_a_view_needs_is_registered(roci: Roci, app: Quart) -> None:
    wanted = {getattr(view, "access", "") for view in app.view_functions.values()} - {"public", "signed in", ""}
    wanted |= {name for path in PLUGINS if {"surfaces", "web"} & set(path.parts) for name in asked_inside(path)}
    assert wanted <= roci.permissions.keys()
    assert roci.permissions.keys() <= wanted, "a permission nobody asks for"


def hooks() -> list[str]:
    """Those of the spine, and those that built-in plugins bring."""
    brought = [plugin.register_hookspecs() for plugin in built_in() if hasattr(plugin, "register_hookspecs")]
    return [name for kind in (spine.Hooks, *brought) for name, hook in vars(kind).items() if hasattr(hook, "roci_spec")]


def built_in() -> Iterator[ModuleType]:
    for name in (*roci_plugins.ESSENTIAL, *roci_plugins.DEFAULT):
        yield importlib.import_module(f"roci_plugins.{name}")


@pytest.mark.parametrize("hook", hooks())
def test_every_hook_is_documented_and_used_by_a_built_in_plugin(hook: str) -> None:
    assert f"| `{hook}(" in (ROOT / "plugins" / "README.md").read_text()
    users = [path for path in PLUGINS if re.search(rf"@hookimpl\n(@.*\n)*(async )?def {hook}\(", path.read_text())]
    assert users or hook == "register_migrations", "a hook needs a built-in plugin that uses it"


def test_no_command_is_a_shell_line() -> None:
    for path in PLUGINS:
        assert "shell=True" not in path.read_text() and "os.system(" not in path.read_text(), path
