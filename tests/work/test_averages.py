"""Many samples as few, by hand."""

from __future__ import annotations

import pytest

from roci_plugins.agent.sample import Disk, Memory, Nic, Sample
from roci_plugins.work import averages
from roci_plugins.work.averages import Point, UsePoint

FULL = Sample(
    cpu_percent=1.5,
    memory_percent=2.5,
    memory=Memory(100, 40, 60),
    swap=Memory(10, 0),
    load=[1.0, 2.0, 3.0],
    uptime=5.0,
    cores=4,
    frequency_mhz=1000.0,
    disk_usage=[Disk("/", 100, 60, 40, 60.0)],
    network=[Nic("eth0", 1, 2), Nic("eth1", 1, 2, 3, 4)],
)


@pytest.mark.parametrize("sample", [FULL, Sample()], ids=["everything", "nothing"])
def test_a_sample_comes_out_as_it_was_packed(sample: Sample) -> None:
    assert averages.unpacked(averages.packed(sample)) == sample


def test_the_average_of_one_is_itself() -> None:
    assert averages.averaged([Point(0, 1, FULL)]) == FULL


def test_what_is_not_known_does_not_count() -> None:
    points = [Point(0, 1, Sample(cpu_percent=10.0)), Point(1, 1, Sample()), Point(2, 1, Sample(cpu_percent=20.0))]
    assert averages.averaged(points).cpu_percent == 15.0
    assert averages.averaged([Point(0, 1, Sample())]) == Sample()


def test_a_disk_or_network_that_came_or_went_is_averaged_over_its_own_time() -> None:
    one, two = Disk("/", 100, 50, 50, 50.0), Disk("/usb", 10, 2, 8, 20.0)
    points = [
        Point(0, 1, Sample(disk_usage=[one, two], network=[Nic("eth0", 1, 1)])),
        Point(1, 3, Sample(disk_usage=[one], network=[Nic("wlan0", 7, 7)])),
    ]
    found = averages.averaged(points)
    assert found.disk_usage == [one, two]
    assert found.network == [Nic("eth0", 1, 1), Nic("wlan0", 7, 7)]


def test_a_container_that_was_made_anew_goes_on_under_its_name_with_its_newest_id() -> None:
    points = [
        UsePoint(0, 1, [("web", "aaaaaaaaaaaa", None, 100), ("db", "dddddddddddd", 5.0, None)]),
        UsePoint(1, 1, [("web", "bbbbbbbbbbbb", 10.0, 300)]),
    ]
    assert averages.averaged_uses(points) == [("web", "bbbbbbbbbbbb", 10.0, 200), ("db", "dddddddddddd", 5.0, None)]
