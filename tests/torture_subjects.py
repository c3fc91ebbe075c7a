"""Functions for other processes that `test_torture` starts; few imports, to start fast."""

import os
import signal
import time
from pathlib import Path

from tests.torture.isolated import MEMORY_ALLOWED
from tests.torture.trainee import Trap, set_trap


def misbehave(folder: Path, seed: int):
    """Make a check of which every index but 0 does what no reader of a file may do."""

    def check(index):
        if index == 1:
            raise KeyError("not a ValueError")
        if index == 2:
            bytearray(2 * MEMORY_ALLOWED)
        if index == 3:
            os.kill(os.getpid(), signal.SIGSEGV)
        if index == 4:
            time.sleep(3600)

    return check


def write_under_a_trap(folder: Path, trap: Trap) -> None:
    """Do five file-system calls in a folder: make, open, sync, rename, remove."""
    set_trap(trap, folder)
    (folder / "run").mkdir()
    with open(folder / "run" / "file", "wb") as stream:
        stream.write(bytes(2000))
        os.fsync(stream.fileno())
    (folder / "run" / "file").rename(folder / "run" / "renamed")
    (folder / "run" / "renamed").unlink()
