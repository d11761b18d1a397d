"""How things look on pages: a host with what it is doing, an application with its colour. Pure, but for live state."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from roci import Actor, NotFound, Roci, now

from ...agent.hub import Hub, Live
from ...agent.sample import Sample
from ...domain.applications import Application
from ...domain.hosts import Host
from ...work.metrics import HONEST, Metrics
from ..language import N_, _
from ..recent import Recent
from .charts import spark

TONES = {
    "running": "good",
    "succeeded": "good",
    "online": "good",
    "deploying": "busy",
    "pending": "busy",
    "failed": "bad",
    "offline": "bad",
    "timed_out": "bad",
    "interrupted": "bad",
    "critical": "bad",
    "warning": "busy",
}

# What hosts, applications, operations and alerts may be called in a badge.
STATUSES = (
    *(N_("running"), N_("succeeded"), N_("online"), N_("offline"), N_("pending"), N_("rejected"), N_("approved")),
    *(N_("deploying"), N_("stopped"), N_("failed"), N_("timed out"), N_("interrupted"), N_("cancelled")),
    *(N_("critical"), N_("warning"), N_("info"), N_("exited"), N_("created"), N_("paused"), N_("restarting")),
)


def tone(status: str) -> str:
    """The colour of a word: good, busy, bad or plain. The word itself is always shown, too."""
    return TONES.get(status, "plain")


@dataclass(frozen=True)
class HostRow:
    """A host as lists show it. `containers` None: nobody knows."""

    id: str
    name: str
    state: str  # online, offline, pending, rejected
    address: str
    is_here: bool
    running: int | None
    containers: int | None
    engine_error: str | None
    sample: Sample | None  # what it does now; None: it is away, or does not tell
    last_seen: object
    recent: list[float | None]  # processor use in the last hour, see recent.py

    @property
    def tone(self) -> str:
        return tone(self.state)

    @property
    def line(self) -> Markup:
        """Its last hour, small."""
        return spark(_("CPU"), self.recent)

    @property
    def disk(self) -> float | None:
        """Percent of the fullest disk."""
        found = [disk.percent for disk in self.sample.disk_usage if disk.percent is not None] if self.sample else []
        return max(found, default=None)


@dataclass(frozen=True)
class Choice:
    """A host that a form offers."""

    id: str
    name: str  # with its address, where another has the same
    state: str  # online, offline
    is_here: bool


def live(roci: Roci, host_id: str) -> Live:
    """A host as it is now. Raises NotFound."""
    found = roci.part(Hub).roster.get(host_id)
    if found is None:
        raise NotFound(_("there is no such host"))
    return found


def host_row(roci: Roci, live: Live) -> HostRow:
    host = live.host
    approved = host.status == "approved"
    known = live.containers if approved and live.is_current else None
    return HostRow(
        id=host.id,
        name=host.hostname,
        state=("online" if live.is_connected else "offline") if approved else host.status,
        address=host.effective_ip,
        is_here=host.local,
        running=None if known is None else sum(each.is_running for each in known),
        containers=None if known is None else len(known),
        engine_error=live.engine_error,
        sample=_fresh(roci, live) if approved else None,
        last_seen=live.last_seen,
        recent=roci.part(Recent).of(host.id) if approved else [],
    )


def _fresh(roci: Roci, live: Live) -> Sample | None:
    """What a host told last, if that is how it is now."""
    sample = roci.part(Metrics).latest(live.host.id) if live.is_connected else None
    age = (now() - datetime.datetime.fromisoformat(sample.timestamp)).total_seconds() if sample else 0.0
    return sample if age <= roci.part(Hub).times.stale_after + HONEST else None  # its clock may differ by that


def host_rows(roci: Roci) -> list[HostRow]:
    """What needs somebody first: those that wait, those that are away, then by name."""
    order = {"pending": 0, "offline": 1, "online": 2, "rejected": 3}
    rows = [host_row(roci, live) for live in roci.part(Hub).roster.values()]
    return sorted(rows, key=lambda row: (order[row.state], row.name.lower()))


def hosts(roci: Roci, who: Actor) -> list[Host]:
    """All that somebody may see, those that wait among them."""
    return [live.host for live in roci.part(Hub).roster.values() if sees(roci, who, live.host.id)]


def names(found: Sequence[Host]) -> dict[str, str]:
    """What to call each of these hosts, by id, so that nobody takes one for another: equal names with their address."""
    equal = Counter(host.hostname.lower() for host in found)
    is_alone = {host.id: equal[host.hostname.lower()] == 1 for host in found}
    return {it.id: it.hostname if is_alone[it.id] else f"{it.hostname} ({it.effective_ip})" for it in found}


def sees(roci: Roci, who: Actor, host_id: str) -> bool:
    return roci.may(who, "hosts.read", f"host/{host_id}")


def choosable(roci: Roci, who: Actor, *chosen: str | None) -> list[Choice]:
    """The hosts that forms offer somebody: those that were let in and that they may see, by name.

    `chosen`: the ids of hosts that are chosen already; a form that left them out would take them back.
    """
    let_in = [live for live in roci.part(Hub).roster.values() if live.is_approved]
    offered = [live for live in let_in if live.host.id in chosen or sees(roci, who, live.host.id)]
    called, states = names([live.host for live in offered]), {True: "online", False: "offline"}
    found = [Choice(it.host.id, called[it.host.id], states[it.is_connected], it.host.local) for it in offered]
    return sorted(found, key=lambda each: each.name.lower())


def readable(roci: Roci, who: Actor, apps: Iterable[Application]) -> list[Application]:
    """Those of these applications that somebody may see."""
    return [app for app in apps if roci.may(who, "applications.read", f"application/{app.id}")]
