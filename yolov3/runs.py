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
    name = f"{config.network}_{time.strftime('%Y%m%d-%H%M%S')}"
    for attempt in range(1, 1000):
        unique = name if attempt == 1 else f"{name}-{attempt}"
        folder = Path(config.train_checkpoints_folder) / unique
        try:
            folder.mkdir(parents=True)
        except FileExistsError:  # another run began in the same second
            continue
        return _with_log(config, folder)
    raise OSError(f"{config.train_checkpoints_folder}/{name}: too many runs of one second")


def resumed_run(config: Config, checkpoint_folder: Path) -> Run:
    """Return the run that a checkpoint belongs to."""
    return _with_log(config, Path(checkpoint_folder).resolve().parent)


def _with_log(config, folder):
    log = Path(config.train_logdir) / folder.name
    log.mkdir(parents=True, exist_ok=True)
    return Run(folder.name, folder, log)
