from __future__ import annotations

import ipaddress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roci_plugins.matchers.network import Cidr, InNetwork

CASES = [
    ("10.9.0.0/16", "10.9.1.1", True, "10.9.1.1 is inside 10.9.0.0/16"),
    ("10.9.0.0/16", "10.8.1.1", False, "10.8.1.1 is outside 10.9.0.0/16"),
    ("10.9.3.4/16", "10.9.1.1", True, "10.9.1.1 is inside 10.9.0.0/16"),
    ("10.9.1.1", "10.9.1.1", True, "10.9.1.1 is inside 10.9.1.1/32"),
    ("10.9.1.1", "10.9.1.2", False, "10.9.1.2 is outside 10.9.1.1/32"),
    ("0.0.0.0/0", "203.0.113.5", True, "203.0.113.5 is inside 0.0.0.0/0"),
    ("10.0.0.0/255.0.0.0", "10.1.2.3", True, "10.1.2.3 is inside 10.0.0.0/8"),
    ("10.0.0.0/8", "::ffff:10.1.2.3", True, "10.1.2.3 is inside 10.0.0.0/8"),
    ("::ffff:10.0.0.0/104", "10.1.2.3", True, "10.1.2.3 is inside 10.0.0.0/8"),
    ("::ffff:10.0.0.0/104", "11.1.2.3", False, "11.1.2.3 is outside 10.0.0.0/8"),
    ("fd00::/8", "fd12::1", True, "fd12::1 is inside fd00::/8"),
    ("FD00::1/8", "FD12::1", True, "fd12::1 is inside fd00::/8"),
    ("fd00::1", "fd00::1", True, "fd00::1 is inside fd00::1/128"),
    ("fe80::/10", "fe80::1%eth0", True, "fe80::1 is inside fe80::/10"),
    ("::/0", "10.1.2.3", False, "10.1.2.3 is outside ::/0"),
    ("0.0.0.0/0", "fd00::1", False, "fd00::1 is outside 0.0.0.0/0"),
    ("0.0.0.0/0", "", False, "'' is not an address, so it is in no network"),
    ("0.0.0.0/0", "nas.lan", False, "'nas.lan' is not an address, so it is in no network"),
]


@pytest.mark.parametrize(("network", "address", "holds", "why"), CASES)
def test_an_address_is_inside_a_network_or_outside(network: str, address: str, holds: bool, why: str) -> None:
    verdict = Cidr().matches(InNetwork(network=network), {"effective_ip": address})
    assert (verdict.holds, verdict.why) == (holds, why)


@pytest.mark.parametrize(
    "network", ["10.0.0.0/99", "", "nas.lan", "10.0.0/8", "10.0.0.0/-1", "fd00::/129", "10.0.0.0/8/8"]
)
def test_a_network_that_is_none_is_refused_by_name(network: str) -> None:
    with pytest.raises(msgspec.ValidationError, match="is not a network, such as"):
        msgspec.convert({"type": "cidr", "network": network}, InNetwork)


def test_a_network_must_be_text_and_given() -> None:
    for clause in ({"type": "cidr"}, {"network": 10}, {"network": None}):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(clause, InNetwork)


@given(st.ip_addresses(v=4), st.ip_addresses(v=4), st.integers(0, 32))
def test_ipv4_agrees_with_plain_arithmetic(address: ipaddress.IPv4Address, base: ipaddress.IPv4Address, n: int) -> None:
    expected = int(address) >> (32 - n) == int(base) >> (32 - n)
    assert holds(f"{base}/{n}", str(address)) is expected
    assert holds(f"{base}/{n}", f"::ffff:{address}") is expected


@given(st.ip_addresses(v=6), st.ip_addresses(v=6), st.integers(0, 128))
def test_ipv6_agrees_with_the_standard_library(
    address: ipaddress.IPv6Address, base: ipaddress.IPv6Address, n: int
) -> None:
    network = ipaddress.ip_network((base, n), strict=False)
    if not address.ipv4_mapped and not network.network_address.ipv4_mapped:
        assert holds(f"{base}/{n}", str(address)) is (address in network)
    if not network.network_address.ipv4_mapped:
        assert holds(f"{base}/{n}", str(network[-1])) is (network[-1].ipv4_mapped is None)


def holds(network: str, address: str) -> bool:
    return Cidr().matches(InNetwork(network=network), {"effective_ip": address}).holds
