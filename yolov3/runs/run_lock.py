"""One process at a time trains a run: a lock that the kernel frees however the process ends."""

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

LOCK = ".lock"  # the file stays in the run's folder; what counts is the lock on it
MAX_OWNER = 100  # letters


@contextlib.contextmanager
def locked(run_folder: Path) -> Iterator[None]:
    """Hold the lock of a run's folder within a `with` block.

    Raises ValueError that names the process which holds it already, OSError where the folder cannot
    be written to. Where the system has no such locks, it says so and goes on without.
    """
    # No links: the folder may be a stranger's, and what they point to would be overwritten.
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    with open(os.open(run_folder / LOCK, flags, 0o644), "r+", errors="replace") as stream:
        if not _lock(stream, run_folder):
            owner = stream.read(MAX_OWNER).strip() or "another process"
            raise ValueError(f"{run_folder}: expected a run that nobody trains; {owner} trains it")
        stream.truncate(0)
        stream.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        stream.flush()
        yield


def _lock(stream, run_folder) -> bool:
    """Lock an open file until it is closed; tell whether nobody else had."""
    try:
        if fcntl is None:
            raise OSError("this system has no file locks")
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:  # some network file systems
        print(f"{run_folder}: not locked ({error}); take care that only one process trains it")
    return True
