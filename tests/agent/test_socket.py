"""Only agents may open the agents' socket: a page on any machine of the network could pose as that machine."""

from __future__ import annotations

import pytest
from werkzeug.datastructures import Headers

from roci_plugins.agent.socket import is_browser

OWN = {"roci.lan:8080"}


@pytest.mark.parametrize(
    "headers, expected",
    [
        ({}, False),
        ({"User-Agent": "Python/3.11 websockets/15"}, False),
        ({"Origin": "http://roci.lan:8080"}, False),
        ({"Origin": "http://evil.example"}, True),
        ({"Origin": "null"}, True),
        ({"Origin": "http://roci.lan:8080", "User-Agent": "Mozilla/5.0"}, True),
        ({"Sec-Fetch-Site": "same-origin"}, True),
    ],
)
def test_a_browser_is_told_from_an_agent(headers: dict[str, str], expected: bool) -> None:
    assert is_browser(Headers(headers), OWN) is expected
