"""Whose request is it? Several surfaces serve some paths of /api/v1; this one function tells their clients apart.

Nothing here decides what anybody may do: the token is looked at unverified, only for the dialect it was made in.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from quart import Request

Dialect = Literal["native", "rootcx", "chatops"]

MEDIA: dict[str, Dialect] = {
    "application/vnd.roci.v1+json": "native",
    "application/vnd.rootcx.v1+json": "rootcx",
    "application/vnd.chatops.v1+json": "chatops",
}
AUDIENCES: dict[str, Dialect] = {"rootcx": "rootcx", "chatops": "chatops"}
SIGN_IN = "/api/v1/auth/"  # nothing native is below it
ONLY: dict[Dialect, re.Pattern[str]] = {  # what nobody else speaks of
    "rootcx": re.compile(r"/api/v1/(apps|channels|integrations)(/.*)?", re.DOTALL),
    "chatops": re.compile(r"/api/v1/(servers|metrics|docker|commands|alerts|logs|api-keys|ws)(/.*)?", re.DOTALL),
}
CHATOPS_FIELDS = {"username", "refresh_token", "password_confirm", "full_name"}


def dialect(request: Request, body: bytes = b"") -> Dialect:
    """An explicit Accept decides, else the token, else the path, or (where people sign in) the body."""
    headers = request.headers
    spoken = _accepted(headers.get("Accept", "")) or _audience(headers.get("Authorization", ""))
    if spoken:
        return spoken
    if not request.path.startswith(SIGN_IN):
        return next((name for name, paths in ONLY.items() if paths.fullmatch(request.path)), "native")
    return "chatops" if _is_chatops(request.mimetype, body) else "rootcx"


def _accepted(accept: str) -> Dialect | None:
    for part in accept.split(","):
        media = part.partition(";")[0].strip().lower()
        if media in MEDIA:
            return MEDIA[media]
    return None


def _audience(authorization: str) -> Dialect | None:
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer":
        return None
    said = unverified(token.strip())
    audience = said.get("aud")
    return AUDIENCES.get(audience) if isinstance(audience, str) else None


def unverified(token: str) -> Mapping[str, Any]:
    """The claims of a JWT as anybody may have written them; empty for what is none."""
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        said = msgspec.json.decode(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _is_chatops(mimetype: str, body: bytes) -> bool:
    """A form, or JSON with its words. What is JSON is none of a form, whatever curl calls it."""
    try:
        sent = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        sent = None
    if isinstance(sent, dict):
        return not CHATOPS_FIELDS.isdisjoint(sent)
    return mimetype == "application/x-www-form-urlencoded"
