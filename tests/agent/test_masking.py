from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from roci_plugins.agent.masking import Masker


@pytest.mark.parametrize(
    ("values", "text", "shown"),
    [
        (["hunter22"], "password hunter22!", "password ***!"),
        (["hunter22"], "hunter22hunter22", "******"),
        (["short"], "short", "short"),
        (["secret", "secret-longer"], "secret-longer secret", "*** ***"),
        (["abcdef", "defghi"], "abcdefghi", "***"),
        (["aaaaaa"], "aaaaaaaaa b", "*** b"),
        (["-----BEGIN\nc2VjcmV0\nx\n-----END"], "c2VjcmV0 then -----BEGIN, x", "*** then ***, x"),
        (["first-line\nsecond-line"], "first-line\nsecond-line", "***"),
        (["trailing-newline\n"], "trailing-newline.", "***."),
        (["ünïcödé"], "ünïcödé", "***"),
        (["[a-z]+.*"], "[a-z]+.* abc", "*** abc"),
        ([], "anything", "anything"),
        ([""], "anything", "anything"),
    ],
)
def test_values_are_hidden(values: list[str], text: str, shown: str) -> None:
    assert Masker(values).mask(text) == shown


def test_a_value_that_arrives_in_pieces_is_hidden_and_the_rest_is_not_held_back() -> None:
    masker = Masker(["hunter22"])
    assert masker.feed("the pass is hun") == "the pass is "
    assert masker.feed("ter2") == ""
    assert masker.feed("2, and a hun") == "***, and a "
    assert masker.flush() == "hun"


def test_an_unfinished_value_behind_a_hidden_one_is_not_shown() -> None:
    masker = Masker(["abcdef", "defghi"])
    assert masker.feed("abcdef") == "***"
    assert masker.feed("gh") == ""
    assert masker.feed("i.") == "."


def test_an_endless_value_is_not_remembered_for_ever() -> None:
    masker = Masker(["aaaaaa"])
    shown = "".join(masker.feed("a" * 1000) for _ in range(100)) + masker.flush()
    assert shown == "***"


words = st.text(alphabet="ab\n", max_size=12)


@given(st.lists(words, max_size=4), st.lists(words, max_size=8))
@example(["abbabb", "bbabba"], ["abbabb", "abb", "a"])
def test_pieces_give_what_the_whole_gives(values: list[str], pieces: list[str]) -> None:
    masker = Masker(values)
    assert "".join(map(masker.feed, pieces)) + masker.flush() == Masker(values).mask("".join(pieces))


@given(st.lists(words, max_size=4), words.map(lambda text: text * 4))
def test_no_value_survives_and_nothing_else_is_lost(values: list[str], text: str) -> None:
    hidden = [False] * len(text)
    parts = {part for value in values for part in (value, *(line.strip() for line in value.splitlines()))}
    for part in parts:
        for at in range(len(text)):
            if len(part) >= 6 and text.startswith(part, at):
                hidden[at : at + len(part)] = [True] * len(part)
    kept = "".join(letter for letter, hide in zip(text, hidden, strict=True) if not hide)
    assert Masker(values).mask(text).replace("***", "") == kept
