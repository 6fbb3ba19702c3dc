"""Which cgroup hierarchies a machine has, read from the mounts of different kinds of machines."""

from __future__ import annotations

from pathlib import Path

from shipyard.lab.cgroups import Hierarchy, hierarchies, mixed

ONLY_2 = "29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
ONLY_1 = """\
31 23 0:28 / /sys/fs/cgroup ro,nosuid shared:9 - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:10 - cgroup cgroup rw,cpu,cpuacct
33 31 0:30 / /sys/fs/cgroup/memory rw,relatime shared:11 - cgroup cgroup rw,memory
"""
HYBRID = ONLY_1 + "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n"
ROOT = Path("/sys/fs/cgroup")


def test_version_2_alone_has_every_controller() -> None:
    assert hierarchies(ONLY_2) == (Hierarchy(ROOT, 2, True),)
    assert not mixed(hierarchies(ONLY_2))


def test_version_1_is_a_hierarchy_for_each_mount() -> None:
    assert hierarchies(ONLY_1) == (Hierarchy(ROOT / "cpu,cpuacct", 1, False), Hierarchy(ROOT / "memory", 1, False))
    assert not mixed(hierarchies(ONLY_1))


def test_beside_version_1_version_2_is_a_part_like_the_others() -> None:
    assert hierarchies(HYBRID)[-1] == Hierarchy(ROOT / "unified", 2, False)
    assert mixed(hierarchies(HYBRID))


def test_a_machine_without_cgroups_has_none() -> None:
    assert hierarchies("22 1 8:1 / / rw - ext4 /dev/sda1 rw\n") == ()


def test_a_nodes_part_is_its_own() -> None:
    hierarchy = Hierarchy(ROOT, 2, True)
    assert hierarchy.part("one", "node1") == ROOT / "shipyard-lab/one/node1"
