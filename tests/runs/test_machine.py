"""Tests of what the machine has left, on file trees as Linux shows them."""

import shutil

import pytest

from yolov3.runs.machine import available_disk, available_memory

MB = 1 << 20
USED = 100 * MB  # by this process


@pytest.fixture
def root(tmp_path):
    """Return a root of a machine with 1000 MB available, and no control groups."""
    write(tmp_path, "proc/meminfo", "MemTotal: 2048000 kB\nMemAvailable: 1024000 kB\n")
    write(tmp_path, "proc/self/status", "Name:\tpython\nVmRSS:\t  102400 kB\n")
    return tmp_path


def write(root, path, text):
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def version_2(root, group, limit, current, cache=0):
    folder = f"sys/fs/cgroup/{group}"
    write(root, f"{folder}/memory.max", f"{limit}\n")
    write(root, f"{folder}/memory.current", f"{current}\n")
    write(root, f"{folder}/memory.stat", f"anon 5\ninactive_file {cache}\n")


def version_1(root, group, limit, current, cache=0):
    folder = f"sys/fs/cgroup/memory/{group}"
    write(root, f"{folder}/memory.limit_in_bytes", f"{limit}\n")
    write(root, f"{folder}/memory.usage_in_bytes", f"{current}\n")
    write(root, f"{folder}/memory.stat", f"inactive_file 0\ntotal_inactive_file {cache}\n")


def test_without_control_groups_it_is_what_linux_calls_available(root):
    assert available_memory(root) == 1000 * MB + USED


@pytest.mark.parametrize("group", ["/a/b", "/"])
def test_limit_of_a_group_or_of_one_above_it_counts(root, group):
    write(root, "proc/self/cgroup", f"0::{group}\n")
    version_2(root, "a/b", "max", 0)
    version_2(root, "a", 700 * MB, 200 * MB, cache=50 * MB)
    version_2(root, ".", 5000 * MB, 0)
    expected = 550 * MB if group == "/a/b" else 1000 * MB
    assert available_memory(root) == expected + USED


def test_limit_of_a_container_that_sees_only_its_own_group_counts(root):
    write(root, "proc/self/cgroup", "0::/../../docker/123\n")
    version_2(root, ".", 300 * MB, 100 * MB)
    assert available_memory(root) == 200 * MB + USED


def test_version_1_of_control_groups_counts(root):
    write(root, "proc/self/cgroup", "5:cpu:/x\n4:hugetlb,memory:/docker/123\n0::/\n")
    version_1(root, ".", 400 * MB, 100 * MB, cache=20 * MB)
    assert available_memory(root) == 320 * MB + USED
    version_1(root, ".", (1 << 63) - 4096, 100 * MB)  # no limit
    assert available_memory(root) == 1000 * MB + USED


def test_group_beyond_its_limit_has_nothing_left(root):
    write(root, "proc/self/cgroup", "0::/\n")
    version_2(root, ".", 100 * MB, 150 * MB)
    assert available_memory(root) == USED


def test_other_systems_do_not_tell(tmp_path):
    assert available_memory(tmp_path) is None


def test_this_machine(tmp_path):
    memory = available_memory()
    assert memory is None or memory > 1 * MB
    free = shutil.disk_usage(tmp_path).free
    assert available_disk(tmp_path / "not" / "made yet") == pytest.approx(free, rel=0.1)
