"""Asking identity providers: their documents, their keys, a code for its tokens, and whether a statement is theirs.

Nothing a provider says is believed but what it signed with a key of its own, for us, just now.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import logging
import math
import time
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import msgspec

from roci import Invalid, Sensitive, TooMany, Unauthenticated, Unavailable

from ..domain.principals import EMAIL
from ..domain.providers import Account, Provider, check_address

if TYPE_CHECKING:  # both are imported where they are used: most installations have no provider
    import httpx2
    from joserfc import jwk

log = logging.getLogger("roci.oidc")
ALGORITHMS = {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"}
PATIENCE = 10.0  # seconds for one answer
LARGEST = 256 * 1024  # bytes of one answer
LONGEST = 64 * 1024  # characters of an id_token
DOCUMENT_AGE = 3600.0  # seconds
KEYS_AGE = 3600.0
KEYS_AGAIN = 30.0  # between two looks for a key that is not known
PAUSE = 10.0  # between two looks at one that failed
MOST_WAITING = 50  # for one provider
LEEWAY = 60.0  # by how much clocks may differ
REMEMBERED = 100  # providers
KNOWN = "/.well-known/openid-configuration"

Claims = dict[str, Any]


@dataclasses.dataclass
class _Known:
    """What was read from one issuer, and when; or why it could not be."""

    issuer: str
    document: Claims = dataclasses.field(default_factory=dict)
    read_at: float = -math.inf
    keys: list[jwk.Key] = dataclasses.field(default_factory=list)
    keys_at: float = -math.inf
    failure: str = ""
    failed_at: float = -math.inf
    waiting: int = 0
    lock: asyncio.Lock = dataclasses.field(default_factory=asyncio.Lock)

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """To ask the provider: one at a time, and after a failure nobody for a while. Anybody can make us ask."""
        if self.waiting >= MOST_WAITING:
            raise TooMany("too many sign-ins wait for this identity provider", retry_after=math.ceil(PATIENCE))
        self.waiting += 1
        try:
            await self._acquire()
        finally:
            self.waiting -= 1
        try:
            if not _is_older(self.failed_at, PAUSE):
                raise Unavailable(self.failure)
            async with self._remembering():
                yield
        finally:
            self.lock.release()

    @contextlib.asynccontextmanager
    async def _remembering(self) -> AsyncIterator[None]:
        try:
            yield
        except (Unavailable, Unauthenticated) as error:
            self.failure, self.failed_at = error.message, time.monotonic()
            raise

    async def _acquire(self) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                await self.lock.acquire()
        except TimeoutError:
            raise Unavailable(f"the identity provider {self.issuer} is slow to answer: try again") from None


class Relying:
    """A relying party: us, as the providers see us."""

    def __init__(self, transport: httpx2.AsyncBaseTransport | None = None) -> None:
        self._transport = transport
        self._known: dict[str, _Known] = {}

    @functools.cached_property
    def _http(self) -> httpx2.AsyncClient:
        """Made when it is first needed: reading the certificates takes time, and many have no provider."""
        import httpx2

        return httpx2.AsyncClient(timeout=PATIENCE, follow_redirects=False, transport=self._transport)

    async def close(self) -> None:
        if "_http" in self.__dict__:
            await self._http.aclose()

    def forget(self) -> None:
        """What was read may be out of date: a provider's settings have changed, or are about to."""
        self._known.clear()

    # --- documents and keys ---

    async def document(self, issuer: str) -> Claims:
        """The provider's description of itself. Raises Unavailable."""
        return (await self._find(issuer)).document

    async def _find(self, issuer: str) -> _Known:
        known = self._known.get(issuer)
        if known is None:
            while len(self._known) >= REMEMBERED:
                self._known.pop(next(iter(self._known)))
            known = self._known[issuer] = _Known(issuer)
        if _is_older(known.read_at, DOCUMENT_AGE):
            async with known.turn():
                if _is_older(known.read_at, DOCUMENT_AGE):  # nobody read it while this one waited
                    document = await self._json(issuer, "GET", issuer.rstrip("/") + KNOWN)
                    self._check_document(issuer, document)
                    known.document, known.read_at = document, time.monotonic()
        return known

    def _check_document(self, issuer: str, document: Claims) -> None:
        if document.get("issuer") != issuer:
            said = str(document.get("issuer"))[:200]
            raise Unavailable(f"the identity provider at {issuer} calls itself {said}: set issuer to exactly that")
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            if not isinstance(document.get(name), str):
                raise Unavailable(f"the identity provider at {issuer} names no {name}")
            _check_endpoint(issuer, document[name], name)

    async def _keys(self, issuer: str, again: bool = False) -> list[jwk.Key]:
        """The provider's keys; `again`: not those from before, if that was not just now."""
        known = await self._find(issuer)
        oldest = KEYS_AGAIN if again else KEYS_AGE
        if _is_older(known.keys_at, oldest):
            async with known.turn():
                if _is_older(known.keys_at, oldest):
                    found = await self._json(issuer, "GET", known.document["jwks_uri"])
                    known.keys, known.keys_at = _read_keys(found), time.monotonic()
        return known.keys

    # --- a code for its tokens ---

    async def redeem(self, provider: Provider, secret: Sensitive | None, code: str, verifier: str, uri: str) -> Claims:
        """What the provider gives for a code. Raises Unauthenticated for one it refuses."""
        document = await self.document(provider.issuer)
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": uri, "code_verifier": verifier}
        methods = document.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        auth = None
        if secret is None:
            form["client_id"] = provider.client_id
        elif "client_secret_basic" in methods:
            auth = (quote(provider.client_id, safe=""), quote(secret, safe=""))
        else:
            form |= {"client_id": provider.client_id, "client_secret": str(secret)}
        return await self._json(provider.issuer, "POST", document["token_endpoint"], data=form, auth=auth)

    async def account(self, provider: Provider, tokens: Mapping[str, Any], nonce: str | None) -> Account:
        """Whom the tokens are of. Where the id_token lacks the address, the provider is asked for it."""
        said = await self.verified(provider, tokens.get("id_token"), nonce)
        token = tokens.get("access_token")
        if "email" not in said and isinstance(token, str):
            endpoint = (await self.document(provider.issuer)).get("userinfo_endpoint")
            if isinstance(endpoint, str):
                _check_endpoint(provider.issuer, endpoint, "userinfo_endpoint")
                bearer = {"Authorization": f"Bearer {token}"}
                more = await self._json(provider.issuer, "GET", endpoint, headers=bearer)
                if more.get("sub") != said["sub"]:
                    raise Unauthenticated(f"{provider.display_name} answered about somebody else")
                said = {**more, **said}
        return _account(provider, said)

    # --- an id_token ---

    async def verified(self, provider: Provider, text: Any, nonce: str | None) -> Claims:
        """The claims of an id_token that is this provider's, for us, and not over. Raises Unauthenticated.

        `nonce` is the one that was sent along; None: the token was not asked for by us.
        """
        if not isinstance(text, str) or len(text) > LONGEST:
            raise Unauthenticated(f"{provider.display_name} gave no id_token")
        said = await self._signed(provider, text)
        _check_claims(provider, said)
        if nonce is not None and said.get("nonce") != nonce:
            raise Unauthenticated("this id_token is not the answer to this sign-in")
        return said

    async def _signed(self, provider: Provider, text: str) -> Claims:
        """Keys may have been rotated, so they are read once more before a signature is refused."""
        for again in (False, True):
            for key in await self._keys(provider.issuer, again):
                said = _opened(text, key)
                if said is not None:
                    return said
        raise Unauthenticated(f"this id_token is not signed by {provider.display_name}, or is malformed")

    # --- http ---

    async def _json(self, issuer: str, method: str, url: str, **given: Any) -> Claims:
        """An answer of the provider. Raises Unavailable, or Unauthenticated where it refuses a code or a token."""
        import httpx2

        host = urlsplit(url).netloc
        headers = {"Accept": "application/json", **given.pop("headers", {})}
        try:
            async with (
                asyncio.timeout(PATIENCE),
                self._http.stream(method, url, headers=headers, **given) as answer,
            ):
                body = await _read(answer, host)
        except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError, OSError) as error:
            log.warning("%s %s: %s: %s", method, url, type(error).__name__, error)
            raise Unavailable(
                f"the identity provider {issuer} does not answer at {host}: see that it runs and that this server "
                f"reaches it, or sign in another way"
            ) from None
        return _object(answer.status_code, body, host)


def _is_older(at: float, seconds: float) -> bool:
    return time.monotonic() - at > seconds


def _check_endpoint(issuer: str, url: str, what: str) -> None:
    try:
        check_address(url, what)
    except Invalid as error:
        raise Unavailable(f"the identity provider at {issuer} cannot be used: {error.message}") from None


async def _read(answer: httpx2.Response, host: str) -> bytes:
    body = bytearray()
    async for chunk in answer.aiter_bytes():
        body += chunk
        if len(body) > LARGEST:
            raise Unavailable(f"the identity provider's answer from {host} is larger than {LARGEST // 1024} KiB")
    return bytes(body)


def _object(status: int, body: bytes, host: str) -> Claims:
    try:
        said = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        said = None
    if 400 <= status < 500 and status != 429 and isinstance(said, dict) and isinstance(said.get("error"), str):
        raise Unauthenticated(f"the identity provider refused it: {said['error'][:100]}")
    if 300 <= status < 400:
        raise Unavailable(f"the identity provider redirects from {host}, which is not followed: set issuer to where")
    if status != 200 or not isinstance(said, dict):
        raise Unavailable(f"the identity provider answered {status} from {host}, which is no answer to go on with")
    return said


def _read_keys(found: Claims) -> list[jwk.Key]:
    """The keys that can sign; those of kinds we do not know are left out, and so is what is secret."""
    from joserfc import jwk
    from joserfc.errors import JoseError

    kept: list[jwk.Key] = []
    entries = found.get("keys")
    for entry in entries[:100] if isinstance(entries, list) else []:
        if isinstance(entry, dict) and entry.get("kty") in ("RSA", "EC", "OKP") and entry.get("use", "sig") == "sig":
            try:
                kept.append(jwk.import_key(entry))
            except (JoseError, ValueError, TypeError, KeyError):
                log.warning("an identity provider has a key that cannot be read: %s", str(entry.get("kid"))[:100])
    return kept


def _opened(text: str, key: jwk.Key) -> Claims | None:
    """The claims, if this key signed them; None: it did not, or nobody did."""
    from joserfc import jws
    from joserfc.errors import JoseError

    try:
        header = jws.extract_compact(text.encode("ascii")).headers()
        algorithm, kid = header.get("alg"), header.get("kid")
        if algorithm not in ALGORITHMS or (kid is not None and key.kid is not None and kid != key.kid):
            return None
        said = msgspec.json.decode(jws.deserialize_compact(text.encode("ascii"), key, [algorithm]).payload)
    except (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return said if isinstance(said, dict) else None


def _check_claims(provider: Provider, said: Claims) -> None:
    audience = said.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    party, moment = said.get("azp"), time.time()
    if said.get("iss") != provider.issuer:
        raise Unauthenticated(f"this id_token is of another issuer than {provider.issuer}")
    if provider.client_id not in audiences or (party if party or len(audiences) > 1 else provider.client_id) != (
        provider.client_id
    ):
        raise Unauthenticated("this id_token is meant for another application")
    if not _is_time(said.get("exp")) or said["exp"] + LEEWAY <= moment:
        raise Unauthenticated("this id_token has expired")
    for name in ("iat", "nbf"):
        if name in said and (not _is_time(said[name]) or said[name] - LEEWAY > moment):
            raise Unauthenticated(
                "this id_token is from the future: compare the clocks of this server and the provider"
            )
    if not isinstance(said.get("sub"), str) or not 0 < len(said["sub"]) <= 255:
        raise Unauthenticated("this id_token does not say who it is of")


def _is_time(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _account(provider: Provider, said: Claims) -> Account:
    email = said.get("email")
    if not isinstance(email, str) or not email.strip():
        raise Unauthenticated(f"{provider.display_name} gives no e-mail address: the scope `email` is needed for it")
    if not EMAIL.fullmatch(email.strip().lower()) or not email.strip().isprintable():
        raise Unauthenticated(f"{provider.display_name} gives as e-mail address what is none")
    verified = {"true": True, "false": False}.get(str(said.get("email_verified")).lower())  # some send it as text
    names = (said.get("name"), said.get("preferred_username"))
    display = next((_one_line(name)[:200] for name in names if isinstance(name, str) and _one_line(name)), "")
    return Account(said["sub"], email, verified, display, tuple(_roles(said, provider.role_claim)))


def _one_line(name: str) -> str:
    """Without what is not printable: nobody is kept out by how a provider spells them."""
    return "".join(letter if letter.isprintable() else " " for letter in name).strip()


def _roles(said: Claims, claim: str | None) -> list[str]:
    """A claim's text or list of texts. `realm_access.roles` finds what lies one in another."""
    if not claim:
        return []
    found: Any = said.get(claim)
    if found is None:
        found = said
        for part in claim.split("."):
            found = found.get(part) if isinstance(found, dict) else None
    values = found if isinstance(found, list) else [found]
    return [value for value in values if isinstance(value, str)]
