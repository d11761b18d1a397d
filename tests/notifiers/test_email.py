"""Mail as a real server takes it: with and without TLS, and nothing in it that a host could have slipped in."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from roci import Invalid, Unavailable
from roci_plugins.notifiers import left_behind
from roci_plugins.notifiers.email import Email, EmailNotifier
from roci_plugins.work import setups

from .conftest import notice
from .receivers import Mailbox, dripping, mailbox, make_certificate

LOGIN = {"username": "roci", "password": "s3cr3t-word"}


async def send(port: int, new: Any = None, **settings: Any) -> None:
    given = {"host": "localhost", "port": port, "sender": "roci@lan.example", "to": ["me@lan.example"], **settings}
    await EmailNotifier().send(setups.read(Email, given), new or notice())


async def test_a_message_is_plain_text_and_the_same_as_html(mail: tuple[Mailbox, int]) -> None:
    box, port = mail
    await send(port, security="none", to=["me@lan.example", "you@lan.example"])
    (message,) = box.messages
    assert box.recipients == [["me@lan.example", "you@lan.example"]]
    assert (message["Subject"], message["From"]) == ("[warning] nas: cpu", "roci@lan.example")
    assert message["Message-ID"] == f"<{notice().id}@lan.example>"
    plain, page = message.get_body(("plain",)), message.get_body(("html",))
    assert plain and page
    assert "CPU is 93.0 %, above 80" in plain.get_content()
    assert "2026-01-14 12:30:00 UTC" in plain.get_content()
    assert "<h3" in page.get_content() and "https://roci.lan/hosts/1" in page.get_content()


async def test_what_fired_and_its_end_are_one_thread(mail: tuple[Mailbox, int]) -> None:
    box, port = mail
    await send(port, security="none")
    await send(port, notice(kind="alert.resolved", id="another"), security="none")
    first, second = box.messages
    assert first["References"] == second["References"] and first["Message-ID"] != second["Message-ID"]


async def test_nothing_in_a_notice_becomes_a_header_or_markup(mail: tuple[Mailbox, int]) -> None:
    box, port = mail
    evil = "x\r\nBcc: all@example.org\r\nX-Evil: 1\r\n\r\n<img src=x onerror=alert(1)>"
    await send(
        port, notice(title=evil, body=evil, hostname=evil, subject=evil, alert_id=evil, severity=evil), security="none"
    )
    (message,) = box.messages
    assert "Bcc" not in message and "X-Evil" not in message and box.recipients == [["me@lan.example"]]
    page = message.get_body(("html",))
    assert page and "<img" not in page.get_content() and "&lt;img" in page.get_content()


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_password_goes_over_an_encrypted_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, security: str
) -> None:
    certificate = make_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    with mailbox(security, certificate) as (box, port):
        await send(port, security=security, **LOGIN)
        assert box.logins == [("roci", "s3cr3t-word")] and len(box.messages) == 1
        with pytest.raises(Unavailable, match="answered 535"):
            await send(port, security=security, username="roci", password="wr0ng-word")


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_server_nobody_vouches_for_gets_no_password(tmp_path: Path, security: str) -> None:
    with mailbox(security, make_certificate(tmp_path)) as (box, port):
        with pytest.raises(Unavailable, match="is not to be trusted: "):
            await send(port, security=security, **LOGIN)
        assert box.logins == [] and box.messages == []


async def test_a_server_without_tls_gets_nothing_where_it_is_asked_for(mail: tuple[Mailbox, int]) -> None:
    box, port = mail
    with pytest.raises(Unavailable, match="STARTTLS"):
        await send(port, security="starttls", **LOGIN)
    assert box.messages == []


async def test_a_refusal_says_what_the_server_answered(mail: tuple[Mailbox, int]) -> None:
    box, port = mail
    box.broken = True
    with pytest.raises(Unavailable, match=r"^localhost:\d+ answered 451: the disk is full$"):
        await send(port, security="none")
    box.refuse = {"me@lan.example"}
    with pytest.raises(Unavailable, match=r"refused me@lan\.example"):
        await send(port, security="none")


async def test_who_is_known_gets_it_though_others_are_not(
    mail: tuple[Mailbox, int], caplog: pytest.LogCaptureFixture
) -> None:
    box, port = mail
    box.refuse = {"you@lan.example"}
    await send(port, security="none", to=["me@lan.example", "you@lan.example"])
    assert box.recipients == [["me@lan.example"]]
    assert "refused 1 of 2 recipients" in caplog.text


@pytest.mark.parametrize("login", [{"username": "roci", "password": "pässword"}, {"password": "alone"}])
def test_what_no_mail_server_takes_is_refused_by_field(login: dict[str, str]) -> None:
    with pytest.raises(Invalid, match=r"^settings\.password: "):
        setups.read(Email, {"host": "mail.lan", "sender": "roci@lan.example", "to": ["me@lan.example"], **login})


async def test_nobody_there_is_said() -> None:
    with pytest.raises(Unavailable, match="cannot be reached: "):
        await send(1, security="none")


@pytest.mark.parametrize("security", ["none", "tls"])
async def test_a_server_that_is_never_silent_and_never_done_is_left_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, security: str
) -> None:
    certificate, left = make_certificate(tmp_path), list[threading.Thread]()
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    left_behind.set(left)
    with dripping(certificate if security == "tls" else None) as (port, dripped):
        task = asyncio.create_task(send(port, security=security))
        assert await asyncio.to_thread(dripped.acquire, timeout=30), "its first byte has gone out"
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        (thread,) = left
        await asyncio.to_thread(thread.join, 30)
        assert not thread.is_alive()
