"""What tests of tables stand on: a transaction of their own, and a key to seal with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from roci import Event, outbox
from roci_plugins.core.store import Store
from roci_plugins.domain import keyring
from roci_plugins.domain.keyring import Keyring


@pytest.fixture
def events(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[list[Event]]:
    """What is emitted, in a transaction over the tables of the modules that the test's own names as OWNERS."""
    store = Store(tmp_path / "roci.db", lambda events: None)
    store.prepare([model for owner in request.module.OWNERS for model in owner.register_models()], [])
    with store.transaction():
        yield outbox.get()
    store.close()


@pytest.fixture
def ring(tmp_path: Path) -> Keyring:
    return Keyring(tmp_path / keyring.FILE, tmp_path / "roci.db")
