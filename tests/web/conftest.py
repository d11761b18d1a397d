"""Pages in which a name that there is not is a mistake. Of a mapping a key may be missing: forms are made so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from jinja2 import StrictUndefined, Undefined
from jinja2.utils import missing
from quart import Quart


class Told(StrictUndefined):
    """Raises wherever it is shown or asked."""

    def __new__(cls, hint: str | None = None, obj: Any = missing, name: str | None = None, *more: Any) -> Any:
        return Undefined(hint, obj, name, *more) if isinstance(obj, Mapping) else super().__new__(cls)


@pytest.fixture
def app(app: Quart) -> Quart:
    app.jinja_env.undefined = Told
    return app
