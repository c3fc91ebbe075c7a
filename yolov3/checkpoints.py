"""Checkpoints: folders that are complete or absent, checked when loaded, free of code.

checkpoints/<run>/
    best-000500/    highest validation mAP: what detection and evaluation take
    last-000750/    newest: what --resume takes; the one before is kept too
        model.safetensors     EMA weights by name (conv_0/kernel ...)
        resume.safetensors    everything else a resumed run needs (last only)
        config.json           the configuration of the run
        state.json            class names, step, epoch, metrics
        checksums.json        SHA-256 of the other files
"""

import hashlib
import json
import re
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from yolov3.configs import INPUT_SIZES, Config
from yolov3.files import (
    REPLACED,
    atomic_folder,
    clear_up,
    is_a,
    read_json,
    regular_size,
    remove_folder,
)

WEIGHTS, RESUME = "model.safetensors", "resume.safetensors"
CONFIG, STATE, CHECKSUMS = "config.json", "state.json", "checksums.json"
FOLDER_NAME = re.compile(rf"(best|last)-([0-9]{{6,}})(?:{re.escape(REPLACED)})?")
KEPT = {"best": 1, "last": 2}  # of the last, one more in case the newest is damaged


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint whose checksums hold: its folder, configuration, class names and state."""

    path: Path
    config: Config
    class_names: list[str]
    step: int
    epoch: int  # how many are finished, validation included
    metrics: dict[str, float]  # of the newest validation, `metrics.best_point` among them
    input_size: int  # pixels, of the epoch: what the weights are used to
    best_mAP: float  # of the run up to here at `best_size` pixels; -1 where nothing was validated
    best_size: int  # pixels
    best_epoch: int  # how many were finished then, with it
    trained_on: str  # fingerprint of the records
    validated_on: str
    replicas: int  # devices that shared each batch

    def weights(self) -> dict[str, np.ndarray]:
        """Read the EMA weights by name."""
        return _load_tensors(self.path / WEIGHTS)

    def resume_state(self) -> dict[str, np.ndarray]:
        """Read the rest of the training state by name."""
        return _load_tensors(self.path / RESUME)


STATE_TYPES = {
    field.name: field.type for field in fields(Checkpoint) if field.name not in ("path", "config")
}


def save_checkpoint(
    run_folder, kind, config, state: dict, weights: dict, resume: dict | None = None
):
    """Write a checkpoint of kind "best" or "last" and delete older ones of its kind.

    `state` has the fields of `Checkpoint` from class_names on; `weights` and `resume` are arrays by
    name. At whatever moment it is killed or the disk fails, a complete one is left. One process at
    a time may write to `run_folder`. Returns the checkpoint's folder; raises OSError.
    """
    target = Path(run_folder) / f"{kind}-{state['step']:06d}"
    clear_up(target.parent)
    with atomic_folder(target) as folder:
        _save_tensors(weights, folder / WEIGHTS)
        if resume is not None:
            _save_tensors(resume, folder / RESUME)
        (folder / CONFIG).write_text(config.to_json(), encoding="utf-8")
        (folder / STATE).write_text(json.dumps(state, indent=2) + "\n", encoding="utf-8")
        sums = {file.name: _sha256(file) for file in sorted(folder.iterdir())}
        (folder / CHECKSUMS).write_text(json.dumps(sums, indent=2) + "\n", encoding="utf-8")
    _remove_others(target, kind)
    return target


def _remove_others(target, kind):
    """Remove the earlier checkpoints that are not kept, and all later ones.

    Later ones exist if the run was resumed from an earlier one: they were damaged, or unwanted.
    """
    newest_first = checkpoint_folders(target.parent, kind)
    before = newest_first[newest_first.index(target) + 1 :]
    for folder in newest_first:
        if folder not in (target, *before[: KEPT[kind] - 1]):
            remove_folder(folder)


def checkpoint_folders(parent, kind="*") -> list[Path]:
    """Return the checkpoint folders of a run, the latest step first."""
    ordered = [
        (-int(match[2]), path.name, path)
        for path in Path(parent).glob(f"{kind}-*")
        if (match := FOLDER_NAME.fullmatch(path.name))
    ]
    return [path for *_, path in sorted(ordered)]


def open_checkpoint(folder) -> Checkpoint:
    """Verify a checkpoint folder and read all but its weights.

    Raises ValueError that names what is wrong.
    """
    folder = Path(folder)
    try:
        sums = read_json(folder / CHECKSUMS)
        if not {WEIGHTS, CONFIG, STATE} <= set(sums) <= {WEIGHTS, CONFIG, STATE, RESUME}:
            raise ValueError(f"{CHECKSUMS} of {sorted(sums)}")
        for name, checksum in sums.items():
            if checksum != _sha256(folder / name):
                raise ValueError(f"{name} does not match its checksum")
        state = _read_state(folder)
    except (OSError, ValueError) as error:
        raise ValueError(f"{folder}: damaged checkpoint: {error}") from None
    return Checkpoint(folder, Config.from_json(folder / CONFIG), **state)  # whole, but maybe old


def find_checkpoint(path, kind="best", warn=print) -> Checkpoint:
    """Open a checkpoint, or the best (or the last) one of a run, or of the newest of many runs.

    `path` is a checkpoint, a run's folder, or a folder of runs, of which the one written to last
    counts. Damaged checkpoints are skipped and named through `warn`. Without a best one the last
    will do. Raises ValueError if there is none.
    """
    path = Path(path)
    if not path.exists():
        raise ValueError(f"{path}: no such checkpoint or folder of checkpoints{_hint(path)}")
    if path.is_file():
        raise ValueError(f"{path}: this is a file, not a checkpoint or a folder of them")
    if FOLDER_NAME.fullmatch(path.name) or (path / CHECKSUMS).is_file():
        return open_checkpoint(path)
    for run in run_folders(path):
        best = checkpoint_folders(run, "best") if kind == "best" else []
        for folder in best + checkpoint_folders(run, "last"):
            try:
                return open_checkpoint(folder)
            except ValueError as error:
                warn(f"skipped: {error}")
    raise ValueError(f"{path}: no checkpoint in this folder (train first)")


def run_folders(path) -> list[Path]:
    """Return the folders with checkpoints, of a path and those in it; the last written to first."""
    runs = [run for run in (Path(path), *Path(path).glob("*/")) if checkpoint_folders(run)]
    return sorted(runs, key=lambda run: (run.stat().st_mtime_ns, run.name), reverse=True)


def _hint(path):
    if path == Path(Config.train_checkpoints_folder):
        return " (train first)"
    is_darknet = re.search(r"\.(weights|conv\.\d+)$", path.name)
    return " (make weights downloads the official ones)" if is_darknet else ""


def _read_state(folder) -> dict:
    """Read the fields of `Checkpoint` from class_names on. Raises ValueError for anything else."""
    state = read_json(folder / STATE)
    state.setdefault("best_epoch", state.get("epoch"))  # older versions did not count it
    state.setdefault("replicas", 1)
    state = {name: state.get(name) for name in STATE_TYPES}
    for name, kind in STATE_TYPES.items():
        if not is_a(state[name], kind) or not _is_possible(name, state[name]):
            raise ValueError(f"{STATE} with {name} {state[name]!r:.80}")
    return state


def _is_possible(name, value):
    if name == "class_names":
        return 0 < len(value) == len(set(value))
    if name == "input_size":
        return value in INPUT_SIZES
    return name not in ("step", "epoch") or value >= 0


def _save_tensors(tensors, path):
    path.touch()  # with the mode that the umask gives; safetensors makes files of 0600
    mode = path.stat().st_mode
    try:
        save_file(tensors, path)
        path.chmod(mode)
    except SafetensorError as error:  # the disk; arrays of other kinds would be another exception
        raise OSError(f"{path}: {error}") from None


def _load_tensors(path):
    try:
        return load_file(path)
    except (OSError, SafetensorError, ValueError, TypeError, AttributeError) as error:
        # The latter three: shapes and types that the format knows and NumPy does not.
        raise ValueError(f"{path}: not a safetensors file: {error}") from None


def _sha256(file):
    regular_size(file)  # raises OSError for a pipe, which would never end
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
