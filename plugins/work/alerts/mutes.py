"""What ROCI itself is doing to hosts and their containers: nobody is to be alarmed of that. Pure."""

from __future__ import annotations

import dataclasses
import math

from ...agent.wire import Container

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

    def covers(self, container: Container) -> bool:
        if self.is_whole_host or (self.project is not None and container.app == self.project):
            return True
        text = self.container
        return text is not None and (
            text == container.name
            or (len(text) >= 4 and (container.id.startswith(text) or text.startswith(container.id)))
        )


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
