"""What this machine has left: memory, within the limits of its container, and disk."""

import shutil
from pathlib import Path

UNITS = {"kB": 1024}  # of /proc/meminfo and /proc/self/status


def available_memory(root: Path = Path("/")) -> int | None:
    """Return the bytes of memory that this process may come to use, those it uses included.

    That is the least of what Linux calls available and of what each control group above the process
    has left, its caches not counted. None on systems that do not tell. `root` is that of the file
    system.
    """
    free = _field(root / "proc/meminfo", "MemAvailable:")
    used = _field(root / "proc/self/status", "VmRSS:")
    if free is None or used is None:
        return None
    return min([free, *_left_in_groups(root)]) + used


def available_disk(folder: Path) -> int:
    """Return the bytes that are free where a folder is or will be."""
    folder = Path(folder).absolute()
    return shutil.disk_usage(next(path for path in (folder, *folder.parents) if path.is_dir())).free


def _left_in_groups(root):
    """Yield the bytes left in the process's control groups with a limit, of version 2 or 1."""
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, group = line.split(":", 2)
        if controllers == "":
            mount, *names = root / "sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"
        elif "memory" in controllers.split(","):
            mount = root / "sys/fs/cgroup/memory"
            names = "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
        else:
            continue
        # In a container its own group is mounted at the top, and its path may lead nowhere.
        own = Path(group.lstrip("/"))
        for folder in {mount / own, *(mount / parent for parent in own.parents), mount}:
            left = _left_in_group(folder, *names)
            if left is not None:
                yield left


def _left_in_group(folder, limit_name, usage_name, cache_name):
    limit, usage = _number(folder / limit_name), _number(folder / usage_name)
    if limit is None or usage is None:
        return None
    return max(0, limit - usage + (_field(folder / "memory.stat", cache_name) or 0))


def _number(path):
    """Return the number that is all of a file; None for "max" and where there is no such file."""
    lines = _lines(path)
    return int(lines[0]) if lines and lines[0].isdecimal() else None


def _field(path, name):
    """Return the number in the line "name number [unit]" of a file, in bytes; None without one."""
    for line in _lines(path):
        words = line.split()
        if words and words[0] == name:
            return int(words[1]) * UNITS.get(words[-1], 1)
    return None


def _lines(path):
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
