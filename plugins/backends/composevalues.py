"""What the values of a service may look like, to tell of those that Compose would refuse. Only what is certain."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from . import values
from .interpolation import mentions
from .yamltext import Document, Path

KINDS: dict[str, tuple[type, ...]] = {
    "a single value": (str, int, float, bool),
    "a list": (list,),
    "a mapping": (dict,),
    "a list or a mapping": (list, dict),
    "a single value or a list": (str, int, float, bool, list),
    "a single value or a mapping": (str, int, float, bool, dict),
}
_KEYS = {
    "a single value": (
        "image container_name hostname domainname user working_dir restart network_mode pid ipc platform runtime init"
        " privileged read_only tty stdin_open stop_signal stop_grace_period pull_policy mem_limit mem_reservation cpus"
        " shm_size mac_address scale userns_mode cpuset pids_limit"
    ),
    "a list": "ports volumes expose cap_add cap_drop devices links external_links security_opt volumes_from group_add"
    " profiles configs secrets dns_opt device_cgroup_rules",
    "a mapping": "healthcheck logging deploy ulimits blkio_config storage_opt",
    "a list or a mapping": "environment labels networks depends_on extra_hosts sysctls annotations",
    "a single value or a list": "command entrypoint env_file dns dns_search tmpfs",
    "a single value or a mapping": "build extends",
}
KIND = {key: kind for kind, keys in _KEYS.items() for key in keys.split()}
LARGEST = 65535
Found = Iterator[tuple[Path, str]]  # where, and what is wrong there


def wrong(document: Document, at: Path) -> Found:
    """Of the service that stands at `at`. Values that variables decide are known at the deploy only."""
    given = document.at(at)
    if not isinstance(given, dict):
        if given is not None:
            yield at, f"the service `{at[-1]}` must be a mapping"
        return
    for key, value in given.items():
        kind = KIND.get(key)
        if value is not None and kind and not isinstance(value, KINDS[kind]):
            yield (*at, key), f"`{key}` must be {kind}"
    if isinstance(ports := given.get("ports"), list):
        found = ((place, _port(item)) for place, item in enumerate(ports) if not mentions(item))
        yield from (((*at, "ports", place), reason) for place, reason in found if reason)
    yield from _restart(given.get("restart"), (*at, "restart"))


def _restart(value: Any, at: Path) -> Found:
    if value is None or isinstance(value, (list, dict)) or mentions(value):
        return
    try:
        values.restart(value)
    except values.Wrong as error:
        yield at, str(error)


def _port(item: Any) -> str:
    """What is wrong with one entry. An address of IPv6 may stand without brackets: only the numbers are judged then."""
    if isinstance(item, dict):
        given = f"{item.get('published', '')} {item.get('target', '')}"
    elif found := values.PORT.fullmatch(str(item)):
        given = f"{found['host'] or ''} {found['inside']}"
    elif isinstance(item, str) and item.count(":") > 2:
        given = " ".join(item.partition("/")[0].split(":")[-2:])
    else:
        return f"{str(item)[:80]!r} is no port such as 80, 8080:80 or 127.0.0.1:8080:80/udp"
    high = next((number for number in re.findall(r"\d+", given) if len(number) > 9 or int(number) > LARGEST), None)
    return f"'{high[:20]}' is no port between 1 and {LARGEST}" if high else ""
