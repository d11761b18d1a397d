from __future__ import annotations

from typing import Any

import pytest

from roci import StepFailed
from roci_plugins.agent.commands.control import found
from roci_plugins.agent.commands.replacing import name_of

HERE: list[dict[str, Any]] = [
    {"Id": "abcd11" + "0" * 58, "Names": ["/web"]},
    {"Id": "abcd22" + "0" * 58, "Names": ["/api/db", "/db"]},
    {"Id": "ffff33" + "0" * 58, "Names": ["/abcd"]},
]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("web", "/web"),
        ("/web", "/web"),
        ("db", "/api/db"),
        ("abcd1", "/web"),
        ("abcd22" + "0" * 58, "/api/db"),
        ("abcd", "/abcd"),
        ("ffff", "/abcd"),
    ],
    ids=["name", "slash", "link", "beginning", "id", "a name before a beginning", "four characters"],
)
def test_a_container_is_found_by_what_people_call_it(text: str, name: str) -> None:
    assert name in found(HERE, text)["Names"]


def test_a_container_without_a_name_is_found_by_its_id() -> None:
    nameless = {"Id": "abcd" * 16, "Names": None}  # as one that could not be removed
    assert name_of(found([nameless, *HERE], "abcdabcd")) == "abcdabcdabcd"
    assert found([nameless, *HERE], "web") is HERE[0]


@pytest.mark.parametrize("text", ["we", "fff", "", "ffff4", "*"])
def test_a_container_that_is_not_there_is_named(text: str) -> None:
    with pytest.raises(StepFailed) as error:
        found(HERE, text)
    assert repr(text) in error.value.message and error.value.details["exit_code"] == 1


def test_the_beginning_of_two_ids_means_neither() -> None:
    with pytest.raises(StepFailed, match="'abcd' is the beginning of more than one container's id: db, web"):
        found(HERE[:2], "abcd")
