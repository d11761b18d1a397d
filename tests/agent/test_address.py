from __future__ import annotations

import pytest

from roci_plugins.agent.address import client_ip, effective_ip, normalise

PROXY = ["10.0.0.2", "192.168.0.0/24", "fd00::/64", "127.0.0.1"]
CASES = [
    # what, peer, declared, forwarded_for, trusted, expected
    ("the peer, when nothing else is said", "203.0.113.5", None, None, [], "203.0.113.5"),
    ("a declared address from afar is not believed", "203.0.113.5", "10.9.1.1", None, [], "203.0.113.5"),
    ("a declared address from loopback is", "127.0.0.1", "10.9.1.1", None, [], "10.9.1.1"),
    ("also from another loopback address", "127.8.8.8", "10.9.1.1", None, [], "10.9.1.1"),
    ("also from loopback in IPv6", "::1", "FD00::0001", None, [], "fd00::1"),
    ("also from loopback inside IPv6", "::ffff:127.0.0.1", "10.9.1.1", None, [], "10.9.1.1"),
    ("a declared address that is none", "127.0.0.1", "nas.lan", None, [], "127.0.0.1"),
    ("an empty declared address", "127.0.0.1", "", None, [], "127.0.0.1"),
    ("a private peer is not loopback", "192.168.0.7", "10.9.1.1", None, PROXY, "192.168.0.7"),
    ("the header of a trusted proxy", "10.0.0.2", None, "203.0.113.5", PROXY, "203.0.113.5"),
    ("the header of a stranger", "203.0.113.9", None, "10.9.1.1", PROXY, "203.0.113.9"),
    ("the header of a stranger who trusts himself", "203.0.113.9", "10.0.0.2", "10.9.1.1", PROXY, "203.0.113.9"),
    ("what a client wrote before the proxy", "10.0.0.2", None, "10.9.1.1, 203.0.113.5", PROXY, "203.0.113.5"),
    ("a client that plays the proxy", "10.0.0.2", None, "10.9.1.1, 10.0.0.2, 203.0.113.5", PROXY, "203.0.113.5"),
    ("through two proxies", "10.0.0.2", None, "203.0.113.5,192.168.0.9", PROXY, "203.0.113.5"),
    ("a proxy itself asks", "10.0.0.2", None, "192.168.0.9", PROXY, "192.168.0.9"),
    ("garbage before the stranger is his own", "10.0.0.2", None, "garbage, 203.0.113.5", PROXY, "203.0.113.5"),
    ("an empty place before the stranger too", "10.0.0.2", None, ",, 203.0.113.5", PROXY, "203.0.113.5"),
    ("garbage from the proxy", "10.0.0.2", "10.9.1.1", "203.0.113.5, unknown", PROXY, "10.0.0.2"),
    ("an empty header", "10.0.0.2", None, "", PROXY, "10.0.0.2"),
    ("with ports", "10.0.0.2", None, "[2001:DB8::1]:4711, 192.168.0.9:80", PROXY, "2001:db8::1"),
    ("IPv4 inside IPv6 in the header", "10.0.0.2", None, "::ffff:203.0.113.5", PROXY, "203.0.113.5"),
    ("a trusted peer inside IPv6", "::ffff:10.0.0.2", None, "203.0.113.5", PROXY, "203.0.113.5"),
    ("a proxy in IPv6", "fd00::5", None, "203.0.113.5", PROXY, "203.0.113.5"),
    ("a proxy on this machine", "127.0.0.1", "10.9.1.1", "203.0.113.5", PROXY, "203.0.113.5"),
    ("a local agent through it", "127.0.0.1", "10.9.1.1", "127.0.0.1", PROXY, "10.9.1.1"),
    ("garbage from it opens nothing", "127.0.0.1", "10.9.1.1", "unknown", PROXY, "127.0.0.1"),
    ("somebody local to another machine's proxy", "10.0.0.2", "10.9.1.1", "127.0.0.1", PROXY, "127.0.0.1"),
    ("a local proxy nobody said to trust", "127.0.0.1", "10.9.1.1", "203.0.113.5", [], "127.0.0.1"),
    ("a zone is dropped", "fe80::1%eth0", None, None, [], "fe80::1"),
    ("trusting everybody takes the farthest", "10.0.0.2", None, "203.0.113.5, 10.0.0.3", ["0.0.0.0/0"], "203.0.113.5"),
    ("a socket without an address", "<local>", "10.9.1.1", "10.9.1.1", PROXY, "<local>"),
]


@pytest.mark.parametrize(
    ("peer", "declared", "header", "trusted", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_the_effective_address_is_one_nobody_can_choose(
    peer: str, declared: str | None, header: str | None, trusted: list[str], expected: str
) -> None:
    assert effective_ip(peer, declared, header, trusted) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.1", "10.0.0.1"),
        (" 10.0.0.1 ", "10.0.0.1"),
        ("::FFFF:10.0.0.1", "10.0.0.1"),
        ("2001:0DB8:0:0::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("010.0.0.1", None),
        ("10.0.0", None),
        ("10.0.0.0/8", None),
        ("nas.lan", None),
        ("1", None),
        ("", None),
        (None, None),
    ],
)
def test_an_address_has_one_spelling(text: str | None, expected: str | None) -> None:
    assert normalise(text) == expected


@pytest.mark.parametrize(
    "peer, forwarded_for, expected",
    [
        ("203.0.113.5", None, "203.0.113.5"),
        ("203.0.113.5", "198.51.100.1", "203.0.113.5"),
        ("10.0.0.2", None, "10.0.0.2"),
        ("10.0.0.2", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.2", "1.2.3.4, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.2", "1.2.3.4, 198.51.100.1, 192.168.0.9", "198.51.100.1"),
        ("10.0.0.2", "nonsense, 192.168.0.9", "192.168.0.9"),
        ("10.0.0.2", "nonsense", "10.0.0.2"),
        ("10.0.0.2", "", "10.0.0.2"),
        ("10.0.0.2", "192.168.0.8, 192.168.0.9", "192.168.0.8"),
        ("::ffff:10.0.0.2", "::ffff:198.51.100.1", "198.51.100.1"),
        ("127.0.0.1", "[2001:DB8::7]:4711", "2001:db8::7"),
        ("", "198.51.100.1", None),
    ],
)
def test_lists_of_allowed_addresses_are_held_against_the_nearest_stranger(
    peer: str, forwarded_for: str | None, expected: str | None
) -> None:
    assert client_ip(peer, forwarded_for, PROXY) == expected
