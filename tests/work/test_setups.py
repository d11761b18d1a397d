"""What a notifier is set up with: errors by field, secrets that go in and never come out."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec
import pytest

from roci import Invalid, Sensitive
from roci_plugins.work import setups


class Mail(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    destination: ClassVar[tuple[str, ...]] = ("host",)
    host: str
    port: int = 25
    password: Sensitive | None = None

    def __post_init__(self) -> None:
        if self.port == 7:
            raise ValueError("port: echoes")


class Lax(msgspec.Struct):
    """As somebody may write it who has not read everything."""

    place: str
    colour: str = "red"
    key: Sensitive = Sensitive("")


class Many(msgspec.Struct, kw_only=True):
    headers: dict[str, Sensitive] = {}


OLD = {"host": "mail.lan", "port": 25, "password": "s3cr3t"}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "settings.host: is required"),
        ({"host": "a", "port": "x"}, "settings.port: expected `int`, got `str`"),
        ({"host": "a", "port": 7}, "settings.port: echoes"),
        ({"host": "a", "pasword": "s3cr3t"}, "settings.pasword: is not a setting of this kind of channel"),
        ({"host": "a", "password": ["s3cr3t"]}, "settings.password: expected `str`"),
    ],
    ids=["missing", "type", "rule", "unknown", "secret"],
)
def test_what_is_wrong_is_refused_by_field_and_without_its_value(values: dict[str, Any], words: str) -> None:
    with pytest.raises(Invalid) as refused:
        setups.read(Mail, values)
    assert refused.value.message == words


def test_an_unknown_field_is_refused_whatever_the_model_says() -> None:
    with pytest.raises(Invalid, match=r"^settings.color: "):
        setups.read(Lax, {"place": "x", "color": "blue"})


def test_what_is_stored_reads_back_and_shows_no_secret() -> None:
    setup = setups.read(Mail, OLD)
    assert "s3cr3t" not in repr(setup)
    assert setups.plain(setup) == OLD
    assert setups.shown(Mail, OLD) == {"host": "mail.lan", "port": 25}
    assert setups.shown(Many, {"headers": {"X-Key": "s3cr3t"}}) == {}


def test_what_is_not_given_stays_and_null_is_the_default() -> None:
    old = {**OLD, "port": 465}
    assert setups.merged(Mail, old, {"port": 587}) == {**OLD, "port": 587}
    assert setups.merged(Mail, old, {"port": None, "password": None}) == {**OLD, "password": None}
    assert setups.merged(Mail, old, {"password": "n3w"}) == {**old, "password": "n3w"}


def test_a_secret_does_not_follow_to_another_place() -> None:
    with pytest.raises(Invalid, match=r"^settings.password: send it again, since settings.host has changed"):
        setups.merged(Mail, OLD, {"host": "evil.example.org"})
    moved = setups.merged(Mail, OLD, {"host": "new.lan", "password": "s3cr3t"})
    assert moved["host"] == "new.lan"
    assert setups.merged(Mail, OLD, {"host": "new.lan", "password": None})["password"] is None
    assert setups.merged(Mail, OLD, {"host": "mail.lan", "port": 26})["password"] == "s3cr3t"


def test_without_a_word_on_where_secrets_go_every_change_asks_for_them() -> None:
    with pytest.raises(Invalid, match=r"^settings.key: "):
        setups.merged(Lax, {"place": "a", "colour": "red", "key": "s3cr3t"}, {"colour": "blue"})


def test_of_an_address_all_is_secret_but_the_machine() -> None:
    class Hook(msgspec.Struct):
        url: Sensitive

    found = setups.secrets_in(Hook, {"url": "https://ntfy.lan:8443/hook/t0pic?auth=abc123#x"})
    assert {"t0pic", "abc123"} <= found and not {"ntfy.lan", "localhost"} & found
    found = setups.secrets_in(Hook, {"url": "tgram://bottoken77/chat99"})
    assert {"bottoken77", "chat99"} <= found


def test_forms_can_be_made_of_a_schema_that_says_what_is_never_shown() -> None:
    schema = setups.schema(Mail)
    assert schema["required"] == ["host"] and schema["properties"]["port"] == {"type": "integer", "default": 25}
    assert '"writeOnly":true' in msgspec.json.encode(schema["properties"]["password"]).decode()
