"""Signed tokens of the dialects that have them: HS256 with a key for each, and always a login behind them.

A token proves no more than its login does: that is looked up, in memory for a moment, at every use. So an ended login,
a new password or a disabled principal ends its tokens too, whatever they say of their own end.
"""

from __future__ import annotations

import contextlib
import datetime
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import msgspec
from quart import Request, Websocket

from roci import Actor, Authenticator, Event, Roci, Sensitive, Task, Unauthenticated, hookimpl

from ..domain import credentials, keyring, signing
from ..domain.credentials import Login
from ..domain.principals import Principal
from .recall import Recall

ALGORITHM = "HS256"
LONGEST = 8192  # characters of a token
KEYS_EVERY = 5.0  # seconds until a rotation from the command line is noticed
RAWORC_ISSUER = "raworc-rbac"

Claims = dict[str, Any]


def _raworc(principal: Principal, login: Login) -> Claims:
    who = {"sub": principal.name, "sub_type": "ServiceAccount", "space": principal.space}
    return {**who, "iss": RAWORC_ISSUER, "jti": login.id}


def _rootcx(principal: Principal, login: Login) -> Claims:
    return {"sub": principal.id, "email": principal.email, "aud": "rootcx", "typ": "access", "sid": login.id}


def _chatops(principal: Principal, login: Login) -> Claims:
    return {"sub": principal.id, "email": principal.email, "aud": "chatops", "type": "access", "sid": login.id}


MAKE: Mapping[str, Callable[[Principal, Login], Claims]] = {"raworc": _raworc, "rootcx": _rootcx, "chatops": _chatops}
KIND = {"rootcx": "typ", "chatops": "type"}  # the claim that tells access from refresh
LOGIN = {"raworc": ("jti",), "rootcx": ("sid", "session_id"), "chatops": ("sid",)}


class Tokens:
    """Makes and reads signed tokens. Its keys are made at the first start, and read again every few seconds."""

    def __init__(self, roci: Roci) -> None:
        self._roci = roci
        self._keys: signing.Keys = {}
        self.recall = Recall(roci, credentials.verify_login_id, credentials.touch_login)

    async def prepare(self) -> None:
        self._keys = await self._roci.write(signing.prepare, keyring.of(self._roci))

    async def reload(self) -> None:
        self._keys = await self._roci.read(signing.load, keyring.of(self._roci))

    def mint(
        self, dialect: str, principal: Principal, login: Login, ttl: datetime.timedelta | float, **claims: Any
    ) -> Sensitive:
        """A token for `ttl` (a number: seconds). `claims` add to the dialect's own, or replace them."""
        from joserfc import jwk, jws

        said = {**MAKE[dialect](principal, login), **claims}
        if dialect == "rootcx" and said["typ"] == "refresh":  # its documents tell the two apart by these
            said = {**said, "email": None, "sid": None, "session_id": login.id}
        issued, lasts = int(time.time()), ttl.total_seconds() if isinstance(ttl, datetime.timedelta) else ttl
        body = {name: value for name, value in said.items() if value is not None or name == "space"}
        payload = msgspec.json.encode({**body, "iat": issued, "exp": issued + int(lasts)})
        key = self._keys[dialect][0]
        header = {"alg": ALGORITHM, "typ": "JWT", "kid": key.id}
        return Sensitive(jws.serialize_compact(header, payload, jwk.OctKey.import_key(key.secret), [ALGORITHM]))

    def read(self, dialect: str, text: str, kind: str | None = None) -> Claims:
        """The claims of a token that this server signed for this dialect and that has not expired.

        `kind` is "access" or "refresh", where the dialect has both. Raises Unauthenticated. Whether its login still
        holds is another question: `actor`, `refreshable`.
        """
        said = self._signed(dialect, text)
        issuer, audience = (RAWORC_ISSUER, None) if dialect == "raworc" else (None, dialect)
        expires = said.get("exp")
        if said.get("iss") != issuer or said.get("aud") != audience or not isinstance(expires, int):
            raise refused("this token was not made for here")
        if expires <= time.time():
            raise refused("this token has expired")
        if kind is not None and dialect in KIND and said.get(KIND[dialect]) != kind:
            raise refused(f"this is no {kind} token")
        return said

    def _signed(self, dialect: str, text: str) -> Claims:
        """By one of the dialect's keys, with the one algorithm."""
        from joserfc import jwk, jws
        from joserfc.errors import JoseError

        if len(text) > LONGEST:
            raise refused("this token is malformed")
        try:
            found = jws.extract_compact(text.encode("ascii"))
            keys = {key.id: key for key in self._keys.get(dialect, ())}
            key = keys.get(str(found.headers().get("kid")))
            if found.headers().get("alg") != ALGORITHM or key is None:
                raise refused("this token was not signed here")
            known = jws.deserialize_compact(text.encode("ascii"), jwk.OctKey.import_key(key.secret), [ALGORITHM])
            said = msgspec.json.decode(known.payload)
        except (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise refused("this token is malformed, or was not signed here") from None
        if not isinstance(said, dict):
            raise refused("this token is malformed")
        return said

    async def actor(self, dialect: str, text: str) -> Actor:
        """Who an access token is of. Raises Unauthenticated."""
        found = await self.recall.actor(_login_id(dialect, self.read(dialect, text, "access")))
        if found is None:
            raise refused("this token's sign-in has ended")
        return found

    async def refreshable(self, dialect: str, text: str) -> Login:
        """The login, with its principal, of a refresh token that may still be used. Raises Unauthenticated."""
        said = self.read(dialect, text, "refresh")
        login = await self._roci.read(credentials.refreshable, _login_id(dialect, said))
        if login is None or login.dialect != dialect:
            raise refused("this token's sign-in has ended")
        return login


def refused(why: str) -> Unauthenticated:
    """`credential` in the details tells a surface that a signed token was the reason."""
    return Unauthenticated(why, credential="jwt")


def _login_id(dialect: str, said: Claims) -> str:
    return next((said[name] for name in LOGIN[dialect] if isinstance(said.get(name), str)), "")


def dialect_of(text: str) -> str | None:
    """Which dialect a token claims to be of, unverified; None: of none of ours. Raises Unauthenticated for no JWT."""
    from joserfc import jws
    from joserfc.errors import JoseError

    try:
        said = msgspec.json.decode(jws.extract_compact(text[:LONGEST].encode("ascii")).payload)
    except (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise refused("this token is malformed") from None
    if not isinstance(said, dict):
        return None
    if said.get("iss") == RAWORC_ISSUER:
        return "raworc"
    audience = said.get("aud")
    return audience if isinstance(audience, str) and audience in KIND else None


class JwtBearer:
    """`Authorization: Bearer` with a token of any dialect, on every surface."""

    name = "jwt"

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    async def authenticate(self, request: Request | Websocket) -> Actor | None:
        scheme, _, text = request.headers.get("Authorization", "").partition(" ")
        text = text.strip()
        if scheme.lower() != "bearer" or text.count(".") != 2:
            return None
        dialect = dialect_of(text)
        return None if dialect is None else await self._tokens.actor(dialect, text)


@hookimpl
def register_authenticators(roci: Roci) -> list[Authenticator]:
    roci.provide(tokens := Tokens(roci))
    return [JwtBearer(tokens)]


@hookimpl
def register_tasks(roci: Roci) -> list[Task]:
    return [Task("reading the signing keys", KEYS_EVERY, roci.part(Tokens).reload)]


@hookimpl
@contextlib.asynccontextmanager
async def lifespan(roci: Roci) -> AsyncIterator[None]:
    await roci.part(Tokens).prepare()
    yield


@hookimpl
def on_event(roci: Roci, event: Event) -> None:
    roci.part(Tokens).recall.heard(event)
