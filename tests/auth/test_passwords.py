"""Hashing, and what a password must be; who is meant by a name; what 10,000 wrong ones cost the others."""

from __future__ import annotations

import pytest

from roci import Invalid
from roci_plugins.auth.passwords import check, hashed, holds


def test_a_hash_is_salted_hides_itself_and_holds_for_its_password_only():
    kept = hashed("correct horse")
    assert repr(kept) == "[hidden]" and kept != hashed("correct horse")
    assert holds(kept, "correct horse") and not holds(kept, "correct house")


@pytest.mark.parametrize("kept", [None, "", "no hash at all"])
def test_where_there_is_no_hash_no_password_holds(kept: str | None):
    assert not holds(kept, "") and not holds(kept, "correct horse")


@pytest.mark.parametrize("password", ["", "short", "x" * 1025])
def test_a_password_that_is_set_has_ten_characters_at_least(password: str):
    with pytest.raises(Invalid, match=r"^password: at least 10 characters"):
        check(password)
