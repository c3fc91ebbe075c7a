"""Take the disk away from training, give it back, and compare the end with an undisturbed run."""

import contextlib
import os
import random
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.torture.runs import SECONDS_ALLOWED, Run, Variant, difference, prepare, reference
from tests.torture.table import Row, row_of
from tests.torture.trainee import Trap

VARIANT = Variant("float32", 1)
CALLS = 150  # see kills.py
LARGEST_FILE = 130_000_000  # bytes, see kills.py
TMPFS = 1_000_000_000  # bytes, enough for a run
ENDS = (1, 2)  # failed, or refused before the first step
COMPLAINTS = ("failed: ", "error: ")

LIMIT = "file-size limit during a save"
FULL = "disk that fills up during training (tmpfs)"
READ_ONLY = "folder that becomes read-only during training"
NO_CHECKPOINTS = "read-only checkpoint folder"
NO_LOG = "read-only log folder"
CYCLE = (LIMIT, NO_CHECKPOINTS, FULL, LIMIT, NO_LOG, READ_ONLY)
NEEDS_MOUNT = (FULL, READ_ONLY)


def run(count: int, seed: int, folder: Path) -> list[Row]:
    """Take the disk away `count` times, on all cores."""
    prepare(folder)
    can_mount = _can_mount(folder)
    faults = [CYCLE[number % len(CYCLE)] for number in range(count)]
    outcomes = {kind: [] for kind in dict.fromkeys(faults)}

    def suffer(number):
        kind = faults[number]
        if kind in NEEDS_MOUNT and not can_mount:
            return None
        disaster = Disaster(kind, folder / f"disk-{number}", seed + number, can_mount)
        fault = disaster.run()
        return f"{disaster.job.folder}: {fault}" if fault else ""

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for kind, fault in zip(faults, pool.map(suffer, range(count)), strict=True):
            outcomes[kind] += [fault] * (fault is not None)
    notes = {kind: "ends with one line; resumed, equal bit for bit" for kind in outcomes}
    if not can_mount:
        notes |= dict.fromkeys(NEEDS_MOUNT, "not tried: needs the right to mount")
    return [row_of(kind, outcomes[kind], notes[kind]) for kind in outcomes]


class Disaster:
    """A run whose disk fails in one way, and then works again."""

    def __init__(self, kind: str, folder: Path, seed: int, can_mount: bool):
        self.kind, self.can_mount = kind, can_mount
        self.job = Run(folder, folder.parent / "data", VARIANT)
        self.random = random.Random(seed)

    def run(self) -> str:
        """Return what went wrong, or "" and leave nothing behind."""
        folder = self.job.folder
        folder.mkdir()
        if self.can_mount:  # a file system of its own, which can be filled and closed
            _mount("-t", "tmpfs", "-o", f"size={TMPFS}", "torture", folder)
        try:
            fault = self._fail() or self.job.broken()
            fault = fault or self.job.finish() or self.job.broken()
            fault = fault or difference(self.job.results(), reference(self.job))
            if not fault:
                shutil.rmtree(folder, ignore_errors=True)  # all but the mount point
            return fault
        finally:
            if self.can_mount:
                subprocess.run(["umount", "--lazy", folder], check=True)

    def _fail(self) -> str:
        """Train until the disk fails; repair it; return what was wrong with how it ended."""
        if self.kind in (NO_CHECKPOINTS, NO_LOG):
            place = "checkpoints" if self.kind == NO_CHECKPOINTS else "log"
            with _closed(self.job.folder / place, self.can_mount):
                return self._ending(self.job.start())
        if self.kind == LIMIT:
            limit = self.random.randrange(LARGEST_FILE)
            trap = Trap(self.random.randint(1, CALLS), limit, kills=False)
            return self._ending(self.job.start(trap))
        process = self.job.start()
        self._wait_for_a_save(process)
        time.sleep(self.random.uniform(0, 1))
        if self.kind == FULL:
            return self._fill(process)
        with _closed(self.job.folder / "checkpoints", self.can_mount):
            return self._ending(process)

    def _fill(self, process) -> str:
        """Fill the disk up to a random rest, also with what the process frees, until it ends."""
        ballast, rest = self.job.folder / "ballast", self.random.randrange(LARGEST_FILE // 2)
        with open(ballast, "wb") as stream:
            size, deadline = 0, time.monotonic() + SECONDS_ALLOWED
            while process.is_alive() and time.monotonic() < deadline:
                grows = shutil.disk_usage(self.job.folder).free - rest
                if grows > 0:
                    with contextlib.suppress(OSError):  # the process was quicker
                        os.posix_fallocate(stream.fileno(), size, grows)
                        size += grows
                time.sleep(0.01)
        ending = self._ending(process)
        ballast.unlink()
        return ending

    def _wait_for_a_save(self, process):
        deadline = time.monotonic() + SECONDS_ALLOWED
        while process.is_alive() and not self.job.steps() and time.monotonic() < deadline:
            time.sleep(0.05)

    def _ending(self, process) -> str:
        """Wait for the end; return "" if it is one line and a code as documented."""
        process.join(SECONDS_ALLOWED)
        if process.exitcode is None:
            process.kill()
            return f"still running after {SECONDS_ALLOWED} s"
        text = (self.job.folder / "stderr.txt").read_text(errors="replace")
        lines = [line for line in text.splitlines() if line.strip()]
        complaints = [line for line in lines if line.startswith(COMPLAINTS)]
        if process.exitcode not in ENDS or len(complaints) != 1 or "Traceback" in text:
            return f"exit code {process.exitcode}: {text[-600:].strip()}"
        return "" if lines[-1] == complaints[0] else f"words after the error: {lines[-1]}"


@contextlib.contextmanager
def _closed(folder: Path, can_mount: bool):
    """Within `with`, let a folder be one that cannot be written to."""
    folder.mkdir(exist_ok=True)
    if can_mount:
        _mount("--bind", folder, folder)
        _mount("-o", "remount,bind,ro", folder)
    else:
        folder.chmod(0o555)
    try:
        yield
    finally:
        if can_mount:
            subprocess.run(["umount", "--lazy", folder], check=True)
        else:
            folder.chmod(0o755)


def _can_mount(folder: Path) -> bool:
    """Tell whether this process may mount, by trying."""
    place = folder / "mount-point"
    place.mkdir()
    try:
        _mount("-t", "tmpfs", "torture", place)
    except (OSError, subprocess.CalledProcessError):  # no such command, or no right to
        return False
    subprocess.run(["umount", place], check=True)
    return True


def _mount(*arguments):
    subprocess.run(["mount", *arguments], check=True, capture_output=True)
