"""Containers as lists show them: what is wrong first, each with its colour, its application and what it takes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

from roci import Roci

from ....agent import wire
from ....agent.hub import Hub, Live
from ....domain import applications
from ....work.fleet import state_of
from ....work.metrics import Metrics
from ...language import N_

WORDS = {
    "running": N_("running"),
    "exited": N_("exited"),
    "restarting": N_("restarting"),
    "paused": N_("paused"),
    "created": N_("created"),
    "removing": N_("removing"),
    "dead": N_("dead"),
    "unknown": N_("unknown"),
}
TONES = {"running": "good", "restarting": "bad", "dead": "bad", "paused": "busy", "removing": "busy"}
RANKS = {"dead": 0, "restarting": 0, "removing": 1, "paused": 2, "created": 2, "exited": 3, "running": 4}
UP = ("running", "paused", "restarting")
SHORT = 12  # characters of an id in samples
ENDED_WELL = "Exited (0)"
PORT = re.compile(r"(?:.*:)?(\d+)->(\d+)(/\w+)")

Owner = tuple[str, str]  # the id and the name of an application
Owners = Mapping[str, Mapping[str, Owner]]  # by host and project


@dataclass(frozen=True)
class Port:
    """An open port, as little as tells it, and as the engine does."""

    short: str  # 8080:80
    whole: str


def _port(text: str) -> Port | None:
    """None: it is not open to anybody but other containers."""
    found = PORT.fullmatch(text)
    return found and Port(f"{found[1]}:{found[2]}{found[3].removesuffix('/tcp')}", text)


@dataclass(frozen=True)
class ContainerRow:
    host_id: str
    host: str
    id: str
    name: str
    image: str
    word: str  # running, exited, …
    state: str  # for people
    ports: list[str]
    project: str
    application: Owner | None
    cpu: float | None = None  # percent of the whole machine
    memory: int | None = None  # bytes

    @property
    def is_ill(self) -> bool:
        return TONES.get(self.word) == "bad" or "(unhealthy)" in self.state

    @property
    def is_up(self) -> bool:
        return self.word in UP

    @property
    def tone(self) -> str:
        if self.is_ill:
            return "bad"
        return "busy" if "(health: starting)" in self.state else TONES.get(self.word, "plain")

    @property
    def rank(self) -> tuple[int, str]:
        """What needs somebody first; what ended well last."""
        if self.is_ill:
            return 0, self.name
        return (5 if self.state.startswith(ENDED_WELL) else RANKS.get(self.word, 2)), self.name

    @property
    def published(self) -> list[Port]:
        """Its ports that the host has open, each once, however many addresses it is open on."""
        return list({port.short: port for text in self.ports if (port := _port(text))}.values())

    @property
    def key(self) -> str:
        """It, among all of all hosts."""
        return f"{self.host_id}/{self.id}"


def owners() -> Owners:
    """Whose each project is."""
    found: dict[str, dict[str, Owner]] = {}
    for row in applications.all_():
        if row.deployed_host_id:
            found.setdefault(row.deployed_host_id, {})[row.key] = row.id, row.name
    return found


# What was made of what a host reported last: lists of thousands are asked for often.
_made: WeakKeyDictionary[Live, tuple[bytes, Mapping[str, Owner], list[ContainerRow]]] = WeakKeyDictionary()


def of_host(live: Live, whose: Owners) -> list[ContainerRow] | None:
    """In order of rank. None: nobody knows."""
    if live.reported is None or not (live.is_current and live.is_approved):
        return None
    mine = whose.get(live.host.id, {})
    reported, owned, rows = _made.get(live, (b"", {}, []))
    if reported is not live.reported or owned != mine:
        rows = sorted((_row(live, each, mine) for each in live.containers or ()), key=lambda row: row.rank)
        _made[live] = live.reported, mine, rows
    return rows


def with_use(roci: Roci, rows: Iterable[ContainerRow]) -> list[ContainerRow]:
    """The same of one host, with what each takes as its host told last."""
    listed = list(rows)
    sample = roci.part(Metrics).latest(listed[0].host_id) if listed else None
    use = {each.id: each for each in sample.containers} if sample else {}
    told = [(row, use.get(row.id[:SHORT])) for row in listed]
    return [replace(row, cpu=each.cpu_percent, memory=each.memory_bytes) if each else row for row, each in told]


def _row(live: Live, told: wire.Container, whose: Mapping[str, Owner]) -> ContainerRow:
    return ContainerRow(
        host_id=live.host.id,
        host=live.host.hostname,
        id=told.id,
        name=told.name,
        image=told.image,
        word=state_of(told.status),
        state=told.state or told.status,
        ports=told.ports,
        project=told.app or "",
        application=_owner(live, told, whose),
    )


def _owner(live: Live, told: wire.Container, whose: Mapping[str, Owner]) -> Owner | None:
    if told.app:
        return whose.get(told.app)
    return next((whose[project] for project in whose if live.is_of(project, None, told.name)), None)


def everywhere(roci: Roci, whose: Owners) -> Iterator[ContainerRow]:
    """Of all hosts whose containers are known."""
    for live in list(roci.part(Hub).roster.values()):
        yield from of_host(live, whose) or ()


def unknown(roci: Roci) -> list[str]:
    """The approved hosts of which nobody knows what runs there."""
    approved = (live for live in roci.part(Hub).roster.values() if live.is_approved)
    return sorted(live.host.hostname for live in approved if not live.is_current)
