"""The folders of applications under the volume base. Nothing outside is ever touched, links or not."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from roci import StepFailed


def folder(base: Path, app: str, make: bool = False) -> Path:
    """The application's folder, which may not exist yet. Refuses a name or a link that leads out of the base."""
    if app in ("", ".", "..") or "/" in app or "\0" in app:
        raise StepFailed(f"{app!r} cannot name a folder")
    base = base.resolve()
    at = base / app
    if at.is_symlink() and not at.resolve().is_relative_to(base):
        raise StepFailed(f"{at} is a link that leads out of {base}")
    if make:
        _make(at)
    return at


def _make(at: Path) -> None:
    try:
        at.mkdir(parents=True, exist_ok=True, mode=0o755)
    except OSError as error:
        raise StepFailed(f"cannot make the folder {at}: {error.strerror}; check `--volume-base`") from None


def inside(at: Path, path: str) -> Path:
    """A file that an application refers to: it must lie in the application's folder when links are followed."""
    resolved = (at / path).resolve()
    if not resolved.is_relative_to(at.resolve()):
        raise StepFailed(f"{path} leads out of {at}")
    return resolved


def put(file: Path, text: str) -> None:
    """Replace a file as a whole or not at all; only its owner may read it."""
    try:
        with tempfile.NamedTemporaryFile("w", dir=file.parent, prefix=".roci-", delete=False) as new:
            try:
                new.write(text)
                new.flush()
                os.fsync(new.fileno())
                os.replace(new.name, file)
            except BaseException:
                os.unlink(new.name)
                raise
    except OSError as error:
        raise StepFailed(f"cannot write {file}: {error.strerror}") from None
