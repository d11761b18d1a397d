"""Notices as JSON, by POST to an address. Any address, those of the home network too: it is people with the right to
set up channels who say where ROCI sends things.

With a key each is signed: `X-ROCI-Signature: sha256=` and the HMAC, as hex, over the timestamp, a dot and the body.
A receiver refuses what is old by `X-ROCI-Timestamp` and drops what it has by `X-ROCI-Delivery`.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import AsyncIterator
from typing import Any, ClassVar
from urllib.parse import urlsplit

import msgspec

from roci import Roci, RociError, Sensitive, TooMany, Unavailable, __version__, hookimpl

from . import Notice, Notifier, one_line

PATIENCE = 10.0  # seconds for each step
SHORTEST_KEY = 8
MOST = 4096  # bytes of an answer that are looked at


class Webhook(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`key` signs; `token` is sent as a bearer token. The address is a secret too: for many receivers it is the key."""

    destination: ClassVar[tuple[str, ...]] = ("url",)
    url: Sensitive
    key: Sensitive | None = None
    token: Sensitive | None = None

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            host, _ = parts.hostname, parts.port
        except ValueError:
            raise ValueError("url: this is no address") from None
        if parts.scheme not in ("http", "https") or not host or not self.url.isascii() or not self.url.isprintable():
            raise ValueError("url: an address is needed that begins with http:// or https://")
        if parts.username is not None or " " in self.url:
            raise ValueError("url: without blanks, user and password; a token has a field of its own")
        if self.key is not None and len(self.key) < SHORTEST_KEY:
            raise ValueError(f"key: at least {SHORTEST_KEY} characters")
        if self.token is not None and not (self.token.isascii() and self.token.isprintable() and self.token.strip()):
            raise ValueError("token: printable characters of ASCII")


def sign(key: str, timestamp: str, body: bytes) -> str:
    return "sha256=" + hmac.new(key.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def payload(notice: Notice) -> bytes:
    fields = ("id", "kind", "title", "body", "severity", "host_id", "hostname", "subject", "alert_id", "at", "url")
    return msgspec.json.encode({**{name: getattr(notice, name) for name in fields}, "data": dict(notice.data)})


def headers(settings: Webhook, notice: Notice, body: bytes) -> dict[str, str]:
    timestamp = str(int(time.time()))
    found = {
        "Content-Type": "application/json",
        "User-Agent": f"ROCI/{__version__}",
        "X-ROCI-Delivery": notice.id,
        "X-ROCI-Timestamp": timestamp,
    }
    if settings.key:
        found["X-ROCI-Signature"] = sign(settings.key, timestamp, body)
    if settings.token:
        found["Authorization"] = f"Bearer {settings.token}"
    return found


class WebhookNotifier:
    name = "webhook"
    settings: type[msgspec.Struct] = Webhook

    async def send(self, settings: Any, notice: Notice) -> None:
        import httpx2

        host, body = urlsplit(settings.url).netloc, payload(notice)
        signed = headers(settings, notice, body)
        try:
            async with (
                httpx2.AsyncClient(timeout=PATIENCE, follow_redirects=False) as client,
                client.stream("POST", settings.url, content=body, headers=signed) as answer,
            ):
                if not answer.is_success:
                    raise refusal(host, answer.status_code, answer.headers, await _beginning(answer.aiter_bytes()))
        except httpx2.TimeoutException:
            raise Unavailable(f"{host} does not answer within {PATIENCE:g} s") from None
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            raise Unavailable(f"{host} cannot be reached: {one_line(str(error)) or type(error).__name__}") from None


async def _beginning(pieces: AsyncIterator[bytes]) -> str:
    read = b""
    async for piece in pieces:
        read += piece
        if len(read) >= MOST:
            break
    return one_line(read[:MOST].decode(errors="replace"))


def refusal(host: str, status: int, headers: Any, text: str) -> RociError:
    """What the receiver answered, for the person who set up the channel."""
    said = f"{host} answered {status}{f': {text}' if text else ''}"
    if 300 <= status < 400:
        return Unavailable(f"{host} answered {status}, which sends us elsewhere: give the address it has moved to")
    wait = headers.get("Retry-After", "")
    if status == 429 and wait.isascii() and wait.isdecimal() and len(wait) < 10:
        return TooMany(said, retry_after=int(wait))
    return Unavailable(said)


@hookimpl
def register_notifiers(roci: Roci) -> list[Notifier]:
    return [WebhookNotifier()]
