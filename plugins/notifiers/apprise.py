"""Notices over Apprise: ntfy, Gotify, Telegram, Matrix and more than a hundred other services, each by one address."""

from __future__ import annotations

import functools
import logging
import re
from typing import Any, ClassVar

import msgspec

from roci import Invalid, Roci, Sensitive, Unavailable, hookimpl

from . import Notice, Notifier, in_thread, one_line

SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
TYPES = {"info": "info", "warning": "warning", "critical": "failure"}


class AppriseSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One address as Apprise writes them: ntfy://ntfy.lan/alerts. It holds the credentials, so it is a secret."""

    destination: ClassVar[tuple[str, ...]] = ("url",)
    url: Sensitive

    def __post_init__(self) -> None:
        if not SCHEME.match(self.url) or not self.url.isprintable():
            raise ValueError("url: an address as Apprise writes them is needed, such as ntfy://ntfy.lan/alerts")


@functools.cache
def _asset() -> Any:
    """Nothing is fetched from elsewhere, kept on the disk, logged, or sent on to where an answer points.

    Apprise's own time limit leaves what hangs in a few threads that all its services share, so it has none.
    """
    from apprise import AppriseAsset

    chatty = logging.getLogger("apprise")  # it writes addresses; what it has to say is in its results too
    chatty.setLevel(logging.WARNING)
    chatty.propagate = False
    chatty.addHandler(logging.NullHandler())
    return AppriseAsset(
        app_id="ROCI",
        app_desc="ROCI",
        app_url="",
        image_url_mask=None,
        image_url_logo=None,
        http_redirects=False,
        storage_mode="memory",
        service_timeout=0,
    )


def deliver(url: str, notice: Notice) -> None:
    """Blocks: the library is slow to load, and asks as it goes. Raises Invalid or Unavailable."""
    from apprise import Apprise

    service = Apprise(asset=_asset())
    if not service.add(url) or len(service) != 1:
        raise Invalid("settings.url: Apprise knows no such service, or something is missing in its address")
    body = "\n".join(filter(None, [notice.body, notice.url])) or notice.title
    kind = "success" if notice.kind == "alert.resolved" else TYPES.get(notice.severity, "warning")
    result: Any = service.notify(title=one_line(notice.title), body=body, notify_type=kind, body_format="text")
    if not result or result.status.name != "SUCCESS":
        why = [entry.message for entry in result.logs() if entry.level in ("WARNING", "ERROR")]
        raise Unavailable(f"the service did not take it: {one_line('; '.join(why)) or result.status.name.lower()}")


class AppriseNotifier:
    name = "apprise"
    settings: type[msgspec.Struct] = AppriseSettings

    async def send(self, settings: Any, notice: Notice) -> None:
        await in_thread(lambda: deliver(str(settings.url), notice))


@hookimpl
def register_notifiers(roci: Roci) -> list[Notifier]:
    return [AppriseNotifier()]
