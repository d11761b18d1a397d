"""/alerts/channels: where people are told, by forms made from what each notifier declares; and what went out there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from quart import Blueprint, request

from roci import Conflict, Invalid, NotFound, RociError

from ....domain import channels, notices
from ....domain.channels import SEVERITIES, Channel, NewChannel
from ....surfaces.http import actor, needs, roci, server
from ....work.notify import Courier
from ... import shell
from ...forms import done, sent
from ...language import N_, _
from .. import fields, shown
from . import words

routes = Blueprint("channels", __name__, url_prefix="/channels")
HERE = "/alerts/channels"
PREFIX = "set-"  # of the notifier's own fields in the form
LATEST = 50
TOPICS = ("alerts", "channel", "beats")  # how notices fare is no event
KINDS = {
    "webhook": (N_("Webhook"), N_("JSON by POST to any address, signed where you give a key")),
    "email": (N_("E-mail"), N_("by your mail server")),
    "apprise": (N_("Apprise"), N_("ntfy, Gotify, Telegram, Matrix and a hundred more, each by one address")),
}
TONES = {"delivered": "good", "pending": "busy", "failed": "bad"}
STATES = {"delivered": N_("delivered"), "pending": N_("waits"), "failed": N_("given up"), "muted": N_("not sent")}


def exists() -> bool:
    """Whether anybody is told of anything."""
    return any(row.enabled for row in channels.all_())


def kind(name: str) -> str:
    """What a kind of channel is called."""
    return _(KINDS[name][0]) if name in KINDS else name


@dataclass
class Typed:
    """What the form of a channel holds besides the notifier's own fields."""

    name: str = ""
    enabled: bool = True
    min_severity: str = "warning"
    host_ids: list[str] | None = None
    is_narrow: bool = False  # for some hosts only

    @classmethod
    def of(cls, source: Any) -> Typed:
        if isinstance(source, Channel):
            return cls(source.name, source.enabled, source.min_severity, source.host_ids, bool(source.host_ids))
        is_narrow, is_on = source.get("which") == "some", source.get("enabled") == "yes"
        chosen = source.getlist("hosts") if is_narrow else []
        return cls(source.get("name", ""), is_on, source.get("min_severity", ""), chosen, is_narrow)

    @property
    def wrong(self) -> dict[str, str]:
        """No host ticked would mean all of them."""
        return {"host_ids": _("tick at least one")} if self.is_narrow and not self.host_ids else {}

    @property
    def values(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "enabled": self.enabled,
            "min_severity": self.min_severity,
            "host_ids": self.host_ids or [],
        }


def _model(name: str) -> type[msgspec.Struct] | None:
    notifier = server().part(Courier).notifiers.get(name)
    return notifier.settings if notifier else None


@routes.get("")
@needs("channels.list")
async def index() -> Any:
    """All channels, how each does, and the kinds there can be."""
    rows = await roci.read(channels.all_)
    here = server()
    return await shell.render(
        "alerts/channels.html",
        _("Channels"),
        TOPICS,
        styles=("alerts.css",),
        rows=await here.part(Courier).shown(rows),
        kinds=[(name, kind(name), _(KINDS[name][1]) if name in KINDS else "") for name in here.part(Courier).notifiers],
        kind=kind,
        hosts={row.id: row.name for row in await _hosts()},
        words=words,
    )


@routes.get("/new")
@needs("channels.create")
async def new() -> Any:
    """The form for a channel of `?kind=`."""
    model = _known(request.args.get("kind", ""))
    return await _form(request.args["kind"], Typed(), fields.filled(model, {}, PREFIX), {})


def _known(name: str) -> type[msgspec.Struct]:
    model = _model(name)
    if model is None:
        raise NotFound(_("there is no such kind of channel"))
    return model


async def _form(name: str, typed: Typed, own: list[fields.Filled], wrong: Mapping[str, str]) -> Any:
    page = await shell.render(
        "alerts/channel_new.html",
        _("New channel"),
        styles=("alerts.css",),
        scripts=("alerts.js",),
        name=name,
        label=kind(name),
        typed=typed,
        own=own,
        wrong=wrong,
        hosts=await _hosts(),
        severities=SEVERITIES,
        words=words,
    )
    return page, 422 if wrong else 200


async def _hosts() -> list[shown.Choice]:
    return shown.choosable(server(), await actor())


@routes.post("/new")
@needs("channels.create")
async def add() -> Any:
    """Add it, and lead to its page, where it can be tried."""
    form = await sent()
    name, typed = form.get("kind", ""), Typed.of(form)
    model = _known(name)
    values, wrong = fields.read(model, form, PREFIX)
    wrong |= typed.wrong
    if not wrong:
        try:
            row = await server().part(Courier).add(NewChannel(kind=name, **typed.values), values)
            return done(f"{HERE}/{row.id}", _("%(name)s was added: send it a test notice", name=row.name))
        except (Invalid, Conflict) as error:
            wrong = _wrong(error, model)
    return await _form(name, typed, fields.again(model, form, PREFIX, (), wrong), wrong)


def _wrong(error: RociError, model: type[msgspec.Struct]) -> dict[str, str]:
    if isinstance(error, Conflict):
        return {"name": error.message}
    return fields.wrong_in(
        error, {"name", "min_severity", "host_ids", *(each.name for each in fields.declared(model))}, "settings."
    )


# --- one channel -------------------------------------------------------------


@routes.get("/<id>")
@needs("channels.list")
async def show(id: str) -> Any:
    """One channel: its form, what went out there lately, and why what did not."""
    row = await roci.read(channels.get, id)
    return await _show(row, Typed.of(row))


async def _show(
    row: Channel,
    typed: Typed,
    form: Any = None,
    wrong: Mapping[str, str] | None = None,
    outcome: RociError | None = None,
) -> Any:
    courier, model = server().part(Courier), _model(row.kind)
    ((_row, setup, state),) = await courier.shown([row])
    own: list[fields.Filled] = []
    if model is not None:
        kept = await courier.kept(row)
        is_typed = form is not None
        own = fields.again(model, form, PREFIX, kept, wrong) if is_typed else fields.filled(model, setup, PREFIX, kept)
    status = request.args.get("status")
    status = status if status in notices.STATES else None
    rows, total = await roci.read(notices.list_, row.id, status, LATEST)
    page = await shell.render(
        "alerts/channel.html",
        row.name,
        TOPICS,
        styles=("alerts.css",),
        scripts=("alerts.js",),
        path=f"{HERE}/{row.id}",
        row=row,
        label=kind(row.kind),
        is_known=model is not None,
        state=state,
        typed=typed,
        own=own,
        wrong=wrong or {},
        outcome=outcome.message if outcome else None,
        deliveries=[(each, notices.read(each)) for each in rows],
        total=total,
        under_way=any(each.status == notices.PENDING and not each.held for each in rows),
        status=status,
        states=STATES,
        tones=TONES,
        hosts=await _hosts(),
        severities=SEVERITIES,
        words=words,
    )
    return page, outcome.status if outcome else 422 if wrong else 200


@routes.post("/<id>")
@needs("channels.update")
async def change(id: str) -> Any:
    """Change it. Secrets left blank stay, as long as they go where they went."""
    form = await sent()
    row = await roci.read(channels.get, id)
    model, typed, courier = _model(row.kind), Typed.of(form), server().part(Courier)
    values, wrong = fields.read(model, form, PREFIX, await courier.kept(row)) if model else ({}, {})
    wrong |= typed.wrong
    if not wrong:
        try:
            row = await courier.change(id, values, **typed.values)
            return done(f"{HERE}/{id}", _("%(name)s was changed", name=row.name))
        except (Invalid, Conflict) as error:
            wrong = _wrong(error, model) if model else {"": error.message}
    return await _show(row, typed, form, wrong)


@routes.post("/<id>/test")
@needs("channels.test")
async def test(id: str) -> Any:
    """Send a notice at once, and tell truly whether it arrived."""
    await sent()
    row = await roci.read(channels.get, id)
    try:
        await server().part(Courier).test(id)
    except RociError as error:
        return await _show(row, Typed.of(row), outcome=error)
    return done(f"{HERE}/{id}", _("The test notice arrived"))


@routes.post("/<id>/<action>")
@needs("channels.update")
async def switch(id: str, action: str) -> Any:
    """Switch it on or off."""
    await sent()
    if action not in ("on", "off"):
        raise NotFound(_("a channel can be switched on or off"))
    row = await server().part(Courier).change(id, enabled=action == "on")
    said = _("%(name)s is on", name=row.name) if row.enabled else _("%(name)s is off", name=row.name)
    return done(HERE, said)


@routes.post("/<id>/remove")
@needs("channels.delete")
async def remove(id: str) -> Any:
    """Forget it, and what waits to be sent there."""
    await sent()
    row = await roci.read(channels.get, id)
    await roci.write(channels.remove, id)
    return done(HERE, _("%(name)s was removed", name=row.name))


@routes.post("/<id>/deliveries/<delivery>/retry")
@needs("channels.test")
async def retry(id: str, delivery: str) -> Any:
    """Try again what did not arrive."""
    await sent()
    await server().part(Courier).retry(delivery)
    return done(f"{HERE}/{id}", _("It is tried again"))
