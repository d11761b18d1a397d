from __future__ import annotations

import pytest

from roci_plugins.backends.interpolation import fill, mentions

VARIABLES = {"A": "1", "EMPTY": "", "NAME_2": "two"}


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("plain", "plain"),
        ("$A", "1"),
        ("${A}", "1"),
        ("x${A}y$NAME_2.z", "x1ytwo.z"),
        ("$$A and $${A}", "$A and ${A}"),
        ("$$$A", "$1"),
        ("$MISSING.", "."),
        ("${MISSING:-d}", "d"),
        ("${MISSING-d}", "d"),
        ("${EMPTY:-d}", "d"),
        ("${EMPTY-d}", ""),
        ("${A:-d}", "1"),
        ("${A:+yes}", "yes"),
        ("${EMPTY:+yes}", ""),
        ("${EMPTY+yes}", "yes"),
        ("${MISSING+yes}", ""),
        ("${A:?why}", "1"),
        ("${EMPTY?why}", ""),
        ("${MISSING:-${A}}", "1"),
        ("${MISSING:-${ALSO:-deep $A}}!", "deep 1!"),
        ("${MISSING:-a:b/c-d}", "a:b/c-d"),
    ],
)
def test_variables_are_filled_in_as_compose_does(text: str, filled: str) -> None:
    assert fill(text, VARIABLES) == filled


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("${MISSING:?set it first}", "the variable MISSING is required: set it first"),
        ("${MISSING?}", "the variable MISSING is required: it has no value"),
        ("${EMPTY:?no}", "the variable EMPTY is required: no"),
        ("${A", "not closed"),
        ("${A:-x", "not closed"),
        ("${A!x}", "no operator"),
        ("$", "is written `$$`"),
        ("cost: 5$ each", "is written `$$`"),
        ("${B:-" * 5000 + "}" * 5000, "more than 20 deep"),
        ("${}", "is written `$$`"),
    ],
)
def test_what_cannot_be_filled_in_says_why(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=None) as error:
        fill(text, VARIABLES)
    assert reason in str(error.value)


def test_values_are_filled_wherever_they_stand_and_keys_are_not() -> None:
    assert fill({"$A": ["$A", {"x": "$A"}, 5, None, True]}, VARIABLES) == {"$A": ["1", {"x": "1"}, 5, None, True]}


def test_names_without_a_value_are_told_but_not_those_nobody_asked_for() -> None:
    missing: set[str] = set()
    fill(["$M1", "${M2}", "${M3:-x}", "${A:-$M4}", "${M5:-$M6}"], VARIABLES, missing)
    assert missing == {"M1", "M2", "M6"}


def test_a_doubled_dollar_mentions_no_variable() -> None:
    assert not mentions({"a": ["x$$y"]})
    assert mentions({"a": ["x$$${y}"]})
