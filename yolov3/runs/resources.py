"""Compare what a run needs of memory and disk with what the machine has, before the first step."""

from pathlib import Path

from yolov3.checkpoints import KEPT, checkpoint_folders
from yolov3.configs import Config
from yolov3.runs.machine import available_disk, available_memory
from yolov3.weights.darknet_file import FLOAT_BYTES, FLOATS

# Sets of weights in a "last": the network's, two moments of each weight, and the average twice.
SETS_IN_LAST = 5
# What a run on a CPU takes at its peak. Fitted to whole runs of a few float32 steps, validation and
# saves (peak resident set, GB): YOLOv3 at 416 px 4.7, 5.2, 6.1 in batches of 1, 2, 4; at 224 px 4.8
# and at 32 px 4.3 in batches of 4; tiny at 416 px 1.7, 2.1 in batches of 4, 8; at 224 px 1.6 of 8.
RUNTIME_BYTES = 0.6e9  # Python, TensorFlow and the other libraries
WEIGHT_SETS = 15  # network, average, moments, gradients, validation, and copies while saving
BYTES_PER_PIXEL = {False: 2_700, True: 750}  # of activations and their gradients, by `tiny`
CERTAINTY = 0.9  # the estimate is within about a tenth of each of these
GB = 1e9


def check_disk(config: Config, num_classes: int, run_folder: Path | None) -> None:
    """Raise ValueError if the checkpoints that a run keeps do not fit on the disk.

    `run_folder` is that of a run to go on with, whose checkpoints are there already.
    """
    folder = Path(run_folder or config.train_checkpoints_folder)
    last = SETS_IN_LAST * weight_bytes(config, num_classes)
    kept = KEPT["best"] * weight_bytes(config, num_classes) + KEPT["last"] * last
    there = 0
    for checkpoint in checkpoint_folders(run_folder) if run_folder else ():
        there += sum(file.stat().st_size for file in checkpoint.iterdir())
    needed = max(0, kept - there) + last  # one is written before an older one is removed
    free = available_disk(folder)
    elsewhere = "choose another disk with --train-checkpoints-folder"
    if run_folder:
        elsewhere = "move this folder to another disk and resume it there"
    if free < needed:
        raise ValueError(
            f"{folder}: expected {needed / GB:.1f} GB of free disk, for the checkpoints of this "
            f"run; received {free / GB:.1f} GB; make room, or {elsewhere}"
        )


def check_memory(config: Config, num_classes: int, precision: str) -> None:
    """Raise ValueError if a run on the CPU clearly needs more memory than there is."""
    available, needed = available_memory(), needed_memory(config, num_classes, precision)
    if available is not None and available < CERTAINTY * needed:
        raise ValueError(
            f"memory: expected about {needed / GB:.1f} GB, for {config.network} at "
            f"{config.train_input_size} px in batches of {config.train_batch_size}; received "
            f"{available / GB:.1f} GB; choose a smaller --train-batch-size or --train-input-size"
            f"{'' if config.tiny else ', or --tiny'}"
        )


def needed_memory(config: Config, num_classes: int, precision: str) -> float:
    """Estimate the bytes of memory that a run takes at its peak, on a CPU."""
    size = max(config.train_input_scales) * config.train_input_size
    activations = config.train_batch_size * size**2 * BYTES_PER_PIXEL[config.tiny]
    if precision != "float32":
        activations /= 2
    return RUNTIME_BYTES + WEIGHT_SETS * weight_bytes(config, num_classes) + activations


def weight_bytes(config: Config, num_classes: int) -> int:
    """Return the bytes of a network's weights in float32, as a checkpoint holds them."""
    fixed, per_class = FLOATS[config.tiny]
    return FLOAT_BYTES * (fixed + per_class * num_classes)
