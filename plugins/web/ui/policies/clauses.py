"""Forms for what policies match, made from what each matcher declares: fields, and clauses within clauses as a tree.

A field that holds a Struct, one of several, or a list of them, is a branch: its members are added and removed one by
one. `then=add NAME` and `then=remove NAME` of the form do that. All else is shown and read as fields.py does it.
"""

from __future__ import annotations

import inspect as python
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import inspect

from roci import Invalid, Matcher

from ...language import N_, _
from .. import fields, lists
from ..fields import Field, Filled, Model

DEEPEST = 8  # clauses within each other, in a form
MOST = 100  # members of a branch
PLACE = re.compile(r"(.*) - at `\$\.?(.*?)`", re.DOTALL)
LABELS = {
    "any": N_("Everyone"),
    "cidr": N_("An address in a network"),
    "reverse_dns": N_("A name in DNS"),
    "time_window": N_("Who comes in the next minutes"),
    "totp": N_("A one-time code"),
}
ABOUT = {
    "any": N_("Holds for whoever asks. Put it last: what comes after it is never asked."),
    "cidr": N_("Such as 192.168.0.0/16 or fd00::/8; one address alone is a network, too."),
    "reverse_dns": N_(
        "A name that the address has and that leads back to it. * stands for any text, ? for one character: *.lab.lan"
    ),
    "time_window": N_("So many seconds from when the policy is made or turned on: 600 are ten minutes."),
    "totp": N_("The agent is started with a code from your authenticator app. The secret is in totp_secret."),
}
SAID = {
    "any": N_("Everyone"),
    "cidr": N_("Whose address is in %(network)s"),
    "reverse_dns": N_("Whose name in DNS is like %(pattern)s"),
    "time_window": N_("Who comes while the window of %(span)s is open"),
    "totp": N_("Who gives a right one-time code"),
}
Values = Mapping[str, Any]


@dataclass(frozen=True)
class Branch:
    """A field with clauses in it. `kinds`: which there may be; one without a name where there is no choice."""

    field: Field
    name: str
    kinds: tuple[str, ...]
    members: tuple[Member, ...]
    can_add: bool
    can_remove: bool
    wrong: str = ""


@dataclass(frozen=True)
class Member:
    """One clause of a branch. `name` is where its fields are in the form."""

    name: str
    kind: str
    about: str
    parts: tuple[Filled | Branch, ...]


@dataclass(frozen=True)
class _Shape:
    """What a branch may hold."""

    models: Mapping[str, Model]  # by kind
    tag: str | None  # the key that tells the kind
    is_many: bool


# --- words -------------------------------------------------------------------


def label(matcher: str) -> str:
    """What a matcher is called."""
    return _(LABELS[matcher]) if matcher in LABELS else plain(matcher)


def about(matcher: Matcher) -> str:
    """How its fields are meant: in the words of whoever made it, where that was not us."""
    if matcher.name in ABOUT:
        return _(ABOUT[matcher.name])
    return documentation(matcher.clause) or documentation(type(matcher))


def said(match_type: Values) -> str:
    """A clause in words. One of a plugin says its fields."""
    kind = str(match_type.get("type"))
    values = {name: value for name, value in match_type.items() if name != "type"}
    if kind in SAID:
        try:
            return _(SAID[kind], span=_span(values.get("seconds")), **values)
        except (KeyError, TypeError):
            return label(kind)
    told = ", ".join(f"{plain(name)} {_short(value)}" for name, value in values.items())
    return f"{label(kind)}: {told}" if told else label(kind)


def _span(seconds: Any) -> str:
    """A time in its largest whole unit."""
    if not isinstance(seconds, int):
        return str(seconds)
    sizes = ((86400, "d"), (3600, "h"), (60, "min"))
    return next((f"{seconds // size} {unit}" for size, unit in sizes if seconds % size == 0), f"{seconds} s")


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= 80 else f"{text[:79]}…"


def plain(name: str) -> str:
    return name.replace("_", " ").capitalize()


def documentation(kind: type) -> str:
    return python.cleandoc(kind.__dict__.get("__doc__") or "")


# --- what a branch may hold --------------------------------------------------


def _branches(model: Model) -> dict[str, _Shape]:
    told = inspect.type_info(model)
    assert isinstance(told, inspect.StructType)
    found = {field.encode_name: _shape(field.type) for field in told.fields}
    return {name: shape for name, shape in found.items() if shape}


def _shape(kind: inspect.Type, is_many: bool = False) -> _Shape | None:
    if isinstance(kind, inspect.Metadata):
        return _shape(kind.type, is_many)
    if isinstance(kind, inspect.ListType) and not is_many:
        return _shape(kind.item_type, True)
    several = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
    some = [each for each in several if not isinstance(each, inspect.NoneType)]
    structs = [each for each in some if isinstance(each, inspect.StructType) and not each.array_like]
    if not some or len(structs) != len(some):
        return _shape(some[0], is_many) if len(some) == 1 and isinstance(some[0], inspect.ListType) else None
    if len(structs) == 1:
        tag = structs[0].tag_field
        return _Shape({str(structs[0].tag) if tag else "": structs[0].cls}, tag, is_many)
    return _Shape({str(each.tag): each.cls for each in structs}, structs[0].tag_field, is_many)


# --- showing -----------------------------------------------------------------


def parts(model: Model, values: Values, prefix: str, wrong: Mapping[str, str]) -> tuple[Filled | Branch, ...]:
    """A form with these values, as they were typed, or the defaults. `wrong`: by the names of its controls."""
    mine = {name.removeprefix(prefix): words for name, words in wrong.items() if name.startswith(prefix)}
    branches = _branches(model)
    leaves = {name: value for name, value in values.items() if name not in branches}
    return tuple(
        _branch(each, branches[each.field.name], values.get(each.field.name), wrong)
        if each.field.name in branches
        else each
        for each in fields.filled(model, leaves, prefix, wrong=mine)
    )


def _branch(each: Filled, shape: _Shape, value: Any, wrong: Mapping[str, str]) -> Branch:
    given = value if isinstance(value, list) else [] if value is None else [value]
    if not given and not shape.is_many and each.field.is_required and len(shape.models) == 1:
        given = [{}]
    members = [_member(f"{each.name}.{number}", shape, one, wrong) for number, one in enumerate(given)]
    return Branch(
        each.field,
        each.name,
        tuple(shape.models),
        tuple(members),
        can_add=len(members) < MOST if shape.is_many else not members,
        can_remove=shape.is_many or not each.field.is_required or len(shape.models) > 1,
        wrong=wrong.get(each.name, ""),
    )


def _member(name: str, shape: _Shape, values: Any, wrong: Mapping[str, str]) -> Member:
    values = values if isinstance(values, Mapping) else {}
    kind = str(values.get(shape.tag, "")) if shape.tag else ""
    kind = kind if kind in shape.models else next(iter(shape.models))
    model = shape.models[kind]
    return Member(name, kind, documentation(model), parts(model, values, f"{name}.", wrong))


def names(found: Iterable[Filled | Branch]) -> Iterator[str]:
    """Those of all controls and branches of a form."""
    for part in found:
        yield part.name
        if isinstance(part, Branch):
            for member in part.members:
                yield from names(member.parts)


# --- reading -----------------------------------------------------------------


def read(model: Model, form: Any, prefix: str, depth: int = 0) -> tuple[dict[str, Any], dict[str, str]]:
    """What was typed, and what is wrong in it by the names of the controls. What is wrong stays as it was typed.

    Raises Invalid for a tree that is deeper than any form.
    """
    if depth > DEEPEST:
        raise Invalid(f"match_type: clauses are at most {DEEPEST} deep within each other here; write it as JSON")
    branches = _branches(model)
    values, wrong = fields.read(model, form, prefix)
    typed = {name: form.get(prefix + name) for name in wrong}
    found = {
        name: value for name, value in (values | typed).items() if value not in (None, "") and name not in branches
    }
    mistakes = {prefix + name: words for name, words in wrong.items() if name not in branches}
    for name, shape in branches.items():
        members, more = _members(shape, form, prefix + name, depth)
        mistakes |= more
        if members or shape.is_many:
            found[name] = members if shape.is_many else members[0]
    return found, mistakes


def _members(shape: _Shape, form: Any, name: str, depth: int) -> tuple[list[dict[str, Any]], dict[str, str]]:
    found: list[dict[str, Any]] = []
    wrong: dict[str, str] = {}
    numbers = (number for number in range(MOST) if f"{name}.{number}.is" in form)
    for place, number in enumerate(numbers):
        kind = form[f"{name}.{number}.is"]
        model = shape.models.get(kind)
        if model is None:
            raise Invalid(f"{name}.{number}: {kind[:50]!r} is none of {', '.join(shape.models)}")
        values, more = read(model, form, f"{name}.{number}.", depth + 1)
        found.append({**({shape.tag: kind} if shape.tag else {}), **values})
        wrong |= {_moved(each, f"{name}.{number}.", f"{name}.{place}."): words for each, words in more.items()}
    return found, wrong


def _moved(name: str, was: str, now: str) -> str:
    return now + name.removeprefix(was)


def grow(model: Model, values: dict[str, Any], name: str, kind: str) -> None:
    """Add a member to the branch of this name, which is `filters` or `filters.0.of`. Raises Invalid."""
    holder, shape, last = _find(model, values, name.split("."))
    if kind not in shape.models:
        raise Invalid(f"{name}: {kind[:50]!r} is none of {', '.join(shape.models)}")
    member = {shape.tag: kind} if shape.tag else {}
    if shape.is_many:
        holder.setdefault(last, []).append(member)
    else:
        holder[last] = member


def cut(model: Model, values: dict[str, Any], name: str) -> None:
    """Take the member of this name away: `filters.0`. Raises Invalid."""
    *path, number = name.split(".")
    holder, shape, last = _find(model, values, path)
    if not shape.is_many:
        holder.pop(last, None)
    elif (place := lists.whole(number)) is not None and place < len(holder.get(last, [])):
        del holder[last][place]


def _find(model: Model, values: dict[str, Any], path: list[str]) -> tuple[dict[str, Any], _Shape, str]:
    """What holds the branch at this path, and what that may hold."""
    first, *rest = path or [""]
    shape = _branches(model).get(first)
    if shape is None:
        raise Invalid(f"{'.'.join(path)[:100]}: there are no clauses in this")
    if not rest:
        return values, shape, first
    members = values.get(first) if shape.is_many else [values.get(first)]
    place = lists.whole(rest[0])
    number = -1 if place is None else place
    if not isinstance(members, list) or not 0 <= number < len(members) or not isinstance(members[number], dict):
        raise Invalid(f"{'.'.join(path)[:100]}: there is no such clause")
    kind = str(members[number].get(shape.tag, "")) if shape.tag else ""
    return _find(shape.models[kind], members[number], rest[1:])


def complaint(error: Invalid) -> str:
    """What is wrong with a clause, without where the surfaces have it."""
    return re.sub(r"match_type(\.type)?: ", "", error.message, count=1)


def wrong_in(error: Invalid, model: Model, prefix: str) -> dict[str, str]:
    """Where a matcher's complaint belongs: by the name of a control, or "" where it says no place."""
    words = complaint(error)
    if found := PLACE.fullmatch(words):
        place = re.sub(r"\[(\d+)\]", r".\1", found[2])
        return {prefix + place: found[1]} if place else wrong_in(Invalid(found[1]), model, prefix)
    name, _colon, rest = words.partition(": ")
    if rest and name in model.__struct_fields__:
        return {prefix + name: rest}
    return {"": words}
