"""Find the run to go on with, and say which of its settings are changed."""

import argparse
import dataclasses

from yolov3.checkpoints import RESUME, Checkpoint
from yolov3.cli.flags import config_from_flags
from yolov3.configs import Config, changed_settings, read_anchors
from yolov3.runs.checkpoint_manager import VALIDATION_SETTINGS
from yolov3.weights.checkpoint_search import find_checkpoint

# Settings that may change without making the run another one. All others change what is learned.
HARMLESS = {
    "train_classes",  # whose names must be the same
    "train_logdir",
    "weights",  # it goes on from the checkpoint's
    "transfer",
    "test_score_threshold",
}


def resumable(path: str, args: argparse.Namespace) -> tuple[Config, Checkpoint]:
    """Return the configuration and checkpoint to go on with; print the settings that flags change.

    `path` is a checkpoint, a run's folder or one of runs; empty for --train-checkpoints-folder,
    which says where to look, and does not become a setting of the run.
    Raises ValueError if there is no checkpoint to resume, or if a flag asks for another network.
    """
    folder = path or getattr(args, "train_checkpoints_folder", Config.train_checkpoints_folder)
    checkpoint = find_checkpoint(folder, kind="last")
    if not (checkpoint.path / RESUME).is_file():
        raise ValueError(
            f"{checkpoint.path}: expected a checkpoint last-*; received one to detect with, "
            f"without {RESUME}"
        )
    _refuse_another_network(checkpoint, args)
    config = config_from_flags(args, base=checkpoint.config)
    where_it_is = checkpoint.config.train_checkpoints_folder
    if path and config.train_checkpoints_folder != where_it_is:
        print("note: --train-checkpoints-folder has no effect: the run stays in its folder")
    config = dataclasses.replace(config, train_checkpoints_folder=where_it_is)
    for name in changed_settings(checkpoint.config, config):
        before, now = getattr(checkpoint.config, name), getattr(config, name)
        print(f"changed: {name} from {before!r} to {now!r} ({_effect(name)})")
    return config, checkpoint


def _refuse_another_network(checkpoint, args):
    config = checkpoint.config
    if getattr(args, "tiny", config.tiny) != config.tiny:
        word = "--tiny" if config.tiny else "--no-tiny"
        raise ValueError(f"{checkpoint.path}: expected {word}, as it was trained")
    if hasattr(args, "anchors") and read_anchors(args.anchors) != config.anchors:
        raise ValueError(
            f"{checkpoint.path}: it was trained with other anchors, and can only be resumed with "
            "them: leave --anchors out, or start a new run"
        )


def _effect(name) -> str:
    if name in VALIDATION_SETTINGS:
        return "no effect on the weights; the best are sought anew"
    return "no effect on the weights" if name in HARMLESS else "the run will differ"
