"""The running program as a wheel, so that a host can install the very same one from the server."""

from __future__ import annotations

import base64
import dataclasses
import functools
import hashlib
import importlib
import importlib.metadata
import io
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import roci

LEFT_OUT = {"__pycache__", "vendor"}  # what browsers need, agents do not
EPOCH = (1980, 1, 1, 0, 0, 0)  # the same files are the same wheel, whenever it is made


@dataclasses.dataclass(frozen=True)
class Wheel:
    """A wheel in memory, with its file name and the checksum of its content in hexadecimal."""

    name: str
    content: bytes
    sha256: str


@functools.cache
def build() -> Wheel:
    """Made once in a process; it takes part of a second, so not on the event loop."""
    info = f"roci-{roci.__version__}.dist-info"
    files = dict(_program())
    files[f"{info}/METADATA"] = _metadata().encode()
    files[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: roci\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files[f"{info}/entry_points.txt"] = b"[console_scripts]\nroci = roci:main\n"
    records = [_record(name, content) for name, content in files.items()]
    files[f"{info}/RECORD"] = "".join([*records, f"{info}/RECORD,,\n"]).encode()
    content = _zip(files)
    return Wheel(f"roci-{roci.__version__}-py3-none-any.whl", content, hashlib.sha256(content).hexdigest())


def _program() -> Iterator[tuple[str, bytes]]:
    """The spine and the built-in plugins with all their files, by their place in the wheel."""
    yield "roci.py", Path(roci.__file__).read_bytes()
    package = Path(str(importlib.import_module("roci_plugins").__file__)).parent
    for path in sorted(package.rglob("*")):
        parts = path.relative_to(package).parts
        is_ours = not any(part.startswith(".") or part in LEFT_OUT for part in parts)
        if is_ours and path.suffix != ".pyc" and path.is_file():
            yield "/".join(("roci_plugins", *parts)), path.read_bytes()


def _metadata() -> str:
    requires, extras = _requirements(Path(roci.__file__).with_name("pyproject.toml"))
    lines = ["Metadata-Version: 2.1", "Name: roci", f"Version: {roci.__version__}", "Requires-Python: >=3.11"]
    lines += [f"Requires-Dist: {requirement}" for requirement in requires]
    return "\n".join([*lines, *(f"Provides-Extra: {extra}" for extra in extras), ""])


def _requirements(pyproject: Path) -> tuple[list[str], list[str]]:
    """What the program needs and the names of its extras: from the checkout, else from what is installed."""
    if not pyproject.exists():
        installed = importlib.metadata.distribution("roci")
        return installed.requires or [], installed.metadata.get_all("Provides-Extra") or []
    project = tomllib.loads(pyproject.read_text())["project"]
    requires = list(project["dependencies"])
    for extra, needs in project["optional-dependencies"].items():
        for need in needs:
            name, _, marker = need.partition(";")
            only = f"({marker.strip()}) and " if marker else ""
            requires.append(f'{name.strip()}; {only}extra == "{extra}"')
    return requires, list(project["optional-dependencies"])


def _record(name: str, content: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(content)}\n"


def _zip(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.external_attr = 0o100644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return out.getvalue()
