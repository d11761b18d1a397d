from __future__ import annotations

from typing import Any

import pytest

from roci_plugins.backends import values
from roci_plugins.backends.values import Mount, Port, Wrong


@pytest.mark.parametrize(
    ("given", "ports"),
    [
        (80, [Port(80)]),
        ("80", [Port(80)]),
        ("80/udp", [Port(80, "udp")]),
        ("8080:80", [Port(80, "tcp", "8080")]),
        ("8080:80/udp", [Port(80, "udp", "8080")]),
        ("127.0.0.1:8080:80", [Port(80, "tcp", "8080", "127.0.0.1")]),
        ("127.0.0.1::80", [Port(80, "tcp", "", "127.0.0.1")]),
        ("[::1]:8080:80", [Port(80, "tcp", "8080", "::1")]),
        ("3000-3001", [Port(3000), Port(3001)]),
        ("9000-9001:80-81", [Port(80, "tcp", "9000"), Port(81, "tcp", "9001")]),
        ("9000-9005:80", [Port(80, "tcp", "9000-9005")]),
        ({"target": 80}, [Port(80)]),
        ({"target": 80, "published": "8080", "host_ip": "::1", "protocol": "udp", "mode": "host"},
         [Port(80, "udp", "8080", "::1")]),
    ],
)  # fmt: skip
def test_ports_are_read(given: Any, ports: list[Port]) -> None:
    assert values.ports([given]) == ports


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("web", "is no port such as"),
        ("0:80", "is no port between 1 and 65535"),
        ("70000", "is no port between 1 and 65535"),
        ("90-80", "is no port between"),
        ("1-3:1-2", "differ in length"),
        ("80/icmp", "is none of tcp, udp and sctp"),
        ("-:80", "is no port"),
        ({"published": 80}, "a port needs a `target`"),
        ({"target": 80, "app_protocol": "http"}, "plain Docker does not know `app_protocol`"),
        (None, "must be text"),
        ("1-65535", "more than 1000 published ports"),
        ("1-1000:1-1000", "more than 1000 published ports"),
    ],
)
def test_what_is_no_port_is_refused_with_its_place(given: Any, reason: str) -> None:
    with pytest.raises(Wrong) as error:
        values.ports(["80", given])
    assert reason in str(error.value) and error.value.path[0] == 1


@pytest.mark.parametrize(
    ("given", "mount"),
    [
        ("data:/data", Mount("volume", "/data", "data")),
        ("data:/data:ro", Mount("volume", "/data", "data", "ro")),
        ("./x:/x", Mount("bind", "/x", "./x")),
        ("/x:/y:ro,z", Mount("bind", "/y", "/x", "ro,z")),
        ("../x:/y", Mount("bind", "/y", "../x")),
        ("/data", Mount("anonymous", "/data")),
        ({"type": "bind", "source": "/a", "target": "/b", "read_only": True}, Mount("bind", "/b", "/a", "ro")),
        ({"type": "volume", "source": "v", "target": "/b"}, Mount("volume", "/b", "v")),
        ({"type": "volume", "target": "/b"}, Mount("anonymous", "/b")),
        ({"type": "tmpfs", "target": "/b"}, Mount("tmpfs", "/b")),
    ],
)
def test_storage_is_read(given: Any, mount: Mount) -> None:
    assert values.mounts([given]) == [mount]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("data", "is no absolute path in the container"),
        ("data:relative", "is no absolute path in the container"),
        ("~/x:/x", "is no path: write it out"),
        ("a:/b:what", "'what' is no mode"),
        ({"type": "npipe", "source": "a", "target": "/b"}, "does not know the type 'npipe'"),
        ({"type": "bind", "target": "/b"}, "is no path"),
        ({"type": "volume", "target": "/b", "volume": {"nocopy": True}}, "plain Docker does not know `volume`"),
    ],
)
def test_what_is_no_storage_is_refused(given: Any, reason: str) -> None:
    with pytest.raises(Wrong) as error:
        values.mounts([given])
    assert reason in str(error.value)


@pytest.mark.parametrize(
    ("read", "given", "result"),
    [
        (values.duration, "1m30s", 90 * 10**9),
        (values.duration, "1.5s", 1_500_000_000),
        (values.duration, "200ms", 200_000_000),
        (values.duration, "2h", 7200 * 10**9),
        (values.size, "512m", 512 * 2**20),
        (values.size, "1.5GB", 3 * 2**29),
        (values.size, "10KiB", 10240),
        (values.size, 1000, 1000),
        (values.size, "64b", 64),
        (values.cpus, "0.5", 500_000_000),
        (values.cpus, 2, 2_000_000_000),
        (values.restart, "always", {"Name": "always", "MaximumRetryCount": 0}),
        (values.restart, "on-failure:3", {"Name": "on-failure", "MaximumRetryCount": 3}),
        (values.restart, "no", {"Name": "no", "MaximumRetryCount": 0}),
        (values.restart, False, {"Name": "no", "MaximumRetryCount": 0}),
        (values.words, "sh -c 'a b'", ["sh", "-c", "a b"]),
        (values.words, ["a", 1, True], ["a", "1", "true"]),
        (values.words, None, None),
        (values.entrypoint, "", [""]),
        (values.entrypoint, None, None),
        (values.pairs, ["A=1=2", "B", "C="], {"A": "1=2", "B": None, "C": ""}),
        (values.pairs, {"A": 1, "B": None, "C": True, "D": 1.5}, {"A": "1", "B": None, "C": "true", "D": "1.5"}),
        (values.labels, ["a=b", "c"], {"a": "b", "c": ""}),
        (values.tmpfs, "/run", {"/run": ""}),
        (values.tmpfs, ["/run:size=1m"], {"/run": "size=1m"}),
        (values.networks, None, {"default": []}),
        (values.networks, ["a", "b"], {"a": [], "b": []}),
        (values.networks, {"a": None, "b": {"aliases": ["c"]}}, {"a": [], "b": ["c"]}),
        (values.boolean, "yes", True),
        (values.boolean, False, False),
        (values.healthcheck, {"disable": True}, {"Test": ["NONE"]}),
        (values.healthcheck, {"test": "true", "interval": "1s", "timeout": "2s", "start_period": "3s", "retries": 4},
         {"Test": ["CMD-SHELL", "true"], "Interval": 10**9, "Timeout": 2 * 10**9, "StartPeriod": 3 * 10**9,
          "Retries": 4}),
        (values.healthcheck, {"test": ["CMD", "x"]}, {"Test": ["CMD", "x"]}),
    ],
)  # fmt: skip
def test_values_are_read(read: Any, given: Any, result: Any) -> None:
    assert read(given) == result


@pytest.mark.parametrize(
    ("read", "given", "reason"),
    [
        (values.duration, "30", "is no duration"),
        (values.duration, "1s1", "is no duration"),
        (values.duration, "", "is no duration"),
        (values.size, "big", "is no size"),
        (values.size, "-1", "is no size"),
        (values.cpus, 0, "is no number of CPUs"),
        (values.cpus, "nan", "is no number of CPUs"),
        (values.cpus, "many", "is no number of CPUs"),
        (values.restart, "sometimes", "is none of no, always"),
        (values.restart, "always:3", "is none of no, always"),
        (values.restart, "on-failure:x", "is no whole number"),
        (values.words, "sh -c 'open", "cannot be read"),
        (values.words, {"a": 1}, "must be text"),
        (values.pairs, "A=1", "must be a mapping, or a list"),
        (values.labels, ["com.docker.compose.project=other"], "is not yours to set"),
        (values.labels, {"roci.config-hash": "x"}, "is not yours to set"),
        (values.tmpfs, "run", "is no absolute path"),
        (values.networks, {"a": {"ipv4_address": "1.2.3.4"}}, "plain Docker does not know `ipv4_address`"),
        (values.networks, "a", "must be a list or a mapping"),
        (values.boolean, "maybe", "is neither true nor false"),
        (values.healthcheck, {"test": ["x"]}, "begins with NONE, CMD or CMD-SHELL"),
        (values.healthcheck, {"tset": "x"}, "plain Docker does not know `tset`"),
        (values.healthcheck, "true", "must be a mapping"),
    ],
)
def test_what_cannot_be_read_says_why(read: Any, given: Any, reason: str) -> None:
    with pytest.raises(Wrong) as error:
        read(given)
    assert reason in str(error.value)
