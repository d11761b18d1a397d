"""Services by one address each, against a server on this machine; none of the address in any log."""

from __future__ import annotations

import json
import logging

import pytest

from roci import Invalid, Unavailable
from roci_plugins.notifiers.apprise import AppriseNotifier, AppriseSettings
from roci_plugins.work import setups

from .conftest import notice
from .receivers import Inbox


async def send(url: str, **fields: object) -> None:
    await AppriseNotifier().send(setups.read(AppriseSettings, {"url": url}), notice(**fields))


async def test_a_json_receiver_gets_it_with_its_kind(http: Inbox) -> None:
    for fields in ({"severity": "critical"}, {"kind": "alert.resolved"}, {"severity": "info"}):
        await send(f"json://127.0.0.1:{http.port}/x", **fields)
    said = [json.loads(body) for _, _, body in http.requests]
    assert [each["type"] for each in said] == ["failure", "success", "info"]
    assert said[0]["title"] == "nas: cpu"
    assert said[0]["message"] == "CPU is 93.0 %, above 80\nhttps://roci.lan/hosts/1"


async def test_ntfy_gets_it_and_no_picture_of_anybody(http: Inbox) -> None:
    http.answer = (200, {"Content-Type": "application/json"}, b'{"id": "1"}')
    await send(f"ntfy://127.0.0.1:{http.port}/alerts")
    ((_, headers, body),) = http.requests
    text = body.decode() + repr(headers)
    assert "CPU is 93.0 %" in text and "nas: cpu" in text
    assert "github" not in text.lower()


@pytest.mark.parametrize("url", ["nosuchservice://x", "tgram://", "json://a, json://b"])
async def test_an_address_of_no_service_is_refused_by_field(url: str) -> None:
    with pytest.raises(Invalid, match=r"^settings.url: "):
        await send(url)


async def test_a_failure_says_why(http: Inbox) -> None:
    http.answer = (403, {}, b"")
    with pytest.raises(Unavailable, match=r"^the service did not take it: .*403"):
        await send(f"json://127.0.0.1:{http.port}/x")


async def test_a_redirect_is_not_followed(http: Inbox) -> None:
    http.answer = (307, {"Location": f"{http.url}/elsewhere"}, b"")
    with pytest.raises(Unavailable):
        await send(f"json://127.0.0.1:{http.port}/x")
    assert len(http.requests) == 1


async def test_no_log_has_the_address(http: Inbox, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        await send(f"json://me:p4ssw0rd@127.0.0.1:{http.port}/t0psecret")
        http.answer = (500, {}, b"")
        with pytest.raises(Unavailable):
            await send(f"json://me:p4ssw0rd@127.0.0.1:{http.port}/t0psecret")
    assert "p4ssw0rd" not in caplog.text and "t0psecret" not in caplog.text
