"""Settings from the YAML file and the environment, checked to the last key. Used by the spine and by commands."""

from __future__ import annotations

import dataclasses
import difflib
import ipaddress
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

import msgspec
import pluggy

from roci import Settings, StartupError

T = TypeVar("T")
RESERVED = {"ROCI_CONFIG", "ROCI_TRACE", "ROCI_TOKEN", "ROCI_URL"}  # environment names that are no settings


@dataclasses.dataclass(frozen=True)
class Origin:
    """Where a setting was given: in which file, or by which variable of the environment."""

    kind: Literal["file", "environment"]
    name: str


class Sections(dict[str, dict[str, Any]]):
    """What plugins' models are made from. `origins`: where each setting that was given came from, by its path."""

    origins: Mapping[str, Origin] = {}


def load(path: str | Path | None = None, environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the YAML file, then the environment, which wins. Raises StartupError with the key's path."""
    path = path or environ.get("ROCI_CONFIG")
    raw = _read(Path(path)) if path else None
    if not isinstance(raw or {}, dict):
        raise StartupError(f"{path}: expected settings by name")
    core = {field for field in Settings.__struct_fields__ if field != "sections"}
    values: dict[str, Any] = {}
    sections = Sections()
    for key, value in _expand(raw or {}, environ).items():
        if isinstance(value, dict) and key not in core:
            sections[key] = value
        else:
            values[key] = value
    given = {path_of_key: Origin("file", str(path)) for path_of_key in _paths(values, sections)}
    for name, value in environ.items():
        if name.startswith("ROCI_") and name not in RESERVED:
            section, _, key = name[5:].lower().rpartition("__")
            (sections.setdefault(section, {}) if section else values)[key] = value
            given[_path(section, key)] = Origin("environment", name)
    settings = _convert(values, Settings, where="")
    sections.origins = given
    settings.sections = sections
    _check(settings)
    return settings


def _read(path: Path) -> Any:
    import yaml

    try:
        return yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise StartupError(f"cannot read the configuration: {error}") from None


def _path(section: str, key: str) -> str:
    """Of a setting; one whose value is kept in a file of its own is that setting."""
    return f"{section}.{key.removesuffix('_file')}" if section else key.removesuffix("_file")


def _paths(values: Mapping[str, Any], sections: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    yield from (_path("", key) for key in values)
    yield from (_path(section, str(key)) for section, some in sections.items() for key in some)


def _expand(value: Any, environ: Mapping[str, str]) -> Any:
    """Put the environment's value where the file says ${NAME}."""
    if isinstance(value, dict):
        return {str(key): _expand(item, environ) for key, item in value.items()}
    if isinstance(value, list):
        return [_expand(item, environ) for item in value]
    if not isinstance(value, str):
        return value
    if missing := [name for name in re.findall(r"\$\{(\w+)\}", value) if name not in environ]:
        raise StartupError(f"the configuration names ${{{missing[0]}}}, which the environment does not have")
    return re.sub(r"\$\{(\w+)\}", lambda found: environ[found[1]], value)


def _convert(values: Mapping[str, Any], model: type[T], where: str) -> T:
    """Text from the environment becomes what the model says; `key_file` is read as `key`."""
    fields = {field.encode_name: field for field in msgspec.structs.fields(model)}  # type: ignore[arg-type]
    ready: dict[str, Any] = {}
    for key, value in values.items():
        if key not in fields and key.removesuffix("_file") in fields:
            try:
                key, value = key.removesuffix("_file"), Path(value).read_text().strip()
            except OSError as error:
                raise StartupError(f"{where}{key}: {error}") from None
        if key not in fields or key == "sections":
            close = difflib.get_close_matches(key, fields, 1)
            hint = f"; did you mean {where}{close[0]}?" if close else ""
            raise StartupError(f"{where}{key} is not a setting (plugin missing or misspelt?){hint}")
        if isinstance(value, str) and "list" in str(fields[key].type):
            value = [item.strip() for item in value.split(",") if item.strip()]
        ready[key] = value
    try:
        return msgspec.convert(ready, model, strict=False, dec_hook=lambda kind, value: kind(value))
    except (msgspec.ValidationError, TypeError, ValueError) as error:
        raise StartupError(f"settings: {str(error).replace('$.', where)}") from None


def _check(settings: Settings) -> None:
    """What the types cannot say of the settings."""
    for address in settings.bind:
        host, _ = split_address(address)
        if settings.auth == "disabled" and not is_loopback(host):
            raise StartupError(f"auth=disabled lets anybody in, so bind must be a loopback address, not {address}")
    for network in settings.trusted_proxies:
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError as error:
            raise StartupError(f"trusted_proxies: {error}") from None


def split_address(address: str) -> tuple[str, int]:
    """Host and port of "127.0.0.1:8080" or "[::1]:8080". Raises StartupError."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise StartupError(f"bind: {address!r} is not an address and a port, such as 127.0.0.1:8080")
    return host.strip("[]"), int(port)


def is_loopback(host: str) -> bool:
    """Whether a host, as text, is this machine and nothing else."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def read_sections(pm: pluggy.PluginManager, settings: Settings) -> dict[type[Any], Any]:
    """Each plugin's own settings, by their model. A section nobody owns: StartupError."""
    models = {cast(Any, model).section: model for model in reversed(pm.hook.register_settings())}
    for name in settings.sections:
        if name not in models:
            close = difflib.get_close_matches(name, models, 1)
            raise StartupError(
                f"{name} is not a section of the settings{f'; did you mean {close[0]}?' if close else ''}"
            )
    return {model: read_section(model, settings) for model in models.values()}


def read_section(model: type[T], settings: Settings) -> T:
    """One plugin's own settings. Raises StartupError."""
    name = cast(Any, model).section
    return _convert(settings.sections.get(name, {}), model, f"{name}.")
