"""What a notifier is set up with, between the three who know it: its own model, people, and the sealed row.

Secrets go in and never come out: people see the other fields. A secret that is not sent again is kept only as long as
it goes where it went, so that nobody who may change a channel can have its password sent to themselves.
"""

from __future__ import annotations

import re
import typing
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from roci import Invalid, Sensitive

MISSING = re.compile(r"Object missing required field `(\w+)`.*")
UNKNOWN = re.compile(r"Object contains unknown field `(.*)`.*")
PLACE = re.compile(r" - at `\$\.?(.*)`$")
SEPARATORS = re.compile(r"[/?&=:@#,;]+")
Model = type[msgspec.Struct]


def secret_fields(model: Model) -> set[str]:
    return {
        field.encode_name
        for field in msgspec.structs.fields(model)
        if Sensitive in (field.type, *typing.get_args(field.type))
    }


def read(model: Model, values: Mapping[str, Any]) -> Any:
    """Raises Invalid, with the field."""
    if unknown := values.keys() - {field.encode_name for field in msgspec.structs.fields(model)}:
        raise Invalid(f"settings.{min(unknown)[:50]}: is not a setting of this kind of channel")
    try:
        return msgspec.convert(dict(values), model, dec_hook=_secret)
    except msgspec.ValidationError as error:
        raise Invalid(_reason(str(error))) from None


def _secret(kind: type, value: Any) -> Any:
    """As msgspec has it, what cannot be read is a ValueError."""
    if not isinstance(value, str):
        raise ValueError("Expected `str`")
    return kind(value)


def _reason(text: str) -> str:
    """What msgspec says, as the rest of ROCI says it: "settings.port: expected `int`, got `str`"."""
    place = PLACE.search(text)
    text = PLACE.sub("", text)
    if found := MISSING.fullmatch(text):
        return f"settings.{found[1]}: is required"
    if found := UNKNOWN.fullmatch(text):
        return f"settings.{found[1][:50]}: is not a setting of this kind of channel"
    field = f"{place[1]}: " if place and place[1] else ""
    return f"settings.{field}{text[:1].lower()}{text[1:]}"


def plain(setup: msgspec.Struct) -> dict[str, Any]:
    """As it is stored."""
    return dict(msgspec.to_builtins(setup, enc_hook=str))


def shown(model: Model, values: Mapping[str, Any]) -> dict[str, Any]:
    """What people may see of it."""
    secret = secret_fields(model)
    return {name: value for name, value in values.items() if name not in secret}


def merged(model: Model, old: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The old with what is given put over it; null is the default again. Raises Invalid, with the field."""
    both = {name: value for name, value in {**old, **given}.items() if value is not None}
    new = plain(read(model, both))
    watched = getattr(model, "destination", None)
    secret = secret_fields(model)
    names = [name for name in (watched if watched is not None else new.keys() - secret) if new[name] != old.get(name)]
    kept = [name for name in secret - given.keys() if old.get(name) is not None]
    if names and kept:
        raise Invalid(f"settings.{min(kept)}: send it again, since settings.{names[0]} has changed")
    return new


def secrets_in(model: Model, values: Mapping[str, Any]) -> set[str]:
    """Every secret of it, and what an address that is one is made of but for the name of the machine."""
    return {part for name in secret_fields(model) for text in _texts(values.get(name)) for part in _parts(text)}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from (text for each in value.values() for text in _texts(each))
    elif isinstance(value, list | tuple):
        yield from (text for each in value for text in _texts(each))


def _parts(text: str) -> Iterator[str]:
    yield text
    _, is_address, rest = text.partition("://")
    if is_address:
        yield from (part for part in SEPARATORS.split(rest) if "." not in part and part != "localhost")
        yield from (part for part in SEPARATORS.split(rest.partition("/")[2]))


def schema(model: Model) -> dict[str, Any]:
    """Its fields as JSON Schema, for forms; those that are never shown again are `writeOnly`."""
    hidden = {"type": "string", "format": "password", "writeOnly": True}
    _, parts = msgspec.json.schema_components([model], schema_hook=lambda kind: hidden, ref_template="{name}")
    found = dict(parts[model.__name__])
    found.pop("title", None)
    return found
