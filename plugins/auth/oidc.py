"""Signing in with an identity provider: begun here, done there, finished here. Code flow with PKCE, state and nonce.

What is in between is kept in memory, bounded, for ten minutes, and each state is good once: a restart costs somebody
one more try.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import dataclasses
import datetime
import hashlib
import hmac
import secrets
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator
from typing import Generic, TypeVar
from urllib.parse import urlencode, urlsplit

from roci import Event, Invalid, Malformed, Roci, Sensitive, TooMany, Unauthenticated, Unavailable, hookimpl

from ..domain import keyring, providers
from ..domain.credentials import digest
from ..domain.principals import Principal
from ..domain.providers import NewProvider, Provider, ProviderEvent
from .relying import Relying
from .throttle import network

T = TypeVar("T")
CALLBACK = "/api/v1/auth/oidc/callback"
COOKIE = "roci_oidc"
FLOW_LASTS = 600.0  # seconds
HANDOVER_LASTS = 30.0
MOST = 10_000
MOST_FROM_PLACE = 200


@dataclasses.dataclass(frozen=True)
class Flow:
    """One sign-in that was begun. `delivery`: cookie, nonce, fragment, query, or json where there is nowhere to go."""

    provider: str
    delivery: str
    redirect_uri: str
    callback: str
    nonce: str = dataclasses.field(repr=False)
    verifier: str = dataclasses.field(repr=False)
    browser: str  # the digest of the cookie it is bound to


@dataclasses.dataclass(frozen=True)
class Arrival:
    """Somebody came back from a provider, who vouches for who it is."""

    person: Principal
    via: str
    flow: Flow


@dataclasses.dataclass(frozen=True)
class Handover:
    """Who may be given a login, to be picked up within half a minute."""

    principal_id: str
    via: str
    target: str = "/"
    password_set_at: datetime.datetime | None = None  # as it was then: see `principals.still`


class Once(Generic[T]):
    """Things by a secret, each good once and for so long; bounded, from one place too."""

    def __init__(self, lasts: float) -> None:
        self._lasts = lasts
        self._kept: OrderedDict[str, tuple[float, str, T]] = OrderedDict()
        self._places: Counter[str] = Counter()

    def put(self, thing: T, address: str = "") -> Sensitive:
        """The secret that gets it back. Raises TooMany."""
        moment, place = asyncio.get_running_loop().time(), network(address)
        while self._kept and (len(self._kept) >= MOST or next(iter(self._kept.values()))[0] <= moment):
            self._drop(next(iter(self._kept)))
        if address and self._places[place] >= MOST_FROM_PLACE:
            raise TooMany("too many sign-ins were begun from there and not finished", retry_after=60)
        secret = Sensitive(secrets.token_urlsafe(32))
        self._kept[digest(secret)] = (moment + self._lasts, place, thing)
        self._places[place] += 1
        return secret

    def take(self, secret: str) -> T | None:
        until, thing = self._drop(digest(secret))
        return thing if asyncio.get_running_loop().time() < until else None

    def _drop(self, key: str) -> tuple[float, T | None]:
        if key not in self._kept:
            return 0.0, None
        until, place, thing = self._kept.pop(key)
        self._places[place] -= 1
        if not self._places[place]:
            del self._places[place]
        return until, thing

    def __len__(self) -> int:
        return len(self._kept)


class Flows(Once[Flow]):
    """Sign-ins that were begun, by their state."""


class Handovers(Once[Handover]):
    """Sign-ins that were finished, to be picked up with a nonce."""


async def begin(
    roci: Roci, provider_id: str, delivery: str, redirect_uri: str, base_url: str, address: str = ""
) -> tuple[str, Sensitive]:
    """Where to send the browser, and the cookie (`COOKIE`) that binds the sign-in to it.

    `redirect_uri` is where it ends up: a path of ours for the delivery "cookie". Raises NotFound, Invalid, Unavailable.
    """
    if delivery != "cookie":
        check_redirect(redirect_uri, base_url)
    provider = await roci.read(providers.usable, provider_id)
    document = await roci.part(Relying).document(provider.issuer)
    browser, verifier = Sensitive(secrets.token_urlsafe(32)), secrets.token_urlsafe(48)
    nonce, callback = secrets.token_urlsafe(32), base_url.rstrip("/") + CALLBACK
    flow = Flow(provider.name, delivery, redirect_uri, callback, nonce, verifier, digest(browser))
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    asked = {
        "response_type": "code",
        "client_id": provider.client_id,
        "redirect_uri": callback,
        "scope": " ".join(provider.scopes),
        "state": str(roci.part(Flows).put(flow, address)),
        "nonce": nonce,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    endpoint = document["authorization_endpoint"]
    return f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{urlencode(asked)}", browser


def check_redirect(uri: str, base_url: str) -> None:
    """Raise Invalid for a place that tokens must not be sent to: anything but our own origin and the user's machine."""
    if not uri:
        return
    try:
        parts, ours = urlsplit(uri), urlsplit(base_url)
        origin, own = (parts.scheme, parts.hostname, _port(parts)), (ours.scheme, ours.hostname, _port(ours))
    except ValueError:
        raise Invalid("redirect_uri: this is no address") from None
    is_plain = uri.isascii() and uri.isprintable() and not set(uri) & set("\\ <>\"'") and parts.fragment == ""
    if not is_plain or parts.scheme not in ("http", "https") or parts.username is not None or not parts.hostname:
        raise Invalid("redirect_uri: this is no address that can be used")
    if origin != own and not providers.is_here(parts.hostname):
        raise Invalid("redirect_uri: must be on this server, or on the user's own machine (localhost)")


def _port(parts: object) -> int | None:
    port: int | None = getattr(parts, "port", None)
    return port or {"https": 443, "http": 80}.get(getattr(parts, "scheme", ""))


async def finish(roci: Roci, state: str, code: str, error: str, issuer: str, cookie: str) -> Arrival:
    """What the provider sent the browser back with. A state is used up, however it ends.

    Raises Malformed, Unauthenticated, Forbidden for somebody who is not let in, Unavailable.
    """
    if not state:
        raise Malformed("state: is missing")
    flow = roci.part(Flows).take(state)
    if flow is None:
        raise Unauthenticated("this sign-in is unknown, over, or was finished before: begin again")
    if flow.delivery == "cookie" and not hmac.compare_digest(flow.browser, digest(cookie)):
        raise Unauthenticated("this sign-in was begun in another browser: begin again")
    if error:
        shown = "".join(letter for letter in error[:100] if letter.isprintable())
        raise Malformed(f"the identity provider did not sign you in: {shown}")
    if not code:
        raise Malformed("code: is missing")
    provider = await roci.read(providers.usable, flow.provider)
    if issuer and issuer != provider.issuer:
        raise Unauthenticated(f"this answer is not {provider.display_name}'s")
    secret = await roci.read(providers.client_secret, keyring.of(roci), provider.name)
    relying = roci.part(Relying)
    tokens = await relying.redeem(provider, secret, code, flow.verifier, flow.callback)
    account = await relying.account(provider, tokens, flow.nonce)
    person = await roci.write(providers.admit, provider, account)
    return Arrival(person, f"oidc:{provider.name}", flow)


async def with_id_token(roci: Roci, provider_id: str, id_token: str) -> Arrival:
    """Somebody who has an id_token already, made for our client id. Raises as `finish` does.

    Neither this nor `finish` asks for a second factor: `sign_in.require_factor` does.
    """
    provider = await roci.read(providers.usable, provider_id)
    relying = roci.part(Relying)
    account = await relying.account(provider, {"id_token": id_token}, None)
    person = await roci.write(providers.admit, provider, account)
    return Arrival(person, f"oidc:{provider.name}", Flow(provider.name, "json", "", "", "", "", ""))


async def save(roci: Roci, new: NewProvider, secret: str | None, is_known: bool | None = None) -> Provider:
    """Keep a provider, once it has answered as what it is said to be. Raises Invalid for one that does not.

    `is_known`: as `providers.check` has it.
    """
    await roci.read(providers.check, new, is_known)
    relying = roci.part(Relying)
    relying.forget()  # it may have been mended just now
    try:
        await relying.document(new.issuer)
    except (Unavailable, Unauthenticated) as error:
        raise Invalid(f"issuer: {error.message}") from None
    return await roci.write(providers.put, keyring.of(roci), new, secret, is_known)


@hookimpl
@contextlib.asynccontextmanager
async def lifespan(roci: Roci) -> AsyncIterator[None]:
    relying = Relying()
    roci.provide(relying)
    roci.provide(Flows(FLOW_LASTS))
    roci.provide(Handovers(HANDOVER_LASTS))
    try:
        yield
    finally:
        await relying.close()


@hookimpl
def on_event(roci: Roci, event: Event) -> None:
    if isinstance(event, ProviderEvent):
        roci.part(Relying).forget()
