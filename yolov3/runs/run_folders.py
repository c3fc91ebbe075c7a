"""A run's place: its own checkpoint folder and its own log folder, never shared, never deleted."""

import time
from pathlib import Path
from typing import NamedTuple

from yolov3.configs import Config


class Run(NamedTuple):
    """Name and folders of a run."""

    name: str
    checkpoints: Path
    log: Path


def new_run(config: Config) -> Run:
    """Make the folders of a new run, named after network and time.

    Raises OSError if they cannot be made.
    """
    return _with_log(config, fresh_folder(config.train_checkpoints_folder, f"{config.network}_"))


def fresh_folder(parent, prefix: str = "") -> Path:
    """Make a new folder in `parent`, named after the time; OSError if it cannot be made."""
    name = prefix + time.strftime("%Y%m%d-%H%M%S")
    for attempt in range(1, 1000):
        folder = Path(parent) / (name if attempt == 1 else f"{name}-{attempt}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:  # another one was made in the same second
            continue
        return folder
    raise OSError(f"{parent}/{name}: too many folders of one second")


def require_empty(folder) -> None:
    """Raise ValueError unless a folder is empty or does not exist yet."""
    if Path(folder).exists() and not Path(folder).is_dir():
        raise ValueError(f"{folder}: expected a new or empty folder; received a file")
    if Path(folder).is_dir() and any(Path(folder).iterdir()):
        raise ValueError(f"{folder}: expected a new or empty folder; it has files in it")


def resumed_run(config: Config, checkpoint_folder: Path) -> Run:
    """Return the run that a checkpoint belongs to."""
    return _with_log(config, Path(checkpoint_folder).resolve().parent)


def _with_log(config, folder):
    log = Path(config.train_logdir) / folder.name
    log.mkdir(parents=True, exist_ok=True)
    return Run(folder.name, folder, log)
