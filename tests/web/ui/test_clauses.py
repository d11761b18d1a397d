"""What policies match, in words, and as a tree that a form can show and give back."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from werkzeug.datastructures import MultiDict

from roci import Invalid
from roci_plugins.web.ui.policies import clauses
from roci_plugins.web.ui.policies.clauses import Branch


class Leaf(msgspec.Struct):
    """A leaf of it."""

    colour: str = "green"


class Tree(msgspec.Struct):
    """Branches and leaves."""

    top: Leaf
    second: Leaf | None = None
    leaves: list[Leaf] = []


@pytest.mark.parametrize(
    ("match_type", "words"),
    [
        ({"type": "time_window", "seconds": 600}, "the window of 10 min is open"),
        ({"type": "time_window", "seconds": 90}, "the window of 90 s is open"),
        ({"type": "cidr"}, "An address in a network"),
        ({"type": "look", "of": [], "note": "x"}, "Look: Of [], Note x"),
        ({"type": "look"}, "Look"),
    ],
    ids=str,
)
def test_a_clause_is_said_in_words_whatever_it_is(match_type: dict[str, Any], words: str) -> None:
    assert words in clauses.said(match_type)


def branches(values: dict[str, Any], wrong: dict[str, str] | None = None) -> dict[str, Branch]:
    found = clauses.parts(Tree, values, "clause.", wrong or {})
    return {part.name: part for part in found if isinstance(part, Branch)}


def test_what_must_be_there_is_there_from_the_start_and_stays() -> None:
    top, second, leaves = branches({}).values()
    assert len(top.members) == 1 and not top.can_add and not top.can_remove
    assert not second.members and second.can_add and second.can_remove
    assert not leaves.members and leaves.can_add and leaves.members == ()
    assert top.members[0].about == "A leaf of it."


def test_a_form_gives_back_what_was_filled_in() -> None:
    form = MultiDict({"clause.top.0.is": "", "clause.top.0.colour": "red", "clause.leaves.4.is": ""})
    values, wrong = clauses.read(Tree, form, "clause.")
    assert values == {"top": {"colour": "red"}, "leaves": [{}]} and wrong == {}
    clauses.grow(Tree, values, "second", "")
    clauses.grow(Tree, values, "leaves", "")
    assert values == {"top": {"colour": "red"}, "second": {}, "leaves": [{}, {}]}
    clauses.cut(Tree, values, "second.0")
    clauses.cut(Tree, values, "leaves.1")
    clauses.cut(Tree, values, "leaves.9")
    clauses.cut(Tree, values, f"leaves.{'9' * 5000}")
    assert values == {"top": {"colour": "red"}, "leaves": [{}]}


@pytest.mark.parametrize("name", ["", "colour", "top.colour", "leaves.5.colour", "leaves.x.y"])
def test_there_is_nothing_to_add_where_there_is_no_branch(name: str) -> None:
    with pytest.raises(Invalid, match=r"no clauses in this|no such clause"):
        clauses.grow(Tree, {"top": {}, "leaves": []}, name, "")


@pytest.mark.parametrize(
    ("message", "place", "words"),
    [
        (
            "match_type: Expected `str`, got `int` - at `$.leaves[1].colour`",
            "c.leaves.1.colour",
            "Expected `str`, got `int`",
        ),
        ("match_type: top: is too high", "c.top", "is too high"),
        ("match_type: leaves: too few - at `$`", "c.leaves", "too few"),
        ("match_type: moon: is not here", "", "moon: is not here"),
        ("match_type.type: must be one of any", "", "must be one of any"),
    ],
)
def test_a_complaint_is_put_where_it_belongs(message: str, place: str, words: str) -> None:
    assert clauses.wrong_in(Invalid(message), Tree, "c.") == {place: words}
