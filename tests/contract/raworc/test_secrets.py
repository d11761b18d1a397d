from __future__ import annotations

import pytest

from roci import Roci
from roci_plugins.domain import events

from .conftest import Api, code

# As the reference prints it.
PRINTED = {"key_name": "ANTHROPIC_API_KEY", "value": "sk-ant-your-actual-key", "description": "Claude API key"}
PATH = "/spaces/default/secrets"
KEY = f"{PATH}/ANTHROPIC_API_KEY"


async def test_a_secret_as_the_reference_keeps_it(admin: Api) -> None:
    made = await admin.ok("POST", PATH, PRINTED)
    assert list(made) == ["space", "key_name", "description", "created_at", "updated_at", "created_by"]
    assert (made["space"], made["key_name"], made["created_by"]) == ("default", "ANTHROPIC_API_KEY", "admin")
    assert made["description"] == "Claude API key"
    assert await admin.ok("GET", PATH) == [made] and await admin.ok("GET", KEY) == made
    assert code(await admin("POST", PATH, PRINTED)) == (409, "CONFLICT")


async def test_values_are_shown_to_who_may_read_them_and_says_so(admin: Api) -> None:
    await admin.ok("POST", PATH, PRINTED)
    for yes in ("true", "1", "yes", "TRUE"):
        assert (await admin.ok("GET", f"{KEY}?show_values={yes}"))["value"] == PRINTED["value"]
    assert [each["value"] for each in await admin.ok("GET", f"{PATH}?show_values=true")] == [PRINTED["value"]]
    assert "value" not in await admin.ok("GET", f"{KEY}?show_values=false")
    user = await admin.account("operator", ("operator", "default"))
    assert code(await user("GET", f"{PATH}?show_values=true")) == (403, "FORBIDDEN")
    assert code(await user("GET", f"{KEY}?show_values=true")) == (403, "FORBIDDEN")
    assert len(await user.ok("GET", PATH)) == 1


async def test_each_value_that_was_shown_is_on_record(admin: Api, roci: Roci) -> None:
    await admin.ok("POST", PATH, PRINTED)
    await admin.ok("POST", PATH, {"key_name": "B", "value": "two"})
    await admin.ok("GET", f"{PATH}?show_values=true")
    rows, count = await roci.read(events.list_, name="SecretRead")
    assert count == 2 and {row.actor_name for row in rows} == {"admin"}


async def test_values_are_nowhere_in_the_clear(admin: Api, roci: Roci, caplog: pytest.LogCaptureFixture) -> None:
    await admin.ok("POST", PATH, PRINTED)
    await admin.ok("PUT", KEY, {"value": "another-secret-value"})
    await admin.ok("GET", f"{KEY}?show_values=true")
    kept = b"".join(file.read_bytes() for file in roci.settings.data.iterdir() if file.is_file())
    for value in (b"sk-ant-your-actual-key", b"another-secret-value"):
        assert value not in kept and value.decode() not in caplog.text


async def test_a_secret_changes_and_goes(admin: Api) -> None:
    made = await admin.ok("POST", PATH, PRINTED)
    changed = await admin.ok("PUT", KEY, {"value": "v2"})
    assert "value" not in changed and changed["updated_at"] > made["updated_at"]
    assert changed["description"] == PRINTED["description"]
    assert (await admin.ok("PUT", KEY, {"description": "new"}))["description"] == "new"
    assert (await admin.ok("GET", f"{KEY}?show_values=1"))["value"] == "v2"
    assert (await admin.ok("PUT", KEY, {"description": None}))["description"] is None
    assert await admin.ok("DELETE", KEY) == {"success": True}
    for method, body in (("GET", None), ("DELETE", None), ("PUT", {"value": "x"})):
        assert code(await admin(method, KEY, body)) == (404, "NOT_FOUND")


async def test_a_secret_that_cannot_be(admin: Api) -> None:
    for wrong in [
        {"value": None},
        {"value": 5},
        {"key_name": "1A"},
        {"key_name": "A B"},
        {"key_name": "RAWORC_TOKEN"},
        {"key_name": "A" * 256},
        {"value": "x" * (64 * 1024 + 1)},
    ]:
        answer = await admin("POST", PATH, PRINTED | wrong)
        assert code(answer) == (400, "BAD_REQUEST")
        assert PRINTED["value"] not in str(answer)


async def test_nothing_but_a_value_or_a_description_changes_a_secret(admin: Api) -> None:
    await admin.ok("POST", PATH, PRINTED)
    for body in ({}, {"key_name": "other"}, {"value": None}):
        assert code(await admin("PUT", KEY, body)) == (400, "BAD_REQUEST")


async def test_an_empty_value_is_a_value(admin: Api) -> None:
    await admin.ok("POST", PATH, {"key_name": "EMPTY", "value": ""})
    assert (await admin.ok("GET", f"{PATH}/EMPTY?show_values=1"))["value"] == ""


async def test_secrets_of_a_space_that_is_not(admin: Api) -> None:
    for method, path, body in (
        ("GET", "", None),
        ("POST", "", PRINTED),
        ("GET", "/A", None),
        ("PUT", "/A", {"value": "x"}),
        ("DELETE", "/A", None),
    ):
        assert code(await admin(method, f"/spaces/nope/secrets{path}", body)) == (404, "NOT_FOUND")
