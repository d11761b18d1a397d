"""The tabs of a host with its images, volumes and networks, and what a prune of it would take."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from quart import Blueprint, request

from roci import Conflict, RociError

from ....agent import wire
from ....agent.hub import Live
from ....surfaces.http import needs, server, uuid
from ....work import ask, execute
from ....work.ask import Found, Stock
from ... import shell
from ...forms import done, sent
from ...language import N_, _
from .. import lists, shown
from ..activity import doings
from ..wrong import beside

routes = Blueprint("inventory", __name__, url_prefix="/hosts")
TITLES = {"images": N_("Images"), "volumes": N_("Volumes"), "networks": N_("Networks")}
KEYS: dict[str, Callable[[Found], Any]] = {
    "name": lambda each: (each.tags or [""])[0] or each.name,
    "size": lambda each: each.size,
    "created": lambda each: str(each.created) if each.created else None,
    "users": lambda each: each.users,
    "project": lambda each: each.project,
    "driver": lambda each: each.driver,
}
# What is pruned, in the order of the page; whether it is ticked at first.
PRUNABLE = {
    "containers": (N_("Containers that have ended"), True),
    "images": (N_("Images without a name"), True),
    "networks": (N_("Networks"), True),
    "build_cache": (N_("Build cache"), True),
    "volumes": (N_("Volumes, with the data in them"), False),
}
SHOWN = 200  # things of one kind that a preview lists


def _why_not(live: Live, question: type[wire.Hand]) -> str | None:
    """Why a host cannot be asked this; None: it can."""
    if not live.is_approved:
        return _("It is not let in.")
    if live.link is None:
        return _("This host is not connected.")
    if wire.kind_of(question) not in live.link.capabilities:
        return _("Its agent does not tell this: it is older than this ROCI, or not allowed to by agent.allow there.")
    return None


@routes.get("/<id>/images")
@needs("hosts.read", on="host/{id}")
async def images(id: str) -> Any:
    """The images on this host, and a form to pull one."""
    return await _list(id, "images")


@routes.get("/<id>/volumes")
@needs("hosts.read", on="host/{id}")
async def volumes(id: str) -> Any:
    """Its volumes; with `?sizes=yes` it adds up how big they are."""
    return await _list(id, "volumes")


@routes.get("/<id>/networks")
@needs("hosts.read", on="host/{id}")
async def networks(id: str) -> Any:
    """Its networks."""
    return await _list(id, "networks")


async def _list(id: str, what: str, given: str = "", wrong: RociError | None = None) -> Any:
    live = shown.live(server(), uuid(id))
    why, stock, order = _why_not(live, wire.Inventory), None, lists.order(KEYS)
    sizes, can_act = request.args.get("sizes") == "yes", why is None
    if why is None and request.args.get("part") != "acts":
        try:
            stock = await ask.inventory(server(), id, what, sizes)
        except RociError as error:
            why = error.message
    page = await shell.render(
        f"hosts/{what}.html",
        _(TITLES[what]),
        (f"operations/{id}", f"containers/{id}", "hosts"),
        shell.Subject("host", id, live.host.hostname),
        scripts=("filter.js",),
        styles=("lists.css",),
        tab=what,
        path=f"/hosts/{id}/{what}",
        host=live.host,
        things=lists.arranged(stock.things, order, KEYS) if stock else None,
        stock=stock,
        bytes=_added(stock),
        why=why,
        can_act=can_act,
        order=order,
        sizes=sizes,
        link=lists.link,
        moment_of=moment_of,
        given=given,
        wrong=" ".join(beside(wrong, ("image",)).values()),
    )
    return page, wrong.status if wrong else 200


def _added(stock: Stock | None) -> int:
    return sum(each.size or 0 for each in stock.things) if stock else 0


def moment_of(created: int | str | None) -> datetime.datetime | None:
    """When something was made; None: it does not say, or not so that it can be read."""
    try:
        if isinstance(created, str):
            return datetime.datetime.fromisoformat(created).astimezone(datetime.UTC)
        return datetime.datetime.fromtimestamp(created, datetime.UTC) if created else None
    except (ValueError, OverflowError, OSError):
        return None


@routes.post("/<id>/images/pull")
@needs("images.pull", on="host/{id}")
async def pull(id: str) -> Any:
    """Pull an image, or the newer one of its name, and lead to the operation."""
    form = await sent()
    image = form.get("image", "").strip()
    try:
        run = await execute.pull(server(), id, image)
    except RociError as error:
        return await _list(id, "images", image, error)
    return done(*await doings.lead(run.operation, f"/hosts/{id}/images"))


@dataclass(frozen=True)
class Part:
    """One kind of what a prune would take."""

    kind: str
    label: str
    things: list[Mapping[str, Any]]
    count: int
    bytes: int


@dataclass(frozen=True)
class Preview:
    """What a prune of these kinds would take. `told` None: that is not known, and `why` says so if it was asked."""

    what: list[str]
    unused_images: bool
    why: str | None
    told: Mapping[str, Any] | None

    @property
    def parts(self) -> list[Part]:
        told = self.told
        return [] if told is None else [_part(kind, told.get(kind) or []) for kind in self.what]

    @property
    def digest(self) -> str:
        """Stands for all that would go: a form that carries it was shown with just this."""
        found = self.told or {}
        things = [[kind, each.get("id"), each.get("name")] for kind in self.what for each in found.get(kind) or []]
        return hashlib.sha256("\n".join(sorted(map(json.dumps, things))).encode()).hexdigest()


def _part(kind: str, things: list[Mapping[str, Any]]) -> Part:
    ordered = sorted(things, key=lambda each: (-(each.get("size") or 0), str(each.get("name"))))
    added = sum(each.get("size") or 0 for each in things)
    return Part(kind, PRUNABLE[kind][0], ordered[:SHOWN], len(things), added)


async def _look(id: str, kinds: list[str], unused_images: bool) -> Preview:
    """Ask the host, where any kinds are named."""
    what = [kind for kind in PRUNABLE if kind in kinds]
    why, told = _why_not(shown.live(server(), uuid(id)), wire.PrunePreview), None
    if what and why is None:
        try:
            told = await ask.preview(server(), id, what, unused_images)
        except RociError as error:
            why = error.message
    return Preview(what, unused_images, why, told)


@routes.get("/<id>/prune")
@needs("hosts.prune", on="host/{id}")
async def prune_page(id: str) -> Any:
    """Choose what to prune; what that would take is shown where `?what=` names it, before anything goes."""
    return await _prune(id, await _look(id, request.args.getlist("what"), request.args.get("unused_images") == "yes"))


async def _prune(id: str, preview: Preview, wrong: RociError | None = None) -> Any:
    host, parts = shown.live(server(), uuid(id)).host, preview.parts
    page = await shell.render(
        "hosts/prune.html",
        _("Prune"),
        (),
        shell.Subject("host", id, host.hostname),
        scripts=("prune.js",),
        styles=("lists.css",),
        host=host,
        kinds=PRUNABLE,
        what=preview.what,
        unused=preview.unused_images,
        why=preview.why,
        parts=parts,
        seen=preview.digest,
        spared=(preview.told or {}).get("spared") or [],
        total=sum(part.count for part in parts),
        bytes=sum(part.bytes for part in parts),
        wrong=wrong.message if wrong else None,
    )
    return page, wrong.status if wrong else 200


@routes.post("/<id>/prune")
@needs("hosts.prune", on="host/{id}")
async def prune(id: str) -> Any:
    """Remove what was seen, and lead to the operation. Volumes only once the host's name was typed.

    Where it is not what would go now, the page shows that instead.
    """
    form = await sent()
    preview = await _look(id, form.getlist("what"), form.get("unused_images") == "yes")
    try:
        execute.check_prunable(preview.what)
        _check(preview, form.get("seen", ""), form.get("confirm", ""), shown.live(server(), id).host.hostname)
        run = await execute.prune(server(), id, preview.what, preview.unused_images)
    except RociError as error:
        return await _prune(id, preview, error)
    return done(*await doings.lead(run.operation, f"/hosts/{id}/prune"))


def _check(preview: Preview, seen: str, typed: str, hostname: str) -> None:
    """Raises Conflict where a prune would take what its reader did not see, or volumes that were not meant."""
    if preview.told is None:
        raise Conflict(_("nothing was removed"))
    if preview.digest != seen:
        raise Conflict(_("what would go has changed since you looked; this is how it is now: nothing was removed"))
    if "volumes" in preview.what and typed.strip() != hostname:
        raise Conflict(_("type the host's name, %(name)s, to remove volumes: nothing was removed", name=hostname))
