from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roci_plugins.backends.interpolation import DEPTH, Mention, fill, mentioned, mentions

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


def word(text: str, at: int) -> str:
    """What stands from here to the brace that closes, by counting."""
    depth, begin = 1, at
    while at < len(text) and depth:
        depth += {"{": text[at - 1] == "$", "}": -1}.get(text[at], 0)
        at += 1
    return text[begin : at - (not depth)]


@given(st.lists(st.sampled_from(["${A:-", "${B?", "${C", "$D", "$", "$$", "${", "{", "}", ":-", "x"]), max_size=DEPTH))
def test_the_default_of_every_variable_is_what_stands_up_to_its_own_brace(pieces: list[str]) -> None:
    text = "|".join(pieces)
    defaults = [mention.default for mention in mentioned(text) if mention.name == "A"]
    begins = [at for at in range(len(text)) if text.startswith("${A:-", at) and not escaped(text, at)]
    assert defaults == [word(text, at + len("${A:-")) for at in begins]


def escaped(text: str, at: int) -> bool:
    """Whether the `$` here is the second of a `$$`."""
    before = text[:at]
    return (len(before) - len(before.rstrip("$"))) % 2 == 1


@pytest.mark.parametrize("end", ["}" * 30_000, ""], ids=["closed", "open"])
def test_what_is_nested_deeper_than_is_read_is_refused_and_not_told(end: str) -> None:
    text = "${A:-" * 30_000 + end
    assert len(list(mentioned(text))) == DEPTH + 1
    with pytest.raises(ValueError, match="more than 20 deep"):
        fill(text, {})
    assert list(mentioned(text + "}" * 30_000 + "${B:-x}"))[-1] == Mention("B", "x")
