"""/api/v1/alerting/channels and quiet-hours: setting up how people are told, without ever showing a secret."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from typing import Any

import pytest

from roci import Roci, now
from roci_plugins.domain import hosts, keyring, notices, secrets
from roci_plugins.domain.hosts import Introduction
from roci_plugins.domain.notices import FIRED, Notice
from roci_plugins.domain.rules import Rule

from ...notifiers.receivers import Inbox, inbox
from .conftest import NOBODY, Api, People, code

CHANNELS, QUIET = "/alerting/channels", "/alerting/quiet-hours"
URL = "http://127.0.0.1:1/hook/t0psecret"
MAIL = {
    "host": "mail.lan",
    "sender": "roci@lan.example",
    "to": ["me@lan.example"],
    "username": "me",
    "password": "s3cr3t",
}


@pytest.fixture
def http() -> Iterator[Inbox]:
    with inbox() as server:
        yield server


async def add(api: Api, **fields: Any) -> dict[str, Any]:
    new = {"name": "phone", "kind": "webhook", "settings": {"url": URL, "key": "k3y-for-signing"}, **fields}
    status, body = await api("POST", CHANNELS, new)
    assert status == 201, body
    return dict(body)


async def test_a_channel_is_added_listed_changed_and_deleted(api: Api, roci: Roci) -> None:
    made = await add(api)
    assert made == {
        "id": made["id"],
        "name": "phone",
        "kind": "webhook",
        "enabled": True,
        "min_severity": "warning",
        "host_ids": [],
        "settings": {},
        "waiting": 0,
        "last_error": None,
        "last_delivered_at": None,
        "created_at": made["created_at"],
        "updated_at": made["updated_at"],
    }
    assert await api("GET", CHANNELS) == (200, {"channels": [made], "total": 1})
    assert await api("GET", f"{CHANNELS}/{made['id']}") == (200, made)
    status, changed = await api("PATCH", f"{CHANNELS}/{made['id']}", {"min_severity": "critical", "enabled": False})
    assert (status, changed["min_severity"], changed["enabled"], changed["name"]) == (200, "critical", False, "phone")
    assert (await api("DELETE", f"{CHANNELS}/{made['id']}"))[0] == 200
    for method, path in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/test"), ("GET", "/deliveries")):
        body = {} if method == "PATCH" else None
        assert code(await api(method, f"{CHANNELS}/{made['id']}{path}", body)) == (404, "not_found")
    assert await roci.read(secrets.list_, f"channel/{made['id']}") == []


async def test_secrets_go_in_and_never_come_out(api: Api, roci: Roci) -> None:
    made = await add(api, kind="email", settings=MAIL)
    path = f"{CHANNELS}/{made['id']}"
    assert made["settings"] == {k: v for k, v in MAIL.items() if k != "password"} | {
        "port": 587,
        "security": "starttls",
    }
    status, body = await api("PATCH", path, {"settings": {"to": ["you@lan.example"]}})
    assert status == 200 and body["settings"]["to"] == ["you@lan.example"]
    scope = f"channel/{made['id']}"
    stored = await roci.read(secrets.value, keyring.of(roci), scope, "settings")
    assert stored and json.loads(stored.encode())["password"] == "s3cr3t"
    for answer in (await api("GET", path), await api("GET", CHANNELS), await api("GET", "/audit?limit=1000")):
        assert "s3cr3t" not in json.dumps(answer[1])
    assert code(await api("GET", f"/secrets/settings?scope={scope}&value=true")) == (404, "not_found")


async def test_a_password_is_not_sent_to_another_server_by_who_does_not_know_it(api: Api) -> None:
    path = f"{CHANNELS}/{(await add(api, kind='email', settings=MAIL))['id']}"
    answer = await api("PATCH", path, {"settings": {"host": "evil.example.org"}})
    assert code(answer) == (400, "validation_error")
    assert answer[1]["error"]["message"] == "settings.password: send it again, since settings.host has changed"
    assert (await api("PATCH", path, {"settings": {"host": "new.lan", "password": "s3cr3t"}}))[0] == 200


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"kind": "pigeon"}, "kind: must be one of webhook, email, apprise"),
        ({"settings": {}}, "settings.url: is required"),
        ({"settings": {"url": "ftp://x"}}, "settings.url: an address is needed"),
        ({"settings": {"url": URL, "retries": 1}}, "settings.retries: is not a setting"),
        ({"settings": 5}, "settings: input should be a valid dictionary"),
        ({"name": ""}, "name: "),
        ({"name": "a\nb"}, "name: one line"),
        ({"min_severity": "loud"}, "min_severity: "),
        ({"host_ids": [NOBODY]}, "host_ids: there is no host"),
        ({"host_ids": ["x"]}, "host_ids.0: must be a UUID"),
    ],
)
async def test_what_is_wrong_is_refused_by_field(api: Api, fields: dict[str, Any], words: str) -> None:
    answer = await api("POST", CHANNELS, {"name": "x", "kind": "webhook", "settings": {"url": URL}, **fields})
    assert code(answer) == (400, "validation_error")
    assert answer[1]["error"]["message"].startswith(words)


async def test_two_channels_of_one_name_are_a_conflict_and_a_kind_stays(api: Api) -> None:
    made = await add(api)
    new = {"name": "phone", "kind": "webhook", "settings": {"url": URL}}
    assert code(await api("POST", CHANNELS, new)) == (409, "conflict")
    assert code(await api("PATCH", f"{CHANNELS}/{made['id']}", {"kind": "email"})) == (400, "validation_error")


async def test_forms_are_made_of_what_the_kinds_say(api: Api) -> None:
    status, body = await api("GET", f"{CHANNELS}/kinds")
    kinds = {kind["name"]: kind["settings"] for kind in body["kinds"]}
    assert status == 200 and {"webhook", "email", "apprise"} <= kinds.keys()
    assert kinds["email"]["required"] == ["host", "sender", "to"]
    assert kinds["apprise"]["properties"]["url"]["writeOnly"] is True


async def test_the_test_button_says_whether_it_arrived(api: Api, http: Inbox) -> None:
    path = f"{CHANNELS}/{(await add(api, settings={'url': f'{http.url}/hook/t0psecret'}))['id']}/test"
    assert await api("POST", path) == (200, {"success": True, "message": "The notice was delivered"})
    assert json.loads(http.requests[0][2])["kind"] == "test"
    http.answer = (403, {}, b"t0psecret is not known")
    answer = await api("POST", path)
    assert code(answer) == (503, "unavailable")
    said = answer[1]["error"]["message"]
    assert said == f"phone was not reached: 127.0.0.1:{http.port} answered 403: *** is not known"


async def test_deliveries_tell_what_became_of_each_notice(api: Api, roci: Roci) -> None:
    made = await add(api)
    host = await roci.write(hosts.add, Introduction("nas", "10.0.0.1", "10.0.0.1", "10.0.0.1"))
    new = Notice(FIRED, "nas: cpu", "too much", "warning", host_id=host.id, hostname="nas", alert_id="a1")
    (row,) = await roci.write(notices.enqueue, new)
    await roci.write(notices.fail, [row.id], "no route", now(), lambda attempts: 60.0, 3600)
    status, body = await api("GET", f"{CHANNELS}/{made['id']}/deliveries")
    assert status == 200 and body["total"] == 1
    (delivery,) = body["deliveries"]
    known = {"id": row.id, "status": "pending", "kind": FIRED, "title": "nas: cpu", "severity": "warning"}
    known |= {"host_id": host.id, "hostname": "nas", "alert_id": "a1", "held": False, "last_error": "no route"}
    assert delivery == delivery | known
    assert (await api("GET", f"{CHANNELS}/{made['id']}/deliveries?status=failed"))[1]["total"] == 0
    answer = await api("GET", f"{CHANNELS}/{made['id']}/deliveries?status=lost")
    assert code(answer) == (400, "bad_request")
    assert (await api("GET", f"{CHANNELS}/{made['id']}"))[1]["waiting"] == 1


async def test_quiet_hours_are_added_listed_changed_and_deleted(api: Api) -> None:
    new = {"name": "night", "from": "22:00", "to": "07:00", "time_zone": "Europe/Berlin", "days": [4, 5]}
    status, made = await api("POST", QUIET, new)
    assert status == 201, made
    assert made == made | new | {"passes": ["critical"], "host_ids": [], "enabled": True, "until": None}
    assert await api("GET", QUIET) == (200, {"quiet_hours": [made], "total": 1})
    path = f"{QUIET}/{made['id']}"
    status, changed = await api("PUT", path, {"to": "08:00", "passes": [], "name": None})
    assert (status, changed["to"], changed["from"], changed["passes"], changed["name"]) == (
        200,
        "08:00",
        "22:00",
        [],
        "night",
    )
    assert (await api("GET", path))[1] == changed
    assert (await api("DELETE", path))[0] == 200
    assert code(await api("GET", path)) == (404, "not_found")
    assert code(await api("PATCH", path, {})) == (404, "not_found")


async def test_maintenance_is_quiet_once_until_a_moment(api: Api) -> None:
    until = (now() + datetime.timedelta(hours=2)).replace(microsecond=0)
    status, made = await api("POST", QUIET, {"name": "maintenance", "until": until.isoformat(), "passes": []})
    assert status == 201, made
    said = until.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert (made["until"], made["active_until"], made["from"]) == (said, said, None)
    path = f"{QUIET}/{made['id']}"
    assert (await api("PATCH", path, {"enabled": False}))[1]["active_until"] is None
    assert code(await api("PATCH", path, {"until": None})) == (400, "validation_error"), "it has no hours of the week"
    weekly = {"until": None, "from": "22:00", "to": "07:00"}
    assert (await api("PATCH", path, weekly))[1]["until"] is None


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"from": None}, "from: "),
        ({"from": "25:00"}, "from: "),
        ({"days": [7]}, "days.0: "),
        ({"days": []}, "days: "),
        ({"time_zone": "Mars/Olympus"}, "time_zone: "),
        ({"passes": ["loud"]}, "passes.0: "),
        ({"host_ids": [NOBODY]}, "host_ids: "),
        ({"until": "2020-01-01T00:00:00Z"}, "until: "),
        ({"until": "tomorrow"}, "until: "),
    ],
)
async def test_quiet_hours_that_make_no_sense_are_refused_by_field(
    api: Api, fields: dict[str, Any], words: str
) -> None:
    answer = await api("POST", QUIET, {"name": "x", "from": "22:00", "to": "07:00", **fields})
    assert code(answer) == (400, "validation_error")
    assert answer[1]["error"]["message"].startswith(words)


@pytest.mark.parametrize(
    ("method", "path", "right"),
    [
        ("GET", CHANNELS, "channels.list"),
        ("GET", f"{CHANNELS}/kinds", "channels.list"),
        ("POST", CHANNELS, "channels.create"),
        ("GET", f"{CHANNELS}/{NOBODY}", "channels.list"),
        ("PATCH", f"{CHANNELS}/{NOBODY}", "channels.update"),
        ("DELETE", f"{CHANNELS}/{NOBODY}", "channels.delete"),
        ("POST", f"{CHANNELS}/{NOBODY}/test", "channels.test"),
        ("GET", f"{CHANNELS}/{NOBODY}/deliveries", "channels.list"),
        ("GET", QUIET, "quiet-hours.list"),
        ("POST", QUIET, "quiet-hours.create"),
        ("GET", f"{QUIET}/{NOBODY}", "quiet-hours.list"),
        ("PATCH", f"{QUIET}/{NOBODY}", "quiet-hours.update"),
        ("DELETE", f"{QUIET}/{NOBODY}", "quiet-hours.delete"),
    ],
)
async def test_each_takes_its_own_right(people: People, roci: Roci, method: str, path: str, right: str) -> None:
    others = [name for name in roci.permissions if name.startswith(("channels.", "quiet-hours.")) and name != right]
    body = {} if method in ("POST", "PATCH") else None
    without = await people("ann", *(Rule(name, "*") for name in others))
    assert code(await without(method, path, body)) == (403, "forbidden")
    holder = await people("bob", Rule(right, "*"))
    assert (await holder(method, path, body))[0] in (200, 400, 404)
    nobody = Api(without.client)
    assert code(await nobody(method, path, body)) == (401, "unauthorized")
