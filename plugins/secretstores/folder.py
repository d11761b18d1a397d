"""Secrets as files in a mounted folder, as Docker and Kubernetes provide them. ROCI only reads it.

`<folder>/NAME` is a secret of the platform, `<folder>/applications/<application>/NAME` one of an application. The
folder may be changed at any time; Kubernetes swaps all of it by turning the link `..data`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import msgspec

from roci import Conflict, Roci, Sensitive, StartupError, Unavailable, hookimpl

from . import Scope, SecretStore, Stored

log = logging.getLogger("roci.secrets")
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,254}")
TITLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
LONGEST = 64 * 1024  # bytes of one value


class Secrets(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Where secrets come from besides the database."""

    section: ClassVar[str] = "secrets"
    folder: str | None = None


class Folder:
    name = "folder"
    writable = False

    def __init__(self, root: Path) -> None:
        self.root = root

    async def names(self, scope: Scope) -> Sequence[Stored]:
        return await asyncio.to_thread(self._names, scope)

    async def get(self, scope: Scope, name: str) -> Sensitive | None:
        return await asyncio.to_thread(self._get, scope, name)

    async def set(self, scope: Scope, name: str, value: Sensitive, description: str | None) -> None:
        raise Conflict("ROCI does not write to the folder of secrets")

    async def remove(self, scope: Scope, name: str) -> None:
        raise Conflict("ROCI does not write to the folder of secrets")

    def _place(self, scope: Scope) -> Path | None:
        if not self.root.is_dir():  # a mount that is away is unknown, not empty
            raise Unavailable("the folder of secrets is not there: is it mounted?")
        kind = scope.id.partition("/")[0]
        if kind == "platform":
            return self.root
        return (
            self.root / "applications" / scope.title if kind == "application" and TITLE.fullmatch(scope.title) else None
        )

    def _names(self, scope: Scope) -> list[Stored]:
        place = self._place(scope)
        try:
            found = sorted(os.listdir(place)) if place else []
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise self._silent(error) from None
        return [Stored(name) for name in found if place and NAME.fullmatch(name) and self._resolved(place / name)]

    def _get(self, scope: Scope, name: str) -> Sensitive | None:
        place = self._place(scope)
        if place is None or not NAME.fullmatch(name):
            return None
        for _ in range(2):  # Kubernetes may turn ..data between the look and the reading
            if (path := self._resolved(place / name)) is None:
                return None
            try:
                return self._read(path, name)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise self._silent(error) from None
        return None

    def _resolved(self, path: Path) -> Path | None:
        """The regular file that a path leads to, unless it leads out of the folder."""
        try:
            real = path.resolve(strict=True)
            inside = real.is_relative_to(self.root.resolve(strict=True))
            if not inside:
                log.warning("the secret %s leads out of the folder of secrets, so it is left out", path.name)
            return real if inside and real.is_file() else None
        except (OSError, RuntimeError):  # gone, or links in a circle
            return None

    def _read(self, path: Path, name: str) -> Sensitive:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            raw = file.read(LONGEST + 2) if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else b""
        raw = raw.removesuffix(b"\n").removesuffix(b"\r")
        if len(raw) > LONGEST:
            raise Unavailable(f"the secret {name} in the folder of secrets is larger than {LONGEST // 1024} KiB")
        try:
            return Sensitive(raw.decode())
        except UnicodeDecodeError:
            raise Unavailable(f"the secret {name} in the folder of secrets is not text") from None

    def _silent(self, error: OSError) -> Unavailable:
        return Unavailable(f"the folder of secrets cannot be read: {error.strerror}")


@hookimpl
def register_settings() -> type[Secrets]:
    return Secrets


@hookimpl
def register_secret_stores(roci: Roci) -> list[SecretStore]:
    folder = roci.section(Secrets).folder
    if not folder:
        return []
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise StartupError(f"secrets.folder: {root} is not a folder")
    return [Folder(root)]
