"""A run's place: its own checkpoint folder and its own log folder, never shared, never deleted."""

import os
from pathlib import Path
from typing import NamedTuple

from yolov3.checkpoints import Checkpoint
from yolov3.configs import Config
from yolov3.files import fresh_folders


class Run(NamedTuple):
    """Name and folders of a run."""

    name: str
    checkpoints: Path
    log: Path


def new_run(config: Config) -> Run:
    """Make the folders of a new run, named after network and time.

    Raises OSError if they cannot be made.
    """
    parents = config.train_checkpoints_folder, config.train_logdir
    checkpoints, log = fresh_folders(parents, f"{config.network}_")
    return Run(checkpoints.name, checkpoints, log)


def resumed_run(config: Config, checkpoint: Checkpoint) -> Run:
    """Return the run that a checkpoint belongs to, with its log where it was begun.

    That is where its own settings lead from where it was started, or where `config` leads from
    here, if that is elsewhere. Raises OSError if the folder of the log cannot be made.
    """
    folder, logs = checkpoint.path.resolve().parent, Path(config.train_logdir)
    if config.train_logdir == checkpoint.config.train_logdir:
        runs = Path(os.path.abspath(checkpoint.path)).parent.parent
        logs = _started_in(runs, checkpoint.config.train_checkpoints_folder) / logs
    log = logs / folder.name
    log.mkdir(parents=True, exist_ok=True)
    return Run(folder.name, folder, log)


def _started_in(runs: Path, name: str) -> Path:
    """Return the folder from which the path `name` leads to that of runs; here if it does, too."""
    parts = Path(name).parts
    if Path(name).resolve() == runs.resolve() or runs.parts[-len(parts) :] != parts:
        return Path()
    return runs.parents[len(parts) - 1]
