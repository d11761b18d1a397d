"""Finding plugins: their order, and every reason to refuse one."""

from __future__ import annotations

import importlib
import inspect
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from roci import Hooks, Matcher, Permission, Roci, Settings, StartupError, hookimpl

builtin = importlib.import_module("roci_plugins")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "plugins").mkdir()
    return tmp_path / "plugins"


def made(tmp_path: Path, plugins: Any = (), **settings: Any) -> Roci:
    return Roci(Settings(data_dir=str(tmp_path / "data"), local_agent=False, **settings), plugins)


def permission(name: str) -> str:
    return f"""
from roci import Permission, hookimpl

@hookimpl
def register_permissions():
    return [Permission({name!r}, "for a test")]
"""


class Extra:
    @hookimpl
    def register_permissions(self) -> list[Permission]:
        return [Permission("extra", "for a test")]


def test_plugins_come_in_order_built_in_then_installed_then_local_then_given(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    (folder / "beta.py").write_text(permission("beta"))
    (folder / "alpha").mkdir()
    (folder / "alpha" / "__init__.py").write_text(permission("alpha"))
    package = tmp_path / "site"
    (package / "jars-1.dist-info").mkdir(parents=True)
    (package / "jars-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: jars\nVersion: 1\n")
    (package / "jars-1.dist-info" / "entry_points.txt").write_text("[roci]\njars = jars_of_the_test\n")
    (package / "jars_of_the_test.py").write_text(permission("installed"))
    monkeypatch.syspath_prepend(package)
    roci = made(tmp_path, [Extra()], plugins_dir=str(folder))
    ours = [name for name in roci.permissions if name in ("alpha", "beta", "installed", "extra")]
    assert ours == ["installed", "alpha", "beta", "extra"]
    assert [name for name, _ in roci.pm.list_name_plugin()][: len(builtin.ESSENTIAL)] == list(builtin.ESSENTIAL)
    sys.modules.pop("jars_of_the_test", None)


def test_the_list_of_commands_loads_nothing_that_only_some_of_them_need():
    asked = "import click, sys, roci; roci.cli.list_commands(click.Context(roci.cli)); print(*sys.modules)"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ROCI_")}
    checkout = Path(inspect.getfile(Roci)).parent
    loaded = subprocess.check_output([sys.executable, "-c", asked], cwd=checkout, env=environment, text=True).split()
    assert "roci_plugins.commands.serve" in loaded
    assert not {"asyncio", "quart", "peewee", "yaml", "docker", "cryptography"} & set(loaded)


def test_a_file_does_not_shadow_the_library_of_its_name(tmp_path: Path, folder: Path):
    (folder / "email.py").write_text(permission("post"))
    assert "post" in made(tmp_path, plugins_dir=str(folder)).permissions
    import email

    assert hasattr(email, "message_from_string")


def test_files_that_begin_with_a_dot_or_underscore_are_left_alone(tmp_path: Path, folder: Path):
    (folder / "_draft.py").write_text("raise RuntimeError")
    (folder / ".hidden.py").write_text("raise RuntimeError")
    (folder / "notes.txt").write_text("no plugin")
    made(tmp_path, plugins_dir=str(folder))


def test_what_is_disabled_is_not_loaded(tmp_path: Path, folder: Path):
    (folder / "beta.py").write_text("raise RuntimeError")
    roci = made(tmp_path, plugins_dir=str(folder), disable=["local.beta", "matchers.time"])
    assert "time_window" not in roci.matchers


REFUSED = {
    "an import that fails": ("import no_such_module", r"local\.odd cannot be loaded: ModuleNotFoundError"),
    "a syntax error": ("def", r"local\.odd cannot be loaded: SyntaxError"),
    "a module that raises": ("1 / 0", r"local\.odd cannot be loaded: ZeroDivisionError"),
    "a misspelt hook": (
        "from roci import hookimpl\n@hookimpl\ndef register_matcher(): return []",
        r"local\.odd cannot be loaded: .*register_matcher",
    ),
    "a misspelt argument": (
        "from roci import hookimpl\n@hookimpl\ndef register_tasks(rocy): return []",
        r"(?s)local\.odd cannot be loaded: .*rocy",
    ),
    "a taken name": (permission("hosts.read"), r"two plugins register a permission named 'hosts\.read'"),
}


@pytest.mark.parametrize("why", REFUSED)
def test_a_plugin_with_a_fault_refuses_the_start(tmp_path: Path, folder: Path, why: str):
    text, message = REFUSED[why]
    (folder / "odd.py").write_text(text)
    with pytest.raises(StartupError, match=message):
        made(tmp_path, plugins_dir=str(folder))


def test_a_folder_that_is_not_there_refuses_the_start(tmp_path: Path):
    with pytest.raises(StartupError, match=r"plugins_dir: .*/nowhere is not a folder"):
        made(tmp_path, plugins_dir=str(tmp_path / "nowhere"))


def test_an_essential_plugin_cannot_be_left_out(tmp_path: Path):
    with pytest.raises(StartupError, match=r"disable: domain\.hosts is essential"):
        made(tmp_path, disable=["domain.hosts"])


def test_leaving_out_what_is_not_there_refuses_the_start(tmp_path: Path):
    with pytest.raises(StartupError, match=r"disable: there is no plugin named matchers\.tiem"):
        made(tmp_path, disable=["matchers.tiem"])


def test_every_kind_of_thing_has_one_owner_for_a_name(tmp_path: Path):
    class Twin:
        name = "cidr"

    class Twins:
        @hookimpl
        def register_matchers(self) -> list[Matcher]:
            return [Twin()]  # type: ignore[list-item]

    with pytest.raises(StartupError, match="two plugins register a matcher named 'cidr'"):
        made(tmp_path, [Twins()])


def test_the_command_line_loads_its_own_plugins_only():
    pm = importlib.import_module("roci_plugins.core.loading").load(Settings(), only=builtin.COMMANDS)
    assert {name for name, plugin in pm.list_name_plugin() if plugin} == set(builtin.COMMANDS)
    group = click.Group()
    pm.hook.register_commands(cli=group)
    assert "serve" in group.commands


def test_every_built_in_plugin_is_a_module_with_hooks():
    names = {*builtin.ESSENTIAL, *builtin.DEFAULT, *builtin.COMMANDS, *builtin.AGENT}
    modules = {name: importlib.import_module(f"roci_plugins.{name}") for name in names}
    brought = [module.register_hookspecs() for module in modules.values() if hasattr(module, "register_hookspecs")]
    for name, module in modules.items():
        hooks = [item for item in vars(module).values() if inspect.isfunction(item) and hasattr(item, "roci_impl")]
        assert hooks and all(any(hasattr(spec, hook.__name__) for spec in (Hooks, *brought)) for hook in hooks), name
