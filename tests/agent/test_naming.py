"""Which container somebody means: one rule for the server, which knows beginnings of ids, and the host."""

from __future__ import annotations

import pytest

from roci_plugins.agent.naming import meant, reported
from roci_plugins.agent.wire import Container

IDS = {"web": "0123456789ab", "db": "0123ffffffff", "0123": "999999999999", "odd": ""}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("web", ["web"]),
        ("/web", ["web"]),
        ("we", []),
        ("0123456789ab", ["web"]),
        ("0123456789ab" + "c" * 52, ["web"]),
        ("01234", ["web"]),
        ("0123", ["0123"]),
        ("012", []),
        ("99", []),
        ("9999", ["0123"]),
        ("nothing", []),
        ("", []),
        ("/", []),
    ],
)
def test_a_reported_container_is_meant_by_its_name_else_by_its_id(text: str, names: list[str]) -> None:
    found = meant(text, [Container(id=id, name=name) for name, id in IDS.items()], reported)
    assert [one.name for one in found] == names


def test_the_beginning_of_two_ids_may_mean_both() -> None:
    known = [Container(id=id, name=name) for name, id in IDS.items() if name != "0123"]
    assert [one.name for one in meant("0123", known, reported)] == ["web", "db"]


@pytest.mark.parametrize(
    ("text", "is_meant"), [("a" * 64, True), ("a" * 65, False), ("a" * 12, True), ("front/db", True)]
)
def test_a_host_knows_whole_ids_and_all_names(text: str, is_meant: bool) -> None:
    assert bool(meant(text, [0], lambda _: ("a" * 64, ["db", "front/db"]))) == is_meant
