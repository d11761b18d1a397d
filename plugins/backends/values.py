"""The values of a Compose file, read into what the engine takes. Pure; a wrong value raises Wrong."""

from __future__ import annotations

import dataclasses
import functools
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(us|µs|ms|s|m|h)")
_NANOSECONDS = {"us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([bkmgt]?)(?:i?b)?", re.IGNORECASE)
MOST_PORTS = 1000  # published by one application
_MODES = {"ro", "rw", "z", "Z", "nocopy", "cached", "delegated", "consistent"}
PORT = re.compile(
    r"(?:(?:(?P<ip>\[[0-9a-fA-F:.]+\]|\d+\.\d+\.\d+\.\d+):)?(?P<host>[\d-]*):)?(?P<inside>[\d-]+)(?:/(?P<protocol>\w+))?"
)


class Wrong(ValueError):
    """A value that cannot be used. `path` says where below the value the fault lies."""

    def __init__(self, reason: str, *path: str | int) -> None:
        super().__init__(reason)
        self.path = path


@dataclasses.dataclass(frozen=True)
class Port:
    """One published port; `host` is empty for one the engine chooses, and may be a range."""

    inside: int
    protocol: str = "tcp"
    host: str = ""
    ip: str = ""


@dataclasses.dataclass(frozen=True)
class Mount:
    """Storage in a container. `source` is a path for a bind, a volume's key for a volume, else empty."""

    kind: str  # bind, volume, anonymous, tmpfs
    target: str
    source: str = ""
    mode: str = ""


def known(value: Any, *keys: str) -> dict[str, Any]:
    """A mapping (or nothing) with no other keys than these and `x-…`."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Wrong("it must be a mapping")
    for key in value:
        if key not in keys and not key.startswith("x-"):
            raise Wrong(f"plain Docker does not know `{key}` here; `backend: compose` does", key)
    return {key: item for key, item in value.items() if key in keys}


def text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, (str, int, float)):
        raise Wrong("it must be text")
    return str(value)


def boolean(value: Any) -> bool:
    word = text(value).lower()
    if word not in ("true", "false", "yes", "no", "on", "off"):
        raise Wrong(f"{word!r} is neither true nor false")
    return word in ("true", "yes", "on")


def number(value: Any) -> int:
    if not re.fullmatch(r"\d{1,18}", text(value)):
        raise Wrong(f"{value!r} is no whole number")
    return int(text(value))


def texts(value: Any) -> list[str]:
    if not isinstance(value, list):
        raise Wrong("it must be a list")
    return [text(item) for item in value]


def words(value: Any) -> list[str] | None:
    """A command: a list, or a line split as a shell would."""
    if value is None or isinstance(value, list):
        return None if value is None else texts(value)
    try:
        return shlex.split(text(value))
    except ValueError as error:
        raise Wrong(f"the command cannot be read: {error}") from None


def entrypoint(value: Any) -> list[str] | None:
    """As a command; an empty one takes the image's away."""
    found = words(value)
    return [""] if found == [] else found


def pairs(value: Any) -> dict[str, str | None]:
    """`KEY=value` in a list, or a mapping. None: the key alone was given."""
    if isinstance(value, list):
        split = [text(item).partition("=") for item in value]
        return {name: item if equals else None for name, equals, item in split}
    if value is None or isinstance(value, dict):
        return {name: None if item is None else text(item) for name, item in (value or {}).items()}
    raise Wrong("it must be a mapping, or a list of KEY=value")


def labels(value: Any) -> dict[str, str]:
    found = {name: item or "" for name, item in pairs(value).items()}
    for name in found:
        if name.startswith(("com.docker.compose.", "roci.")):
            raise Wrong(f"the label {name} is not yours to set", name)
    return found


def duration(value: Any) -> int:
    """`1m30s` in nanoseconds."""
    given = text(value)
    parts = _DURATION.findall(given)
    if not parts or "".join(amount + unit for amount, unit in parts) != given:
        raise Wrong(f"{given!r} is no duration such as 30s or 1m30s")
    return sum(round(float(amount) * _NANOSECONDS[unit]) for amount, unit in parts)


def size(value: Any) -> int:
    """`512m` in bytes."""
    found = _SIZE.fullmatch(text(value).strip())
    if not found:
        raise Wrong(f"{value!r} is no size such as 512m or 1g")
    unit: int = 1024 ** "bkmgt".index(found[2].lower() or "b")
    return round(float(found[1]) * unit)


def cpus(value: Any) -> int:
    """`1.5` in billionths of a CPU."""
    try:
        amount = float(text(value))
    except ValueError:
        amount = -1
    if not 0 < amount < 100_000:
        raise Wrong(f"{value!r} is no number of CPUs such as 1.5")
    return round(amount * 10**9)


def restart(value: Any) -> dict[str, Any]:
    """The engine's RestartPolicy."""
    policy, _, retries = ("no" if value is False else text(value)).partition(":")
    if policy not in ("no", "always", "unless-stopped", "on-failure") or (retries and policy != "on-failure"):
        raise Wrong(f"{value!r} is none of no, always, unless-stopped, on-failure or on-failure:3")
    return {"Name": policy, "MaximumRetryCount": number(retries) if retries else 0}


def healthcheck(value: Any) -> dict[str, Any]:
    """The engine's Healthcheck."""
    given = known(value, "test", "interval", "timeout", "retries", "start_period", "start_interval", "disable")
    if boolean(given.get("disable", False)):
        return {"Test": ["NONE"]}
    found: dict[str, Any] = {}
    if (test := given.get("test")) is not None:
        found["Test"] = texts(test) if isinstance(test, list) else ["CMD-SHELL", text(test)]
        if found["Test"] and found["Test"][0] not in ("NONE", "CMD", "CMD-SHELL"):
            raise Wrong("a test's list begins with NONE, CMD or CMD-SHELL", "test")
    for key, name in (("interval", "Interval"), ("timeout", "Timeout"), ("start_period", "StartPeriod")):
        if key in given:
            found[name] = duration(given[key])
    if "start_interval" in given:
        found["StartInterval"] = duration(given["start_interval"])
    if "retries" in given:
        found["Retries"] = number(given["retries"])
    return found


# --- ports -------------------------------------------------------------------


def ports(value: Any) -> list[Port]:
    if not isinstance(value, list):
        raise Wrong("`ports` must be a list")
    found: list[Port] = []
    for place, item in enumerate(value):
        found += _located(place, functools.partial(_port, most=MOST_PORTS - len(found)), item)
    return found


def _located(place: int, read: Any, item: Any) -> Any:
    """Let a fault in an item of a list say which item."""
    try:
        return read(item)
    except Wrong as error:
        raise Wrong(str(error), place, *error.path) from None


def _port(item: Any, most: int) -> list[Port]:
    """The ports of one entry. Counted before they are made: a line of ten characters can mean 65535."""
    if isinstance(item, dict):
        given = known(item, "target", "published", "host_ip", "protocol", "mode", "name")
        if "target" not in given:
            raise Wrong("a port needs a `target`")
        host, inside = text(given.get("published", "")), text(given["target"])
        protocol, ip = text(given.get("protocol", "tcp")), text(given.get("host_ip", ""))
    else:
        found = PORT.fullmatch(text(item))
        if not found:
            raise Wrong(f"{item!r} is no port such as 80, 8080:80 or 127.0.0.1:8080:80/udp")
        host, inside = found["host"] or "", found["inside"]
        protocol, ip = found["protocol"] or "tcp", (found["ip"] or "").strip("[]")
    if protocol not in ("tcp", "udp", "sctp"):
        raise Wrong(f"{protocol!r} is none of tcp, udp and sctp")
    if len(ports := _range(inside)) > most:
        raise Wrong(f"more than {MOST_PORTS} published ports")
    return _pair(ports, host, protocol, ip)


def _pair(inside: Sequence[int], host: str, protocol: str, ip: str) -> list[Port]:
    if not host:
        return [Port(port, protocol, "", ip) for port in inside]
    outside = _range(host)
    if len(inside) == len(outside):
        return [Port(port, protocol, str(out), ip) for port, out in zip(inside, outside, strict=True)]
    if len(inside) == 1:
        return [Port(inside[0], protocol, host, ip)]
    raise Wrong(f"the ranges {host} and {inside[0]}-{inside[-1]} differ in length")


def _range(given: str) -> range:
    first, dash, last = given.partition("-")
    if not first.isdigit() or (dash and not last.isdigit()) or len(given) > 11:
        raise Wrong(f"{given!r} is no port")
    found = range(int(first), int(last or first) + 1)
    if not found or found[0] < 1 or found[-1] > 65535:
        raise Wrong(f"{given!r} is no port between 1 and 65535")
    return found


# --- storage -----------------------------------------------------------------


def mounts(value: Any) -> list[Mount]:
    if not isinstance(value, list):
        raise Wrong("`volumes` must be a list")
    return [_located(place, _mount, item) for place, item in enumerate(value)]


def _mount(item: Any) -> Mount:
    if isinstance(item, dict):
        given = known(item, "type", "source", "target", "read_only")
        kind, source = text(given.get("type", "volume")), text(given.get("source", ""))
        mode = "ro" if boolean(given.get("read_only", False)) else ""
        return _checked(kind, source, text(given.get("target", "")), mode)
    source, _, rest = text(item).partition(":")
    if not rest:
        return _checked("volume", "", source, "")
    target, _, mode = rest.partition(":")
    return _checked("bind" if source[:1] in (".", "/", "~") else "volume", source, target, mode)


def _checked(kind: str, source: str, target: str, mode: str) -> Mount:
    if kind not in ("bind", "volume", "tmpfs"):
        raise Wrong(f"plain Docker does not know the type {kind!r} of storage; `backend: compose` does")
    if not target.startswith("/") or ":" in target:
        raise Wrong(f"{target!r} is no absolute path in the container")
    if source.startswith("~") or ":" in source or (kind == "bind" and not source):
        raise Wrong(f"{source!r} is no path: write it out, without `~` and `:`")
    if unknown := set(filter(None, mode.split(","))) - _MODES:
        raise Wrong(f"{min(unknown)!r} is no mode of storage such as ro")
    return Mount("anonymous" if kind == "volume" and not source else kind, target, source, mode)


def tmpfs(value: Any) -> dict[str, str]:
    """Paths and their mount options."""
    found = {}
    for item in [value] if isinstance(value, str) else texts(value):
        path, _, options = item.partition(":")
        if not path.startswith("/"):
            raise Wrong(f"{path!r} is no absolute path in the container")
        found[path] = options
    return found


# --- networks ----------------------------------------------------------------


def networks(value: Any) -> dict[str, list[str]]:
    """The networks of a service and its further names there. None given: the project's default one."""
    if not value:
        return {"default": []}
    if isinstance(value, list):
        return {text(name): [] for name in value}
    if not isinstance(value, Mapping):
        raise Wrong("`networks` must be a list or a mapping")
    found = {}
    for name, item in value.items():
        try:
            found[name] = texts(known(item, "aliases").get("aliases", []))
        except Wrong as error:
            raise Wrong(str(error), name, *error.path) from None
    return found
