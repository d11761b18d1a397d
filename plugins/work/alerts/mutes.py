"""What ROCI itself is doing to hosts and their containers: nobody is to be alarmed of that. Pure."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from ...agent.naming import meant, reported
from ...agent.wire import Container
from ...domain.applications import project_key
from ...domain.operations import Operation

ON_CONTAINERS = {"deploy", "start", "stop", "restart", "delete", "container"}
ON_HOSTS = {"reboot"}
MUTING = ON_CONTAINERS | ON_HOSTS


@dataclasses.dataclass
class Mute:
    project: str | None = None  # of Compose
    container: str | None = None  # an id, the beginning of one, or a name
    until: float = math.inf

    @property
    def is_whole_host(self) -> bool:
        return self.project is None and self.container is None

    def covered(self, found: Sequence[Container]) -> list[Container]:
        """Those of a host's containers that it is about."""
        if self.is_whole_host:
            return list(found)
        ours = [one for one in found if self.project is not None and one.app == self.project]
        return ours if self.container is None else ours + meant(self.container, found, reported)


def mute_of(operation: Operation) -> Mute | None:
    """Whose alarms an operation keeps quiet; None: nobody's."""
    if operation.kind in ON_HOSTS:
        return Mute()
    if operation.kind not in ON_CONTAINERS:
        return None
    name = operation.application_name
    project = project_key(name) if name else None
    container = operation.args.get("container") if operation.kind == "container" else None
    return Mute(project, container) if project or container else None


class Mutes:
    """By host and operation, from its beginning until some time after its end."""

    def __init__(self) -> None:
        self._of_host: dict[str, dict[str, Mute]] = {}

    def begin(self, host_id: str, operation_id: str, mute: Mute) -> None:
        self._of_host.setdefault(host_id, {})[operation_id] = mute

    def end(self, host_id: str, operation_id: str, until: float) -> None:
        if mute := self._of_host.get(host_id, {}).get(operation_id):
            mute.until = until

    def forget(self, host_id: str) -> None:
        self._of_host.pop(host_id, None)

    def of(self, host_id: str, at: float) -> list[Mute]:
        """Those that hold now; what is over is dropped."""
        mutes = self._of_host.get(host_id)
        if not mutes:
            return []
        for operation_id in [each for each, mute in mutes.items() if mute.until <= at]:
            del mutes[operation_id]
        if not mutes:
            del self._of_host[host_id]
        return list(mutes.values())

    def names(self, host_id: str, at: float, found: Sequence[Container]) -> set[str]:
        """The names of those that ROCI is at work on now."""
        return {one.name for mute in self.of(host_id, at) for one in mute.covered(found)}
