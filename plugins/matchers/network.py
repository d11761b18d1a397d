"""The `cidr` clause: the candidate's effective address lies inside a network."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from roci import Matcher, Verdict, hookimpl

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")


def read_address(text: str) -> Address:
    """An address, as IPv4 where it is IPv4 inside IPv6. Raises ValueError."""
    address = ipaddress.ip_address(text.partition("%")[0])
    return getattr(address, "ipv4_mapped", None) or address


def read_network(text: str) -> Network:
    """A network, from any address in it; a bare address is a network of one. Raises ValueError."""
    network = ipaddress.ip_network(text, strict=False)
    if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(MAPPED):
        inner = network.network_address.ipv4_mapped
        return ipaddress.IPv4Network((str(inner), network.prefixlen - MAPPED.prefixlen))
    return network


class InNetwork(msgspec.Struct, kw_only=True):
    network: str

    def __post_init__(self) -> None:
        try:
            read_network(self.network)
        except ValueError:
            raise ValueError(f"network: {self.network!r} is not a network, such as 10.0.0.0/8 or fd00::/8") from None


class Cidr:
    name = "cidr"
    clause: type[msgspec.Struct] = InNetwork

    def matches(self, clause: InNetwork, facts: Mapping[str, Any]) -> Verdict:
        network, text = read_network(clause.network), facts.get("effective_ip", "")
        try:
            address = read_address(text)
        except ValueError:
            return Verdict(False, f"{text!r} is not an address, so it is in no network")
        inside = address in network
        return Verdict(inside, f"{address} is {'inside' if inside else 'outside'} {network}")


@hookimpl
def register_matchers() -> Iterable[Matcher]:
    return [Cidr()]
