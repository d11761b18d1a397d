"""A host's samples: from a made-up /proc and cgroup tree, from this machine, from a real engine's container."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docker.errors
import pytest

from roci import Malformed, Unavailable
from roci_plugins.agent import metrics as sampling
from roci_plugins.agent import procfs, sample, wire
from roci_plugins.agent.cgroups import Cgroups, Reading
from roci_plugins.agent.metrics import Busy, HostSampler
from roci_plugins.agent.sample import ContainerUse, Nic

ID = "0123456789ab"
LONG = ID + "c" * 52


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def second(root: Path, path: str, cpu: int = 5_000_000, limit: str = "max") -> None:
    """A container in a tree of version 2."""
    put(root / "cgroup.controllers", "cpu memory\n")
    put(root / path / "cpu.stat", f"usage_usec {cpu}\nuser_usec 1\nsystem_usec 2\n")
    put(root / path / "memory.current", "1000\n")
    put(root / path / "memory.max", f"{limit}\n")
    put(root / path / "memory.stat", "anon 600\nactive_file 10\ninactive_file 300\n")


def first(root: Path, path: str, cpu: str = "cpuacct") -> None:
    """A container in a tree of version 1."""
    put(root / cpu / path / "cpuacct.usage", "5000000000\n")
    put(root / "memory" / path / "memory.usage_in_bytes", "1000\n")
    put(root / "memory" / path / "memory.limit_in_bytes", "9223372036854771712\n")
    put(root / "memory" / path / "memory.stat", "inactive_file 5\ntotal_inactive_file 300\n")


READ = Reading(5_000_000_000, 700, None)


@pytest.mark.parametrize(
    ("make", "path"),
    [
        (second, f"docker/{LONG}"),
        (second, f"system.slice/docker-{LONG}.scope"),
        (first, f"docker/{LONG}"),
        (first, f"system.slice/docker-{LONG}.scope"),
    ],
    ids=["v2 cgroupfs", "v2 systemd", "v1 cgroupfs", "v1 systemd"],
)
def test_containers_are_found_where_engines_put_them(tmp_path: Path, make: Callable[..., None], path: str) -> None:
    make(tmp_path, path)
    cgroups = Cgroups(tmp_path, tmp_path / "proc")
    assert cgroups.find([ID]) == set()
    assert cgroups.read(ID) == READ


def test_controllers_mounted_together_are_read_too(tmp_path: Path) -> None:
    first(tmp_path, f"docker/{LONG}", cpu="cpu,cpuacct")
    cgroups = Cgroups(tmp_path, tmp_path / "proc")
    cgroups.find([ID])
    assert cgroups.read(ID) == READ


@pytest.mark.parametrize(
    ("make", "line"),
    [(second, f"0::/homelab/{LONG}"), (first, f"7:cpu,cpuacct:/homelab/{LONG}\n4:memory:/homelab/{LONG}")],
    ids=["v2", "v1"],
)
def test_a_container_elsewhere_is_found_by_its_process(tmp_path: Path, make: Callable[..., None], line: str) -> None:
    make(tmp_path, f"homelab/{LONG}")
    put(tmp_path / "proc/42/cgroup", f"{line}\n")
    cgroups = Cgroups(tmp_path, tmp_path / "proc")
    assert cgroups.find([ID]) == {ID}
    assert cgroups.note(ID, 42)
    assert cgroups.find([ID]) == set()
    assert cgroups.read(ID) == READ


@pytest.mark.parametrize("line", ["0::/../../docker/x", "0::/", ""], ids=["outside", "root", "nothing"])
def test_a_process_whose_cgroup_cannot_be_seen_from_here_is_no_help(tmp_path: Path, line: str) -> None:
    second(tmp_path, "elsewhere")
    put(tmp_path / "proc/42/cgroup", line)
    assert not Cgroups(tmp_path, tmp_path / "proc").note(ID, 42)


def test_a_container_that_is_gone_is_looked_for_anew(tmp_path: Path) -> None:
    second(tmp_path, f"docker/{LONG}", limit="4096")
    cgroups = Cgroups(tmp_path, tmp_path / "proc")
    cgroups.find([ID])
    assert cgroups.read(ID) == READ._replace(limit=4096)
    (tmp_path / f"docker/{LONG}/cpu.stat").unlink()
    assert cgroups.read(ID) is None
    second(tmp_path, f"docker/{LONG}")
    assert cgroups.find([ID]) == set()
    assert cgroups.read(ID) == READ


def test_what_is_busy_is_measured_between_two_looks() -> None:
    busy = Busy()
    assert busy.share("web", 10.0, 100.0, 4) is None
    assert busy.share("web", 12.0, 101.0, 4) == 50.0
    assert busy.share("web", 1.0, 102.0, 4) is None  # made anew: its count began again
    assert busy.share("web", 99.0, 103.0, 4) == 100.0
    busy.keep({})
    assert busy.share("web", 99.0, 104.0, 4) is None


MOUNTS = r"""proc /proc proc rw 0 0
/dev/sda1 /boot/efi vfat rw 0 0
/dev/sda2 / ext4 rw 0 0
/dev/sda2 /var/lib/docker ext4 rw 0 0
overlay /var/lib/docker/overlay2/x/merged overlay rw 0 0
tmpfs /run tmpfs rw 0 0
/dev/loop0 /snap/core/1 squashfs ro 0 0
/dev/sdb1 /mnt/my\040films xfs rw 0 0
nas:/films /mnt/nas nfs4 rw 0 0
tank/data /tank zfs rw 0 0
"""
FILESYSTEMS = "nodev\tproc\nnodev\toverlay\nnodev\ttmpfs\nnodev\tnfs4\nnodev\tzfs\n\text4\n\txfs\n\tvfat\n\tsquashfs\n"
NETWORKS = """Inter-|   Receive                                       |  Transmit
 face |bytes packets errs drop fifo frame compressed multicast|bytes packets errs drop fifo colls carrier compressed
    lo: 5 1 0 0 0 0 0 0 5 1 0 0 0 0 0 0
  eth0: 1000 10 0 0 0 0 0 0 2000 20 0 0 0 0 0 0
vethab: 7 1 0 0 0 0 0 0 7 1 0 0 0 0 0 0
"""


def test_each_real_file_system_is_listed_once(tmp_path: Path) -> None:
    put(tmp_path / "filesystems", FILESYSTEMS)
    put(tmp_path / "1/mounts", MOUNTS)
    assert procfs.real_mounts(tmp_path, "1") == ["/", "/boot/efi", "/mnt/my films", "/tank"]


def test_networks_are_all_but_the_loopback_and_containers_cables(tmp_path: Path) -> None:
    put(tmp_path / "1/net/dev", NETWORKS)
    assert procfs.networks(tmp_path, "1") == [Nic("eth0", 2000, 1000, 20, 10)]


def process(proc: Path, pid: int, name: str, ticks: int, started: int = 0, pages: int = 1) -> None:
    fields = ["S", *["0"] * 10, str(ticks), "0", *["0"] * 6, str(started), "0", str(pages), *["0"] * 20]
    put(proc / str(pid) / "stat", f"{pid} ({name}) {' '.join(fields)}\n")


def test_the_busiest_processes_come_first_by_what_they_used_since_the_last_look(tmp_path: Path) -> None:
    hz = procfs.TICKS
    for pid in range(1, 61):
        process(tmp_path, pid, f"p{pid}", pid * hz)
    put(tmp_path / "not-a-process/stat", "")
    processes = procfs.Processes(tmp_path)
    looked = processes.look(100.0, 2, 10**9)
    assert len(looked) == procfs.SHOWN and [each.pid for each in looked[:2]] == [60, 59]
    process(tmp_path, 5, "a) b (c", 5 * hz + 10 * hz)
    top = processes.look(110.0, 2, procfs.PAGE * 4)[0]
    assert (top.pid, top.name, top.cpu, top.memory, top.status) == (5, "a) b (c", 50.0, 25.0, "sleeping")


def test_a_new_process_of_an_old_number_is_not_the_old_one(tmp_path: Path) -> None:
    hz = procfs.TICKS
    process(tmp_path, 5, "old", 90 * hz)
    processes = procfs.Processes(tmp_path)
    processes.look(100.0, 1, 10**9)
    process(tmp_path, 5, "new", 1 * hz, started=108 * hz)
    (only,) = processes.look(110.0, 1, 10**9)
    assert (only.name, only.cpu) == ("new", 50.0)


# --- the sampler ---


class Engine:
    """Lists what a test tells it to, and answers inspections and statistics."""

    def __init__(self, *containers: tuple[str, str]) -> None:
        self.listed = [{"id": id, "name": name, "status": "running"} for id, name in containers]
        self.asked: list[str] = []
        self.calls = 0
        self.problem: Exception | None = None
        self.pids: dict[str, int] | None = None  # those of the containers that there are still; None: it does not help

    async def call(self, work: Callable[[Any], Any]) -> Any:
        self.calls += 1
        if self.problem:
            raise self.problem
        return await asyncio.to_thread(work, self)

    def inspect_container(self, id: str) -> dict[str, Any]:
        self.asked.append(f"inspect {id}")
        self._require(id)
        return {"State": {"Pid": 10**9 if self.pids is None else self.pids[id]}}

    def stats(self, id: str, stream: bool, one_shot: bool) -> dict[str, Any]:
        assert one_shot and not stream
        self.asked.append(f"stats {id}")
        self._require(id)
        memory = {"usage": 1000, "stats": {"inactive_file": 300}, "limit": 4096}
        return {"cpu_stats": {"cpu_usage": {"total_usage": 5}}, "memory_stats": memory}

    def _require(self, id: str) -> None:
        if self.pids is not None and id not in self.pids:
            raise docker.errors.NotFound("No such container")


async def taken(sampler: HostSampler) -> sample.Sample:
    raw = await sampler.sample()
    assert raw is not None
    return sample.read(bytes(raw))


async def test_this_machine_is_sampled_with_everything_that_a_sample_has() -> None:
    found = await taken(HostSampler(Engine()))
    assert found.cpu_percent is not None and 0 <= found.cpu_percent <= 100
    assert found.memory and found.memory.total > found.memory.used > 0
    assert found.memory_percent is not None and found.swap and found.load and found.cores == os.cpu_count()
    assert any(disk.path == "/" and disk.total >= disk.used > 0 for disk in found.disk_usage)
    assert found.uptime and found.uptime > 0
    assert 0 < len(found.processes) <= 50
    assert "lo" not in {nic.interface for nic in found.network}


async def test_processes_come_with_every_fourth_sample() -> None:
    sampler = HostSampler(Engine())
    assert [bool((await taken(sampler)).processes) for _ in range(5)] == [True, False, False, False, True]


async def test_containers_are_told_of_from_their_cgroups(tmp_path: Path) -> None:
    second(tmp_path / "sys/fs/cgroup", f"docker/{LONG}")
    (tmp_path / "proc").symlink_to("/proc")
    engine = Engine((ID, "web-1"))
    sampler = HostSampler(engine, str(tmp_path))
    sampler._of = "self"  # the links of another process need rights
    assert (await taken(sampler)).containers == [ContainerUse(ID, "web-1", None, 700)]
    assert (await taken(sampler)).containers == [ContainerUse(ID, "web-1", 0.0, 700)]
    assert engine.asked == []
    engine.listed = []
    assert (await taken(sampler)).containers == []


async def test_the_engine_is_asked_only_where_the_kernel_does_not_tell(tmp_path: Path) -> None:
    sampler = HostSampler(engine := Engine((ID, "web-1")))
    for _ in range(sampling.SELDOM):
        assert [use.memory_bytes for use in (await taken(sampler)).containers] == [700]
    assert engine.asked == [f"inspect {ID}", f"stats {ID}"]


async def test_an_engine_that_is_silent_costs_its_containers_only() -> None:
    sampler = HostSampler(engine := Engine((ID, "web-1")))
    engine.problem = Unavailable("the engine does not answer")
    found = await taken(sampler)
    assert found.containers == [] and found.memory


async def test_a_container_that_is_gone_by_now_keeps_no_other_from_being_found(tmp_path: Path) -> None:
    found, gone = [f"{number:012x}" for number in range(1, 6)], "f" * 12
    for pid, id in enumerate(found, 100):
        second(tmp_path / "sys/fs/cgroup", f"odd/{id}")
        put(tmp_path / f"proc/{pid}/cgroup", f"0::/odd/{id}\n")
    engine = Engine(*[(id, f"web-{id}") for id in (gone, *found)])
    engine.pids = {id: pid for pid, id in enumerate(found, 100)}
    sampler = HostSampler(engine, str(tmp_path))
    names = {each["id"]: each["name"] for each in engine.listed}
    for _ in range(3):
        await sampler._find(names)
    assert engine.asked == [f"inspect {id}" for id in (*found, gone)] + [f"stats {gone}"] * 3
    assert engine.calls == 1 + 3
    assert [use.id for use in sampler._uses(names, 1)] == found


async def test_no_more_containers_are_asked_about_at_once_than_the_engine_can_bear(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sampling, "ASKED", 2)
    ids = [f"{number:012x}" for number in range(5)]
    sampler = HostSampler(engine := Engine(*[(id, id) for id in ids]))
    for _ in range(4):
        await taken(sampler)
    assert [each for each in engine.asked if each.startswith("inspect")] == [f"inspect {id}" for id in ids]


async def test_an_answer_that_makes_no_sense_costs_the_containers_only(caplog: pytest.LogCaptureFixture) -> None:
    sampler = HostSampler(engine := Engine((ID, "web-1")))
    engine.problem = ValueError("something of docker's library")
    for _ in range(2):
        found = await taken(sampler)
        assert found.containers == [] and found.memory
    assert sum("makes no sense" in line for line in caplog.messages) == 1


async def test_a_sample_that_hangs_is_none_and_none_is_begun_beside_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    sampler, stuck, begun = HostSampler(Engine()), threading.Event(), []

    def hangs(names: Any, seldom: bool) -> sample.Sample:
        begun.append(1)
        stuck.wait(30)
        return sample.Sample()

    monkeypatch.setattr(sampler, "take", hangs)
    monkeypatch.setattr(sampling, "LIMIT", 0.05)
    assert await sampler.sample() is None
    assert await sampler.sample() is None
    assert begun == [1] and "does not answer" in caplog.text
    stuck.set()


async def test_a_sample_that_fails_is_none_and_is_told_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert await HostSampler(Engine(), str(tmp_path)).sample() is None
    assert "metrics cannot be taken" in caplog.text


# --- the shape ---


def test_a_sample_is_read_as_it_was_written() -> None:
    made = sample.Sample("2026-01-01T00:00:00.000Z", 5.0, containers=[ContainerUse(ID, "web")], load=[1.0, 2.0, 3.0])
    assert sample.read(bytes(sample.write(made))) == made
    assert json.loads(bytes(sample.write(sample.Sample()))) == {}


def test_numbers_of_another_kind_are_taken_and_nonsense_is_left_out() -> None:
    said = {"cpu_percent": 5, "cores": 4.0, "uptime": "long", "network": [{"interface": "a", "bytes_sent": 1.0}, 7]}
    found = sample.read(json.dumps({**said, "disk_usage": "full", "memory": {"total": 5}}).encode())
    assert (found.cpu_percent, found.cores, found.uptime) == (5.0, 4, None)
    assert (found.network, found.disk_usage, found.memory) == ([], [], None)


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b"null", b"[" * 100_000, b"\xff"], ids=["empty", "cut", "list", "null", "deep", "bytes"]
)
def test_what_is_no_object_is_malformed(text: bytes) -> None:
    with pytest.raises(Malformed):
        sample.read(text)


def test_longer_lists_and_texts_than_any_host_has_are_cut() -> None:
    nics = [{"interface": str(number), "bytes_sent": 1, "bytes_recv": 1} for number in range(1000)]
    used = [{"id": str(number), "name": "x" * (number or 1000)} for number in range(600)]
    found = sample.read(json.dumps({"network": nics, "containers": used}).encode())
    assert [nic.interface for nic in found.network] == [str(number) for number in range(sample.NICS)]
    assert [use.id for use in found.containers] == [str(number) for number in range(1, 129)]


def test_a_sample_that_is_too_long_is_not_read() -> None:
    with pytest.raises(Malformed, match="more than 512 KiB"):
        sample.read(json.dumps({"cpu_percent": "x", "q": ["x"] * 200_000}).encode())


@pytest.mark.parametrize(
    "text", ['{"type":"ping","x":NaN}', '{"type":"heartbeat","metrics":{"cpu_percent":-Infinity}}']
)
def test_a_frame_with_numbers_that_are_no_json_is_read(text: str) -> None:
    assert isinstance(wire.from_agent(text), wire.Ping | wire.Heartbeat)


@pytest.mark.parametrize(
    "text",
    [
        '{"type":"ping","x":nan}',
        '{"type":"ping",NaN}',
        '{"type":"ping","x":[NaN}',
        '{"type":"ping","x":NaN,"y":"\\ud800"}',
    ],
)
def test_a_frame_that_is_broken_beyond_that_is_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        wire.from_agent(text)
