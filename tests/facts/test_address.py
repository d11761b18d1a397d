from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from dnslib import QTYPE, RR, DNSRecord
from dnslib.server import DNSServer

from roci import Candidate, Roci, Settings, StartupError
from roci_plugins.facts.address import Dns, DnsSettings, HostsFile, LookupFailed, ReverseNames, read_nameserver

ZONE = """
5.2.1.10.in-addr.arpa. 60 IN PTR nas.lab.lan.
nas.lab.lan. 60 IN A 10.1.2.5
nas.lab.lan. 60 IN A 10.1.2.55
6.2.1.10.in-addr.arpa. 60 IN PTR liar.lab.lan.
liar.lab.lan. 60 IN A 10.1.2.5
7.2.1.10.in-addr.arpa. 60 IN PTR b.lab.lan.
7.2.1.10.in-addr.arpa. 60 IN PTR a.lab.lan.
7.2.1.10.in-addr.arpa. 60 IN PTR gone.lab.lan.
a.lab.lan. 60 IN A 10.1.2.7
b.lab.lan. 60 IN CNAME a.lab.lan.
8.2.1.10.in-addr.arpa. 60 IN CNAME 8.sub.2.1.10.in-addr.arpa.
8.sub.2.1.10.in-addr.arpa. 60 IN PTR c.lab.lan.
c.lab.lan. 60 IN A 10.1.2.8
9.2.1.10.in-addr.arpa. 60 IN PTR half.lab.lan.
9.2.1.10.in-addr.arpa. 60 IN PTR d.lab.lan.
d.lab.lan. 60 IN A 10.1.2.9
1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa. 60 IN PTR six.lab.lan.
six.lab.lan. 60 IN AAAA fd00::1
six.lab.lan. 60 IN A 10.1.2.5
10.2.1.10.in-addr.arpa. 60 IN PTR localhost.
localhost. 60 IN A 10.1.2.10
"""
BROKEN = "half.lab.lan."  # the server fails on this name


class Zone:
    """Answers as a recursive server would: with every record a CNAME leads to."""

    def __init__(self, text: str) -> None:
        self.records = RR.fromZone(text)
        self.asked: list[str] = []

    def resolve(self, request: DNSRecord, handler: object) -> DNSRecord:
        reply, name, kind = request.reply(), str(request.q.qname), QTYPE[request.q.qtype]
        self.asked.append(f"{name} {kind}")
        if name == BROKEN:
            reply.header.rcode = 2
            return reply
        known = [record for record in self.records if str(record.rname) == name]
        reply.header.rcode = 0 if known else 3
        while chain := [record for record in known if QTYPE[record.rtype] == "CNAME"]:
            reply.add_answer(*chain)
            known = [record for record in self.records if str(record.rname) == str(chain[0].rdata)]
        reply.add_answer(*[record for record in known if QTYPE[record.rtype] == kind])
        return reply


class Quiet:
    def log(self, *args: object) -> None: ...

    def __getattr__(self, name: str) -> object:
        return self.log


@pytest.fixture(scope="module")
def zone() -> Zone:
    return Zone(ZONE)


@pytest.fixture(scope="module")
def server(zone: Zone) -> Iterator[str]:
    dns = DNSServer(zone, address="127.0.0.1", port=0, logger=Quiet())
    dns.start_thread()
    yield f"127.0.0.1:{dns.server.server_address[1]}"
    dns.stop()
    dns.server.server_close()


@pytest.fixture
def silent() -> Iterator[str]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def candidate(ip: str) -> Candidate:
    return Candidate(hostname="h1", declared_ip=ip, peer_ip="127.0.0.1", effective_ip=ip)


async def facts_of(ip: str, server: str, hosts: str | Path = "/nonexistent") -> dict[str, object]:
    return dict(await ReverseNames([HostsFile(hosts), Dns([server])]).gather(candidate(ip)))


@pytest.mark.parametrize(
    ("ip", "names"),
    [
        ("10.1.2.5", ["nas.lab.lan"]),
        ("10.1.2.6", []),  # the name leads to another address
        ("10.1.2.7", ["a.lab.lan", "b.lab.lan"]),  # through a CNAME, and one name that is gone
        ("10.1.2.8", ["c.lab.lan"]),  # a delegated reverse zone, RFC 2317
        ("10.1.2.99", []),  # no such address
        ("fd00::1", ["six.lab.lan"]),
    ],
)
async def test_a_name_counts_only_if_it_leads_back_to_the_address(ip: str, names: list[str], server: str) -> None:
    assert await facts_of(ip, server) == {"names": names, "names_error": None}


async def test_a_failing_name_is_an_error_and_does_not_hide_the_others(server: str) -> None:
    facts = await facts_of("10.1.2.9", server)
    assert facts["names"] == ["d.lab.lan"]
    assert "SERVFAIL" in str(facts["names_error"])


async def test_a_silent_server_costs_no_more_than_the_limit(silent: str) -> None:
    began = time.monotonic()
    facts = await ReverseNames([Dns([silent])], timeout=0.2).gather(candidate("10.1.2.5"))
    assert time.monotonic() - began < 10
    assert facts == {"names": [], "names_error": "there was no answer within 0.2 s"}


async def test_a_server_that_is_not_there_is_an_error_not_an_exception() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    facts = await ReverseNames([Dns([f"127.0.0.1:{port}"])], timeout=0.5).gather(candidate("10.1.2.5"))
    assert facts["names"] == []
    assert facts["names_error"]


async def test_what_is_no_address_has_no_names(server: str) -> None:
    assert await facts_of("<local>", server) == {"names": [], "names_error": "'<local>' is not an address"}


@pytest.fixture
def hosts(tmp_path: Path) -> Path:
    path = tmp_path / "hosts"
    path.write_text(
        "# a comment\n"
        "127.0.0.1\tlocalhost  Box.lan  # the box\n"
        "127.0.0.1 box\n"
        "::1 localhost ip6-localhost\n"
        "fe80::1%lo0 localhost\n"
        "10.1.2.6 liar.lab.lan\n"
        "nonsense here\n"
        "10.1.2.3\n"
        "\n"
    )
    return path


@pytest.mark.parametrize(
    ("ip", "names"),
    [
        ("127.0.0.1", ["box", "box.lan", "localhost"]),
        ("::1", ["ip6-localhost", "localhost"]),
        ("10.1.2.3", []),
    ],
)
async def test_the_hosts_file_names_and_confirms(ip: str, names: list[str], hosts: Path, silent: str) -> None:
    sources = [HostsFile(hosts)]
    assert await ReverseNames(sources).gather(candidate(ip)) == {"names": names, "names_error": None}
    if names:  # then DNS is not asked
        assert await facts_of(ip, silent, hosts) == {"names": names, "names_error": None}


async def test_the_hosts_file_overrules_dns_in_the_forward_direction_too(hosts: Path, server: str) -> None:
    assert (await facts_of("10.1.2.6", server, hosts))["names"] == ["liar.lab.lan"]
    assert (await facts_of("10.1.2.5", server, hosts))["names"] == ["nas.lab.lan"]
    assert (await facts_of("10.1.2.10", server))["names"] == ["localhost"]
    assert (await facts_of("10.1.2.10", server, hosts))["names"] == []  # nobody takes localhost's name


async def test_an_unreadable_hosts_file_is_an_error_in_words(tmp_path: Path) -> None:
    facts = await ReverseNames([HostsFile(tmp_path)]).gather(candidate("127.0.0.1"))
    assert facts == {"names": [], "names_error": f"{tmp_path}: Is a directory"}


async def test_answers_are_kept_for_half_a_minute(server: str, zone: Zone) -> None:
    time_is = [100.0]
    source = ReverseNames([Dns([server])], clock=lambda: time_is[0])
    first = await source.gather(candidate("10.1.2.5"))
    before = len(zone.asked)
    time_is[0] += 29
    assert await source.gather(candidate("10.1.2.5")) == first
    assert len(zone.asked) == before
    time_is[0] += 2
    assert await source.gather(candidate("10.1.2.5")) == first
    assert zone.asked[before:] == ["5.2.1.10.in-addr.arpa. PTR", "nas.lab.lan. A"]


class Scripted:
    """A resolver as a plugin might bring one."""

    def __init__(self, names: Sequence[str], failing: bool = False) -> None:
        self.given, self.failing, self.asked = names, failing, 0

    async def names(self, ip: str) -> Sequence[str]:
        self.asked += 1
        if self.failing:
            raise LookupFailed("no luck")
        return self.given

    async def addresses(self, name: str, version: int) -> Sequence[str]:
        self.asked += 1
        return ["10.0.0.1"]


async def test_errors_are_not_kept() -> None:
    resolver = Scripted(["a.lan"], failing=True)
    source = ReverseNames([resolver])
    assert (await source.gather(candidate("10.0.0.1")))["names_error"] == "no luck"
    resolver.failing = False
    assert await source.gather(candidate("10.0.0.1")) == {"names": ["a.lan"], "names_error": None}


async def test_an_address_with_endless_names_costs_little() -> None:
    resolver = Scripted([f"h{number}.lan" for number in range(5000)])
    facts = await ReverseNames([resolver]).gather(candidate("10.0.0.1"))
    assert len(facts["names"]) == 16
    assert resolver.asked == 17


async def test_what_is_kept_has_a_bound() -> None:
    source = ReverseNames([Scripted([])])
    for number in range(1100):
        await source.gather(candidate(f"10.0.{number // 256}.{number % 256}"))
    assert len(source._kept) == 1024


@pytest.mark.parametrize(
    ("text", "address", "port"),
    [
        ("10.0.0.1", "10.0.0.1", 53),
        ("10.0.0.1:5353", "10.0.0.1", 5353),
        ("fd00::1", "fd00::1", 53),
        ("[fd00::1]", "fd00::1", 53),
        ("[fd00::1]:5353", "fd00::1", 5353),
    ],
)
def test_a_name_server_is_an_address_with_or_without_a_port(text: str, address: str, port: int) -> None:
    found = read_nameserver(text)
    assert found == (address, port)


@pytest.mark.parametrize(
    "text", ["dns.lan", "", "10.0.0.1:", "10.0.0.1:0", "10.0.0.1:99999", "[fd00::1", "[fd00::1]x53"]
)
def test_anything_else_is_refused_at_start(text: str, tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="nameservers"):
        Roci(Settings(data_dir=str(tmp_path), sections={"dns": {"nameservers": [text]}}))


async def test_the_settings_reach_the_resolver(tmp_path: Path, server: str) -> None:
    roci = Roci(Settings(data_dir=str(tmp_path), sections={"dns": {"nameservers": server, "timeout": "1.5"}}))
    assert roci.section(DnsSettings) == DnsSettings(nameservers=[server], timeout=1.5)
    facts = await roci.facts["reverse_dns"].gather(candidate("10.1.2.5"))
    assert facts == {"names": ["nas.lab.lan"], "names_error": None}


async def test_the_hosts_file_of_this_machine_names_loopback(tmp_path: Path) -> None:
    facts = await Roci(Settings(data_dir=str(tmp_path))).facts["reverse_dns"].gather(candidate("127.0.0.1"))
    assert "localhost" in facts["names"]


def test_a_limit_must_be_positive(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="timeout"):
        Roci(Settings(data_dir=str(tmp_path), sections={"dns": {"timeout": 0}}))
