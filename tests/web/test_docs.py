"""/docs, /redoc and the browser libraries: public, from this server only, kept for good."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from quart.typing import TestClientProtocol as Client

from roci_plugins.web import assets

VERSION = "0123456789abcdef"


@pytest.fixture
def vendor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of libraries in place of the one that was built."""
    monkeypatch.setattr(assets, "FOLDER", tmp_path)
    monkeypatch.setattr(assets, "STAMP", tmp_path / "VERSION")
    (tmp_path / "ace").mkdir()
    (tmp_path / "VERSION").write_text(VERSION)
    (tmp_path / "swagger-ui.css.gz").write_bytes(gzip.compress(b"a{}"))
    (tmp_path / "ace" / "ace.js.gz").write_bytes(gzip.compress(b"ace()"))
    forget()
    yield tmp_path
    forget()


def forget() -> None:
    assets.version.cache_clear()
    assets.files.cache_clear()


@pytest.mark.usefixtures("vendor")
@pytest.mark.parametrize("path", ["/docs", "/redoc"])
async def test_anybody_may_read_the_pages_which_name_no_other_server(anonymous: Client, path: str) -> None:
    answer = await anonymous.get(path)
    page = await answer.get_data(as_text=True)
    assert answer.status_code == 200 and answer.mimetype == "text/html"
    assert "//" not in re.sub(r"<!--.*?-->", "", page) and f"/static/vendor/{VERSION}/" in page
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'self'; ") and "script-src" not in policy and "http" not in policy


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
async def test_without_the_libraries_the_pages_say_how_to_get_them(anonymous: Client, vendor: Path, path: str) -> None:
    (vendor / "VERSION").unlink()
    answer = await anonymous.get(path)
    page = await answer.get_data(as_text=True)
    assert answer.status_code == 200 and "python packaging/ui/fetch.py" in page and "<script" not in page
    assert (Path(__file__).parents[2] / "packaging/ui/fetch.py").exists()


@pytest.mark.usefixtures("vendor")
async def test_a_library_comes_compressed_to_whoever_takes_it_so_and_is_kept_for_good(anonymous: Client) -> None:
    plain = await anonymous.get(assets.url("ace/ace.js"))
    assert await plain.get_data() == b"ace()" and "Content-Encoding" not in plain.headers
    assert plain.mimetype == "text/javascript" and "immutable" in plain.headers["Cache-Control"]
    packed = await anonymous.get(assets.url("ace/ace.js"), headers={"Accept-Encoding": "gzip, br"})
    assert gzip.decompress(await packed.get_data()) == b"ace()" and packed.headers["Content-Encoding"] == "gzip"
    assert packed.headers["Vary"] == "Accept-Encoding"
    kept = await anonymous.get(assets.url("ace/ace.js"), headers={"If-None-Match": packed.headers["ETag"]})
    assert kept.status_code == 304 and await kept.get_data() == b""


@pytest.mark.usefixtures("vendor")
async def test_an_old_page_gets_the_library_that_there_is_and_does_not_keep_it(anonymous: Client) -> None:
    answer = await anonymous.get("/static/vendor/an-older-one/swagger-ui.css")
    assert await answer.get_data() == b"a{}" and answer.mimetype == "text/css"
    assert answer.headers["Cache-Control"] == "no-cache"


@pytest.mark.usefixtures("vendor")
@pytest.mark.parametrize("name", ["nothing.js", "VERSION", "../style.css", "ace/../swagger-ui.css", "%2e%2e/style.css"])
async def test_nothing_else_is_found_there(anonymous: Client, name: str) -> None:
    assert (await anonymous.get(f"/static/vendor/{VERSION}/{name}")).status_code == 404
