"""Templates import what they use, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from roci_plugins import web

TEMPLATES = Path(web.__file__).parent / "templates"
IMPORTS = re.compile(r'{% from "[^"]+" import (.+?)(?: with context)? %}')


@pytest.mark.parametrize("path", sorted(TEMPLATES.rglob("*.html")), ids=lambda path: path.stem)
def test_a_template_imports_only_what_it_uses(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    included = "".join((TEMPLATES / name).read_text() for name in re.findall(r'{% include "([^"]+)"', text))
    names = [name.split()[-1] for some in IMPORTS.findall(text) for name in some.split(",")]
    assert [name for name in names if not re.search(rf"\b{name}\(", text + included)] == []
