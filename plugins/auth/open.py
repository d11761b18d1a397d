"""The switch `auth: disabled`: whoever reaches this machine's own address may do everything."""

from __future__ import annotations

from urllib.parse import urlsplit

from quart import Request, Websocket

from roci import Actor, Authenticator, Forbidden, Roci, hookimpl

from ..core.settings import is_loopback

ANYBODY = Actor("anybody", "nobody in particular", rights=frozenset({"*"}), via="open")


class Open:
    name = "open"

    async def authenticate(self, request: Request | Websocket) -> Actor | None:
        """A page elsewhere can point a name of its own at 127.0.0.1 and then talk to us: so the name counts."""
        if not names_this_machine(request.headers.get("Host", "")):
            raise Forbidden("sign-in is switched off, so only requests to localhost or 127.0.0.1 are answered")
        return ANYBODY


def names_this_machine(host: str) -> bool:
    """Whether a Host header, with or without a port, is a loopback name."""
    try:
        return is_loopback(urlsplit(f"//{host}").hostname or "")
    except ValueError:
        return False


@hookimpl
def register_authenticators(roci: Roci) -> list[Authenticator]:
    return [Open()] if roci.settings.auth == "disabled" else []
