"""A blueprint whose paths may end in a slash or not."""

from __future__ import annotations

from typing import Any

from quart import Blueprint


class Tolerant(Blueprint):
    def add_url_rule(self, *args: Any, **options: Any) -> None:
        super().add_url_rule(*args, **{"strict_slashes": False, **options})
