"""A run's place: its own checkpoint folder and its own log folder, never shared, never deleted."""

import os
import time
from pathlib import Path
from typing import NamedTuple

from yolov3.checkpoints import Checkpoint
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
    parents = config.train_checkpoints_folder, config.train_logdir
    checkpoints, log = _fresh_folders(parents, f"{config.network}_")
    return Run(checkpoints.name, checkpoints, log)


def fresh_folder(parent, prefix: str = "") -> Path:
    """Make a new folder in `parent`, named after the time; OSError if it cannot be made."""
    (folder,) = _fresh_folders([parent], prefix)
    return folder


def _fresh_folders(parents, prefix) -> list[Path]:
    """Make a new folder of the same name in each parent, or in none if that cannot be.

    Parents that are one and the same have one.
    """
    name = prefix + time.strftime("%Y%m%d-%H%M%S")
    for parent in parents:
        Path(parent).mkdir(parents=True, exist_ok=True)
    for attempt in range(1, 1000):
        folders = [
            Path(parent) / (name if attempt == 1 else f"{name}-{attempt}") for parent in parents
        ]
        made = {}
        try:
            for folder in folders:
                if folder.resolve() not in made:
                    folder.mkdir()
                    made[folder.resolve()] = folder
            return folders
        except OSError as error:
            for folder in made.values():
                folder.rmdir()
            if not isinstance(error, FileExistsError):  # another one, made in the same second
                raise
    raise OSError(f"{parents[0]}/{name}: too many folders of one second")


def require_empty(folder) -> None:
    """Raise ValueError unless a folder is empty or does not exist yet."""
    if Path(folder).exists() and not Path(folder).is_dir():
        raise ValueError(f"{folder}: expected a new or empty folder; received a file")
    if Path(folder).is_dir() and any(Path(folder).iterdir()):
        raise ValueError(f"{folder}: expected a new or empty folder; it has files in it")


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
