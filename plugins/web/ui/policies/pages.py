"""/policies: who is let in as a host, in order; what waits; a dry run that explains itself."""

from __future__ import annotations

import datetime
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from quart import Blueprint, request

from roci import Invalid, RociError, now

from ....domain import hosts, policies
from ....domain.policies import Decision, Policy
from ....surfaces.http import actor, needs, roci, server
from ....work import rehearse
from ....work.enrol import Doorkeeper
from ....work.rehearse import Difference
from ... import shell
from ...forms import done, sent
from ...install import line_here
from ...language import N_, _
from .. import shown
from . import clauses, drafts
from .drafts import Draft

routes = Blueprint("policies", __name__, url_prefix="/policies")
STATUS = {"approved": N_("approved"), "rejected": N_("rejected"), "pending": N_("waiting")}
TONES = {"approve": "good", "reject": "bad", "pending": "busy", "approved": "good", "rejected": "bad"}
NAMED = 4  # hosts in a sentence


@dataclass(frozen=True)
class Row:
    """A policy as the list shows it. `wrong`: why it is never asked."""

    policy: Policy
    said: str
    wrong: str
    closes_at: datetime.datetime | None

    @property
    def is_open(self) -> bool:
        return self.closes_at is not None and now() < self.closes_at


@dataclass(frozen=True)
class Step:
    """A policy in a dry run. `answer`: yes, no, off, broken or unasked."""

    policy: Policy
    said: str
    answer: str
    why: str


def _wrong(policy: Policy) -> str:
    try:
        roci.part(Doorkeeper).read_clause(policy.match_type)
    except Invalid as error:
        return clauses.complaint(error)
    return ""


def steps(asked: Sequence[Policy], decision: Decision) -> list[Step]:
    """All policies with what became of each."""
    told = {step["policy_id"]: step for step in decision.trail}
    found = []
    for policy in asked:
        step = told.get(policy.id)
        wrong = _wrong(policy)
        answer = (
            ("yes" if step["holds"] else "no")
            if step
            else "off"
            if not policy.enabled
            else "broken"
            if wrong
            else "unasked"
        )
        found.append(Step(policy, clauses.said(policy.match_type), answer, str(step["why"]) if step else wrong))
    return found


def effect(found: list[Difference] | None) -> str:
    """What a change would mean for hosts that are here, in a sentence."""
    if found is None:
        return _("Whether hosts that are here would be decided otherwise could not be found out in time.")
    if not found:
        return ""
    names = ", ".join(f"{each.host.hostname} ({_(STATUS[each.after])})" for each in found[:NAMED])
    names += ", …" if found[NAMED:] else ""
    return _(
        "If they asked anew, %(count)s of the hosts that are here would now be: %(names)s.",
        count=len(found),
        names=names,
    )


async def _changed(words: str, change: Callable[..., Any], *args: Any, **values: Any) -> Any:
    """Change policies, and say what that means for hosts that are here."""
    before = await roci.read(policies.all_)
    await roci.write(change, *args, **values)
    found = await rehearse.compare(server(), before, await roci.read(policies.all_))
    return done("/policies", f"{words} {effect(found)}".strip())


def _rows(found: Sequence[Policy]) -> list[Row]:
    rows = []
    everyone = ""  # the first policy that leaves nobody to those after it
    for policy in found:
        wrong = _wrong(policy)
        if everyone and not wrong and policy.enabled:
            wrong = _("%(name)s, before it, is for everyone", name=everyone)
        elif policy.match_type.get("type") == drafts.EVERYONE and policy.enabled:
            everyone = policy.name
        rows.append(Row(policy, clauses.said(policy.match_type), wrong, policies.closes_at(policy)))
    return rows


# --- the list ----------------------------------------------------------------


@routes.get("")
@needs("policies.read")
async def index() -> Any:
    """All policies in the order in which they are asked, and who waits."""
    return await shell.render(
        "policies/policies.html",
        _("Policies"),
        ("policies", "hosts", "beats"),
        scripts=("policies.js",),
        styles=("policies.css",),
        rows=_rows(await roci.read(policies.all_)),
        waiting=[host for host in shown.hosts(server(), await actor()) if host.status == "pending"],
        actions=drafts.ACTIONS,
        tones=TONES,
        line=line_here(),
        network=await drafts.own_network(),
        has_codes=bool(roci.settings.totp_secret),
    )


@routes.post("/order")
@needs("policies.write")
async def order() -> Any:
    """Put all of them in another order."""
    form = await sent()
    ids = [each for each in form.get("ids", "").split(",") if each]
    return await _changed(_("They are asked in this order now."), policies.arrange, ids)


@routes.post("/<id>/move")
@needs("policies.write")
async def move(id: str) -> Any:
    """Ask one earlier or later, by one place."""
    form = await sent()
    ids = [policy.id for policy in await roci.read(policies.all_)]
    name = (await roci.read(policies.get, id)).name
    at = ids.index(id)
    to = max(0, min(len(ids) - 1, at + (1 if form.get("by") == "down" else -1)))
    ids.insert(to, ids.pop(at))
    return await _changed(_("%(name)s is number %(place)s now.", name=name, place=to + 1), policies.arrange, ids)


@routes.post("/<id>/switch")
@needs("policies.write")
async def switch(id: str) -> Any:
    """Turn one on or off. Turned on, a time window opens anew."""
    form = await sent()
    name, is_on = (await roci.read(policies.get, id)).name, form.get("to") == "on"
    words = _("%(name)s is on.", name=name) if is_on else _("%(name)s is off.", name=name)
    return await _changed(words, policies.change, id, enabled=is_on)


@routes.get("/<id>/remove")
@needs("policies.write")
async def ask_remove(id: str) -> Any:
    """What it means to remove one."""
    policy = await roci.read(policies.get, id)
    before = await roci.read(policies.all_)
    found = await rehearse.compare(server(), before, [each for each in before if each.id != id])
    return await shell.render(
        "policies/policy_remove.html",
        _("Remove the policy %(name)s", name=policy.name),
        styles=("policies.css",),
        policy=policy,
        told=clauses.said(policy.match_type),
        found=found,
        status=STATUS,
        tones=TONES,
    )


@routes.post("/<id>/remove")
@needs("policies.write")
async def remove(id: str) -> Any:
    """Remove one. Hosts that it let in stay."""
    await sent()
    name = (await roci.read(policies.get, id)).name
    return await _changed(_("%(name)s was removed.", name=name), policies.remove, id)


# --- dry run -----------------------------------------------------------------


@routes.get("/try")
@needs("policies.read")
async def attempt() -> Any:
    """Why a host waits (`?host=`), or what would become of one that comes from `?address=`."""
    args = request.args
    if host_id := args.get("host"):
        host = await roci.read(hosts.get, host_id)
        candidate = rehearse.returning(host)
        decide = None if args.get("part") else lambda asked: rehearse.decide(server(), candidate, asked)
        return await _rehearsed(host.hostname, host.effective_ip, decide, host)
    return await _tried(args.get("hostname", ""), args.get("address", ""), None)


@routes.post("/try")
@needs("policies.read")
async def attempt_with_code() -> Any:
    """The same with a one-time code, which is not used up and stands in no address."""
    form = await sent()
    return await _tried(form.get("hostname", ""), form.get("address", ""), form.get("totp") or None)


async def _tried(hostname: str, address: str, totp: str | None) -> Any:
    if not address.strip():
        return await _rehearsed(hostname, address, None)
    try:
        candidate = rehearse.newcomer(hostname or "newcomer", address, totp)
    except Invalid as error:
        return await _rehearsed(hostname, address, None, wrong=error.message.removeprefix("address: ")), error.status
    return await _rehearsed(hostname, address, lambda asked: rehearse.decide(server(), candidate, asked))


async def _rehearsed(
    hostname: str,
    address: str,
    decide: Callable[[Sequence[Policy]], Awaitable[Decision]] | None,
    host: hosts.Host | None = None,
    wrong: str = "",
) -> str:
    asked = await roci.read(policies.all_)
    decision = await decide(asked) if decide else None
    return await shell.render(
        "policies/policy_try.html",
        _("Dry run"),
        ("hosts",) if host else (),
        styles=("policies.css",),
        hostname=hostname,
        address=address,
        host=host,
        wrong=wrong,
        decision=decision,
        steps=steps(asked, decision) if decision else [],
        status=STATUS,
        tones=TONES,
        has_codes=bool(roci.settings.totp_secret),
    )


# --- one ---------------------------------------------------------------------


@routes.get("/new")
@needs("policies.write")
async def new() -> Any:
    """The form for a new one, perhaps with a proposal in it."""
    return await _editor(None, await drafts.proposed(await roci.read(policies.all_), request.args))


@routes.post("/new")
@needs("policies.write")
async def add() -> Any:
    """Add it, or help with the form; see `drafts`."""
    draft = drafts.typed(await sent())
    if draft.then != "save" or draft.wrong:
        return await _editor(None, draft)
    words = _("%(name)s was added.", name=draft.name)
    return await _changed(words, policies.add, **draft.values)


@routes.get("/<id>")
@needs("policies.read")
async def show(id: str) -> Any:
    """One policy, to be changed by who may."""
    policy = await roci.read(policies.get, id)
    return await _editor(policy, drafts.of(policy))


@routes.post("/<id>")
@needs("policies.write")
async def change(id: str) -> Any:
    """Change it, or help with the form."""
    policy = await roci.read(policies.get, id)
    draft = drafts.typed(await sent())
    draft.meet(policy)
    if draft.then != "save" or draft.wrong:
        return await _editor(policy, draft)
    values = draft.values
    if policy.enabled and values["enabled"]:
        del values["enabled"]  # else its window would open anew
    return await _changed(_("%(name)s was changed.", name=draft.name), policies.change, id, **values)


async def _editor(policy: Policy | None, draft: Draft) -> Any:
    tried = None
    if draft.then == "try" and not draft.wrong:
        try:
            tried = await _judged(policy, draft)
        except RociError as error:
            draft.wrong["address"] = error.message.removeprefix("address: ")
    page = await shell.render(
        "policies/policy.html",
        policy.name if policy else _("New policy"),
        ("policies",),  # nothing renews itself: the stream tells who is signed out while they type
        scripts=("policies.js",),
        styles=("policies.css",),
        policy=policy,
        draft=draft,
        parts=draft.parts(),
        kinds=[(name, clauses.label(name)) for name in server().matchers],
        about=draft.about(),
        actions=drafts.ACTIONS,
        has_codes=bool(roci.settings.totp_secret),
        tried=tried,
        status=STATUS,
        tones=TONES,
    )
    return page, 422 if draft.wrong and draft.is_changed else 200


async def _judged(policy: Policy | None, draft: Draft) -> dict[str, Any]:
    """What the policies would say with this draft among them."""
    before = await roci.read(policies.all_)
    edited = rehearse.drafted(policy, **draft.values)
    after = rehearse.edited(before, edited)
    found: dict[str, Any] = {"effect": await rehearse.compare(server(), before, after), "draft_id": edited.id}
    if draft.address:
        candidate = rehearse.newcomer(draft.hostname or "newcomer", draft.address, draft.totp or None)
        decision = await rehearse.decide(server(), candidate, after)
        found |= {"decision": decision, "steps": steps(after, decision)}
    return found
