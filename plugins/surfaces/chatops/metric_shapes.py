"""Metrics on the wire: the flat shape that is documented, and the nested one that programs of old know. Pure."""

from __future__ import annotations

import datetime
import re
import uuid
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import msgspec
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, model_validator

from roci import Invalid

from ...agent import sample
from ...agent.sample import Memory, Nic, Sample
from .shapes import Body, in_utc

GIB = 2**30
EPOCH = 1970
ISO = re.compile(r"\d{4}-\d\d-\d\d")
ROOT = "/"
EVERYTHING = "all"  # the interface of a host that adds them up
NOTHING = Sample()
MEASURED = {"cpu_percent", "memory_percent", "disk_usage", "network", "cpu", "memory", "disk", "processes"}


def _plausible(moment: datetime.datetime) -> datetime.datetime:
    """A time that an hour may be taken from."""
    if moment.year < EPOCH:
        raise ValueError(f"must not be before {EPOCH}")
    return moment


def _written(text: Any) -> Any:
    """In ISO 8601: a number would be seconds or milliseconds since 1970, whatever it looks like."""
    if not isinstance(text, str) or not ISO.match(text):
        raise ValueError("must be a time such as 2024-01-15T10:30:00Z")
    return text


Moment = Annotated[datetime.datetime, BeforeValidator(_written), AfterValidator(in_utc), AfterValidator(_plausible)]


# --- in ---


class Nonsense(Invalid):
    """Nothing of a sample makes sense: every field that was sent is wrong."""

    def __init__(self, fields: Iterable[str]) -> None:
        found = [{"loc": (name,), "msg": "nothing in it makes sense", "type": "value_error"} for name in fields]
        super().__init__("no metrics that make sense are in it", errors=found)


class Sent(Body):
    """A sample, flat or nested. Values that make no sense are left out; the rest counts."""

    timestamp: str | None = None
    cpu_percent: float | None = None
    memory_percent: float | None = None
    disk_usage: list[dict[str, Any]] | None = None
    network: list[dict[str, Any]] | dict[str, Any] | None = None
    cpu: dict[str, Any] | None = None
    memory: dict[str, Any] | None = None
    disk: dict[str, Any] | None = None
    processes: list[dict[str, Any]] | None = None
    containers: list[dict[str, Any]] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Sent:
        if all(getattr(self, name) is None for name in MEASURED):
            raise ValueError("no metrics are in it")
        return self


class SentTo(Sent):
    server_id: uuid.UUID | None = None  # it is in the path already


class SentOf(Sent):
    server_id: uuid.UUID


class Range(Body):
    start: Moment | None = None
    end: Moment | None = None
    start_time: Moment | None = None
    end_time: Moment | None = None
    limit: int = Field(500, ge=1, le=2000)
    step: int | None = Field(None, ge=1, le=31 * 24 * 3600)

    def bounds(self, now: datetime.datetime) -> tuple[datetime.datetime, datetime.datetime]:
        """From when to when; one hour up to now, unless it is said otherwise."""
        end = self.end or self.end_time or now
        return self.start or self.start_time or end - datetime.timedelta(hours=1), end


def read(sent: Sent) -> Sample:
    """What was sent, as our own agents say it. Raises Nonsense."""
    flat = sent.model_dump(include={"timestamp", "cpu_percent", "memory_percent", "disk_usage", "containers"})
    known = {name: value for name, value in flat.items() if value is not None}
    known |= _unnested(sent)
    if sent.processes is not None:
        known["processes"] = sent.processes
    found = sample.mended(known, Sample) or Sample()
    if msgspec.structs.replace(found, timestamp="", containers=[]) == NOTHING:
        raise Nonsense(name for name in Sent.model_fields if name in MEASURED and getattr(sent, name) is not None)
    return found


def _unnested(sent: Sent) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if sent.cpu is not None:
        found |= {"cores": sent.cpu.get("cores"), "frequency_mhz": sent.cpu.get("frequency_mhz")}
        if sent.cpu_percent is None:
            found["cpu_percent"] = sent.cpu.get("usage_percent")
    if sent.memory is not None:
        found["memory"] = _bytes(sent.memory)
        if sent.memory_percent is None:
            found["memory_percent"] = sent.memory.get("usage_percent")
    if sent.disk is not None and sent.disk_usage is None:
        sizes = _bytes(sent.disk)
        known = {**sizes, "free": sizes.get("available"), "percent": sent.disk.get("usage_percent")}
        found["disk_usage"] = [{"path": ROOT, **{name: value for name, value in known.items() if value is not None}}]
    if "disk_usage" in found or sent.disk_usage is not None:
        found["disk_usage"] = [_whole(disk) for disk in found.get("disk_usage") or sent.disk_usage or []]
    if sent.network is not None:
        summed = isinstance(sent.network, dict)
        found["network"] = [{"interface": EVERYTHING, **sent.network}] if summed else sent.network  # type: ignore[dict-item]
    return found


def _whole(disk: Mapping[str, Any]) -> dict[str, Any]:
    """A disk with what follows from the rest of it. A percent alone says nothing of sizes."""
    try:
        total, used = float(disk["total"]), float(disk["used"])
        return {"free": max(total - used, 0), "percent": 100 * used / total, **disk}
    except (KeyError, TypeError, ValueError, ArithmeticError):
        return dict(disk)


def _bytes(nested: Mapping[str, Any]) -> dict[str, int]:
    """Sizes in GiB, in bytes; what is no number is left out."""
    found = {}
    for name in ("total", "used", "available"):
        size = nested.get(f"{name}_gb")
        if isinstance(size, int | float) and 0 <= size < 2**30:
            found[name] = round(size * GIB)
    return found


# --- out ---


class DiskOut(BaseModel):
    path: str
    total: int
    used: int
    free: int
    percent: float


class NetworkOut(BaseModel):
    interface: str
    bytes_sent: int
    bytes_recv: int


class Metrics(BaseModel):
    server_id: str
    cpu_percent: float | None
    memory_percent: float | None
    disk_usage: list[DiskOut]
    network: list[NetworkOut]
    timestamp: str


class Cpu(BaseModel):
    usage_percent: float | None
    cores: int | None
    frequency_mhz: float | None


class Space(BaseModel):
    total_gb: float | None
    used_gb: float | None
    available_gb: float | None
    usage_percent: float | None


class Traffic(BaseModel):
    bytes_sent: int | None
    bytes_recv: int | None
    packets_sent: int | None
    packets_recv: int | None


class NestedMetrics(BaseModel):
    server_id: str
    timestamp: str
    cpu: Cpu
    memory: Space
    disk: Space
    network: Traffic
    containers: list[dict[str, Any]]
    processes: list[dict[str, Any]]


class Taken(BaseModel):
    status: str
    message: str


def flat(server_id: str, found: Sample) -> dict[str, Any]:
    return {
        "server_id": server_id,
        "cpu_percent": found.cpu_percent,
        "memory_percent": found.memory_percent,
        "disk_usage": [msgspec.structs.asdict(disk) for disk in found.disk_usage],
        "network": [_picked(nic, "interface", "bytes_sent", "bytes_recv") for nic in found.network],
        "timestamp": found.timestamp,
    }


def nested(server_id: str, found: Sample) -> dict[str, Any]:
    """The same moment. The disk is the one of the root, or else the fullest."""
    return {
        "server_id": server_id,
        "timestamp": found.timestamp,
        "cpu": {
            "usage_percent": found.cpu_percent,
            "cores": found.cores,
            "frequency_mhz": found.frequency_mhz,
        },
        "memory": _memory(found.memory, found.memory_percent),
        "disk": _disk(found),
        "network": {
            name: _sum(found.network, name) for name in ("bytes_sent", "bytes_recv", "packets_sent", "packets_recv")
        },
        "containers": [msgspec.structs.asdict(container) for container in found.containers],
        "processes": [msgspec.structs.asdict(process) for process in found.processes],
    }


def _picked(part: Any, *names: str) -> dict[str, Any]:
    return {name: getattr(part, name) for name in names}


def _space(total: int | None, used: int | None, available: int | None, percent: float | None) -> dict[str, Any]:
    sizes = {"total_gb": total, "used_gb": used, "available_gb": available}
    return {name: None if size is None else round(size / GIB, 3) for name, size in sizes.items()} | {
        "usage_percent": percent
    }


def _memory(memory: Memory | None, percent: float | None) -> dict[str, Any]:
    if memory is None:
        return _space(None, None, None, percent)
    return _space(memory.total, memory.used, memory.available, percent)


def _disk(found: Sample) -> dict[str, Any]:
    disks = sorted(found.disk_usage, key=lambda disk: (disk.path != ROOT, -disk.percent))
    if not disks:
        return _space(None, None, None, None)
    return _space(disks[0].total, disks[0].used, disks[0].free, disks[0].percent)


def _sum(nics: list[Nic], name: str) -> int | None:
    counted = [value for nic in nics if (value := getattr(nic, name)) is not None]
    return sum(counted) if counted else None
