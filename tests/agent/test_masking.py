from __future__ import annotations

import random
import re
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from roci_plugins.agent.masking import Masker, UrlMasker, without_cut_url, without_secrets, without_url_secrets


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


def test_a_long_value_is_hidden_under_one_mask_and_so_is_a_long_piece_of_it() -> None:
    value = "".join(random.Random(1).choices("abc", k=1000))
    assert Masker([value]).mask(f"<{value}{value[:5]}>") == f"<***{value[:5]}>"
    assert Masker([value]).mask(value[:256]) == "***"
    assert Masker([value]).mask(value[:255]) == value[:255]


@pytest.mark.parametrize("seed", range(5))
def test_in_a_long_text_the_same_is_hidden_as_a_slow_search_finds(seed: int) -> None:
    chance = random.Random(seed)
    values = ["".join(chance.choices("ab", k=chance.randint(6 + seed, 20))) for _ in range(10)]
    text = "".join(chance.choice([*values, "a" * chance.randint(1, 40), "b"]) for _ in range(5000))
    hidden = bytearray(len(text))
    for value in values:
        for found in re.finditer(f"(?={value})", text):
            hidden[found.start() : found.start() + len(value)] = b"\1" * len(value)
    kept = "".join(letter for letter, hide in zip(text, hidden, strict=True) if not hide)
    assert Masker(values).mask(text).replace("***", "") == kept


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([f"pass{number:04d}" for number in range(5000)], "x" * 2**21),
        ([f"pass{number:04d}" for number in range(5000)], "no pass in this line of output\n" * 2**16),
        (["a" * 4096], "a" * 2**22),
        (["a" * 4096 + "b"], "a" * 2**22),
        (["s3cr3tpassw0"], "s3cr3tpassw0 " * 2**18),
    ],
)
def test_many_and_long_values_in_much_text_take_no_long_time(values: list[str], text: str) -> None:
    began = time.process_time()
    Masker(values).mask(text)
    assert time.process_time() - began < 2  # a tenth of that on an idle machine; one sweep a value took 8 to 17


ADDRESSES = [
    ("https://me:hunter2@git.lan/x", "https://me:***@git.lan/x"),
    ("two https://:tok@a and ssh://0123456789abcdefghij@b.", "two https://:***@a and ssh://***@b."),
    ("no secret: http://a/b, 12:30, c://d", "no secret: http://a/b, 12:30, c://d"),
    ("ends in an address https://me:hunter2", "ends in an address https://me:hunter2"),
    ("https://me:hun@ter@2@git.lan/x@y", "https://me:***@git.lan/x@y"),
    ("https://me@mail.lan:hunter2@git.lan", "https://me@mail.lan:***@git.lan"),
    ("https://tok:x-oauth-basic@git.lan https://tok:@git.lan", "https://***@git.lan https://***@git.lan"),
    ("https://0123456789abcdefghij:hunter2@git.lan", "https://***@git.lan"),
    ("https://x-access-token:hunter2@git.lan", "https://x-access-token:***@git.lan"),
    ("https://0123456789ab@git.lan ssh://git@git.lan", "https://***@git.lan ssh://git@git.lan"),
    ("http://a:b@c,http://d:e@f", "http://a:***@c,http://d:***@f"),
]


@pytest.mark.parametrize(("text", "shown"), ADDRESSES, ids=range(len(ADDRESSES)))
def test_passwords_in_addresses_are_hidden_wherever_the_stream_is_cut(text: str, shown: str) -> None:
    for cut in range(len(text) + 1):
        stream = UrlMasker()
        assert stream.feed(text[:cut]) + stream.feed(text[cut:]) + stream.flush() == shown, cut


def test_what_cannot_become_an_address_is_not_held_back() -> None:
    stream = UrlMasker()
    assert stream.feed("done: yes") == "done: yes"
    assert stream.feed("://" + "x" * 9000) == "://" + "x" * 9000


@pytest.mark.parametrize("length", [1500, 8190])
def test_long_tokens_in_addresses_are_hidden_in_a_stream_too(length: int) -> None:
    text, stream = f"https://x:{'t' * length}@git.lan/x", UrlMasker()
    pieces = [text[at : at + 100] for at in range(0, len(text), 100)]
    assert "".join(map(stream.feed, pieces)) + stream.flush() == "https://x:***@git.lan/x"
    assert without_url_secrets(text) == "https://x:***@git.lan/x"


@given(st.lists(st.text(alphabet=":/@a ", max_size=8), max_size=12))
def test_a_stream_gives_what_the_whole_gives(pieces: list[str]) -> None:
    stream, text = UrlMasker(), "".join(pieces)
    assert "".join(map(stream.feed, pieces)) + stream.flush() == without_url_secrets(text)
    assert without_url_secrets(without_url_secrets(text)) == without_url_secrets(text)


@pytest.mark.parametrize("hostile", ["://", "@", ":", "://:", "://a@", ":@", "/", "://" + "x" * 8000, "x:/"])
def test_addresses_in_hostile_texts_take_no_long_time(hostile: str) -> None:
    text, stream = hostile * (2**20 // len(hostile)), UrlMasker()
    began = time.process_time()
    without_url_secrets(text)
    without_cut_url(text)
    for at in range(0, len(text), 1000):
        stream.feed(text[at : at + 1000])
    assert time.process_time() - began < 2  # a tenth of that on an idle machine


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("secret1 is the rest", "*** is the rest"),
        ("et1", "***"),
        ("t1 is too short to matter", "t1 is too short to matter"),
        ("something else", "something else"),
        ("", ""),
    ],
)
def test_a_value_that_the_beginning_of_a_text_cuts_is_hidden(text: str, shown: str) -> None:
    assert Masker(["verysecret1", "other-value"]).without_cut_value(text) == shown


def test_the_rest_of_a_password_in_an_address_is_hidden() -> None:
    assert without_cut_url("unter2@git.lan/x") == "***@git.lan/x"
    assert without_cut_url("//me:hunter2@git.lan/x") == "//***@git.lan/x"
    assert without_cut_url("n" * 2000 + "@git.lan/x") == "***@git.lan/x"
    assert without_cut_url("nothing of that kind, me@lan") == "nothing of that kind, me@lan"


def test_what_is_said_at_any_depth_shows_no_secret() -> None:
    said = {"a": ["--token=verysecret1", 3, None], "verysecret1": {"url": "https://me:hunter2x@git.lan"}, "b": True}
    assert without_secrets(said, Masker(["verysecret1"])) == {
        "a": ["--token=***", 3, None],
        "***": {"url": "https://me:***@git.lan"},
        "b": True,
    }
