from __future__ import annotations

import base64
import datetime
import json
from typing import Any

from quart.typing import TestClientProtocol as Client

from .conftest import PASSWORD, Api, code


async def test_health_is_two_letters_for_anybody(anonymous: Client) -> None:
    response = await anonymous.get("/api/v0/health")
    assert (response.status_code, await response.get_data(as_text=True)) == (200, "OK")
    assert response.mimetype == "text/plain"


async def test_verbose_health_tells_of_the_rest(nobody: Api) -> None:
    status, body = await nobody("GET", "/health?verbose=1")
    assert status == 200 and body["status"] in ("ok", "degraded")


async def test_the_version_is_the_one_of_the_reference(nobody: Api) -> None:
    status, body = await nobody("GET", "/version")
    assert status == 200 and (body["version"], body["api"]) == ("0.1.1", "v0")


def claims(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))))


async def test_signing_in_gives_a_token_for_a_day(admin: Api) -> None:
    body = await admin.ok("POST", "/auth/login", {"user": "admin", "pass": PASSWORD})
    assert set(body) == {"token", "token_type", "expires_at"} and body["token_type"] == "Bearer"
    said = claims(body["token"])
    assert said["exp"] - said["iat"] == 24 * 3600 and body["expires_at"].endswith("Z")
    assert datetime.datetime.fromisoformat(body["expires_at"]).timestamp() == said["exp"]
    assert (said["sub"], said["sub_type"], said["space"]) == ("admin", "ServiceAccount", None)
    assert said["iss"] == "raworc-rbac" and said["jti"]


async def test_a_sign_in_that_fails(admin: Api, nobody: Api) -> None:
    for wrong in ({"user": "admin", "pass": "wrong"}, {"user": "nobody", "pass": "wrong"}):
        assert code(await nobody("POST", "/auth/login", wrong)) == (401, "UNAUTHORIZED")
    for broken in ({"user": "admin"}, {"user": 5, "pass": "x"}, {}, "", "[]", "{"):
        assert code(await nobody("POST", "/auth/login", broken)) == (400, "BAD_REQUEST")


async def test_wrong_sign_ins_are_slowed_down(admin: Api, nobody: Api) -> None:
    wrong = {"user": "admin", "pass": "wrong"}
    for _ in range(10):
        assert code(await nobody("POST", "/auth/login", wrong)) == (401, "UNAUTHORIZED")
    response = await nobody.client.post("/api/v0/auth/login", data=json.dumps(wrong))
    assert response.status_code == 429 and int(response.headers["Retry-After"]) > 0
    assert (await response.get_json())["error"]["code"] == "RATE_LIMITED"


async def test_a_form_content_type_does_not_matter(admin: Api, nobody: Api) -> None:
    plain_curl = {"Content-Type": "application/x-www-form-urlencoded"}
    status, _ = await nobody("POST", "/auth/login", {"user": "admin", "pass": PASSWORD}, headers=plain_curl)
    assert status == 200


async def test_who_asks(admin: Api) -> None:
    assert await admin.ok("GET", "/auth/me") == {"user": "admin", "namespace": None, "type": "ServiceAccount"}


async def test_who_shows_no_good_token_is_nobody(admin: Api, nobody: Api) -> None:
    good = admin.headers["Authorization"].removeprefix("Bearer ")
    head, body, signature = good.split(".")
    swapped = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').rstrip(b"=").decode()
    for token in ("x.y.z", good[:-5], f"{head}.{body}.", f"{swapped}.{body}.", f"{head}.{body}.{signature[::-1]}"):
        assert code(await Api(nobody.client, token)("GET", "/spaces")) == (401, "JWT_ERROR"), token
    assert code(await Api(nobody.client, "x")("GET", "/spaces")) == (401, "JWT_ERROR")
    response = await nobody.client.get("/api/v0/spaces")
    assert response.status_code == 401 and response.headers["WWW-Authenticate"].startswith("Bearer")


async def test_the_word_bearer_may_be_written_in_any_case(admin: Api, nobody: Api) -> None:
    nobody.headers = {"Authorization": admin.headers["Authorization"].replace("Bearer", "bEARER")}
    assert (await nobody.ok("GET", "/auth/me"))["user"] == "admin"


async def test_paths_end_in_a_slash_or_not(admin: Api) -> None:
    for path in ("/auth/me", "/spaces", "/spaces/default", "/spaces/default/secrets", "/roles/admin"):
        assert await admin.ok("GET", path) == await admin.ok("GET", f"{path}/")


async def test_unknown_paths_and_wrong_methods(admin: Api, nobody: Api) -> None:
    assert code(await admin("GET", "/nowhere")) == (404, "NOT_FOUND")
    assert code(await admin("PATCH", "/spaces")) == (405, "METHOD_NOT_ALLOWED")
    assert code(await nobody("GET", "/nowhere")) == (401, "UNAUTHORIZED")


async def test_a_body_that_is_too_large(admin: Api) -> None:
    assert code(await admin("POST", "/spaces", "x" * 1_100_000)) == (413, "PAYLOAD_TOO_LARGE")


async def test_pages_of_a_list(admin: Api) -> None:
    for name in ("a", "b", "c"):
        await admin.ok("POST", "/spaces", {"name": name})
    names = [each["name"] for each in await admin.ok("GET", "/spaces?limit=2&offset=1")]
    assert names == ["b", "a"]
    assert len(await admin.ok("GET", "/spaces?limit=5000")) == 4
    for query in ("limit=0", "limit=x", "limit=-1", "offset=x", "limit=1.5"):
        assert code(await admin("GET", f"/spaces?{query}")) == (400, "BAD_REQUEST"), query
