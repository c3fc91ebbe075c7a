"""The folders of a run, its own for checkpoints and log, what they are of, and their lock."""

import argparse
import contextlib
import dataclasses
import fcntl
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from yolov3.checkpoints import CONFIG, RESUME, Checkpoint, find_checkpoint
from yolov3.cli.flags import config_from_flags, read_anchors
from yolov3.configs import Config, changed_settings
from yolov3.files import fresh_folders, write_whole
from yolov3.runs.checkpoint_manager import BEST_IS_RESET, VALIDATION_SETTINGS

LOCK = ".lock"  # the file stays in the run's folder; what counts is the lock on it


# Settings that may change without making the run another one. All others change what is learned.
HARMLESS = {
    "train_classes",  # whose names must be the same
    "train_logdir",
    "weights",  # it continues from the checkpoint's
    "transfer",
    "test_score_threshold",
}


class Run(NamedTuple):
    """Folders of a run, with its name."""

    checkpoints: Path
    log: Path


def new_run(config: Config, name: str | None = None) -> Run:
    """Make the folders of a new run of this name, or named after network and time.

    Raises OSError if they cannot be made, and ValueError if they exist.
    """
    if name is None:
        parents = config.train_checkpoints_folder, config.train_logdir
        return Run(*fresh_folders(parents, f"{config.network}_"))
    run = named_run(config, name)
    for folder in run:  # which may be the same
        folder.mkdir(parents=True, exist_ok=True)
    return run


def named_run(config: Config, name: str) -> Run:
    """Return the folders of a run of this name. Raises ValueError if there is one.

    One that ended before its first checkpoint gives its name, and its log, to the next.
    """
    run = Run(Path(config.train_checkpoints_folder, name), Path(config.train_logdir, name))
    is_empty = run.checkpoints.is_dir() and set(os.listdir(run.checkpoints)) <= {LOCK}
    taken = [folder for folder in run if os.path.lexists(folder)]
    if taken and not is_empty:
        raise ValueError(f"{taken[0]}: there is a run of this name; choose another --name")
    return run


def resumed_run(config: Config, checkpoint: Checkpoint) -> Run:
    """Return the run that a checkpoint belongs to, with the folder of its log.

    Raises OSError if the folder of the log cannot be made.
    """
    folder = checkpoint.path.resolve().parent
    log = Path(config.train_logdir) / folder.name
    log.mkdir(parents=True, exist_ok=True)
    return Run(folder, log)


def write_origin(log: Path, config: Config, images: int, prints: dict[str, str]) -> None:
    """Write a run's settings to config.json, and to data.json what it learns from. Raises OSError.

    `prints` are the fingerprints trained_on and validated_on.
    """
    data = json.dumps({"images": images, **prints}, indent=2) + "\n"
    for name, text in ((CONFIG, config.to_json()), ("data.json", data)):
        write_whole(log / name, text.encode())


def find_resumable(args: argparse.Namespace) -> tuple[Checkpoint, Config]:
    """Return the checkpoint to resume, and its configuration with the flags that were given.

    `args.resume` is a checkpoint, a run or a folder of runs; an empty one stands for
    --train-checkpoints-folder. The run stays in its folder. Raises ValueError if there is none,
    or if a flag asks for another network or recipe.
    """
    default = getattr(args, "train_checkpoints_folder", Config.train_checkpoints_folder)
    checkpoint = find_checkpoint(args.resume or default, kind="last")
    if not (checkpoint.path / RESUME).is_file():
        raise ValueError(f"{checkpoint.path}: a checkpoint to detect with; resume a last-* one")
    before = checkpoint.config
    network = "--tiny" if before.tiny else "--no-tiny"
    for name, flag in (("tiny", network), ("recipe", f"--recipe {before.recipe}")):
        if getattr(args, name, getattr(before, name)) != getattr(before, name):
            raise ValueError(f"{checkpoint.path}: was trained with {flag}; resume it so")
    if hasattr(args, "anchors") and read_anchors(args.anchors) != before.anchors:
        raise ValueError(f"{checkpoint.path}: was trained with other anchors; omit --anchors")
    config = config_from_flags(args, base=before)
    folder = before.train_checkpoints_folder
    return checkpoint, dataclasses.replace(config, train_checkpoints_folder=folder)


def print_changes(checkpoint: Checkpoint, config: Config, args: argparse.Namespace) -> None:
    """Say which settings flags change, and what that does."""
    if args.resume and hasattr(args, "train_checkpoints_folder"):
        print("note: --train-checkpoints-folder has no effect: the run stays in its folder")
    for name in changed_settings(checkpoint.config, config):
        before, now = getattr(checkpoint.config, name), getattr(config, name)
        effect = "weights unaffected" if name in HARMLESS else "the run will differ"
        effect = BEST_IS_RESET if name in VALIDATION_SETTINGS else effect
        print(f"changed: {name} from {before!r} to {now!r} ({effect})")


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
