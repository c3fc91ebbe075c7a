"""The folders of a run, its own for checkpoints and log, and their lock: never shared."""

import contextlib
import fcntl
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from yolov3.checkpoints import Checkpoint
from yolov3.configs import Config
from yolov3.files import fresh_folders

LOCK = ".lock"  # the file stays in the run's folder; what counts is the lock on it


class Run(NamedTuple):
    """Folders of a run, with its name."""

    checkpoints: Path
    log: Path


def new_run(config: Config) -> Run:
    """Make the folders of a new run, named after network and time.

    Raises OSError if they cannot be made.
    """
    parents = config.train_checkpoints_folder, config.train_logdir
    return Run(*fresh_folders(parents, f"{config.network}_"))


def resumed_run(config: Config, checkpoint: Checkpoint) -> Run:
    """Return the run that a checkpoint belongs to, with the folder of its log.

    Its log folder is relative to where the run was started; one that `config` changes is relative
    to here. Raises OSError if the folder of the log cannot be made.
    """
    folder, logs = checkpoint.path.resolve().parent, Path(config.train_logdir)
    if config.train_logdir == checkpoint.config.train_logdir:
        runs = Path(os.path.abspath(checkpoint.path)).parent.parent
        logs = _started_in(runs, checkpoint.config.train_checkpoints_folder) / logs
    log = logs / folder.name
    log.mkdir(parents=True, exist_ok=True)
    return Run(folder, log)


def _started_in(runs: Path, name: str) -> Path:
    """Return the folder that the run was started in, where `name` leads to the folder of runs."""
    parts = Path(name).parts
    if Path(name).resolve() == runs.resolve() or runs.parts[-len(parts) :] != parts:
        return Path()
    return runs.parents[len(parts) - 1]


@contextlib.contextmanager
def locked(run_folder: Path) -> Iterator[None]:
    """Lock a run's folder; the kernel frees the lock however the process ends.

    Raises ValueError that names the process which holds it already, OSError where the folder cannot
    be written to. Where the file system has no such locks, it says so and continues without.
    """
    # No links: the folder may be a stranger's, and what they point to would be overwritten.
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
    with open(os.open(run_folder / LOCK, flags, 0o666), "r+", errors="replace") as stream:
        if not _lock(stream, run_folder):
            owner = stream.read().strip() or "another process"
            raise ValueError(f"{run_folder}: this run is already being trained by {owner}")
        stream.truncate(0)
        stream.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        stream.flush()
        yield


def _lock(stream, run_folder) -> bool:
    """Lock an open file until it is closed; tell whether nobody else had."""
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:  # some network file systems
        print(f"{run_folder}: not locked ({error}); take care that only one process trains it")
    return True
