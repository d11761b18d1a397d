"""What forms are made of."""

from __future__ import annotations

import pytest

from roci_plugins.web.forms import segment


@pytest.mark.parametrize(
    ("word", "found"),
    [("wiki-web-1", "wiki-web-1"), ("../a", "..%2Fa"), ("a?b#c", "a%3Fb%23c"), (".", "-"), ("..", "-"), ("", "-")],
)
def test_a_word_of_a_host_is_one_segment_of_a_path(word: str, found: str) -> None:
    assert segment(word) == found
