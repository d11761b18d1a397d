"""The examples of plugins/README.md, as the manual has them: each block of Python that begins with its file's name."""

from __future__ import annotations

import re
from pathlib import Path

MANUAL = Path(__file__).parents[2] / "plugins" / "README.md"


def examples() -> dict[str, str]:
    """Text by file name."""
    return {name: text for text, name in re.findall(r"```python\n(# (\w+\.py)\n.*?)```", MANUAL.read_text(), re.DOTALL)}
