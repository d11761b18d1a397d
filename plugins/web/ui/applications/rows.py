"""The list of applications: each with what its host tells of it, filtered as asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from roci import Roci

from ....agent.hub import Hub, Live
from ....agent.wire import Container
from ....domain import applications
from ....domain.applications import Application
from .. import lists, shown
from . import services

ORDER = {"failed": 0, "deploying": 1, "running": 2, "stopped": 3}


@dataclass(frozen=True)
class Row:
    """One application. `running` and `containers` None: its host cannot be asked."""

    app: Application
    host_id: str
    host: str
    running: int | None
    containers: int | None
    down: tuple[str, ...] = ()  # the names of its containers that neither run nor ended well

    @property
    def tone(self) -> str:
        """That of its status, unless what runs tells another story."""
        if self.is_partial:
            return "busy" if self.running else "bad"
        return "plain" if self.is_unknown else shown.tone(self.app.status)

    @property
    def is_unknown(self) -> bool:
        return self.app.deployed_host_id is not None and self.containers is None

    @property
    def is_partial(self) -> bool:
        """It is said to run, but not all of it does."""
        return self.app.status == "running" and (bool(self.down) or self.containers == 0)

    @property
    def is_gone(self) -> bool:
        """It is said to run, and there is nothing of it."""
        return self.app.status == "running" and self.containers == 0

    @property
    def is_up(self) -> bool:
        """It is said to run, and some of it is known to."""
        return self.app.status == "running" and bool(self.running)

    @property
    def is_behind(self) -> bool:
        """Its file is newer than what runs."""
        return self.app.status == "running" and self.app.running_revision not in (None, self.app.revision)

    @property
    def is_deployed(self) -> bool:
        """What was deployed last is there, so that it is known when that was."""
        app = self.app
        is_there = app.running_revision is not None and app.running_revision == app.deployed_revision
        return is_there and app.status in ("running", "stopped")

    @property
    def ill(self) -> list[str]:
        """The services that are down; a container whose name tells of none, by that."""
        return sorted({services.service_of(name, self.app.key) for name in self.down})


def rows(roci: Roci, apps: Sequence[Application]) -> list[Row]:
    """What needs somebody first, then by name."""
    roster = roci.part(Hub).roster
    asked = {app.deployed_host_id for app in apps}
    hosts = {id: live for id in asked if id and (live := roster.get(id))}
    seen = {id: _by_project(live.containers or []) for id, live in hosts.items() if live.is_current}
    found = []
    for app in apps:
        host_id = app.deployed_host_id or app.host_id or ""
        live, known = roster.get(host_id), seen.get(app.deployed_host_id or "")
        mine = _mine(live, known, app.key) if live and known is not None else None
        found.append(
            Row(
                app=app,
                host_id=live.host.id if live else "",
                host=live.host.hostname if live else "",
                running=None if mine is None else sum(each.is_running for each in mine),
                containers=None if mine is None else len(mine),
                down=tuple(each.name for each in mine or () if not services.is_well(each)),
            )
        )
    return sorted(found, key=lambda row: (not row.is_gone and ORDER[row.app.status], not row.is_partial, row.app.key))


def _by_project(containers: Iterable[Container]) -> dict[str, list[Container]]:
    found: dict[str, list[Container]] = {}
    for each in containers:
        found.setdefault(each.app or "", []).append(each)
    return found


def _mine(live: Live, known: Mapping[str, list[Container]], key: str) -> list[Container]:
    return [*known.get(key, ()), *(each for each in known.get("", ()) if live.is_of(key, None, each.name))]


def matching(found: Sequence[Row], text: str = "", host: str = "") -> list[Row]:
    """Those with all of these words in their name, description or host."""
    told = (row for row in found if host in ("", row.host_id))
    return [row for row in told if lists.holds(text, row.app.name, row.app.description, row.host)]


def counts(found: Sequence[Row]) -> dict[str, int]:
    """How many there are of each status, in the order of the list."""
    told = Counter(row.app.status for row in found)
    return {status: told[status] for status in ORDER if told[status]}


def all_(roci: Roci) -> list[Row]:
    """To be called in `read`."""
    return rows(roci, applications.all_())
