"""Every built-in notifier keeps what notifiers promise."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from roci_plugins.notifiers.apprise import AppriseNotifier
from roci_plugins.notifiers.email import EmailNotifier
from roci_plugins.notifiers.webhook import WebhookNotifier

from .conformance import CHECKS, Case
from .receivers import Inbox, Mailbox


def refusing(http: Inbox) -> Callable[[], contextlib.AbstractAsyncContextManager[None]]:
    @contextlib.asynccontextmanager
    async def broken() -> AsyncIterator[None]:
        http.answer = (500, {}, b"out of order")
        yield
        http.answer = (200, {}, b"")

    return broken


@pytest.fixture
def webhook(http: Inbox) -> Case:
    return Case(
        WebhookNotifier(),
        {"url": f"{http.url}/hook/t0psecret", "key": "k3y-for-signing", "token": "b3arer-t0ken"},
        lambda: [f"{json.loads(body)['title']} {json.loads(body)['body']}" for _, _, body in http.requests],
        refusing(http),
        ("t0psecret", "k3y-for-signing", "b3arer-t0ken"),
        {
            "url": {"url": "ftp://x"},
            "key": {"url": "http://x", "key": "short"},
            "token": {"url": "http://x", "token": "a\nb"},
            "retries": {"url": "http://x", "retries": 3},
        },
    )


@pytest.fixture
def email(mail: tuple[Mailbox, int]) -> Case:
    box, port = mail

    def texts() -> list[str]:
        return [f"{each['Subject']} {each.get_body(('plain',)).get_content()}" for each in box.messages]  # type: ignore[union-attr]

    @contextlib.asynccontextmanager
    async def broken() -> AsyncIterator[None]:
        box.broken = True
        yield
        box.broken = False

    settings = {
        "host": "127.0.0.1",
        "port": port,
        "security": "none",
        "sender": "roci@lan.example",
        "to": ["me@lan.example"],
    }
    return Case(
        EmailNotifier(),
        settings,
        texts,
        broken,
        (),
        {
            "host": {**settings, "host": "a b"},
            "port": {**settings, "port": 0},
            "sender": {**settings, "sender": "me\r\nBcc: x@y.z"},
            "to": {**settings, "to": []},
            "password": {**settings, "username": "me"},
            "security": {**settings, "host": "mail.lan", "username": "me", "password": "x"},
        },
    )


@pytest.fixture
def apprise(http: Inbox) -> Case:
    return Case(
        AppriseNotifier(),
        {"url": f"json://me:p4ssw0rd@127.0.0.1:{http.port}/t0psecret"},
        lambda: [f"{json.loads(body)['title']} {json.loads(body)['message']}" for _, _, body in http.requests],
        refusing(http),
        ("t0psecret", "p4ssw0rd"),
        {"url": {"url": "no address"}},
    )


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("case", ["webhook", "email", "apprise"])
async def test_a_notifier(case: str, check: Callable[[Case], Awaitable[None]], request: pytest.FixtureRequest) -> None:
    await check(request.getfixturevalue(case))
