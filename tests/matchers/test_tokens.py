from __future__ import annotations

import msgspec
import pytest

from roci_plugins.matchers.tokens import OneTimeCode, Totp

CASES = [
    ("valid", True, "the one-time code is right"),
    ("wrong", False, "the one-time code is wrong or has expired"),
    ("used", False, "the one-time code was used before"),
    ("absent", False, "no one-time code was given"),
    ("unconfigured", False, "no secret for one-time codes is set (totp_secret)"),
    ("throttled", False, "too many wrong one-time codes came from this address: codes are ignored for a minute"),
]


@pytest.mark.parametrize(("state", "holds", "why"), CASES)
def test_only_a_valid_code_matches(state: str, holds: bool, why: str) -> None:
    verdict = Totp().matches(OneTimeCode(), {"totp": state})
    assert (verdict.holds, verdict.why) == (holds, why)


def test_without_the_fact_nothing_matches() -> None:
    verdict = Totp().matches(OneTimeCode(), {})
    assert (verdict.holds, verdict.why) == (False, "one-time codes were not checked")


def test_the_clause_has_no_fields_and_minds_none() -> None:
    assert msgspec.convert({"type": "totp", "secret": "ABC"}, OneTimeCode) == OneTimeCode()
