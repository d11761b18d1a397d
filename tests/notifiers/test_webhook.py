"""The webhook as a receiver sees it, and what people are told when a receiver does not want it."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
from typing import Any

import msgspec
import pytest

from roci import TooMany, Unavailable
from roci_plugins.notifiers.webhook import Webhook, WebhookNotifier
from roci_plugins.work import setups

from .conftest import notice
from .receivers import Inbox

KEY = "k3y-for-signing"


async def send(url: str, **settings: Any) -> None:
    await WebhookNotifier().send(setups.read(Webhook, {"url": url, **settings}), notice())


async def test_a_receiver_gets_json_that_it_can_check_and_know_again(http: Inbox) -> None:
    await send(f"{http.url}/in", key=KEY)
    ((path, headers, body),) = http.requests
    signed = headers["x-roci-timestamp"].encode() + b"." + body
    assert headers["x-roci-signature"] == "sha256=" + hmac.new(KEY.encode(), signed, hashlib.sha256).hexdigest()
    assert (path, headers["content-type"], headers["x-roci-delivery"]) == ("/in", "application/json", notice().id)
    said = json.loads(body)
    assert said == {
        "id": notice().id,
        "kind": "alert.fired",
        "title": "nas: cpu",
        "body": "CPU is 93.0 %, above 80",
        "severity": "warning",
        "host_id": notice().host_id,
        "hostname": "nas",
        "subject": "web",
        "alert_id": "a-1",
        "at": "2026-01-14T12:30:00Z",
        "url": "https://roci.lan/hosts/1",
        "data": {"type": "cpu", "current_value": 93.0},
    }


async def test_nothing_of_ours_goes_along_that_was_not_asked_for(http: Inbox) -> None:
    await send(http.url)
    await send(http.url, token="t0ken-for-it")
    plain, with_token = (headers for _, headers, _ in http.requests)
    assert not {"authorization", "cookie", "x-roci-signature"} & plain.keys()
    assert with_token["authorization"] == "Bearer t0ken-for-it"


@pytest.mark.parametrize("status", [200, 201, 202, 204])
async def test_any_success_will_do(http: Inbox, status: int) -> None:
    http.answer = (status, {}, b"")
    await send(http.url)
    assert len(http.requests) == 1


@pytest.mark.parametrize("status", [400, 401, 404, 410, 500, 503])
async def test_a_refusal_says_what_the_receiver_answered(http: Inbox, status: int) -> None:
    http.answer = (status, {}, b"<p>no\r\nsuch  hook</p>")
    with pytest.raises(Unavailable) as refused:
        await send(http.url)
    assert refused.value.message == f"127.0.0.1:{http.port} answered {status}: <p>no such hook</p>"


async def test_a_long_answer_is_cut(http: Inbox) -> None:
    http.answer = (500, {}, b"x" * 1_000_000)
    with pytest.raises(Unavailable) as refused:
        await send(http.url)
    assert len(refused.value.message) < 300


async def test_a_redirect_is_not_followed(http: Inbox) -> None:
    http.answer = (307, {"Location": f"{http.url}/elsewhere"}, b"")
    with pytest.raises(Unavailable, match="answered 307, which sends us elsewhere"):
        await send(http.url, token="t0ken-for-it")
    assert len(http.requests) == 1


@pytest.mark.parametrize(("said", "waits"), [("120", 120), ("soon", None), ("9" * 20, None)])
async def test_who_asks_for_patience_gets_it(http: Inbox, said: str, waits: int | None) -> None:
    http.answer = (429, {"Retry-After": said}, b"")
    with pytest.raises((TooMany, Unavailable)) as refused:
        await send(http.url)
    assert refused.value.details.get("retry_after") == waits


async def test_nobody_there_is_said_without_the_address_in_full() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(Unavailable) as refused:
            await send(f"http://127.0.0.1:{port}/hook/t0psecret")
    assert refused.value.message.startswith(f"127.0.0.1:{port} cannot be reached: ")
    assert "t0psecret" not in refused.value.message


@pytest.mark.parametrize(
    "url",
    [
        "ftp://x",
        "file:///etc/passwd",
        "http://",
        "//x",
        "http://me:pw@x/",
        "http://x/ y",
        "http://x:99999/",
        "http://[::1/",
        "http://x/\nHost: y",
        "http://münchen.example/",
    ],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises((msgspec.ValidationError, ValueError), match=r"url: "):
        Webhook(url=url)  # type: ignore[arg-type]


@pytest.mark.parametrize("url", ["http://192.168.1.5:8123/api/webhook/x", "https://x.example", "http://[::1]:80/"])
def test_addresses_of_the_home_network_are_allowed(url: str) -> None:
    assert Webhook(url=url).url == url  # type: ignore[arg-type]
