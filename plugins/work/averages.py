"""Many samples as few: what is measured is averaged, counters keep their last value. Pure.

Also the form in which a sample lies in the file: lists without names, a third of the JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from ..agent.sample import ContainerUse, Disk, Memory, Nic, Sample

Use = tuple[str, str, float | None, int | None]  # of a container: name, id, CPU percent, bytes of memory


class Point(NamedTuple):
    """A sample, or the average of several. Milliseconds since 1970; `weight` is the number of samples in it."""

    at: int
    weight: int
    sample: Sample


class UsePoint(NamedTuple):
    """The same of the containers of a host."""

    at: int
    weight: int
    uses: list[Use]


class _Kept(msgspec.Struct, array_like=True, gc=False):
    """The order of the fields is the format: new ones come last, with a default."""

    cpu_percent: float | None
    memory_percent: float | None
    memory: tuple[int, int, int | None] | None
    swap: tuple[int, int, int | None] | None
    load: list[float] | None
    uptime: float | None
    cores: int | None
    frequency_mhz: float | None
    disks: list[tuple[str, int, int, int, float]]
    nics: list[tuple[str, int, int, int | None, int | None]]


_encode = msgspec.msgpack.Encoder().encode
_kept = msgspec.msgpack.Decoder(_Kept)
_uses = msgspec.msgpack.Decoder(list[Use])


def packed(sample: Sample) -> bytes:
    """Without the processes and the containers."""
    kept = (
        *(sample.cpu_percent, sample.memory_percent),
        *(part and msgspec.structs.astuple(part) for part in (sample.memory, sample.swap)),
        *(sample.load, sample.uptime, sample.cores, sample.frequency_mhz),
        *([msgspec.structs.astuple(each) for each in part] for part in (sample.disk_usage, sample.network)),
    )
    return _encode(kept)


def unpacked(body: bytes) -> Sample:
    kept = _kept.decode(body)
    return Sample(
        cpu_percent=kept.cpu_percent,
        memory_percent=kept.memory_percent,
        memory=Memory(*kept.memory) if kept.memory else None,
        swap=Memory(*kept.swap) if kept.swap else None,
        load=kept.load,
        uptime=kept.uptime,
        cores=kept.cores,
        frequency_mhz=kept.frequency_mhz,
        disk_usage=[Disk(*disk) for disk in kept.disks],
        network=[Nic(*nic) for nic in kept.nics],
    )


def packed_uses(uses: Iterable[Use]) -> bytes:
    return _encode(list(uses))


def unpacked_uses(body: bytes) -> list[Use]:
    return _uses.decode(body)


def uses_of(containers: Iterable[ContainerUse]) -> list[Use]:
    return [(each.name, each.id, each.cpu_percent, each.memory_bytes) for each in containers]


def mean(values: Iterable[tuple[float | None, int]]) -> float | None:
    """Of those that are known, by their weights. None: of none."""
    total, weights = 0.0, 0
    for value, weight in values:
        if value is not None:
            total += value * weight
            weights += weight
    return total / weights if weights else None


def whole(values: Iterable[tuple[float | None, int]]) -> int | None:
    found = mean(values)
    return None if found is None else round(found)


def averaged(points: Sequence[Point]) -> Sample:
    """One sample for many, oldest first; at least one."""
    last = points[-1].sample
    return Sample(
        cpu_percent=mean((point.sample.cpu_percent, point.weight) for point in points),
        memory_percent=mean((point.sample.memory_percent, point.weight) for point in points),
        memory=_memory([(point.sample.memory, point.weight) for point in points]),
        swap=_memory([(point.sample.swap, point.weight) for point in points]),
        load=_load([(point.sample.load, point.weight) for point in points]),
        uptime=last.uptime,
        cores=last.cores,
        frequency_mhz=mean((point.sample.frequency_mhz, point.weight) for point in points),
        disk_usage=_disks(points),
        network=list({nic.interface: nic for point in points for nic in point.sample.network}.values()),
    )


def averaged_uses(points: Sequence[UsePoint]) -> list[Use]:
    """The same for containers, by name."""
    by_name: dict[str, list[tuple[Use, int]]] = {}
    for point in points:
        for use in point.uses:
            by_name.setdefault(use[0], []).append((use, point.weight))
    return [
        (
            name,
            found[-1][0][1],
            mean((use[2], weight) for use, weight in found),
            whole((use[3], weight) for use, weight in found),
        )
        for name, found in by_name.items()
    ]


def _memory(found: Sequence[tuple[Memory | None, int]]) -> Memory | None:
    known = [(part, weight) for part, weight in found if part is not None]
    if not known:
        return None
    used = whole((part.used, weight) for part, weight in known)
    return Memory(known[-1][0].total, used or 0, whole((part.available, weight) for part, weight in known))


def _load(found: Sequence[tuple[list[float] | None, int]]) -> list[float] | None:
    known = [(load, weight) for load, weight in found if load]
    return [mean((load[number], weight) for load, weight in known) or 0.0 for number in range(3)] if known else None


def _disks(points: Sequence[Point]) -> list[Disk]:
    by_path: dict[str, list[tuple[Disk, int]]] = {}
    for point in points:
        for disk in point.sample.disk_usage:
            by_path.setdefault(disk.path, []).append((disk, point.weight))
    return [_disk(found) for found in by_path.values()]


def _disk(found: Sequence[tuple[Disk, int]]) -> Disk:
    last = found[-1][0]
    return Disk(
        last.path,
        last.total,
        whole((disk.used, weight) for disk, weight in found) or 0,
        whole((disk.free, weight) for disk, weight in found) or 0,
        mean((disk.percent, weight) for disk, weight in found) or 0.0,
    )
