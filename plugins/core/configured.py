"""Every setting there is, as this ROCI has it: its value, where that came from, and what it is for. Never a secret."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

import msgspec

from roci import Roci, Settings

from .settings import Origin, Sections

EXAMPLE = Path(__file__).parents[1] / "config.example.yaml"
SETTING = re.compile(r"#((?:  )?)([a-z_]+):")  # prose has one blank after the #
SECRET = re.compile(r"password|secret|token|totp|(^|_)key$")  # a plugin may keep one as plain text


@dataclasses.dataclass(frozen=True)
class Setting:
    """`value` and `default` are as YAML says them; of a secret only whether it is set. `origin` None: the default."""

    path: str
    variable: str
    value: str
    default: str
    is_secret: bool
    origin: Origin | None
    meaning: str

    @property
    def is_locked(self) -> bool:
        """Whether the environment says it, so that a file changes nothing."""
        return self.origin is not None and self.origin.kind == "environment"


@dataclasses.dataclass(frozen=True)
class Section:
    """Settings that belong together; the first, without a name, has those of ROCI itself."""

    name: str
    meaning: str
    settings: list[Setting]


def all_(roci: Roci) -> list[Section]:
    """Those of the core, then those of plugins by name."""
    told, origins = meanings(EXAMPLE.read_text()), _origins(roci.settings)
    models = {cast(Any, model).section: model for model in roci.hook.register_settings()}
    found = [Section("", "", _settings("", roci.settings, told, origins))]
    for name, model in sorted(models.items()):
        meaning = told.get(name) or " ".join((model.__doc__ or "").split())
        found.append(Section(name, meaning, _settings(name, roci.section(model), told, origins)))
    return found


def file(settings: Settings) -> str | None:
    """The file that settings came from, as far as one gave any."""
    return next((each.name for each in _origins(settings).values() if each.kind == "file"), None)


def _origins(settings: Settings) -> Mapping[str, Origin]:
    return settings.sections.origins if isinstance(settings.sections, Sections) else {}


def _settings(section: str, given: Any, told: Mapping[str, str], origins: Mapping[str, Origin]) -> list[Setting]:
    fields = [field for field in msgspec.structs.fields(type(given)) if field.name != "sections"]
    return [_setting(section, field, getattr(given, field.name), told, origins) for field in fields]


def _setting(section: str, field: Any, value: Any, told: Mapping[str, str], origins: Mapping[str, Origin]) -> Setting:
    path = f"{section}.{field.name}" if section else field.name
    is_secret = "Sensitive" in str(field.type) or ("str" in str(field.type) and bool(SECRET.search(field.name)))
    has_factory = field.default_factory is not msgspec.NODEFAULT
    default = field.default_factory() if has_factory else field.default
    shown = ("set" if value else "not set") if is_secret else plain(value)
    return Setting(
        path,
        f"ROCI_{path.upper().replace('.', '__')}",
        shown,
        "" if default is msgspec.NODEFAULT else "not set" if is_secret else plain(default),
        is_secret,
        origins.get(path),
        told.get(path, ""),
    )


def plain(value: Any) -> str:
    """As one writes it into the file."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple | set | frozenset):
        return f"[{', '.join(map(plain, value))}]"
    return f"{value:g}" if isinstance(value, float) else str(value)


@functools.lru_cache(2)
def meanings(text: str) -> dict[str, str]:
    """What the example configuration says of each setting, by its path, and of each section."""
    found: dict[str, str] = {}
    said: list[str] = []
    section = ""
    for line in text.splitlines():
        if setting := SETTING.match(line):
            indent, name = setting.groups()
            section = section if indent else name
            found[f"{section}.{name}" if indent else name] = _prose(said)
            said = []
        else:
            said = [*said, line[2:]] if line.startswith("# ") else []
    return found


def _prose(lines: Iterable[str]) -> str:
    """Without the name in the environment, which ends it."""
    return re.sub(r"\s*\bROCI_[A-Z_]+$", "", " ".join(" ".join(lines).split()))
