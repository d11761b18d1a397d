"""One host as the server knows it now, in memory."""

from __future__ import annotations

import datetime
import time

from roci import now

from ..domain import hosts
from . import naming, wire
from .link import Farewell, Link
from .pace import Pace

App = tuple[str, str]  # a running container's Compose project, "" without one, and its name


class Live:
    """What is known of a host at this moment. `version` grows with every change, for those who cache."""

    def __init__(self, host: hosts.Host) -> None:
        self.host = host
        self.link: Link | None = None
        self.heard = 0.0  # the loop's clock, at the last frame
        self.farewell: Farewell | None = None  # why its last connection ended, where that is known
        self.told_until = 0.0  # the same clock: until then it counts as here by what it told without a link
        self.last_seen: datetime.datetime | None = host.last_seen
        self.reported: bytes | None = None  # its containers, as JSON; None: not since this process started
        self.engine_error: str | None = None
        self._answered: Link | None = None  # the connection on which its engine answered last; None: it does not now
        self.running_apps: tuple[frozenset[App], ...] = ()  # of the last three heartbeats
        self._running: frozenset[App] = frozenset()  # of the containers reported last
        self.version = 0
        self.unsaved = False
        self.is_crowded = False  # it reported more containers than are taken in
        self.pace: Pace | None = None  # that of all its connections; None: it may say what it likes
        self.held: wire.Heartbeat | None = None  # the newest, when it came too early

    @property
    def is_connected(self) -> bool:
        return self.link is not None

    @property
    def is_online(self) -> bool:
        """Connected, or heard of lately without a connection."""
        return self.is_connected or time.monotonic() < self.told_until

    @property
    def is_approved(self) -> bool:
        return self.host.status == "approved"

    @property
    def is_current(self) -> bool:
        """What it reported last is how things are: it told since it is connected, and its engine answers."""
        return self.link is not None and self.link is self._answered

    @property
    def containers(self) -> list[wire.Container] | None:
        """What the host reported last; None: nothing since this process started."""
        return None if self.reported is None else wire.read_containers(self.reported)

    def containers_of(self, project: str) -> list[wire.Container] | None:
        """Those of a Compose project; None: the host cannot be asked, or never told."""
        known = self.containers if self.is_connected else None
        return None if known is None else [each for each in known if self.is_of(project, each.app, each.name)]

    def is_of(self, project: str, app: str | None, name: str) -> bool:
        """Whether a container of it is this Compose project's. Its name decides only where the agent is of the
        published messages alone, which tell no projects: elsewhere one without a project is nobody's.
        """
        if app or self.host.protocol >= wire.PROTOCOL:
            return app == project
        return naming.is_like(name, project)

    def touch(self) -> None:
        """It is alive."""
        self.last_seen = now()
        self.version += 1

    def heard_of(self, beat: wire.Heartbeat) -> list[wire.Container] | None:
        """Take in a heartbeat; the containers, where they are others than before. Raises Malformed.

        What a host that is not approved runs is nobody's business.
        """
        self.touch()
        if not self.is_approved:
            return None
        self.engine_error = beat.engine_error
        if beat.engine_error:
            self._answered = None
        reported = bytes(beat.containers)
        if not reported or reported == b"null":
            return None
        self._answered = None if beat.engine_error else self.link
        found = None
        if reported != self.reported:
            reported, count = wire.first_containers(reported)
            self.is_crowded = count > wire.MOST_CONTAINERS
        if self.is_crowded:
            self.engine_error = beat.engine_error or f"only {wire.MOST_CONTAINERS:,} of its containers are looked at"
        if reported != self.reported:
            found = wire.read_containers(reported)
            self.reported, self.unsaved = reported, True
            self._running = frozenset((c.app or "", c.name) for c in found if c.is_running)
        self.running_apps = (*self.running_apps[-2:], self._running)
        return found
