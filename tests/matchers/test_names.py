from __future__ import annotations

import time
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roci_plugins.matchers.names import NamedLike, ReverseDns, fits

FITS = [
    ("*.lab.lan", "a.lab.lan", True),
    ("*.lab.lan", "a.b.lab.lan", True),
    ("*.lab.lan", "lab.lan", False),
    ("*.lab.lan", "a.lab.lan.evil.example", False),
    ("*.lab.lan", "a.lab-lan", False),
    ("*.lab.lan", "axlab.lan", False),
    ("*.LAB.lan", "A.lab.LAN.", True),
    ("*.lab.lan.", "a.lab.lan", True),
    ("nas", "nas", True),
    ("nas", "nas2", False),
    ("nas?.lan", "nas2.lan", True),
    ("nas?.lan", "nas.lan", False),
    ("nas?.lan", "nas22.lan", False),
    ("?", "\n", False),  # no name has one, but it must not slip through as an end of line
    ("n[ab]s", "nas", False),
    ("n[ab]s", "n[ab]s", True),
    ("*", "anything.at.all", True),
    ("**.lan", "a.lan", True),
    ("a*", "a", True),
    ("a*a", "a", False),
    ("*ab*ab", "abab", True),
    ("*ab*ab", "ab", False),
    ("a*b*c", "a.b.b.c", True),
    ("local*", "localhost", True),
    ("local*", "my.localhost", False),
    (r"\w+", "abc", False),
]


@pytest.mark.parametrize(("pattern", "name", "expected"), FITS)
def test_a_pattern_fits_a_whole_name_or_not(pattern: str, name: str, expected: bool) -> None:
    assert fits(pattern, name) is expected


def obviously_fits(pattern: str, name: str) -> bool:
    """The definition, with no thought for time."""
    if not pattern:
        return not name
    if pattern[0] == "*":
        return any(obviously_fits(pattern[1:], name[start:]) for start in range(len(name) + 1))
    return bool(name) and pattern[0] in ("?", name[0]) and obviously_fits(pattern[1:], name[1:])


@given(st.text("ab.*?", min_size=1, max_size=8).filter(lambda text: text[-1] != "."), st.text("abc", max_size=9))
def test_patterns_mean_what_their_definition_says(pattern: str, name: str) -> None:
    assert fits(pattern, name) is obviously_fits(pattern, name)


def test_a_name_made_to_be_slow_is_not() -> None:
    began = time.perf_counter()
    assert not fits("*a" * 60 + "b", "a" * 250)
    assert time.perf_counter() - began < 10


CASES: list[tuple[str, dict[str, Any], bool, str]] = [
    ("*.lan", {"names": ["x.org", "Nas.lan."]}, True, "10.1.2.3 is nas.lan, which matches *.lan"),
    (
        "*.lab.lan",
        {"names": ["a.lan"], "names_error": None},
        False,
        "no confirmed name of 10.1.2.3 matches *.lab.lan (names: a.lan)",
    ),
    (
        "*.lab.lan",
        {"names": list("abcdef")},
        False,
        "no confirmed name of 10.1.2.3 matches *.lab.lan (names: a, b, c, d, e, …)",
    ),
    ("*", {"names": [], "names_error": None}, False, "10.1.2.3 has no confirmed name to match *"),
    (
        "*",
        {"names": [], "names_error": "there was no answer within 3 s"},
        False,
        "10.1.2.3 has no confirmed name to match *; the look-up failed: there was no answer within 3 s",
    ),
    ("a*", {"names": ["a.lan"], "names_error": "one failed"}, True, "10.1.2.3 is a.lan, which matches a*"),
    ("*", {}, False, "10.1.2.3 has no confirmed name to match *"),
]


@pytest.mark.parametrize(("pattern", "facts", "holds", "why"), CASES)
def test_only_confirmed_names_count_and_the_reason_names_them(
    pattern: str, facts: dict[str, Any], holds: bool, why: str
) -> None:
    verdict = ReverseDns().matches(NamedLike(pattern=pattern), {"effective_ip": "10.1.2.3", **facts})
    assert (verdict.holds, verdict.why) == (holds, why)


@pytest.mark.parametrize("pattern", ["", "  ", ".", None, 7])
def test_a_pattern_must_be_text_and_not_empty(pattern: object) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"type": "reverse_dns", "pattern": pattern}, NamedLike)
