"""What is kept unmasked: in memory, for a while, and not more than there is room for."""

from __future__ import annotations

import pytest

from roci_plugins.work import raw
from roci_plugins.work.raw import RawResults


def result(size: int) -> dict[str, str]:
    return {"stdout": "x" * size, "stderr": ""}


def test_a_result_is_kept_for_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    results = RawResults()
    monkeypatch.setattr(raw, "LASTS", 1000.0)
    results.keep("a", result(1))
    monkeypatch.setattr(raw, "LASTS", 0.0)
    assert results.get("a") == result(1)
    results = RawResults()
    results.keep("b", result(1))
    assert results.get("b") is None and results.get("unknown") is None


def test_the_oldest_go_when_there_is_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw, "MOST", 100)
    results = RawResults()
    for name in "abc":
        results.keep(name, result(40))
    assert [results.get(name) is not None for name in "abc"] == [False, True, True]
    results.keep("b", result(90))  # told again
    assert results.get("b") == result(90) and results._size <= 100
