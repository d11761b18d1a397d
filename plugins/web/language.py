"""The languages of the pages. Texts are written in English where they stand; a catalogue a language has the others.

Templates say `{% trans %}` or `_("…")`, Python says `_("…")`, or N_("…") where the text is translated later. Texts of
errors come from the core and stay English.
"""

from __future__ import annotations

import functools
import gettext
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from quart import Blueprint, Quart, g, has_request_context, request

CATALOGUES = Path(__file__).parent / "translations"
COOKIE = "roci_language"
LASTS = 400 * 24 * 3600  # seconds a choice is remembered; browsers keep none for longer
ENGLISH = "en"


class Catalogue:
    """The texts of one language: `name`, `plural` (a gettext expression in n) and `texts`, by the English ones.

    A text with a plural is a list with all its forms. What is missing stays English.
    """

    def __init__(self, code: str, told: dict[str, Any]) -> None:
        self.code, self.name = code, str(told["name"])
        self.texts: dict[str, str | list[str]] = told["texts"]
        self._form: Callable[[int], int] = gettext.c2py(told.get("plural", "n != 1"))

    def one(self, text: str) -> str:
        found = self.texts.get(text)
        return found if isinstance(found, str) else text

    def many(self, one: str, many: str, count: int) -> str:
        found = self.texts.get(one)
        if isinstance(found, list):
            return found[self._form(count)]
        return one if count == 1 else many


@functools.cache
def catalogues() -> dict[str, Catalogue]:
    """All languages, English first."""
    found = {ENGLISH: Catalogue(ENGLISH, {"name": "English", "texts": {}})}
    for path in sorted(CATALOGUES.glob("*.yaml")):
        found[path.stem] = Catalogue(path.stem, yaml.safe_load(path.read_text(encoding="utf-8")))
    return found


def language() -> str:
    """That of who asks: as chosen here, else as the browser prefers."""
    if not has_request_context():
        return ENGLISH
    if "language" not in g:  # a page asks for each of its texts
        g.language = _wanted()
    return str(g.language)


def _wanted() -> str:
    preferred = (tag.partition("-")[0].lower() for tag in request.accept_languages.values())
    wanted = (request.cookies.get(COOKIE, ""), *preferred)
    return next((code for code in wanted if code in catalogues()), ENGLISH)


def choose(response: Any, code: str, is_https: bool) -> None:
    """This browser's own choice from now on; an unknown one: as the browser prefers."""
    if code in catalogues():
        response.set_cookie(COOKIE, code, max_age=LASTS, samesite="Lax", secure=is_https, path="/")
    else:
        response.delete_cookie(COOKIE, path="/")


def _(text: str, **values: Any) -> str:
    """A text in the reader's language; `%(name)s` in it stands for a value."""
    translated = catalogues()[language()].one(text)
    return translated % values if values else translated


def N_(text: str) -> str:
    """A text that is translated where it is shown."""
    return text


def _one(text: str) -> str:
    return catalogues()[language()].one(text)


def _many(one: str, many: str, count: int) -> str:
    return catalogues()[language()].many(one, many, count)


def install(app: Quart) -> None:
    """Teach the templates."""
    app.jinja_env.add_extension("jinja2.ext.i18n")
    app.jinja_env.install_gettext_callables(_one, _many, newstyle=True)  # type: ignore[attr-defined]
    app.jinja_env.policies["ext.i18n.trimmed"] = True
    app.jinja_env.globals["language"] = language
    app.jinja_env.globals["languages"] = lambda: {code: each.name for code, each in catalogues().items()}


def record(blueprint: Blueprint) -> None:
    blueprint.record_once(lambda state: install(state.app))  # type: ignore[arg-type]
