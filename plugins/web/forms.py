"""What the pages share: tokens of forms, the small cookies of what a browser is in the middle of, where to go next."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from quart import Response, g, redirect, request

from roci import Forbidden, Sensitive

from ..auth import cookies
from ..auth.passkeys import Site
from ..auth.steps import LASTS, Step, Steps
from ..domain import credentials
from ..domain.principals import Principal
from ..surfaces.http import actor, check_origin, client_address, own_names, roci, scheme

STEP = "roci_step"  # finds a Step
SAID = "roci_said"  # what a form did, for the page that comes next
SAID_LONGEST = 300
CEREMONY = "roci_ceremony"  # finds a passkey's Challenge


def form_token() -> str:
    """Goes into every form; only a page of ours knows it, since it comes of the cookie."""
    secret = request.cookies.get(cookies.NAME, "")
    return hashlib.sha256(b"form:" + secret.encode()).hexdigest()


def check_token(token: str) -> None:
    """Raises Forbidden for a form that no page of ours, in this stay, has shown."""
    check_origin()
    if not hmac.compare_digest(token.encode(), form_token().encode()):  # bytes: text would have to be ASCII
        raise Forbidden("this form is out of date: go back, reload the page and try again")


def done(path: str, words: str = "") -> Any:
    """Lead on after a form did its work. The words are shown once on the page that comes next."""
    response = redirect(path, 303)
    if words:
        text = quote(words[:SAID_LONGEST])
        response.set_cookie(SAID, text, max_age=60, httponly=True, samesite="Lax", secure=is_https(), path="/")
    return response


async def on_to(path: str, back: str, words: str) -> tuple[str, str]:
    """Where `done` leads when operations have begun: to what tells of them; who may not read that, back with words."""
    return (path, "") if roci.may(await actor(), "operations.read") else (back, words)


def said() -> str | None:
    """What the form before this page had to say. The cookie goes with the answer, see `forget_said`."""
    return unquote(request.cookies.get(SAID, "")) or None


def forget_said(response: Response) -> Response:
    """After each request: what was shown is not shown again."""
    if g.get("said"):
        forget(response, SAID)
    return response


async def sent() -> Any:
    """The form that was sent, by a page of ours: a cookie comes along with whatever sends it, a token does not."""
    form = await request.form
    if (await actor()).via in ("cookie", "open"):
        check_token(form.get("token", ""))
    return form


def is_https() -> bool:
    """Whether the browser speaks https, as far as can be known: on plain http it would drop a Secure cookie.

    A proxy that says nothing is believed to do https for the name in `public_url`, and for that name only.
    """
    public_url = urlsplit(roci.settings.public_url or "")
    return scheme() == "https" or (public_url.scheme == "https" and public_url.netloc == request.host)


def site() -> Site:
    """Where the browser is, as it must say so itself when it signs with a passkey."""
    origin = request.headers.get("Origin", "")
    host = origin.partition("://")[2]
    if host and host in own_names():  # a proxy may have changed the Host header, and never this one
        return Site(origin)
    return Site(f"{'https' if is_https() else 'http'}://{request.host}")


def local_path(path: str | None) -> str:
    """Where to go after signing in: a path of ours, never an address."""
    path = path or "/"
    is_ours = path.startswith("/") and path.isprintable() and not path.startswith("//") and "\\" not in path
    return path if is_ours else "/"


def segment(text: str) -> str:
    """Somebody else's word as one segment of a path: it leads neither further nor up."""
    return quote(text, safe="") if text.strip(".") else "-"


def remember(response: Any, name: str, secret: Sensitive) -> None:
    """Give the browser one of the small cookies. Lax: who comes from an identity provider needs it at once."""
    response.set_cookie(name, secret, max_age=int(LASTS), httponly=True, samesite="Lax", secure=is_https(), path="/")


def forget(response: Any, *names: str) -> None:
    """Those of them that the browser has."""
    for name in request.cookies.keys() & set(names):
        response.delete_cookie(name, path="/", httponly=True, samesite="Lax")


def step() -> Step | None:
    """What this browser is in the middle of."""
    return roci.part(Steps).find(request.cookies.get(STEP))


def end_step(response: Any) -> None:
    roci.part(Steps).take(request.cookies.get(STEP))
    forget(response, STEP, CEREMONY)


async def welcome(person: Principal, response: Response, via: str) -> None:
    """Begin a stay. An earlier one of this browser ends, and so does what it was in the middle of."""
    end_step(response)
    if earlier := request.cookies.get(cookies.NAME):
        await roci.write(credentials.log_out, earlier)
    await cookies.sign_in(roci, person, response, is_https(), via, client_address())
