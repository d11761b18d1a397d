"""The names of a candidate's address, each confirmed forward: a name counts only if it leads back to the address.

The hosts file is asked before DNS, as the system does. Another resolver is another plugin: leave this one out
with `disable: [facts.address]` and register `ReverseNames` over what you like.
"""

from __future__ import annotations

import asyncio
import importlib
import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol, cast

import msgspec

from roci import Candidate, FactSource, Roci, hookimpl

KEPT_SECONDS = 30.0
KEPT_ADDRESSES = 1024
NAMES = 16  # names of one address that are followed: whoever runs its reverse zone could list thousands


class DnsSettings(msgspec.Struct, kw_only=True):
    """The section `dns`."""

    section: ClassVar[str] = "dns"
    nameservers: list[str] = []  # empty: the system's
    timeout: float = 3.0  # seconds for everything about one address

    def __post_init__(self) -> None:
        if not self.timeout > 0:
            raise ValueError(f"timeout: must be more than 0 seconds, not {self.timeout}")
        for text in self.nameservers:
            read_nameserver(text)


class LookupFailed(Exception):
    """A resolver could not find out. That there is no answer is an answer: an empty list."""


class Resolver(Protocol):
    """Looks things up in one place. Raises LookupFailed only."""

    async def names(self, ip: str) -> Sequence[str]:
        """Names that an address claims."""

    async def addresses(self, name: str, version: int) -> Sequence[str]:
        """Addresses of a name, of IP version 4 or 6, as normalised text."""


class HostsFile:
    """The system's hosts file, read anew each time: it is small, and people edit it."""

    def __init__(self, path: str | Path = "/etc/hosts") -> None:
        self.path = Path(path)

    async def names(self, ip: str) -> list[str]:
        return [name for address, name in await self._pairs() if address == ip]

    async def addresses(self, name: str, version: int) -> list[str]:
        pairs = await self._pairs()
        return [ip for ip, known in pairs if known == name.lower() and ipaddress.ip_address(ip).version == version]

    async def _pairs(self) -> list[tuple[str, str]]:
        try:
            text = await asyncio.to_thread(self.path.read_text, errors="replace")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise LookupFailed(f"{self.path}: {error.strerror}") from None
        return [pair for line in text.splitlines() for pair in _read_hosts_line(line)]


def _read_hosts_line(line: str) -> list[tuple[str, str]]:
    address, *names = line.partition("#")[0].split() or [""]
    try:
        ip = str(ipaddress.ip_address(address.partition("%")[0]))
    except ValueError:
        return []
    return [(ip, name.lower().removesuffix(".")) for name in names]


class Dns:
    """DNS through the given servers, or the system's, whose list is read anew each time."""

    def __init__(self, nameservers: Sequence[str] = ()) -> None:
        self.nameservers = nameservers

    async def names(self, ip: str) -> list[str]:
        pointers = await self._ask(f"{ipaddress.ip_address(ip).reverse_pointer}.", "PTR")
        return [pointer.target.to_text(omit_final_dot=True) for pointer in pointers]

    async def addresses(self, name: str, version: int) -> list[str]:
        records = await self._ask(f"{name.removesuffix('.')}.", "A" if version == 4 else "AAAA")
        return [str(ipaddress.ip_address(record.address)) for record in records]

    async def _ask(self, name: str, kind: str) -> Iterable[Any]:
        await asyncio.to_thread(importlib.import_module, "dns.asyncresolver")  # large, and many never need it
        import dns.exception
        import dns.resolver

        try:
            return cast(Iterable[Any], await self._resolver().resolve(name, kind, search=False))
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return []
        except dns.exception.Timeout:
            raise LookupFailed("the name server did not answer in time") from None
        except (dns.exception.DNSException, OSError, ValueError) as error:
            raise LookupFailed(str(error) or type(error).__name__) from None

    def _resolver(self) -> Any:
        import dns.asyncresolver
        import dns.nameserver

        resolver = dns.asyncresolver.Resolver(configure=not self.nameservers)
        if self.nameservers:
            resolver.nameservers = [dns.nameserver.Do53Nameserver(*read_nameserver(text)) for text in self.nameservers]
        resolver.timeout = 1.0  # for one try: the whole has a limit of its own
        return resolver


def read_nameserver(text: str) -> tuple[str, int]:
    """Address and port from "10.0.0.1", "10.0.0.1:5353", "fd00::1" or "[fd00::1]:5353". Raises ValueError."""
    host, port = text, "53"
    if text.startswith("[") and text.endswith("]"):
        host = text[1:-1]
    elif text.startswith("[") or text.count(":") == 1:
        host, _, port = text.rpartition(":")
        host = host.strip("[]")
    try:
        ipaddress.ip_address(host)
        if not 0 < int(port) < 65536:
            raise ValueError
    except ValueError:
        raise ValueError(f"nameservers: {text!r} is not an address, such as 10.0.0.1 or 10.0.0.1:5353") from None
    return host, int(port)


class ReverseNames:
    """Facts `names` (confirmed) and `names_error` (why there may be more, or None). Never raises for a resolver.

    Resolvers are asked in order, and the first that has an answer wins, in both directions. What was found out
    without an error is kept for half a minute.
    """

    name = "reverse_dns"

    def __init__(
        self, resolvers: Sequence[Resolver], timeout: float = 3.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.resolvers, self.timeout, self.clock = resolvers, timeout, clock
        self._kept: OrderedDict[str, tuple[float, list[str]]] = OrderedDict()

    async def gather(self, candidate: Candidate) -> Mapping[str, Any]:
        ip = candidate.effective_ip
        until, names = self._kept.get(ip, (0.0, []))
        if self.clock() < until:
            return {"names": list(names), "names_error": None}
        names, errors = await self._look_up(ip)
        if not errors:
            self._keep(ip, names)
        return {"names": list(names), "names_error": "; ".join(sorted(set(errors))) or None}

    async def _look_up(self, ip: str) -> tuple[list[str], list[str]]:
        confirmed: list[str] = []
        errors: list[str] = []
        try:
            version = ipaddress.ip_address(ip).version
        except ValueError:
            return [], [f"{ip!r} is not an address"]

        async def confirm(name: str) -> None:
            try:
                if ip in await self._addresses(name, version):
                    confirmed.append(name)
            except LookupFailed as error:
                errors.append(str(error))

        try:
            async with asyncio.timeout(self.timeout):
                claimed = dict.fromkeys(name for name in await self._names(ip) if name)
                await asyncio.gather(*map(confirm, list(claimed)[:NAMES]))
        except TimeoutError:
            errors.append(f"there was no answer within {self.timeout:g} s")
        except LookupFailed as error:
            errors.append(str(error))
        return sorted(confirmed), errors

    async def _names(self, ip: str) -> Sequence[str]:
        for resolver in self.resolvers:
            if names := await resolver.names(ip):
                return names
        return []

    async def _addresses(self, name: str, version: int) -> Sequence[str]:
        for resolver in self.resolvers:
            if addresses := await resolver.addresses(name, version):
                return addresses
        return []

    def _keep(self, ip: str, names: list[str]) -> None:
        self._kept[ip] = (self.clock() + KEPT_SECONDS, names)
        self._kept.move_to_end(ip)
        while len(self._kept) > KEPT_ADDRESSES:
            self._kept.popitem(last=False)


@hookimpl
def register_settings() -> type[msgspec.Struct]:
    return DnsSettings


@hookimpl
def register_facts(roci: Roci) -> Iterable[FactSource]:
    settings = roci.section(DnsSettings)
    return [ReverseNames([HostsFile(), Dns(settings.nameservers)], settings.timeout)]
