"""/api/v1/secrets: names for those who may list, values for those who may read them, nothing for others."""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import urlencode

import pytest
from quart import Quart

from roci import Roci
from roci_plugins.domain import access, credentials, events, keyring, principals, secrets
from roci_plugins.domain.principals import NewPrincipal
from roci_plugins.domain.roles import NewRole
from roci_plugins.domain.rules import Rule

from .conftest import NOBODY, Api, code

VALUE = "swordfish-4711-é"


async def put(api: Api, name: str = "MAIL_KEY", **fields: Any) -> dict[str, Any]:
    status, body = await api("PUT", f"/secrets/{name}", {"value": VALUE, **fields})
    assert status == 200, body
    return dict(body)


async def test_a_secret_is_set_listed_read_and_deleted(api: Api, roci: Roci) -> None:
    made = await put(api, description="for the mail")
    assert made == {
        "scope": "platform",
        "name": "MAIL_KEY",
        "description": "for the mail",
        "created_by": "admin",
        "created_at": made["created_at"],
        "updated_at": made["updated_at"],
        "store": "database",
    }
    assert await api("GET", "/secrets") == (200, {"secrets": [made], "total": 1})
    assert await api("GET", "/secrets/MAIL_KEY") == (200, made)
    assert await api("GET", "/secrets/MAIL_KEY?value=true") == (200, {**made, "value": VALUE})
    assert (await put(api, value="other"))["description"] == "for the mail"
    assert (await api("DELETE", "/secrets/MAIL_KEY"))[0] == 200
    for method in ("GET", "DELETE"):
        assert code(await api(method, "/secrets/MAIL_KEY")) == (404, "not_found")


async def test_the_scope_of_a_secret_may_be_in_the_query_and_is_never_guessed(api: Api) -> None:
    await put(api)
    status, made = await api("PUT", "/secrets/MAIL_KEY?scope=space/default", {"value": "other"})
    assert (status, made["scope"]) == (200, "space/default")
    assert (await api("GET", "/secrets/MAIL_KEY?value=true"))[1]["value"] == VALUE
    same = {"value": "x", "scope": "space/default"}
    assert (await api("PUT", "/secrets/MAIL_KEY?scope=space/default", same))[0] == 200
    assert code(await api("PUT", "/secrets/MAIL_KEY?scope=platform", same)) == (400, "validation_error")
    assert (await api("GET", "/secrets/MAIL_KEY?scope=space/default&value=true"))[1]["value"] == "x"


async def test_only_reading_the_value_is_recorded_as_that(api: Api, roci: Roci) -> None:
    await put(api)
    await api("GET", "/secrets")
    await api("GET", "/secrets/MAIL_KEY")
    assert (await roci.read(events.list_, name="SecretRead"))[1] == 0
    await api("GET", "/secrets/MAIL_KEY?value=true")
    rows, total = await roci.read(events.list_, name="SecretRead")
    assert total == 1 and rows[0].actor_name == "admin"


async def test_a_value_is_not_to_be_cached(api: Api) -> None:
    await put(api)
    shown = await api.client.get("/api/v1/secrets/MAIL_KEY?value=true")
    assert shown.headers["Cache-Control"] == "no-store"


async def test_scopes_keep_secrets_apart(api: Api) -> None:
    app = await api.app()
    own = f"application/{app['id']}"
    await put(api, scope=own, value="one")
    await put(api, scope="space/default", value="two")
    for scope, value in ((own, "one"), ("space/default", "two")):
        assert (await api("GET", f"/secrets/MAIL_KEY?value=true&scope={scope}"))[1]["value"] == value
        assert (await api("GET", f"/secrets?scope={scope}"))[1]["total"] == 1
    assert (await api("GET", "/secrets"))[1]["total"] == 2
    assert (await api("GET", "/secrets?scope=platform"))[1] == {"secrets": [], "total": 0}
    assert code(await api("GET", "/secrets/MAIL_KEY")) == (404, "not_found")


async def test_the_secrets_of_an_application_go_with_it(api: Api, roci: Roci) -> None:
    app = await api.app()
    await put(api, scope=f"application/{app['id']}")
    assert (await api("DELETE", f"/applications/{app['id']}", {"confirm_name": "a1"}))[0] == 200
    assert await roci.read(secrets.list_) == [row for row in await roci.read(secrets.list_) if row.scope == "system"]
    assert code(await api("GET", f"/secrets?scope=application/{app['id']}")) == (404, "not_found")


@pytest.mark.parametrize("scope", ["system", "principal/x", "provider/x"])
async def test_what_roci_keeps_for_itself_does_not_exist_here(api: Api, roci: Roci, scope: str) -> None:
    await roci.write(secrets.put, keyring.of(roci), scope, "KEY", VALUE)
    assert code(await api("GET", f"/secrets?scope={scope}")) == (404, "not_found")
    assert code(await api("GET", f"/secrets/KEY?value=true&scope={scope}")) == (404, "not_found")
    assert code(await api("DELETE", f"/secrets/KEY?scope={scope}")) == (404, "not_found")
    assert code(await api("PUT", "/secrets/KEY", {"scope": scope, "value": "mine"})) == (404, "not_found")
    assert (await api("GET", "/secrets"))[1] == {"secrets": [], "total": 0}
    assert await roci.read(secrets.value, keyring.of(roci), scope, "KEY") == VALUE


@pytest.mark.parametrize(
    ("name", "body", "expected"),
    [
        ("1ST", {"value": VALUE}, (400, "validation_error")),
        ("K", {"value": VALUE, "scope": "nowhere"}, (400, "validation_error")),
        ("K", {"value": VALUE, "scope": f"application/{NOBODY}"}, (404, "not_found")),
        ("K", {"value": VALUE, "scope": "space/none"}, (404, "not_found")),
        ("K", {"value": [VALUE]}, (400, "validation_error")),
        ("K", {"value": VALUE * 5000}, (400, "validation_error")),
        ("K", {"value": VALUE, "description": {VALUE: VALUE}}, (400, "validation_error")),
        ("K", {}, (400, "validation_error")),
        ("K", f'{{"value": "{VALUE}"', (400, "bad_request")),
        ("K", '{"value": "\\ud800"}', None),
    ],
)
async def test_what_cannot_be_kept_is_refused_without_repeating_it(
    api: Api, caplog: pytest.LogCaptureFixture, name: str, body: Any, expected: tuple[int, str] | None
) -> None:
    caplog.set_level(logging.DEBUG)
    answer = await api("PUT", f"/secrets/{name}", body)
    assert (code(answer) == expected) if expected else (answer[0] == 400), answer
    assert VALUE not in str(answer) + caplog.text
    assert (await api("GET", "/secrets"))[1]["total"] == 0


async def test_a_name_that_compose_cannot_use_is_no_secret_of_an_application(api: Api) -> None:
    scope = f"application/{(await api.app())['id']}"
    for name in ("A-B", "a.b", "PATH"):
        assert code(await api("PUT", f"/secrets/{name}", {"scope": scope, "value": "v"})) == (400, "validation_error")


# --- who may -----------------------------------------------------------------


@pytest.fixture
def eve(roci: Roci, app: Quart) -> Any:
    """Signs in somebody with just these rights: `await eve("secrets.list")` on the space `default`."""

    async def signed_in(*actions: str, on: str = "space/default") -> Api:
        person = await roci.write(principals.add, NewPrincipal("eve"))
        if actions:
            rules = tuple(Rule(action, on) for action in actions)
            await roci.write(access.add_role, NewRole("some", rules))
            await roci.write(access.bind, "eve", "some")
        client = app.test_client()
        client.set_cookie("localhost", "roci_session", await roci.write(credentials.log_in, person))
        return Api(client)

    return signed_in


CALLS = {
    "secrets.list": ("GET", "/secrets?scope={}", None),
    "secrets.get": ("GET", "/secrets/OLD?scope={}", None),
    "secrets.create": ("PUT", "/secrets/NEW", {"value": "v"}),
    "secrets.update": ("PUT", "/secrets/OLD", {"value": "v"}),
    "secrets.delete": ("DELETE", "/secrets/OLD?scope={}", None),
}


async def call(api: Api, right: str, scope: str) -> int:
    method, path, body = CALLS[right]
    return (await api(method, path.format(scope), body and {**body, "scope": scope}))[0]


@pytest.mark.parametrize("right", CALLS)
async def test_each_call_takes_its_own_right_on_its_own_scope(api: Api, eve: Any, right: str) -> None:
    await put(api, "OLD", scope="space/default")
    await put(api, "OLD", scope="platform")
    limited = await eve(right)
    for other in CALLS:
        assert await call(limited, other, "space/default") == (200 if other == right else 403), other
        assert await call(limited, other, "platform") == 403, other


async def test_the_value_takes_a_right_of_its_own(api: Api, eve: Any) -> None:
    await put(api, scope="space/default")
    limited = await eve("secrets.get", "secrets.list")
    assert code(await limited("GET", "/secrets/MAIL_KEY?value=true&scope=space/default")) == (403, "forbidden")
    assert (await limited("GET", "/secrets/MAIL_KEY?value=false&scope=space/default"))[0] == 200


async def test_a_list_of_everything_shows_what_one_may_list(api: Api, eve: Any) -> None:
    await put(api, "HIDDEN")
    await put(api, "SHOWN", scope="space/default")
    _, body = await (await eve("secrets.list"))("GET", "/secrets")
    assert [row["name"] for row in body["secrets"]] == ["SHOWN"]


@pytest.mark.parametrize("scope", ["platform\n", "Nowhere", "space/", "space/" + "x" * 100_000])
async def test_what_is_no_scope_is_said_to_be_none_before_rights_are_asked_for_it(eve: Any, scope: str) -> None:
    powerless = await eve()
    refused = await powerless("PUT", "/secrets/NEW", {"scope": scope, "value": "v"})
    assert code(refused) == (400, "validation_error") and len(str(refused)) < 500
    for method in ("GET", "DELETE"):
        refused = await powerless(method, f"/secrets/NEW?{urlencode({'scope': scope})}")
        assert code(refused) == (400, "validation_error"), method


async def test_strangers_learn_nothing(api: Api, app: Quart, eve: Any) -> None:
    await put(api)
    nobody, powerless = Api(app.test_client()), await eve()
    for method, path, body in CALLS.values():
        assert code(await nobody(method, path.format("platform"), body)) == (401, "unauthorized")
    for name in ("MAIL_KEY", "NONE"):
        assert code(await powerless("GET", f"/secrets/{name}")) == (403, "forbidden")
        refused = await powerless("PUT", f"/secrets/{name}", {"value": VALUE})
        assert code(refused) == (403, "forbidden") and "secrets.update" in refused[1]["error"]["message"]
    assert await powerless("GET", "/secrets") == (200, {"secrets": [], "total": 0})


async def test_no_value_lies_in_the_clear_anywhere(api: Api, roci: Roci, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    await put(api)
    await api("GET", "/secrets/MAIL_KEY?value=true")
    assert VALUE not in caplog.text
    for path in roci.settings.data.rglob("*"):
        assert not path.is_file() or VALUE.encode() not in path.read_bytes(), path
