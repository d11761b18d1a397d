from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any

import pytest

from roci_plugins.domain.notices import FIRED, Notice

from .receivers import Inbox, Mailbox, inbox, mailbox


def notice(**fields: Any) -> Notice:
    given = {
        "kind": FIRED,
        "title": "nas: cpu",
        "body": "CPU is 93.0 %, above 80",
        "severity": "warning",
        "host_id": "6f2e1d3c-0000-4000-8000-000000000001",
        "hostname": "nas",
        "subject": "web",
        "alert_id": "a-1",
        "at": datetime.datetime(2026, 1, 14, 12, 30, tzinfo=datetime.UTC),
        "data": {"type": "cpu", "current_value": 93.0},
        "id": "5e0f2c1b-0000-4000-8000-000000000002",
        "url": "https://roci.lan/hosts/1",
    }
    return Notice(**{**given, **fields})


@pytest.fixture
def http() -> Iterator[Inbox]:
    with inbox() as server:
        yield server


@pytest.fixture
def mail() -> Iterator[tuple[Mailbox, int]]:
    with mailbox() as box:
        yield box
