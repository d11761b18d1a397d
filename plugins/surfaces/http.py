"""What every surface needs from HTTP, and nothing that knows a dialect.

The order of the decorators is the order of the checks: who asks (401), whether they may (403), the form of the id in
the path, then the form of the body, whether what it is for exists (404), and its fields.
"""

from __future__ import annotations

import dataclasses
import datetime
import functools
import ipaddress
import uuid as uuids
from collections.abc import Awaitable, Callable, Mapping
from contextvars import Token
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

import msgspec
from pydantic import BaseModel, ValidationError
from quart import current_app, g, has_websocket_context, request, websocket
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.local import LocalProxy

from roci import Actor, Forbidden, Invalid, Malformed, Roci, RociError, TooLarge, Unauthenticated, current_actor

from ..agent.address import effective_ip, is_trusted, normalise
from ..agent.wire import without_strange_numbers
from ..core.app import authenticate, identify
from ..domain import hostkeys

roci: Roci = LocalProxy(lambda: current_app.extensions["roci"])  # type: ignore[assignment]


def server() -> Roci:
    """This ROCI itself, for what goes on after the request."""
    return cast(Roci, cast(Any, roci)._get_current_object())


View = Callable[..., Awaitable[Any]]
V = TypeVar("V", bound=View)
M = TypeVar("M", bound=BaseModel)
WRITES = {"POST", "PUT", "PATCH", "DELETE"}
MOST = 1000  # rows of a page
DEEPEST = 32  # lists and objects within each other, in a body
PAGING: Mapping[str, Mapping[str, Any]] = {
    "limit": {"type": "integer", "minimum": 1, "maximum": MOST},
    "offset": {"type": "integer", "minimum": 0, "maximum": 2**53},
}
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


@dataclass
class Documented:
    """What a view says of itself, for /openapi.json."""

    access: str = ""  # "public", "signed in", or the permission
    on: str = ""  # what the permission must hold for: a template over the path's parameters
    hosts_too: bool = False  # the keys of hosts are good here
    is_guarded: bool = False  # the parameter `id` of its path is read as a UUID
    credentials: tuple[str, ...] = ()  # other kinds of credentials than the usual, by their names in /openapi.json
    body: type[BaseModel] | None = None
    body_optional: bool = False
    takes: tuple[str, ...] = (JSON,)  # the media types that the body may have
    result: Any = None
    status: int = 200
    also: tuple[int, ...] = ()  # other statuses with the same body
    media: str = JSON
    other_media: tuple[str, ...] = ()  # in which it is text
    query: Mapping[str, str | Mapping[str, Any]] = field(default_factory=dict)  # name: JSON type, or a schema
    uuids: tuple[str, ...] = ()  # further parameters of the path that are UUIDs
    errors: tuple[type[RociError], ...] = ()  # beyond those that its declaration tells of


def documented(view: Any) -> Documented:
    """What a view's decorators noted; made when there is nothing yet."""
    if not hasattr(view, "documented"):
        view.documented = Documented()
    return cast(Documented, view.documented)


# --- who may call ---


async def actor() -> Actor:
    """Who asks. Raises Unauthenticated."""
    found = await identify(roci)
    if found is None:
        raise Unauthenticated("sign in first, or send an API token")
    if not found.address:
        found = g.actor = dataclasses.replace(found, address=client_address())
    return found


def needs(permission: str, on: str = "") -> Callable[[V], V]:
    """Let only those with this permission through. For HTTP and websocket views alike.

    `on` is the resource it must hold for, with the path's parameters in it: "space/{name}". Nothing: the whole of ROCI.
    """

    def decorate(view: V) -> V:
        return _guarded(view, permission, on)

    return decorate


async def require(permission: str, resource: str = "") -> None:
    """The finer check inside a `signed_in` view. Raises Forbidden."""
    who = await actor()
    if not roci.may(who, permission, resource):
        raise Forbidden(_refusal(who, permission, resource), action=permission, resource=resource)
    g.setdefault("needed", []).append((permission, resource))


async def require_of_narrow(permission: str) -> None:
    """What everybody may do or see unasked, a credential that is for some things only must be for. Raises Forbidden."""
    if (await actor()).scopes is not None:
        await require(permission)


def standing() -> Callable[[], Awaitable[bool]]:
    """A question for later, of answers that take long: does what let this request in still hold?"""
    here = server()
    asked = cast(Any, websocket if has_websocket_context() else request)._get_current_object()
    who, needed = g.get("actor"), tuple(g.get("needed", ()))

    async def holds() -> bool:
        if who is None:  # let in as anybody is
            return True
        try:
            found = await authenticate(here, asked)
        except RociError:
            return False
        return found is not None and found.id == who.id and all(here.may(found, *each) for each in needed)

    return holds


def _refusal(who: Actor, permission: str, resource: str) -> str:
    return f"{who.name} may not do this: it needs {permission}{f' on {resource[:200]}' if resource else ''}"


def signed_in(view: V) -> V:
    """Let everybody through who is known; the view decides the rest. Hosts are nobody here: see `signed_in_or_host`."""
    return _guarded(view, "", "")


def signed_in_or_host(view: V) -> V:
    """As `signed_in`, and those who come with the key of a host too."""
    return _guarded(view, "", "", hosts_too=True)


def public(view: V) -> V:
    """Say out loud that anybody may call this."""
    documented(view).access = "public"
    cast(Any, view).access = "public"
    return view


def _guarded(view: V, permission: str, on: str, hosts_too: bool = False) -> V:
    @functools.wraps(view)
    async def guarded(*body: Any, **args: Any) -> Any:
        who = await actor()
        refuse_foreign(who)
        if permission:
            await require(permission, on.format(**_plain(args)))
        elif who.via == hostkeys.VIA and not hosts_too:
            raise Forbidden("the key of a host is not for this")
        if "id" in args:
            args["id"] = uuid(args["id"])
        token: Token[Actor] = current_actor.set(who)
        try:
            return await view(*body, **args)
        finally:
            current_actor.reset(token)

    note = documented(guarded)
    note.is_guarded, note.hosts_too = True, hosts_too or permission in hostkeys.RIGHTS
    if permission or not note.access:  # what is asked further in is the finer word
        note.access, note.on = permission or "signed in", on
    cast(Any, guarded).access = note.access
    return cast(V, guarded)


def _plain(args: Mapping[str, Any]) -> dict[str, Any]:
    """Path parameters as resources have them: an id has one spelling. What is none is refused later, by its form."""
    try:
        return {**args, "id": str(uuids.UUID(args["id"]))} if "id" in args else dict(args)
    except ValueError:
        return dict(args)


def refuse_foreign(who: Actor) -> None:
    """A browser sends its cookie along with what other sites make it do: such writes are not its user's."""
    asked = websocket if has_websocket_context() else request
    if who.via in ("cookie", "open") and (has_websocket_context() or asked.method in WRITES):
        check_origin()


def check_origin() -> None:
    """Raises Forbidden when the browser says that another site caused this request."""
    headers = (websocket if has_websocket_context() else request).headers
    if headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
        raise Forbidden("this request comes from another site")
    origin = headers.get("Origin")
    if origin is not None and origin.partition("://")[2] not in own_names():
        raise Forbidden("this request comes from another site")


def own_names() -> set[str]:
    """What this server is called, as host and port: by the request, and by the public address in the settings."""
    asked = websocket if has_websocket_context() else request
    names = {asked.host}
    if roci.settings.public_url:
        names.add(urlsplit(roci.settings.public_url).netloc)
    return names


def base_url() -> str:
    """The address that links are made with."""
    public_url = roci.settings.public_url
    return public_url.rstrip("/") if public_url else f"{scheme()}://{request.host}"


def scheme() -> str:
    """What the client speaks: to us, or to a trusted proxy that says so."""
    said = request.headers.get("X-Forwarded-Proto", "")
    return (
        said
        if said in ("http", "https") and is_trusted(request.remote_addr, roci.settings.trusted_proxies)
        else request.scheme
    )


def client_address() -> str:
    """Where the request comes from; proxies are believed as far as the settings say."""
    asked = websocket if has_websocket_context() else request
    forwarded = ", ".join(asked.headers.getlist("X-Forwarded-For")) or None
    return effective_ip(asked.remote_addr or "", None, forwarded, roci.settings.trusted_proxies)


def is_near() -> bool:
    """Whether the client is on this machine or a private network. Through a proxy that is not trusted: who knows?"""
    forwarded = any(name in request.headers for name in ("X-Forwarded-For", "Forwarded", "X-Real-IP"))
    if forwarded and not is_trusted(request.remote_addr, roci.settings.trusted_proxies):
        return False
    address = normalise(client_address())
    return address is None or not ipaddress.ip_address(address).is_global


# --- what comes in ---


def accepts(
    model: type[BaseModel],
    optional: bool = False,
    of: Callable[..., Awaitable[Any]] | None = None,
    nan_is_null: bool = False,
) -> Callable[[View], View]:
    """Read the body as this model and pass it as the first argument. Optional: nothing at all will do.

    `of(**path)` raises NotFound when there is nothing that the body could be of; its fields are checked after that.
    """

    def decorate(view: View) -> View:
        @functools.wraps(view)
        async def reading(**args: Any) -> Any:
            data = await read_json(optional, nan_is_null)
            if of:
                await of(**args)
            return await view(checked(model, data), **args)

        note = documented(reading)
        note.body, note.body_optional = model, optional
        return reading

    return decorate


async def read_body(model: type[M], optional: bool) -> M:
    """The body as this model. Raises Malformed, TooLarge or Invalid."""
    return checked(model, await read_json(optional))


async def read_json(optional: bool, nan_is_null: bool = False) -> dict[str, Any]:
    """The body, whatever the content type says. Raises Malformed or TooLarge."""
    try:
        raw = await request.get_data(cache=False)
    except RequestEntityTooLarge:
        raise TooLarge("the body is larger than 1 MiB") from None
    if not raw.strip() and optional:
        return {}
    try:
        data = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        if nan_is_null and (mended := without_strange_numbers(raw)):
            data = msgspec.json.decode(mended)
        else:
            raise Malformed(f"the body is not JSON: {error}") from None
    if not isinstance(data, dict):
        raise Malformed("the body must be a JSON object")
    if _is_deeper(data, DEEPEST):
        raise Malformed(f"the body is nested more than {DEEPEST} deep")
    return data


def _is_deeper(value: Any, most: int) -> bool:
    """Whether there are more lists and objects within each other. What comes after may take them apart by recursion."""
    layer = [value]
    for _ in range(most):
        parts = (part for whole in layer for part in (whole.values() if isinstance(whole, dict) else whole))
        layer = [part for part in parts if isinstance(part, dict | list)]
    return bool(layer)


def checked(model: type[M], data: Mapping[str, Any]) -> M:
    """Raises Invalid with every field and reason; pydantic's own list of them is in the details, as `errors`."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        raise Invalid("; ".join(map(_reason, found)), errors=found) from None


def _reason(error: Any) -> str:
    where = ".".join(str(part) for part in error["loc"])
    why = "is required" if error["type"] == "missing" else error["msg"].removeprefix("Value error, ")
    return f"{where}: {why[:1].lower()}{why[1:]}"


def uuid(text: str) -> str:
    """An id from a path. Raises Malformed."""
    try:
        return str(uuids.UUID(text))
    except ValueError:
        raise Malformed(f"{text[:50]!r} is not a UUID", uuid=text[:50]) from None


def moment(name: str, text: str) -> datetime.datetime:
    """A time of the query, in ISO 8601; without an offset it is UTC. Raises Malformed that names the field."""
    try:
        found = datetime.datetime.fromisoformat(text.strip().replace(" ", "+"))  # a + in a query is a blank
        return found.astimezone(datetime.UTC) if found.tzinfo else found.replace(tzinfo=datetime.UTC)
    except (ValueError, OverflowError):
        raise Malformed(f"{name}: a time such as 2024-01-15T10:30:00Z") from None


def paging() -> tuple[int | None, int]:
    """`limit` (None: all) and `offset` of the query. Raises Malformed."""
    return _number("limit", 1, MOST), _number("offset", 0, 2**53) or 0


def _number(name: str, least: int, most: int) -> int | None:
    text = request.args.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal()) or len(text) > 16 or not least <= int(text) <= most:
        raise Malformed(f"{name}: a whole number from {least} to {most}")
    return int(text)


# --- what goes out ---


def returns(
    result: Any,
    *,
    status: int = 200,
    also: tuple[int, ...] = (),
    media: str = JSON,
    other_media: tuple[str, ...] = (),
    paged: bool = False,
    query: Mapping[str, str | Mapping[str, Any]] | None = None,
    uuids: tuple[str, ...] = (),
) -> Callable[[V], V]:
    """Say what a view answers, and which query it understands. Documents only."""

    def decorate(view: V) -> V:
        note = documented(view)
        note.result, note.status, note.also = result, status, also
        note.media, note.other_media = media, other_media
        note.query, note.uuids = {**(query or {}), **(PAGING if paged else {})}, (*note.uuids, *uuids)
        return view

    return decorate


def takes(model: type[BaseModel], *media: str) -> Callable[[V], V]:
    """Say what body a view reads by itself, and in which forms. Documents only."""

    def decorate(view: V) -> V:
        note = documented(view)
        note.body, note.takes = model, media
        return view

    return decorate


def raises(*errors: type[RociError]) -> Callable[[V], V]:
    """Say which errors a view may answer beyond what its declaration tells (see `description`). Documents only."""

    def decorate(view: V) -> V:
        documented(view).errors += errors
        return view

    return decorate
