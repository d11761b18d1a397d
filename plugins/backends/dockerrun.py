"""`docker run …` lines as a Compose file. Pure: nothing is run, and no file is read."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from typing import Any

import yaml

from roci import Invalid

LONGEST = 64 * 1024  # characters
_START = re.compile(r"(?:\$\s+|#\s+)?(?:sudo\s+)?(?:docker|podman|nerdctl)\s+(?:container\s+)?(?:run|create)(?=\s|$)")
_CONTINUED = re.compile(r"[ \t]*[\\^`][ \t]*\r?\n[ \t]*")
_HERE = re.compile(r"\$\(pwd\)|\$\{PWD\}|\$PWD\b|`pwd`|%cd%")
_JOINED = {"&&", "||", ";", "|", "&", ">", ">>", "<", "2>&1"}
_LITERAL = "\0"  # stands for a `$` that the shell would have left alone

# flag: the key of a service that takes the value as it is
_TEXT = {
    "--restart": "restart",
    "--user": "user",
    "--workdir": "working_dir",
    "--memory": "mem_limit",
    "--memory-reservation": "mem_reservation",
    "--memory-swap": "memswap_limit",
    "--memory-swappiness": "mem_swappiness",
    "--cpus": "cpus",
    "--cpu-shares": "cpu_shares",
    "--cpu-period": "cpu_period",
    "--cpu-quota": "cpu_quota",
    "--cpuset-cpus": "cpuset",
    "--shm-size": "shm_size",
    "--hostname": "hostname",
    "--domainname": "domainname",
    "--mac-address": "mac_address",
    "--pid": "pid",
    "--ipc": "ipc",
    "--uts": "uts",
    "--userns": "userns_mode",
    "--cgroupns": "cgroup",
    "--cgroup-parent": "cgroup_parent",
    "--runtime": "runtime",
    "--platform": "platform",
    "--pull": "pull_policy",
    "--stop-signal": "stop_signal",
    "--oom-score-adj": "oom_score_adj",
    "--pids-limit": "pids_limit",
    "--isolation": "isolation",
    "--gpus": "gpus",
}
# flag: the key of a service that takes a list of them
_LIST = {
    "--publish": "ports",
    "--volume": "volumes",
    "--env": "environment",
    "--label": "labels",
    "--annotation": "annotations",
    "--expose": "expose",
    "--cap-add": "cap_add",
    "--cap-drop": "cap_drop",
    "--device": "devices",
    "--device-cgroup-rule": "device_cgroup_rules",
    "--security-opt": "security_opt",
    "--group-add": "group_add",
    "--add-host": "extra_hosts",
    "--dns": "dns",
    "--dns-option": "dns_opt",
    "--dns-search": "dns_search",
    "--tmpfs": "tmpfs",
    "--sysctl": "sysctls",
}
_YES = {
    "--privileged": "privileged",
    "--init": "init",
    "--read-only": "read_only",
    "--interactive": "stdin_open",
    "--tty": "tty",
    "--oom-kill-disable": "oom_kill_disable",
}
_HEALTH = {
    "--health-cmd": "test",
    "--health-interval": "interval",
    "--health-timeout": "timeout",
    "--health-retries": "retries",
    "--health-start-period": "start_period",
    "--health-start-interval": "start_interval",
}
_OWN = {"--name", "--network", "--network-alias", "--ip", "--ip6", "--entrypoint", "--env-file", "--mount"}
_OWN |= {"--ulimit", "--log-driver", "--log-opt", "--stop-timeout", "--volumes-from", "--storage-opt"}
# flag: why it is left out
_LEFT_OUT_YES = {
    "--detach": "",  # as applications are always
    "--rm": "an application's containers go when it is taken down",
    "--publish-all": "name the ports to publish one by one",
    "--sig-proxy": "it is for a run in a terminal",
    "--quiet": "it is for a run in a terminal",
    "--disable-content-trust": "the engine's own settings say it",
    "--no-healthcheck": "",  # told by a key
}
_LEFT_OUT = {
    "--link": "services of one file find each other by their names",
    "--label-file": "write its labels under `labels`",
    "--attach": "it is for a run in a terminal",
    "--detach-keys": "it is for a run in a terminal",
    "--cidfile": "it is for a run in a terminal",
    "--volume-driver": "say it at the volume, at the top level",
    "--blkio-weight": "write it under `blkio_config`",
}
_SHORT = {
    **{"p": "--publish", "v": "--volume", "e": "--env", "l": "--label", "u": "--user", "w": "--workdir"},
    **{"h": "--hostname", "m": "--memory", "c": "--cpu-shares", "a": "--attach", "i": "--interactive", "t": "--tty"},
    **{"d": "--detach", "P": "--publish-all", "q": "--quiet"},
}
_ALIAS = {"--net": "--network", "--net-alias": "--network-alias", "--dns-opt": "--dns-option"}
_FLAGS_OF_YES = _YES.keys() | _LEFT_OUT_YES.keys()
_FLAGS_OF_VALUE = _TEXT.keys() | _LIST.keys() | _HEALTH.keys() | _OWN | _LEFT_OUT.keys()
_MODES = ("host", "none", "bridge", "default")


@dataclass(frozen=True)
class Converted:
    """A Compose file; `name`: what the first container is called; `left_out`: what it does not say, and why."""

    name: str
    text: str
    left_out: tuple[str, ...]


@dataclass
class _Run:
    """One `docker run`, as it is read."""

    service: dict[str, Any] = field(default_factory=dict)
    name: str = ""
    networks: dict[str, dict[str, Any]] = field(default_factory=dict)
    volumes: list[str] = field(default_factory=list)
    health: dict[str, Any] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    place: dict[str, Any] = field(default_factory=dict)  # what is said of its networks, whichever they are


def is_one(text: str) -> bool:
    """Whether it begins as such a line does."""
    return _START.match(text.lstrip()) is not None


def from_docker_run(text: str) -> Converted:
    """Raises Invalid("docker run: …") that names the flag."""
    if len(text) > LONGEST:
        raise _wrong(f"it is longer than {LONGEST // 1024} KiB")
    runs = [_read(_words(line)) for line in _lines(text)]
    services: dict[str, Any] = {}
    for run in runs:
        services[_free(run.name, services)] = run.service
    root: dict[str, Any] = {"services": services}
    if volumes := list(dict.fromkeys(name for run in runs for name in run.volumes)):
        root["volumes"] = dict.fromkeys(volumes)
    if networks := list(dict.fromkeys(name for run in runs for name in run.networks)):
        root["networks"] = {name: {"external": True} for name in networks}
    left_out = tuple(dict.fromkeys(reason for run in runs for reason in run.left_out))
    return Converted(next(iter(services)), _dumped(root), left_out)


def _wrong(reason: str) -> Invalid:
    return Invalid(f"docker run: {reason}")


# --- words ---------------------------------------------------------------------


def _lines(text: str) -> list[str]:
    """What follows each `docker run`. A line that begins no command goes on with the one before, in quotes perhaps."""
    joined = _CONTINUED.sub(" ", text.strip() + "\n").strip()
    if not _START.match(joined):
        raise _wrong("it must begin with `docker run`")
    found: list[str] = []
    for line in joined.splitlines():
        if begin := _START.match(line.lstrip()):
            found.append(line.lstrip()[begin.end() :])
        else:
            found[-1] += f"\n{line}"
    return found


def _words(line: str) -> list[str]:
    try:
        words = shlex.split(_shielded(_HERE.sub(".", line)))
    except ValueError as error:
        raise _wrong(f"it cannot be read: {str(error).lower()}") from None
    for word in words:
        if word in _JOINED or (word.endswith(";") and len(word) > 1):
            raise _wrong(f"`{word}` joins it with something else: leave that out")
    return [_dollars(word) for word in words]


def _shielded(line: str) -> str:
    """Mark each `$` in single quotes or behind a backslash, which mean themselves."""
    found: list[str] = []
    quote, place = "", 0
    while place < len(line):
        letter = line[place]
        if letter == "\\" and quote != "'" and place + 1 < len(line):
            place += 1
            found.append(_LITERAL if line[place] == "$" else f"\\{line[place]}")
        else:
            quote = "" if letter == quote else letter if letter in "'\"" and not quote else quote
            found.append(_LITERAL if letter == "$" and quote == "'" else letter)
        place += 1
    return "".join(found)


def _dollars(word: str) -> str:
    """A `$` that names no variable, or was shielded, as Compose writes it."""
    return re.sub(r"\$(?![A-Za-z_{])", "$$$$", word).replace(_LITERAL, "$$")


# --- flags ---------------------------------------------------------------------


def _read(words: list[str]) -> _Run:
    run, rest = _Run(), list(words)
    while rest and rest[0].startswith("-") and rest[0] != "-":
        word = rest.pop(0)
        if word == "--":
            break
        for flag, value in _flags(word, rest):
            _take(run, flag, value)
    if not rest:
        raise _wrong("it names no image")
    run.service = {"image": rest[0], **run.service}
    if rest[1:]:
        run.service["command"] = rest[1:]
    return _finished(run)


def _flags(word: str, rest: list[str]) -> list[tuple[str, str]]:
    """Flags and values of one word: `--name=x`, `--name` with the next one, `-it`, `-p80:80`."""
    found: list[tuple[str, str]] = []
    if word.startswith("--"):
        flag, equals, value = word.partition("=")
        return [_with_value(_ALIAS.get(flag, flag), value if equals else None, rest, word)]
    letters = word[1:]
    while letters:
        flag, letters = _SHORT.get(letters[0], f"-{letters[0]}"), letters[1:]
        if flag in _FLAGS_OF_VALUE:
            given = letters.removeprefix("=") if letters else None
            return [*found, _with_value(flag, given, rest, word)]
        if letters.startswith("="):
            return [*found, _with_value(flag, letters[1:], rest, word)]
        found.append(_with_value(flag, None, rest, word))
    return found


def _with_value(flag: str, value: str | None, rest: list[str], word: str) -> tuple[str, str]:
    if flag in _FLAGS_OF_YES:
        if (said := (value or "true").lower()) not in ("true", "false", "1", "0"):
            raise _wrong(f"{flag} is true or false, not {value!r}")
        return flag, "" if said in ("false", "0") else "true"
    if flag not in _FLAGS_OF_VALUE:
        raise _wrong(f"{flag} is no flag that can be read here" + (f" (in {word})" if word != flag else ""))
    if value is None and not rest:
        raise _wrong(f"{flag} needs a value")
    return flag, rest.pop(0) if value is None else value


def _take(run: _Run, flag: str, value: str) -> None:
    service = run.service
    if flag in _TEXT:
        service[_TEXT[flag]] = value
    elif flag in _LIST:
        _take_listed(run, flag, value)
    elif flag in _YES:
        service.update({_YES[flag]: True} if value else {})
    elif flag in _HEALTH:
        run.health[_HEALTH[flag]] = value
    elif flag == "--no-healthcheck":
        run.health = {"disable": True}
    elif flag in _LEFT_OUT_YES or flag in _LEFT_OUT:
        if reason := {**_LEFT_OUT_YES, **_LEFT_OUT}[flag]:
            run.left_out.append(f"{flag}{'' if flag in _LEFT_OUT_YES else ' ' + value}: {reason}")
    else:
        _OTHERS[flag](run, flag, value)


def _take_listed(run: _Run, flag: str, value: str) -> None:
    run.service.setdefault(_LIST[flag], []).append(value)
    source, _, rest = value.partition(":")
    if flag == "--volume" and rest and source[:1] not in ("/", ".", "~", "$"):
        run.volumes.append(source)
    if flag == "--volume" and source.startswith("~"):
        raise _wrong(f"{flag} {value}: write the folder out, `~` is another one for ROCI")


def _name(run: _Run, _: str, value: str) -> None:
    run.name = run.service["container_name"] = value


def _network(run: _Run, _: str, value: str) -> None:
    given = dict(part.partition("=")[::2] for part in value.split(",")) if "=" in value else {"name": value}
    name = given.get("name", "")
    if name in _MODES or name.startswith("container:"):
        run.service["network_mode"] = name
    else:
        run.networks[name] = {"aliases": [given["alias"]]} if given.get("alias") else {}


def _of_network(run: _Run, flag: str, value: str) -> None:
    if flag == "--network-alias":
        run.place.setdefault("aliases", []).append(value)
    else:
        run.place[{"--ip": "ipv4_address", "--ip6": "ipv6_address"}[flag]] = value


def _entrypoint(run: _Run, _: str, value: str) -> None:
    run.service["entrypoint"] = [value] if value else []


def _env_file(run: _Run, flag: str, value: str) -> None:
    if value[:1] in "/~$" or ".." in value.split("/"):
        reason = "ROCI reads no file outside of the application's folder; write its lines under `environment`"
        run.left_out.append(f"{flag} {value}: {reason}")
    else:
        run.service.setdefault("env_file", []).append(value)


def _mount(run: _Run, flag: str, value: str) -> None:
    given = {key: item or "true" for key, _, item in (part.partition("=") for part in value.split(","))}
    kind = given.get("type", "volume")
    source = given.get("source") or given.get("src") or ""
    target = given.get("target") or given.get("destination") or given.get("dst") or ""
    if kind not in ("bind", "volume", "tmpfs") or not target:
        raise _wrong(f"{flag} {value}: it takes type=bind, volume or tmpfs, and a target")
    if kind == "tmpfs":
        run.service.setdefault("tmpfs", []).append(target)
        return
    is_read_only = given.get("readonly", given.get("ro", "")) in ("true", "1")
    parts = [source, target, "ro" if is_read_only else ""]
    run.service.setdefault("volumes", []).append(":".join(filter(None, parts)))
    if kind == "volume" and source:
        run.volumes.append(source)


def _ulimit(run: _Run, flag: str, value: str) -> None:
    name, _, limits = value.partition("=")
    soft, _, hard = limits.partition(":")
    if not all(part.lstrip("-").isdigit() for part in (soft, hard or soft)):
        raise _wrong(f"{flag} {value}: it is NAME=SOFT or NAME=SOFT:HARD")
    limit = {"soft": int(soft), "hard": int(hard)} if hard else int(soft)
    run.service.setdefault("ulimits", {})[name] = limit


def _log(run: _Run, flag: str, value: str) -> None:
    logging = run.service.setdefault("logging", {})
    if flag == "--log-driver":
        logging["driver"] = value
    else:
        name, _, option = value.partition("=")
        logging.setdefault("options", {})[name] = option


def _stop_timeout(run: _Run, flag: str, value: str) -> None:
    if not value.isdigit():
        raise _wrong(f"{flag} {value}: it is a number of seconds")
    run.service["stop_grace_period"] = f"{value}s"


def _volumes_from(run: _Run, _: str, value: str) -> None:
    run.service.setdefault("volumes_from", []).append(f"container:{value}")


def _storage_opt(run: _Run, _: str, value: str) -> None:
    name, _, option = value.partition("=")
    run.service.setdefault("storage_opt", {})[name] = option


_OTHERS = {
    **{"--name": _name, "--network": _network, "--entrypoint": _entrypoint, "--env-file": _env_file},
    **dict.fromkeys(("--network-alias", "--ip", "--ip6"), _of_network),
    **{"--mount": _mount, "--ulimit": _ulimit, "--stop-timeout": _stop_timeout, "--volumes-from": _volumes_from},
    **{"--log-driver": _log, "--log-opt": _log, "--storage-opt": _storage_opt},
}


# --- the file --------------------------------------------------------------------


def _finished(run: _Run) -> _Run:
    if run.health:
        run.service["healthcheck"] = run.health
    if run.networks:
        for place in run.networks.values():
            place.update(run.place)
        is_plain = not any(run.networks.values())
        run.service["networks"] = list(run.networks) if is_plain else {k: v or None for k, v in run.networks.items()}
    elif run.place:
        run.left_out += [f"{key}: it takes a network of one's own" for key in run.place]
    run.name = run.name or re.split(r"[@:]", run.service["image"].rpartition("/")[2])[0]
    run.name = re.sub(r"[^a-z0-9._-]+", "-", run.name.lower()).strip("-._") or "app"
    return run


def _free(name: str, taken: dict[str, Any]) -> str:
    number = 2
    wanted = name
    while wanted in taken:
        wanted, number = f"{name}-{number}", number + 1
    return wanted


class _Dumper(yaml.SafeDumper):
    """Lists are indented, and what YAML 1.1 would take for something else is quoted."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> Any:
        return super().increase_indent(flow, False)


def _text(dumper: _Dumper, value: str) -> Any:
    style = '"' if ":" in value and value[:1].isdigit() else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(type(None), lambda dumper, _: dumper.represent_scalar("tag:yaml.org,2002:null", ""))


def _dumped(root: dict[str, Any]) -> str:
    return str(yaml.dump(root, Dumper=_Dumper, sort_keys=False, width=1000, allow_unicode=True))
