"""What an agent's host is doing, as this surface shows it: every field, null where it is not known. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from typing_extensions import TypedDict

from ...agent.sample import Sample
from ...work.metrics import ContainerPoint
from .shapes import Id


class Shown(Sample, frozen=True, gc=False, omit_defaults=False):
    """A sample with every field in it."""


class MemoryOut(TypedDict):
    total: int
    used: int
    available: int | None


class DiskOut(TypedDict):
    path: str
    total: int
    used: int
    free: int
    percent: float


class NicOut(TypedDict):
    interface: str
    bytes_sent: int
    bytes_recv: int
    packets_sent: int | None
    packets_recv: int | None


class ProcessOut(TypedDict):
    pid: int
    name: str
    cpu: float | None
    memory: float | None
    status: str
    user: str


class ContainerUseOut(TypedDict):
    id: str
    name: str
    cpu_percent: float | None
    memory_bytes: int | None
    memory_limit: int | None


class SampleOut(TypedDict):
    """Bytes, seconds, and percent of the whole machine."""

    timestamp: str
    cpu_percent: float | None
    memory_percent: float | None
    disk_usage: list[DiskOut]
    network: list[NicOut]
    cores: int | None
    frequency_mhz: float | None
    memory: MemoryOut | None
    swap: MemoryOut | None
    load: list[float] | None
    uptime: float | None
    processes: list[ProcessOut]
    containers: list[ContainerUseOut]


class LatestOut(TypedDict):
    """`current`: the agent is connected, and has told so lately."""

    agent_id: Id
    current: bool
    metrics: SampleOut


class HistoryOut(TypedDict):
    agent_id: Id
    metrics: list[SampleOut]


class ContainerPointOut(TypedDict):
    timestamp: str
    cpu_percent: float | None
    memory_bytes: int | None


class ContainerHistoryOut(TypedDict):
    agent_id: Id
    container: str
    metrics: list[ContainerPointOut]


def shown(sample: Sample) -> Shown:
    return msgspec.convert(sample, Shown, from_attributes=True)


def latest(host_id: str, current: bool, sample: Sample) -> bytes:
    return msgspec.json.encode({"agent_id": host_id, "current": current, "metrics": shown(sample)})


def history(host_id: str, samples: Sequence[Sample]) -> bytes:
    return msgspec.json.encode({"agent_id": host_id, "metrics": [shown(sample) for sample in samples]})


def container_history(host_id: str, container: str, points: Sequence[ContainerPoint]) -> bytes:
    return msgspec.json.encode({"agent_id": host_id, "container": container, "metrics": points})
