"""Forms made from what a plugin declares: each kind of field, what stands in it, what is wrong in it, and back."""

from __future__ import annotations

import enum
from typing import Annotated, Any, Literal

import msgspec
import pytest
from werkzeug.datastructures import MultiDict

from roci import Invalid, Sensitive
from roci_plugins.notifiers.email import Email
from roci_plugins.notifiers.webhook import Webhook
from roci_plugins.web.ui import fields


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Everything(msgspec.Struct, kw_only=True):
    name: str
    port: Annotated[int, msgspec.Meta(ge=1, le=65535, description="as the firewall has it")] = 587
    share: float | None = None
    is_on: bool = True
    security: Literal["tls", "none"] = "tls"
    colour: Colour | None = None
    parts: list[Literal["cpu", "disk"]] = []
    to: list[str] = []
    password: Sensitive | None = None
    more: dict[str, int] = {}


def test_each_type_has_its_control() -> None:
    found = {each.name: each.control for each in fields.declared(Everything)}
    assert found == {
        "name": "text",
        "port": "number",
        "share": "number",
        "is_on": "tick",
        "security": "choice",
        "colour": "choice",
        "parts": "several",
        "to": "lines",
        "password": "secret",
        "more": "json",
    }


def test_what_a_plugin_says_of_a_field_stands_beside_it() -> None:
    port = fields.declared(Everything)[1]
    assert (port.help, port.least, port.most, port.is_whole) == ("as the firewall has it", 1, 65535, True)
    assert fields.declared(Everything)[5].choices == ("red", "blue")


def test_a_new_form_has_the_defaults_and_never_a_secret() -> None:
    form = {each.name: each for each in fields.filled(Everything, {"password": "hidden"}, "set-", kept={"password"})}
    assert [form[f"set-{name}"].text for name in ("port", "is_on", "security", "password")] == ["587", "yes", "tls", ""]
    assert form["set-password"].is_kept and not form["set-name"].is_kept


def typed(**given: Any) -> MultiDict[str, str]:
    pairs = [(name, each) for name, value in given.items() for each in (value if isinstance(value, list) else [value])]
    return MultiDict(pairs)


def test_what_was_typed_becomes_values() -> None:
    form = typed(name=" x ", port="25", share="1,5", security="none", parts=["cpu", "disk"], to="a@x\n\nb@x\n")
    values, wrong = fields.read(Everything, form)
    assert not wrong
    assert values == {
        "name": "x",
        "port": 25,
        "share": 1.5,
        "is_on": False,
        "security": "none",
        "colour": None,
        "parts": ["cpu", "disk"],
        "to": ["a@x", "b@x"],
        "password": None,
        "more": None,
    }


def test_every_wrong_field_is_named_and_what_was_typed_stays() -> None:
    form = typed(name="", port="many", share="x", more="{")
    _, wrong = fields.read(Everything, form)
    assert wrong.keys() == {"name", "port", "share", "more"}
    shown = {each.name: each for each in fields.again(Everything, form, wrong=wrong)}
    assert (shown["port"].text, shown["port"].wrong) == ("many", "a whole number is needed")


@pytest.mark.parametrize(
    ("form", "found"),
    [
        pytest.param({"url": ""}, {}, id="left blank it stays"),
        pytest.param({"url": "https://x"}, {"url": "https://x"}, id="typed it is new"),
        pytest.param({"key": "", "key-forget": "yes"}, {"key": None}, id="ticked it goes"),
    ],
)
def test_a_secret_that_is_kept(form: dict[str, str], found: dict[str, Any]) -> None:
    values, wrong = fields.read(Webhook, typed(**form), kept={"url", "key"})
    assert not wrong
    assert {name: value for name, value in values.items() if name != "token"} == found


def test_an_error_is_found_at_its_field() -> None:
    names = {each.name for each in fields.declared(Email)}
    assert fields.wrong_in(Invalid("settings.port: from 1 to 65535"), names, "settings.") == {"port": "from 1 to 65535"}
    assert fields.wrong_in(Invalid("name: one line"), names) == {"": "name: one line"}
