"""What the audit kept, in the reader's words: a sentence for each kind of event, what changed, and where it leads."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from ....domain.events import Recorded
from ...language import N_, _

SENTENCES = {
    "AlertFired": N_("Alert on %(hostname)s: %(message)s"),
    "AlertRaised": N_("Alert on %(hostname)s is worse: %(message)s"),
    "AlertResolved": N_("Alert on %(hostname)s is over: %(type)s %(subject)s"),
    "ThresholdAdded": N_("An alert rule was added"),
    "ThresholdChanged": N_("An alert rule was changed"),
    "ThresholdRemoved": N_("An alert rule was removed"),
    "ApplicationAdded": N_("Application %(name)s was created"),
    "ApplicationChanged": N_("Application %(name)s was changed"),
    "ApplicationMoved": N_("Application %(name)s: %(status)s"),
    "ApplicationRemoved": N_("Application %(name)s was removed"),
    "AutomationKeyIssued": N_("Automation key %(name)s was made"),
    "AutomationKeyChanged": N_("Automation key %(name)s was changed"),
    "AutomationKeyRevoked": N_("Automation key %(name)s was revoked"),
    "BackupMade": N_("Backup %(file)s was made"),
    "BindingAdded": N_("Role %(role)s was given to %(subject)s"),
    "BindingRemoved": N_("Role %(role)s was taken from %(subject)s"),
    "ChannelAdded": N_("Channel %(name)s was added"),
    "ChannelChanged": N_("Channel %(name)s was changed"),
    "ChannelRemoved": N_("Channel %(name)s was removed"),
    "DeliveryGivenUp": N_("A notice could not be delivered to %(channel)s"),
    "DeploymentBegun": N_("Deployment of %(application)s on %(host)s: %(status)s"),
    "DeploymentMoved": N_("Deployment of %(application)s on %(host)s: %(status)s"),
    "FactorAdded": N_("%(name)s set up one-time codes"),
    "FactorRemoved": N_("One-time codes of %(name)s were removed"),
    "FactorsRemoved": N_("All second factors of %(name)s were removed"),
    "HostAdded": N_("Host %(hostname)s asked to join from %(effective_ip)s"),
    "HostCardSet": N_("The labels or notes of %(host)s were changed"),
    "HostConnected": N_("Host %(hostname)s connected"),
    "HostDecided": N_("Host %(hostname)s: %(status)s"),
    "HostDisconnected": N_("Host %(hostname)s was lost"),
    "HostKeyIssued": N_("A key of host %(host)s was made"),
    "HostKeyRemoved": N_("A key of host %(host)s was removed"),
    "HostKeyRevoked": N_("A key of host %(host)s was revoked"),
    "HostRemoved": N_("Host %(hostname)s was removed"),
    "IdentityAdded": N_("%(name)s signs in with %(provider)s from now on"),
    "LoginMade": N_("%(name)s signed in"),
    "LoginRevoked": N_("%(name)s signed out"),
    "OperationFinished": N_("Operation ended: %(kind)s, %(status)s"),
    "OperationStarted": N_("Operation began: %(kind)s"),
    "PasskeyAdded": N_("%(name)s added the passkey %(passkey)s"),
    "PasskeyRemoved": N_("The passkey %(passkey)s of %(name)s was removed"),
    "PasswordChanged": N_("The password of %(name)s was changed"),
    "PolicyAdded": N_("Policy %(name)s was added"),
    "PolicyChanged": N_("Policy %(name)s was changed"),
    "PolicyRemoved": N_("Policy %(name)s was removed"),
    "PrincipalAdded": N_("%(name)s was added to the people"),
    "PrincipalChanged": N_("%(name)s was changed"),
    "PrincipalDisabled": N_("%(name)s was shut out"),
    "PrincipalEnabled": N_("%(name)s was let in again"),
    "PrincipalRemoved": N_("%(name)s was removed from the people"),
    "ProviderAdded": N_("Identity provider %(name)s was added"),
    "ProviderChanged": N_("Identity provider %(name)s was changed"),
    "ProviderRemoved": N_("Identity provider %(name)s was removed"),
    "QuietHoursAdded": N_("Quiet hours %(name)s were added"),
    "QuietHoursChanged": N_("Quiet hours %(name)s were changed"),
    "QuietHoursRemoved": N_("Quiet hours %(name)s were removed"),
    "RecoveryCodeUsed": N_("%(name)s used a recovery code; %(left)s are left"),
    "RecoveryCodesMade": N_("%(name)s made recovery codes"),
    "RegistryCredentialAdded": N_("Registry credential %(name)s was added"),
    "RegistryCredentialChanged": N_("Registry credential %(name)s was changed"),
    "RegistryCredentialRemoved": N_("Registry credential %(name)s was removed"),
    "RoleAdded": N_("Role %(name)s was added"),
    "RoleChanged": N_("Role %(name)s was changed"),
    "RoleRemoved": N_("Role %(name)s was removed"),
    "SecretChanged": N_("Secret %(name)s was changed"),
    "SecretRead": N_("Secret %(name)s was read"),
    "SecretRemoved": N_("Secret %(name)s was removed"),
    "SecretSet": N_("Secret %(name)s was set"),
    "SecretsRead": N_("Secrets were read: %(scope)s"),
    "SpaceAdded": N_("Space %(name)s was added"),
    "SpaceChanged": N_("Space %(name)s was changed"),
    "SpaceRemoved": N_("Space %(name)s was removed"),
    "TerminalEnded": N_("Terminal in %(container)s on %(hostname)s was closed"),
    "TerminalOpened": N_("Terminal in %(container)s on %(hostname)s was opened"),
    "TokenIssued": N_("Token %(name)s was made"),
    "TokenRevoked": N_("Token %(name)s was revoked"),
}
STATES = {
    "approved": N_("approved"),
    "rejected": N_("rejected"),
    "pending": N_("waiting"),
    "deploying": N_("deploying"),
    "running": N_("running"),
    "stopped": N_("stopped"),
    "failed": N_("failed"),
    "succeeded": N_("succeeded"),
    "cancelled": N_("cancelled"),
    "interrupted": N_("interrupted"),
    "timed_out": N_("timed out"),
}
DETAILS = ("reason", "error", "title")  # of the data: why, where the sentence does not say
SHORT = 160  # characters of a value that changed


@dataclass(frozen=True)
class Change:
    """A value that was another one before. None: there was none, or is none."""

    name: str
    before: str | None
    after: str | None


def said(event: Recorded, names: Mapping[str, str]) -> str:
    """A sentence. `names` are those of hosts and applications, by id."""
    if event.noun == "attempt":
        return _attempt(event.data)
    data = {name: _word(name, value) for name, value in event.data.items()}
    for name in ("host", "application"):
        id = str(event.data.get(f"{name}_id") or "–")
        data[name] = names.get(id, id)
    if event.name in SENTENCES:
        try:
            return _(SENTENCES[event.name], **data)
        except KeyError:  # an older one had not all of this
            pass
    words = " ".join(re.findall(r"[A-Z][a-z0-9]*|[a-z0-9]+", event.name)).capitalize()
    return f"{words}: {event.data.get('name') or event.subject_id}" if event.subject_id else words


def _word(name: str, value: Any) -> str:
    if name == "status" and value in STATES:
        return _(STATES[value])
    return "" if value is None else str(value)


def _attempt(data: Mapping[str, Any]) -> str:
    what = data.get("action") or data.get("path") or "–"
    values = {"what": what, "name": data.get("tried"), "count": data.get("count", 1)}
    if values["count"] == 1:
        return _("Refused: %(what)s, as %(name)s", **values) if values["name"] else _("Refused: %(what)s", **values)
    if values["name"]:
        return _("Refused %(count)s times: %(what)s, as %(name)s", **values)
    return _("Refused %(count)s times: %(what)s", **values)


def detail(event: Recorded) -> str:
    """Why it was so, where that was kept."""
    return next((str(event.data[name]) for name in DETAILS if event.data.get(name)), "")


def changes(event: Recorded) -> list[Change]:
    """What differs between before and after, of what was changed; all of what was added or removed says its event."""
    if not event.before or not event.after:
        return []
    return list(_changes(event.before, event.after))


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            yield Change(name.replace("_", " "), _short(before.get(name)), _short(after.get(name)))


def _short(value: Any) -> str | None:
    if value is None:
        return None
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= SHORT else f"{text[: SHORT - 1]}…"


def ids(event: Recorded) -> tuple[str, str]:
    """The host and the application that it is about; empty where there is none."""
    data = event.data
    host = data.get("host_id") or ""
    application = data.get("application_id") or ""
    if event.noun == "application":
        application = event.subject_id
    return str(host), str(application)


def path(event: Recorded, names: Mapping[str, str]) -> str:
    """Where what it is about can be seen; empty where nowhere."""
    if event.noun == "operation":
        return f"/operations/{event.subject_id}"
    if event.noun == "policy" and event.operation != "DELETE":
        return f"/policies/{event.subject_id}"
    if event.noun == "alert":
        return f"/alerts/{event.subject_id}"
    host, application = ids(event)
    if event.noun in ("application", "deployment") and application in names:
        return f"/applications/{application}"
    if event.noun in ("host", "host_card", "host_key", "terminal") and host in names:
        return f"/hosts/{host}"
    return ""
