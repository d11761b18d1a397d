"""A policy while it is edited: what was typed, what is wrong in it, and what a button of the form asks for.

Buttons (`then`): save, try, kind (show the fields of another matcher), json and form (write the clause so), and
`add NAME` and `remove NAME` for clauses within the clause.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from roci import Invalid, Matcher

from ....agent.worker import own_address
from ....domain import policies
from ....domain.policies import Policy
from ....surfaces.http import client_address, roci
from ....work.enrol import Doorkeeper
from ...language import N_, _
from ..fields import Filled
from . import clauses
from .clauses import Branch

ACTIONS = {"approve": N_("Approve"), "reject": N_("Reject"), "pending": N_("Leave waiting")}
PREFIX = "clause."
EVERYONE = "any"  # the matcher that leaves nobody to the policies after it
APART = 10  # between the priorities of two policies
BIGGEST = 2**53
PRIVATE = [ipaddress.ip_network(each) for each in ("192.168.0.0/16", "10.0.0.0/8", "172.16.0.0/12", "fd00::/8")]


@dataclass
class Draft:
    """What stands in the form. `wrong`: by the names of its controls; "" for what belongs to none."""

    name: str = ""
    priority: str = ""
    action: str = "approve"
    enabled: bool = True
    kind: str = "cidr"
    clause: dict[str, Any] = field(default_factory=dict)  # without its type; as it was typed
    text: str | None = None  # the clause as JSON, where it is written so
    then: str = ""
    address: str = ""
    hostname: str = ""
    totp: str = ""
    seen: str = ""  # when the policy that is edited was changed last, as far as the reader knows
    is_changed: bool = False
    wrong: dict[str, str] = field(default_factory=dict)

    @property
    def matcher(self) -> Matcher | None:
        return roci.matchers.get(self.kind)

    @property
    def match_type(self) -> dict[str, Any]:
        return {"type": self.kind, **self.clause}

    @property
    def values(self) -> dict[str, Any]:
        """Those of the policy, once nothing is wrong."""
        return {
            "name": self.name.strip(),
            "priority": int(self.priority),
            "match_type": self.match_type,
            "action": self.action,
            "enabled": self.enabled,
        }

    def parts(self) -> tuple[Filled | Branch, ...]:
        """The fields of the clause."""
        if self.text is not None or self.matcher is None:
            return ()
        return clauses.parts(self.matcher.clause, self.clause, PREFIX, self.wrong)

    def about(self) -> str:
        return clauses.about(self.matcher) if self.matcher else ""

    @property
    def elsewhere(self) -> list[str]:
        """What is wrong and belongs to no control that is shown."""
        shown = {"name", "priority", "action", "clause", "address", *clauses.names(self.parts())}
        return [words for name, words in self.wrong.items() if name not in shown]

    def meet(self, policy: Policy) -> None:
        """Somebody may have changed the policy meanwhile: then nothing is saved before the reader has seen that."""
        seen, self.seen = self.seen, policy.updated_at.isoformat()
        if self.then == "save" and seen != self.seen:
            theirs = f"{policy.name}, {policy.priority}, {_(ACTIONS[policy.action])}: {clauses.said(policy.match_type)}"
            self.wrong["seen"] = _(
                "Somebody changed this policy meanwhile. It is now: %(theirs)s. Save again to replace it.",
                theirs=theirs,
            )

    def write_as_json(self) -> None:
        self.text = json.dumps(self.match_type, indent=2, ensure_ascii=False)


def of(policy: Policy) -> Draft:
    """A policy as it is. A clause that no form can show is shown as JSON."""
    clause = {name: value for name, value in policy.match_type.items() if name != "type"}
    draft = Draft(policy.name, str(policy.priority), policy.action, policy.enabled, str(policy.match_type.get("type")))
    draft.clause, draft.seen = clause, policy.updated_at.isoformat()
    try:
        roci.part(Doorkeeper).read_clause(policy.match_type)
    except Invalid as error:
        draft.wrong["clause"] = clauses.complaint(error)
        draft.write_as_json()
    return draft


async def proposed(found: Sequence[Policy], asked: Mapping[str, str]) -> Draft:
    """A new one: empty, of `?kind=`, or one of the ready ones (`?preset=`)."""
    draft = Draft(priority=str(_place(found)))
    if asked.get("kind") in roci.matchers:
        draft.kind = asked["kind"]
    match asked.get("preset"):
        case "network":
            draft.name, draft.clause = _("Local network"), {"network": await own_network()}
        case "window":
            draft.name, draft.kind, draft.clause = _("The next ten minutes"), "time_window", {"seconds": 600}
        case "code":
            draft.name, draft.kind = _("One-time code"), "totp"
        case "name":
            draft.name, draft.kind, draft.clause = _("Hosts of this name"), "reverse_dns", {"pattern": "*.lan"}
    return draft


def _place(found: Sequence[Policy]) -> int:
    """Last; but before a policy for everyone that is last, since behind it none is asked."""
    if not found:
        return APART
    last = found[-1]
    return last.priority - 1 if last.match_type.get("type") == EVERYONE else last.priority + APART


async def own_network() -> str:
    """The private network that the reader, or else this machine, is in."""
    for text in (client_address(), await asyncio.to_thread(own_address) or ""):
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            continue
        for network in PRIVATE:
            if address in network:
                return str(network)
    return str(PRIVATE[0])


def typed(form: Any) -> Draft:
    """What was sent, after what the button asks for was done to it."""
    draft = Draft(
        name=form.get("name", "")[:200],
        priority=form.get("priority", "").strip(),
        action=form.get("action", ""),
        enabled=form.get("enabled") == "yes",
        kind=form.get("kind", ""),
        then=form.get("then", "save"),
        address=form.get("address", "").strip()[:100],
        hostname=form.get("hostname", "").strip()[:253],
        totp=form.get("totp", "").strip()[:20],
        seen=form.get("seen", ""),
        is_changed=True,
    )
    try:
        _read_clause(draft, form)
    except Invalid as error:
        draft.wrong["clause"] = clauses.complaint(error)
    if draft.then in ("save", "try"):
        _check(draft)
    else:
        draft.wrong = {name: words for name, words in draft.wrong.items() if name == "clause"}
    return draft


def _read_clause(draft: Draft, form: Any) -> None:
    if draft.text is None and "clause" in form:
        _read_json(draft, form["clause"])
        return
    if draft.matcher is None:
        raise Invalid(_("there is no matcher %(name)s", name=draft.kind[:50]))
    if form.get("was") != draft.kind:  # its fields were never shown
        draft.then = "kind"
        return
    draft.clause, draft.wrong = clauses.read(draft.matcher.clause, form, PREFIX)
    verb, _space, name = draft.then.partition(" ")
    name = name.removeprefix(PREFIX)
    if verb == "add":
        clauses.grow(draft.matcher.clause, draft.clause, name, form.get(f"{PREFIX}{name}.kind", ""))
    elif verb == "remove":
        clauses.cut(draft.matcher.clause, draft.clause, name)
    elif verb == "json":
        draft.write_as_json()


def _read_json(draft: Draft, text: str) -> None:
    draft.text = text
    try:
        match_type = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Invalid(_("this is no JSON: %(why)s", why=str(error))) from None
    if not isinstance(match_type, dict):
        raise Invalid(_("an object is needed, such as %(example)s", example='{"type": "any"}'))
    draft.kind = str(match_type.pop("type", ""))
    draft.clause = match_type
    if draft.then == "form":
        roci.part(Doorkeeper).read_clause(draft.match_type)  # a form shows what its matcher can read
        draft.text = None


def _check(draft: Draft) -> None:
    """Note everything that keeps this from being a policy."""
    number = draft.priority.removeprefix("-")
    if not (number.isascii() and number.isdecimal() and len(number) < 16 and int(number) <= BIGGEST):
        draft.wrong["priority"] = _("a whole number is needed")
    try:
        policies.check(draft.name, draft.action)
    except Invalid as error:
        name, _colon, words = error.message.partition(": ")
        draft.wrong[name] = words
    if draft.wrong.keys() - {"name", "priority", "action"}:
        return
    try:
        roci.part(Doorkeeper).read_clause(draft.match_type)
    except Invalid as error:
        found = (
            clauses.wrong_in(error, draft.matcher.clause, PREFIX) if draft.matcher else {"": clauses.complaint(error)}
        )
        if draft.text is not None:
            found = {"clause": clauses.complaint(error)}
        draft.wrong |= found
