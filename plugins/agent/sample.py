"""What a host was doing at one moment: the shape of `metrics` in heartbeats, for both ends. Bytes, seconds, percents.

A field that makes no sense (NaN, negative, absurd) is left out, and the rest of the sample counts. A host can neither
keep the server busy with what it says nor fill its disk: every list and text has an end.
"""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar, get_args, get_origin

import msgspec

from roci import Malformed

LONGEST = 512 * 1024  # bytes of a sample as JSON
DISKS, NICS, PROCESSES, CONTAINERS = 64, 64, 50, 500  # of one sample; what is beyond is cut

Text = Annotated[str, msgspec.Meta(max_length=128)]
Path = Annotated[str, msgspec.Meta(max_length=256)]
Size = Annotated[int, msgspec.Meta(ge=0, le=2**60)]  # an exbibyte
Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Percent = Annotated[float, msgspec.Meta(ge=0, le=100)]
Busy = Annotated[float, msgspec.Meta(ge=0, le=100_000)]  # ours are at most 100; others add up their cores
Positive = Annotated[float, msgspec.Meta(ge=0, le=1e12)]


class Part(msgspec.Struct, frozen=True, gc=False):
    """Something that a sample tells of. None: not known."""


class Memory(Part, frozen=True, gc=False):
    total: Size
    used: Size
    available: Size | None = None


class Disk(Part, frozen=True, gc=False):
    path: Path
    total: Size
    used: Size
    free: Size
    percent: Percent  # of what may be filled, as df has it


class Nic(Part, frozen=True, gc=False):
    """Counters since the machine's start."""

    interface: Text
    bytes_sent: Count
    bytes_recv: Count
    packets_sent: Count | None = None
    packets_recv: Count | None = None


class Process(Part, frozen=True, gc=False):
    pid: Count
    name: Text
    cpu: Busy | None = None  # percent of the whole machine
    memory: Percent | None = None
    status: Text = ""
    user: Text = ""


class ContainerUse(Part, frozen=True, gc=False):
    id: Text  # the first twelve characters
    name: Text
    cpu_percent: Busy | None = None  # of the whole machine
    memory_bytes: Size | None = None  # without the caches that the kernel gives back at once
    memory_limit: Size | None = None


class Sample(Part, omit_defaults=True, frozen=True, gc=False):
    """One moment of a host. ISO 8601 with Z, as its own clock has it until the server takes it in."""

    timestamp: Text = ""
    cpu_percent: Busy | None = None  # since the sample before
    memory_percent: Percent | None = None
    disk_usage: Annotated[list[Disk], msgspec.Meta(max_length=DISKS)] = []
    network: Annotated[list[Nic], msgspec.Meta(max_length=NICS)] = []
    cores: Count | None = None
    frequency_mhz: Positive | None = None
    memory: Memory | None = None
    swap: Memory | None = None
    load: Annotated[list[Positive], msgspec.Meta(min_length=3, max_length=3)] | None = None  # 1, 5 and 15 minutes
    uptime: Positive | None = None
    processes: Annotated[list[Process], msgspec.Meta(max_length=PROCESSES)] = []  # the busiest; [] is "as before"
    containers: Annotated[list[ContainerUse], msgspec.Meta(max_length=CONTAINERS)] = []


S = TypeVar("S", bound=Part)
_decoder = msgspec.json.Decoder(Sample)
_encode = msgspec.json.Encoder()
_fields = functools.cache(msgspec.structs.fields)


def read(text: bytes) -> Sample:
    """Raises Malformed for what is too long or no JSON object; single fields that make no sense are left out."""
    if len(text) > LONGEST:
        raise Malformed(f"metrics: more than {LONGEST // 1024} KiB")
    try:
        return _decoder.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        pass  # the slow way: field by field
    try:
        found = mended(json.loads(text), Sample)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"metrics: {error}") from None
    if found is None:
        raise Malformed("metrics: not an object")
    return found


def write(sample: Sample) -> msgspec.Raw:
    return msgspec.Raw(_encode.encode(sample))


def checked(sample: Sample) -> Sample:
    """A sample that was put together rather than read, without what makes no sense in it."""
    given = msgspec.to_builtins(sample)
    try:
        return msgspec.convert(given, Sample)
    except msgspec.ValidationError:
        return mended(given, Sample) or Sample()


def mended(found: Any, kind: type[S]) -> S | None:
    """What of this is good for a `kind`. None: not even what it cannot be without."""
    if not isinstance(found, Mapping):
        return None
    fields = {}
    for field in _fields(kind):
        with contextlib.suppress(KeyError, msgspec.ValidationError):
            fields[field.name] = _fitting(found[field.name], field.type)
    try:
        return kind(**fields)
    except TypeError:
        return None


def _fitting(value: Any, wanted: Any) -> Any:
    """The value as this type, of a list the entries that fit. Raises ValidationError."""
    bare = wanted.__origin__ if hasattr(wanted, "__metadata__") else wanted
    parts = [each for each in get_args(bare) if isinstance(each, type) and issubclass(each, Part)]
    if not parts:
        return msgspec.convert(value, wanted, strict=False)
    if get_origin(bare) is not list:
        return mended(value, parts[0])
    given = value if isinstance(value, list) else []
    most = wanted.__metadata__[0].max_length
    return [item for each in given[:most] if (item := mended(each, parts[0])) is not None]
