"""A mounted folder, as Docker and Kubernetes lay it out, and what others may have put into it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from roci import Conflict, Roci, Sensitive, Settings, StartupError, Unavailable
from roci_plugins.secretstores import Scope
from roci_plugins.secretstores.folder import LONGEST, Folder

PLATFORM = Scope("platform", "platform")
SHOP = Scope("application/5f1c", "shop")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (root := tmp_path / "secrets").mkdir()
    return root


async def names(root: Path, scope: Scope = PLATFORM) -> list[str]:
    return [stored.name for stored in await Folder(root).names(scope)]


async def value(root: Path, name: str, scope: Scope = PLATFORM) -> Sensitive | None:
    return await Folder(root).get(scope, name)


async def test_docker_mounts_a_file_for_each_secret(root: Path) -> None:
    (root / "db_password").write_text("swordfish\n")
    (root / "tls.crt").write_text("-----\nabc\n-----\n\n")
    assert await names(root) == ["db_password", "tls.crt"]
    assert await value(root, "db_password") == "swordfish" and "swordfish" not in repr(await value(root, "db_password"))
    assert await value(root, "tls.crt") == "-----\nabc\n-----\n"
    assert await value(root, "other") is None


async def test_an_application_has_a_folder_of_its_name(root: Path) -> None:
    (root / "applications" / "shop").mkdir(parents=True)
    (root / "applications" / "shop" / "KEY").write_text("1")
    (root / "OTHER").write_text("2")
    assert await names(root, SHOP) == ["KEY"] and await value(root, "KEY", SHOP) == "1"
    assert await value(root, "OTHER", SHOP) is None
    assert await names(root) == ["OTHER"]
    for scope in (Scope("application/x", "none"), Scope("application/x", ".."), Scope("space/shop", "shop")):
        assert await names(root, scope) == [] and await value(root, "KEY", scope) is None


async def test_kubernetes_turns_a_link_to_change_all_at_once(root: Path) -> None:
    for version in ("..1", "..2"):
        (root / version).mkdir()
        (root / version / "KEY").write_text(f"of {version}")
    (root / "..data").symlink_to("..1")
    (root / "KEY").symlink_to("..data/KEY")
    assert await names(root) == ["KEY"] and await value(root, "KEY") == "of ..1"
    (root / "..new").symlink_to("..2")
    (root / "..new").rename(root / "..data")
    assert await value(root, "KEY") == "of ..2"


async def test_nothing_outside_the_folder_is_a_secret(root: Path, tmp_path: Path) -> None:
    (tmp_path / "private").write_text("not yours")
    (tmp_path / "secrets-too").mkdir()
    (tmp_path / "secrets-too" / "KEY").write_text("not yours")
    (root / "ABSOLUTE").symlink_to(tmp_path / "private")
    (root / "RELATIVE").symlink_to("../private")
    (root / "NEIGHBOUR").symlink_to("../secrets-too/KEY")
    (root / "LOOP").symlink_to("LOOP")
    (root / "applications").mkdir()
    (root / "applications" / "shop").symlink_to(tmp_path / "secrets-too")
    assert await names(root) == [] and await names(root, SHOP) == []
    for name in ("ABSOLUTE", "RELATIVE", "NEIGHBOUR", "LOOP", "../private", "..", "", "/etc/passwd"):
        assert await value(root, name) is None, name
    assert await value(root, "KEY", SHOP) is None


async def test_only_regular_files_count(root: Path) -> None:
    (root / "FOLDER").mkdir()
    os.mkfifo(root / "PIPE")
    assert await names(root) == [] and await value(root, "PIPE") is None and await value(root, "FOLDER") is None


async def test_what_is_too_large_or_no_text_is_said_without_showing_it(root: Path) -> None:
    (root / "FULL").write_bytes(b"x" * LONGEST + b"\n")
    assert len(str(await value(root, "FULL"))) == LONGEST
    (root / "LARGE").write_bytes(b"x" * (LONGEST + 1))
    (root / "BINARY").write_bytes(b"swordfish\xff")
    with pytest.raises(Unavailable, match=r"LARGE .* larger than 64 KiB"):
        await value(root, "LARGE")
    with pytest.raises(Unavailable, match=r"BINARY .* not text") as refused:
        await value(root, "BINARY")
    assert "swordfish" not in refused.value.message


async def test_a_folder_that_has_gone_is_unknown_not_empty(root: Path) -> None:
    root.rmdir()
    with pytest.raises(Unavailable, match="is it mounted"):
        await names(root)
    with pytest.raises(Unavailable, match="is it mounted"):
        await value(root, "KEY", SHOP)


async def test_it_is_read_only(root: Path) -> None:
    with pytest.raises(Conflict):
        await Folder(root).set(PLATFORM, "KEY", Sensitive("v"), None)
    with pytest.raises(Conflict):
        await Folder(root).remove(PLATFORM, "KEY")


async def test_a_folder_that_does_not_exist_refuses_the_start(tmp_path: Path) -> None:
    settings = Settings(data_dir=str(tmp_path / "data"), local_agent=False, sections={"secrets": {"folder": "/none"}})
    with pytest.raises(StartupError, match=r"secrets\.folder: /none is not a folder"):
        Roci(settings)
