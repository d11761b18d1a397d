"""The languages of the pages: every text is in every catalogue, and the reader's is found."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from jinja2 import Environment
from quart.typing import TestClientProtocol as Client

from roci_plugins.web import language
from roci_plugins.web.language import Catalogue

WEB = Path(language.__file__).parent
FORMAT = re.compile(r"%\(\w+\)s")
MARKS = {"_", "N_"}


def of_templates() -> set[str]:
    """The texts in templates; of those with a plural, the singular."""
    env = Environment(extensions=["jinja2.ext.i18n"])
    env.policies["ext.i18n.trimmed"] = True
    found: set[str] = set()
    for path in (WEB / "templates").rglob("*.html"):
        for _line, _function, text in env.extract_translations(path.read_text()):  # type: ignore[attr-defined]
            texts = [text] if isinstance(text, str) else [each for each in text or () if each]
            found.update(texts[:1])  # none: the text is marked where it is written, `_(tab.label)`
    return found


def of_modules() -> set[str]:
    """The texts that modules of the pages mark."""
    found: set[str] = set()
    for path in WEB.rglob("*.py"):
        calls = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
        for call in calls:
            if getattr(call.func, "id", "") in MARKS and call.args and isinstance(call.args[0], ast.Constant):
                found.add(str(call.args[0].value))
    return found


def others() -> list[str]:
    return [code for code in language.catalogues() if code != language.ENGLISH]


@pytest.mark.parametrize("code", others())
def test_a_language_has_every_text_and_no_other(code: str) -> None:
    texts = set(language.catalogues()[code].texts)
    wanted = of_templates() | of_modules()
    assert sorted(wanted - texts) == [], "not translated"
    assert sorted(texts - wanted) == [], "no longer shown"


@pytest.mark.parametrize("code", others())
def test_a_translation_stands_for_the_same_values(code: str) -> None:
    for text, translated in language.catalogues()[code].texts.items():
        counts = set() if isinstance(translated, str) else {"%(num)s", "%(count)s"}
        for form in [translated] if isinstance(translated, str) else translated:
            assert set(FORMAT.findall(form)) <= set(FORMAT.findall(text)) | counts, text


def test_each_number_has_its_form() -> None:
    czech = Catalogue(
        "cs",
        {
            "name": "Čeština",
            "plural": "n == 1 ? 0 : n >= 2 && n <= 4 ? 1 : 2",
            "texts": {"%(num)s host": ["host", "hosté", "hostů"]},
        },
    )
    assert [czech.many("%(num)s host", "%(num)s hosts", count) for count in (1, 3, 5)] == ["host", "hosté", "hostů"]
    assert czech.many("%(num)s key", "%(num)s keys", 2) == "%(num)s keys" and czech.one("Key") == "Key"


async def test_a_page_comes_in_the_language_that_the_browser_prefers_or_the_reader_chose(client: Client) -> None:
    page = await (await client.get("/", headers={"Accept-Language": "de-CH, en;q=0.5"})).get_data(as_text=True)
    assert '<html lang="de">' in page and "Übersicht" in page
    client.set_cookie("localhost", language.COOKIE, "en")
    page = await (await client.get("/", headers={"Accept-Language": "de"})).get_data(as_text=True)
    assert '<html lang="en">' in page and "Overview" in page
    client.set_cookie("localhost", language.COOKIE, "xx")
    page = await (await client.get("/")).get_data(as_text=True)
    assert '<html lang="en">' in page
