"""Check before the first step that memory and disk suffice for a run."""

import re
import shutil
from pathlib import Path

from yolov3.checkpoints import KEPT, checkpoint_folders
from yolov3.configs import Config
from yolov3.darknet import FLOAT_BYTES, network_floats

# Sets of weights in a "last": the network's, two moments of each weight, and the EMA twice.
SETS_IN_LAST = 5
# The peak memory of a run on a CPU. Fitted to complete runs of a few float32 steps, validation and
# saves (peak resident set, GB): YOLOv3 at 416 px 4.7, 5.2, 6.1 in batches of 1, 2, 4; at 224 px 4.8
# and at 32 px 4.3 in batches of 4; tiny at 416 px 1.7, 2.1 in batches of 4, 8; at 224 px 1.6 of 8.
RUNTIME_BYTES = 0.6e9  # Python, TensorFlow and the other libraries
WEIGHT_SETS = 15  # network, EMA, moments, gradients, validation, and copies while saving
BYTES_PER_PIXEL = {False: 2_700, True: 750}  # of activations and their gradients, by `tiny`
CERTAINTY = 0.9  # the estimate is within about a tenth of each of these
GB = 1e9


def check_disk(config: Config, num_classes: int, run_folder: Path | None) -> None:
    """Raise ValueError if the checkpoints that a run keeps do not fit on the disk.

    `run_folder` is the folder of a resumed run, which already has checkpoints.
    """
    folder = Path(run_folder or config.train_checkpoints_folder)
    last = SETS_IN_LAST * weight_bytes(config, num_classes)
    kept = KEPT["best"] * weight_bytes(config, num_classes) + KEPT["last"] * last
    folders = checkpoint_folders(run_folder) if run_folder else ()
    there = sum(file.stat().st_size for folder in folders for file in folder.iterdir())
    needed = max(0, kept - there) + last  # one is written before an older one is removed
    free = available_disk(folder)
    elsewhere = "choose another disk with --train-checkpoints-folder"
    if run_folder:
        elsewhere = "move this folder to another disk and resume it there"
    if free < needed:
        raise ValueError(
            f"{folder}: the checkpoints of this run need {needed / GB:.1f} GB of free disk; there "
            f"is {free / GB:.1f} GB; make room, or {elsewhere}"
        )


def check_memory(config: Config, num_classes: int, precision: str) -> None:
    """Raise ValueError if a run on the CPU clearly needs more memory than there is."""
    available, needed = available_memory(), needed_memory(config, num_classes, precision)
    if available is not None and available < CERTAINTY * needed:
        raise ValueError(
            f"{config.network} at {config.train_input_size} px in batches of "
            f"{config.train_batch_size} needs about {needed / GB:.1f} GB of memory; there is "
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
    return FLOAT_BYTES * network_floats(config.tiny, num_classes)


def available_memory(root: Path = Path("/")) -> int | None:
    """Return the bytes of memory that this process can use, including what it uses already.

    This is Linux's MemAvailable, or what a container's limit (cgroup v2) leaves if that is less.
    None on other systems. `root` is the root of the file system.
    """
    available = _number(root / "proc/meminfo", "MemAvailable:")
    used = _number(root / "proc/self/status", "VmRSS:")
    if available is None or used is None:
        return None
    left, group = available * 1024, root / "sys/fs/cgroup"
    limit, usage = _number(group / "memory.max"), _number(group / "memory.current")
    if limit is not None and usage is not None:  # a limit of "max" is none
        cached = _number(group / "memory.stat", "inactive_file") or 0
        left = min(left, max(0, limit - usage + cached))
    return left + used * 1024


def available_disk(folder: Path) -> int:
    """Return the bytes that are free where a folder is or will be."""
    folder = Path(folder).absolute()
    return shutil.disk_usage(next(path for path in (folder, *folder.parents) if path.is_dir())).free


def _number(path: Path, name: str = "") -> int | None:
    """Return the number behind a name in a file of lines, or the first one; None without one."""
    try:
        text = path.read_text()
    except OSError:
        return None
    match = re.search(rf"^{name}\s*(\d+)", text, re.MULTILINE)
    return int(match[1]) if match else None
