"""Take the disk away from training, give it back, and compare the end with an undisturbed run."""

import contextlib
import os
import random
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.torture.kills import CALLS, LARGEST_FILE
from tests.torture.runs import Run, Variant, difference, prepare, reference, wait_for, wait_until
from tests.torture.table import Row, row_of
from tests.torture.trainee import Trap

VARIANT = Variant("float32", 1)
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
    outcomes = {kind: [] for kind in faults}

    def suffer(number):
        kind = faults[number]
        if can_mount or kind not in NEEDS_MOUNT:
            disaster = Disaster(kind, folder / f"disk-{number}", seed + number, can_mount)
            fault = disaster.run()
            outcomes[kind].append(fault and f"{disaster.job.folder}: {fault}")

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        list(pool.map(suffer, range(count)))
    note = "ends with one line; resumed, equal bit for bit"
    not_tried = "not tried: needs the right to mount"
    return [row_of(kind, found, note if found else not_tried) for kind, found in outcomes.items()]


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
        wait_until(self.job.steps, process)
        time.sleep(self.random.uniform(0, 1))
        if self.kind == FULL:
            return self._fill(process)
        with _closed(self.job.folder / "checkpoints", self.can_mount):
            return self._ending(process)

    def _fill(self, process) -> str:
        """Fill the disk up to a random rest, also with what the process frees, until it ends."""
        ballast, rest = self.job.folder / "ballast", self.random.randrange(LARGEST_FILE // 2)
        with open(ballast, "wb") as stream:

            def fill():
                grows = shutil.disk_usage(self.job.folder).free - rest
                if grows > 0:
                    with contextlib.suppress(OSError):  # the process was quicker
                        os.posix_fallocate(stream.fileno(), ballast.stat().st_size, grows)

            wait_until(fill, process)
        ending = self._ending(process)
        ballast.unlink()
        return ending

    def _ending(self, process) -> str:
        """Wait for the end; return "" if it is one line and a code as documented."""
        if fault := wait_for(process):
            return fault
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
