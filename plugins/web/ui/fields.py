"""Forms made from what a plugin declares: the fields of a msgspec Struct, with what they hold and what is wrong in
them, and what was typed as values of that Struct. What the values must be is the Struct's own to say.

A template shows them by `fields` of ui/fields.html. Blank is None: the default. A secret that is kept stays when its
field is left blank, and goes when its `NAME-forget` is ticked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
from msgspec import inspect

from roci import RociError, Sensitive

from ..language import N_, _

Control = Literal["text", "number", "tick", "choice", "several", "lines", "secret", "json"]
Model = type[msgspec.Struct]
PLACE = re.compile(r"([A-Za-z_][\w.\[\]-]*): (.+)", re.DOTALL)
LABELS = {
    "url": N_("Address"),
    "key": N_("Key that signs"),
    "token": N_("Token"),
    "host": N_("Server"),
    "port": N_("Port"),
    "sender": N_("From"),
    "to": N_("To"),
    "security": N_("Encryption"),
    "username": N_("User name"),
    "password": N_("Password"),
    "network": N_("Network"),
    "pattern": N_("Pattern"),
    "seconds": N_("Seconds"),
}


@dataclass(frozen=True)
class Field:
    """One field of a Struct. `control` is how it is typed: `lines` is a list, one entry a line."""

    name: str
    control: Control
    is_required: bool = False
    default: Any = None
    choices: tuple[str, ...] = ()
    is_whole: bool = False  # of numbers
    least: float | None = None
    most: float | None = None
    help: str = ""

    @property
    def label(self) -> str:
        """In the reader's language, where it is known; else its name."""
        return _(LABELS[self.name]) if self.name in LABELS else self.name.replace("_", " ").capitalize()


@dataclass(frozen=True)
class Filled:
    """A field as a form shows it. `name` is that of the form's control; `text` what stands in it."""

    field: Field
    name: str
    text: str
    wrong: str = ""
    is_kept: bool = False  # a secret that is stored and never shown

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()


def declared(model: Model) -> list[Field]:
    """The fields of a Struct, in its order."""
    told = inspect.type_info(model)
    assert isinstance(told, inspect.StructType)
    return [_field(each) for each in told.fields]


def _field(told: inspect.Field) -> Field:
    default = told.default if told.default_factory is msgspec.NODEFAULT else told.default_factory()
    kind, help = _bare(told.type)
    given: dict[str, Any] = {
        "is_required": told.required,
        "default": None if default is msgspec.NODEFAULT else default,
        "help": help,
    }
    return Field(told.encode_name, **given, **_control(kind))


def _bare(kind: inspect.Type) -> tuple[inspect.Type, str]:
    """Without what else it may be when there is none, and what is said of it."""
    if isinstance(kind, inspect.Metadata):
        told = (kind.extra_json_schema or {}).get("description", "")
        inner, deeper = _bare(kind.type)
        return inner, str(told) or deeper
    if isinstance(kind, inspect.UnionType):
        some = [each for each in kind.types if not isinstance(each, inspect.NoneType)]
        if len(some) == 1:
            return _bare(some[0])
    return kind, ""


def _control(kind: inspect.Type) -> dict[str, Any]:
    match kind:
        case inspect.CustomType(cls=cls) if cls is Sensitive:
            return {"control": "secret"}
        case inspect.StrType():
            return {"control": "text"}
        case inspect.BoolType():
            return {"control": "tick"}
        case inspect.IntType() | inspect.FloatType():
            is_whole = isinstance(kind, inspect.IntType)
            return {"control": "number", "is_whole": is_whole, "least": kind.ge, "most": kind.le}
        case inspect.LiteralType() | inspect.EnumType():
            return {"control": "choice", "choices": _choices(kind)}
        case inspect.ListType(item_type=inspect.LiteralType() | inspect.EnumType() as item):
            return {"control": "several", "choices": _choices(item)}
        case inspect.ListType(item_type=inspect.StrType()):
            return {"control": "lines"}
    return {"control": "json"}


def _choices(kind: inspect.LiteralType | inspect.EnumType) -> tuple[str, ...]:
    values = kind.values if isinstance(kind, inspect.LiteralType) else [each.value for each in kind.cls]
    return tuple(str(each) for each in values)


# --- showing -----------------------------------------------------------------


def filled(
    model: Model,
    values: Mapping[str, Any],
    prefix: str = "",
    kept: Collection[str] = (),
    wrong: Mapping[str, str] | None = None,
) -> list[Filled]:
    """A form with these values, or the defaults. `kept`: the secrets that are stored; `wrong`: by field."""
    said = wrong or {}
    return [
        Filled(
            each,
            prefix + each.name,
            _text(values.get(each.name, each.default)) if each.control != "secret" else "",
            said.get(each.name, ""),
            each.name in kept,
        )
        for each in declared(model)
    ]


def again(
    model: Model, form: Any, prefix: str = "", kept: Collection[str] = (), wrong: Mapping[str, str] | None = None
) -> list[Filled]:
    """The form as it was typed, for a page that says what is wrong in it."""
    said = wrong or {}
    return [
        Filled(each, prefix + each.name, _typed(each, form, prefix), said.get(each.name, ""), each.name in kept)
        for each in declared(model)
    ]


def _typed(field: Field, form: Any, prefix: str) -> str:
    if field.control == "several":
        return "\n".join(form.getlist(prefix + field.name))
    return str(form.get(prefix + field.name, ""))


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else ""
    if isinstance(value, list | tuple) and all(isinstance(each, str) for each in value):
        return "\n".join(value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value) if isinstance(value, str | int | float) else json.dumps(msgspec.to_builtins(value))


# --- reading -----------------------------------------------------------------


def read(
    model: Model, form: Any, prefix: str = "", kept: Collection[str] = ()
) -> tuple[dict[str, Any], dict[str, str]]:
    """What was typed, as values of the Struct, and what is wrong in it, by field; both may hold something.

    A kept secret that nobody typed is in neither.
    """
    values: dict[str, Any] = {}
    wrong: dict[str, str] = {}
    for field in declared(model):
        text = _typed(field, form, prefix)
        stays = field.control == "secret" and field.name in kept and not form.get(f"{prefix}{field.name}-forget")
        if stays and not text:
            continue
        try:
            values[field.name] = _value(field, text)
        except ValueError as error:
            wrong[field.name] = str(error)
            continue
        if values[field.name] is None and field.is_required:
            wrong[field.name] = _("is required")
    return values, wrong


def _value(field: Field, text: str) -> Any:
    """Raises ValueError, in the reader's words."""
    if field.control == "tick":
        return text == "yes"
    if field.control == "several":
        return text.splitlines()
    if not text.strip():
        return None
    if field.control == "number":
        return _number(text.strip(), field.is_whole)
    if field.control == "lines":
        return [line.strip() for line in text.splitlines() if line.strip()]
    if field.control == "json":
        try:
            return json.loads(text)
        except ValueError:
            raise ValueError(_("this is no JSON")) from None
    return text if field.control == "secret" else text.strip()


def _number(text: str, is_whole: bool) -> int | float:
    try:
        return int(text) if is_whole else float(text.replace(",", "."))
    except ValueError:
        raise ValueError(_("a whole number is needed") if is_whole else _("a number is needed")) from None


def wrong_in(error: RociError, names: Collection[str], *prefixes: str) -> dict[str, str]:
    """The field that an error speaks of ("settings.url: …") with the rest of it; under "" where it is none of these."""
    found = PLACE.fullmatch(error.message)
    if found:
        name = found[1]
        for prefix in prefixes:
            name = name.removeprefix(prefix)
        if name in names:
            return {name: found[2]}
    return {"": error.message}
