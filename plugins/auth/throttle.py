"""How long whoever guesses passwords has to wait. No clock of its own and no hashing: times are given, in seconds.

A user is named by the id of who is meant, or, where that is nobody, by what was typed.
"""

from __future__ import annotations

import dataclasses
import ipaddress
from collections import OrderedDict
from collections.abc import Iterable
from typing import NamedTuple

MOST = 10_000  # keys that are remembered
QUIET = 900.0  # seconds without a failure after which a key is as new


class Limit(NamedTuple):
    """So many wrong attempts in a window; from then on each costs a wait, twice as long as the one before."""

    attempts: int
    window: float
    first: float
    longest: float


USER_AT_ADDRESS = Limit(10, 60, 60, 900)
ADDRESS = Limit(30, 60, 60, 900)
# Guessing one password from many places. The wait is short, since it keeps the right person out too.
USER = Limit(100, 900, 5, 30)

Key = tuple[str, str]  # the kind of key, and whose


@dataclasses.dataclass
class _Failures:
    since: float
    last: float
    count: int = 0
    waits: int = 0
    until: float = 0.0


class Throttle:
    """Wrong attempts by user and address. Bounded: the keys that failed longest ago are forgotten first."""

    def __init__(self) -> None:
        self._failures: OrderedDict[Key, _Failures] = OrderedDict()

    def wait(self, name: str, address: str, at: float) -> float:
        """Seconds until the next attempt; 0: now."""
        known = (self._failures.get(key) for key, _ in _keys(name, address))
        return max([0.0, *(failures.until - at for failures in known if failures)])

    def failed(self, name: str, address: str, at: float) -> None:
        for key, limit in _keys(name, address):
            failures = self._failures.pop(key, None)
            if failures is None or at - max(failures.last, failures.until) > QUIET:
                failures = _Failures(at, at)
            self._failures[key] = failures
            _count(failures, limit, at)
        while len(self._failures) > MOST:
            self._failures.popitem(last=False)

    def succeeded(self, name: str, address: str) -> None:
        """The user starts over; the address does not, or one good account would pay for guessing others."""
        for key, limit in _keys(name, address):
            if limit is not ADDRESS:
                self._failures.pop(key, None)


def _count(failures: _Failures, limit: Limit, at: float) -> None:
    if not failures.waits and at - failures.since > limit.window:
        failures.since, failures.count = at, 0
    failures.count, failures.last = failures.count + 1, at
    if failures.count >= limit.attempts:
        failures.until = at + min(limit.first * 2.0 ** min(failures.waits, 16), limit.longest)
        failures.waits += 1


def _keys(name: str, address: str) -> Iterable[tuple[Key, Limit]]:
    name, address = name.strip().lower()[:200], network(address)
    return (("user at", f"{address} {name}"), USER_AT_ADDRESS), (("address", address), ADDRESS), (("user", name), USER)


def network(address: str) -> str:
    """What counts as one place: an IPv4 address, or the /64 that one household has of IPv6."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address[:100]
    return str(ipaddress.ip_network((ip, 64), strict=False)) if ip.version == 6 else str(ip)
