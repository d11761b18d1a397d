"""Which address a connection comes from, when proxies and agents may claim any."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def _read(text: str | None) -> Address | None:
    try:
        address = ipaddress.ip_address((text or "").strip().partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def normalise(text: str | None) -> str | None:
    """An address in one spelling: IPv4 unwrapped from ::ffff:, IPv6 short, lower case, no zone. None: it is none."""
    address = _read(text)
    return None if address is None else str(address)


def is_trusted(peer: str | None, trusted_proxies: Sequence[str]) -> bool:
    """Whether a connection comes from a proxy whose headers are believed."""
    address = _read(peer)
    return address is not None and any(address in ipaddress.ip_network(text, strict=False) for text in trusted_proxies)


def client_ip(peer: str, forwarded_for: str | None, trusted_proxies: Sequence[str]) -> str | None:
    """The address that lists of allowed addresses are held against; None: the peer has none.

    Read from the right as long as the hop is a trusted proxy; a hop that is no address ends it at the one before.
    """
    hop = normalise(peer)
    for text in reversed((forwarded_for or "").split(",")):
        heard = normalise(_without_port(text.strip())) if is_trusted(hop, trusted_proxies) else None
        if heard is None:
            break
        hop = heard
    return hop


def effective_ip(peer: str, declared: str | None, forwarded_for: str | None, trusted_proxies: Sequence[str]) -> str:
    """The address that policies see, as normalised text (a peer that has no address stays as it is).

    `forwarded_for` holds every X-Forwarded-For header of the request in order, joined with commas; None: there is
    none. It counts when the peer is a trusted proxy. `declared` counts when the connection began on this machine:
    the peer is loopback, and no proxy names another client. A forwarding header from a loopback peer that is not
    trusted says that strangers come through it, so then neither counts.
    """
    start = _read(peer)
    if start is None:
        return peer
    client: Address | None = start
    if forwarded_for is not None:
        client = _client(start, forwarded_for, [ipaddress.ip_network(text, strict=False) for text in trusted_proxies])
    if start.is_loopback and client is not None and client.is_loopback:
        return normalise(declared) or str(client)
    return str(client or start)


def _client(
    peer: Address, header: str, trusted: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]
) -> Address | None:
    """The nearest address no trusted proxy has, or the farthest one if they all are. None: the header is no help.

    Read from the right: each proxy appends whom it heard, so what lies left of a stranger is the stranger's word.
    """
    hop = peer
    if not any(hop in network for network in trusted):
        return None
    for text in reversed(header.split(",")):
        heard = _read(_without_port(text.strip()))
        if heard is None:
            return None
        hop = heard
        if not any(hop in network for network in trusted):
            break
    return hop


def _without_port(text: str) -> str:
    """Some proxies add the port: 203.0.113.5:4711, [2001:db8::1]:4711."""
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text
