"""The web application: every surface's routes, one owner for each, and errors in the dialect of who is asked."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import re
import secrets
from collections.abc import Callable
from typing import Any, cast

from quart import Quart, Request, Response, Websocket, current_app, g, has_websocket_context, request, websocket
from quart.asgi import ASGIWebsocketConnection
from quart.routing import QuartRule
from werkzeug.exceptions import BadHost, HTTPException
from werkzeug.routing import Rule

from roci import (
    Actor,
    Forbidden,
    Malformed,
    NotFound,
    Protected,
    Roci,
    RociError,
    StartupError,
    Surface,
    TooLarge,
    TooMany,
    Unauthenticated,
    WrongMethod,
)

log = logging.getLogger("roci.web")
BODY_LIMIT = 1024 * 1024
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not no-referrer: with it browsers send `Origin: null` with our own forms.
    "Referrer-Policy": "same-origin",
}
CONTESTED_BY = ("Authorization", "Cookie", "Accept")  # what decides whose a contested request is, but for its body
PAGE_POLICY = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"


UNREAD = 8  # frames of a websocket that wait for their handler


class Socket(ASGIWebsocketConnection):
    """What a handler has not read yet is not read from the network either, but for a little: its sender waits."""

    def __init__(self, app: Quart, scope: Any) -> None:
        super().__init__(app, scope)
        self.queue = asyncio.Queue(UNREAD)


class Route(QuartRule):
    """A route that compiles what makes its address when that is asked for: mostly never, and it is half of a start."""

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        made: list[Callable[..., tuple[str, str]]] = []

        def build(rule: Rule, **values: Any) -> tuple[str, str]:
            if not made:
                made.append(super(Route, self)._compile_builder(append_unknown))
            return made[0](rule, **values)

        return build


class App(Quart):
    """Quart, but for a Host header that is no name: that fails before there is a request to answer."""

    asgi_websocket_class = Socket
    url_rule_class = Route

    async def handle_request(self, request: Request) -> Any:
        try:
            return await super().handle_request(request)
        except BadHost:
            return self._refused()

    async def handle_websocket(self, websocket: Websocket) -> Any:
        try:
            return await super().handle_websocket(websocket)
        except BadHost:
            return self._refused()

    def _refused(self) -> Response:
        surfaces = self.extensions["roci"].surfaces.values()
        surface = next((each for each in surfaces if each.prefix), next(iter(surfaces)))
        body, status = surface.answer(Malformed("the Host header is not a name"))
        return Response(self.json.dumps(body), status, HEADERS, content_type="application/json")


def create_app(roci: Roci) -> Quart:
    """The application of a Roci that is, or will be, running. `app.extensions["roci"]` leads back to it."""
    app = App("roci", static_folder=None)
    app.extensions["roci"] = roci
    app.extensions["handling"] = set()
    app.config["MAX_CONTENT_LENGTH"] = BODY_LIMIT
    cast(Any, app.json).sort_keys = False
    cast(Any, app.json).compact = True
    app.url_map.merge_slashes = False
    for surface in roci.surfaces.values():
        app.register_blueprint(surface.blueprint, name=surface.name, url_prefix=surface.prefix or None)
    app.extensions["views"] = dict(app.view_functions)  # before those of contested routes become one
    _settle_contested_routes(app, roci)
    _answer_errors(app, roci)
    app.before_request(_note_task)
    app.before_websocket(_note_task)
    app.after_request(_protect)
    return app


async def _note_task() -> None:
    """Keep account of what is being handled, so that the end of the process can wait for it, and end it."""
    handling: set[asyncio.Task[Any]] = current_app.extensions["handling"]
    task = asyncio.current_task()
    if task is not None and task not in handling:
        handling.add(task)
        task.add_done_callback(handling.discard)


async def _protect(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if "surface" in g:
        response.vary.update(CONTESTED_BY)
        response.headers["X-ROCI-Dialect"] = g.surface
    if response.mimetype == "text/html":
        response.headers.setdefault("Content-Security-Policy", PAGE_POLICY)
    return response


# --- who is asking -----------------------------------------------------------


async def identify(roci: Roci) -> Actor | None:
    """Who sends the current request, asked once for each. Raises what an authenticator raises."""
    if "actor" not in g:
        g.actor = None
        g.actor = await authenticate(roci, _current())
    return cast("Actor | None", g.actor)


async def authenticate(roci: Roci, asked: Request | Websocket) -> Actor | None:
    """Who sends a request: the first authenticator that knows its credential says it.

    Raises Unauthenticated for a bearer token that none knows: whoever sends one wants to be no one else.
    """
    for authenticator in roci.authenticators.values():
        if (found := await authenticator.authenticate(asked)) is not None:
            return found
    if has_bearer(asked):
        raise Unauthenticated("this token is malformed, or of a kind that is not known here", credential="jwt")
    return None


def has_bearer(asked: Request | Websocket) -> bool:
    """Whether a request carries a bearer token, which wins over its cookies."""
    return asked.headers.get("Authorization", "").partition(" ")[0].lower() == "bearer"


def _current() -> Request | Websocket:
    return websocket if has_websocket_context() else request


# --- one owner for each route ------------------------------------------------


def _settle_contested_routes(app: Quart, roci: Roci) -> None:
    """Where several surfaces serve one route, let the one that claims the request answer."""
    routes: dict[tuple[str, str], list[Rule]] = {}
    for rule in app.url_map.iter_rules():
        for method in {"WEBSOCKET"} if rule.websocket else (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            routes.setdefault((method, _shape(rule.rule)), []).append(rule)
    for (method, _), rules in routes.items():
        names = [rule.endpoint.partition(".")[0] for rule in rules]
        if len(rules) == 1:
            continue
        unsettled = sum(roci.surfaces[name].claims is None for name in names) > 1
        if unsettled or method == "WEBSOCKET" or len({rule.rule for rule in rules}) > 1 or len(set(names)) == 1:
            raise StartupError(f"{method} {rules[0].rule} is served by {', '.join(names)}: a route has one owner")
        _share(app, roci, rules[0].endpoint, {name: rule.endpoint for name, rule in zip(names, rules, strict=True)})


def _share(app: Quart, roci: Roci, endpoint: str, owners: dict[str, str]) -> None:
    views = {name: app.view_functions[owner] for name, owner in owners.items()}

    async def contested(**args: Any) -> Any:
        first, *_ = views
        g.surface = _claimant(roci, list(views)) or first  # who answers when the body cannot be read
        g.surface = _claimant(roci, list(views), cast(bytes, await request.get_data())) or first
        return await app.ensure_async(views[g.surface])(**args)

    first = views[next(iter(views))]
    app.view_functions[endpoint] = functools.update_wrapper(contested, first)  # what it says of itself, others read


def _claimant(roci: Roci, names: list[str], body: bytes = b"") -> str | None:
    """The first of these surfaces that says the request is its own."""
    for name in names:
        claims = roci.surfaces[name].claims
        if claims is not None and claims(request, body):
            return name
    return None


def _shape(path: str) -> str:
    """A path with its parameters' names erased and their converters kept: /agents/<uuid>."""
    return re.sub(r"<(?:(\w+)(?:\([^)]*\))?:)?\w+>", lambda found: f"<{found[1] or 'string'}>", path)


# --- errors ------------------------------------------------------------------


def _answer_errors(app: Quart, roci: Roci) -> None:
    async def known(error: RociError) -> Response:
        return await _answered(app, surface_for(app, roci), error)

    async def http(error: HTTPException) -> Any:
        if error.code is None or error.code < 400:
            return error.get_response()
        surface = surface_for(app, roci)
        answered = await _answered(app, surface, await _read_as_ours(roci, surface, error))
        if answered.status_code == 405:
            answered.headers["Allow"] = ", ".join(sorted(getattr(error, "valid_methods", None) or ()))
        return answered

    async def unexpected(error: Exception) -> Response:
        reference = secrets.token_hex(4)
        log.error("%s: %s %r", reference, _current().method, _current().path, exc_info=error)
        hidden = RociError(f"something went wrong; the log has it under {reference}")
        return await _answered(app, surface_for(app, roci), hidden)

    app.register_error_handler(RociError, known)
    app.register_error_handler(HTTPException, http)
    app.register_error_handler(Exception, unexpected)


async def _read_as_ours(roci: Roci, surface: Surface, error: HTTPException) -> RociError:
    """What the web framework raises, as one of our errors. Behind a prefix strangers do not learn what exists."""
    inside = bool(surface.prefix) and f"{_current().path}/".startswith(f"{surface.prefix}/")
    if inside and (error.code == 404 or (error.code == 405 and not _is_open(error))):
        try:
            if await identify(roci) is None:
                return Unauthenticated("sign in first")
        except RociError as refused:
            return refused
    words = {
        404: NotFound(f"there is nothing at {_current().path}"),
        405: WrongMethod(f"{_current().path} does not take {_current().method}"),
        413: TooLarge(f"the body is larger than {BODY_LIMIT // 1024} KiB"),
    }
    if error.code in words:
        return words[error.code]
    if error.code is not None and error.code < 500:
        return Malformed(error.description or error.name)
    return RociError(error.name)


def _is_open(error: HTTPException) -> bool:
    """Whether anybody may use this path by another method than was tried."""
    adapter = current_app.create_url_adapter(request)
    if adapter is None:
        return False
    for method in getattr(error, "valid_methods", None) or ():
        with contextlib.suppress(HTTPException):  # a method that only a websocket has
            view = current_app.view_functions[adapter.match(method=method)[0]]
            if getattr(view, "access", "") == "public":
                return True
    return False


async def refused(roci: Roci, error: RociError) -> None:
    """Tell the plugins of a refusal before it is answered, once. For views that answer their errors themselves, too."""
    if not isinstance(error, Unauthenticated | Forbidden | Protected | TooMany) or "refused" in g:
        return
    g.refused = True
    for waiting in reversed(roci.hook.on_refusal(roci=roci, error=error)):
        try:
            await waiting
        except Exception:
            log.exception("a plugin failed on a refusal; it is answered all the same")


async def _answered(app: Quart, surface: Surface, error: RociError) -> Response:
    await refused(app.extensions["roci"], error)
    body, status = surface.answer(error)
    response = cast(Response, await app.make_response((body, status)))
    if "retry_after" in error.details:
        response.headers["Retry-After"] = str(error.details["retry_after"])
    if status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def surface_for(app: Quart, roci: Roci) -> Surface:
    """The surface the current request speaks to: its route's; for unknown paths the one that knows most of it."""
    asked = _current()
    if "surface" in g:
        return roci.surfaces[g.surface]
    if asked.blueprints:
        return roci.surfaces[asked.blueprints[-1].partition(".")[0]]
    known = {name: _known_segments(app, surface, asked.path) for name, surface in roci.surfaces.items()}
    nearest = [name for name, segments in known.items() if segments == max(known.values())]
    is_open = not has_websocket_context() and not _is_inside(roci, asked.path)
    open_ones = [name for name in nearest if is_open and not roci.surfaces[name].prefix]
    name = nearest[0] if len(nearest) == 1 else _claimant(roci, open_ones) or _claimant(roci, nearest)
    if name and len(nearest) > 1:
        g.surface = name
    return roci.surfaces[name or next((n for n in nearest if roci.surfaces[n].prefix), nearest[0])]


def _is_inside(roci: Roci, path: str) -> bool:
    """Whether a path lies under the prefix of any surface."""
    prefixes = (surface.prefix for surface in roci.surfaces.values() if surface.prefix)
    return any(f"{path}/".startswith(f"{prefix}/") for prefix in prefixes)


def _known_segments(app: Quart, surface: Surface, path: str) -> int:
    """How many leading segments of a path one of the surface's routes has literally."""
    asked, best = _segments(path), 0
    for rule in app.url_map.iter_rules():
        if rule.endpoint.partition(".")[0] == surface.name:
            literal = _segments(rule.rule.partition("<")[0])
            same = next((n for n, (a, b) in enumerate(zip(asked, literal, strict=False)) if a != b), None)
            best = max(best, min(len(asked), len(literal)) if same is None else same)
    return best if best >= len(_segments(surface.prefix)) else 0


def _segments(path: str) -> list[str]:
    return [segment for segment in path.split("/") if segment]
