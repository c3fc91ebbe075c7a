"""Checkpoints: folders that are complete or absent, checked on load, free of code.

    checkpoints/<run>/
        best-000500/    highest validation mAP: what detection and evaluation take
        last-000750/    newest: what --resume takes; the one before is kept too
            model.safetensors     averaged weights by name (conv_0/kernel ...)
            resume.safetensors    everything else a resumed run needs (last only)
            config.json           the configuration of the run
            state.json            class names, step, epoch, metrics
            checksums.json        SHA-256 of the other files
"""

import hashlib
import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from yolov3.configs import Config, config_from_json, config_to_json

WEIGHTS, RESUME = "model.safetensors", "resume.safetensors"
CONFIG, STATE, CHECKSUMS = "config.json", "state.json", "checksums.json"
FOLDER_NAME = re.compile(r"(best|last)-(\d{6,})")
KEPT = {"best": 1, "last": 2}  # of the last, one more in case the newest is damaged
CHUNK = 1 << 20  # bytes hashed at a time


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint whose checksums hold: its folder, configuration, class names and state."""

    path: Path
    config: Config
    class_names: list[str]
    step: int
    epoch: int
    metrics: dict
    best_AP: float  # of the run up to here; -1 where nothing was validated

    def weights(self) -> dict[str, np.ndarray]:
        """Read the averaged weights by name."""
        return _load_tensors(self.path / WEIGHTS)

    def resume_state(self) -> dict[str, np.ndarray]:
        """Read the rest of the training state by name."""
        return _load_tensors(self.path / RESUME)


def save_checkpoint(run_folder, kind, config, state: dict, weights: dict, resume: dict | None = None):
    """Write a checkpoint of kind "best" or "last" and delete older ones of its kind.

    `state` has class_names, step, epoch, metrics and best_AP; `weights` and `resume` are arrays by name. The files are
    written to a folder aside, synced, and renamed, so a crash at any moment leaves the earlier ones whole.
    Returns the checkpoint's folder.
    """
    run_folder = Path(run_folder)
    target = run_folder / f"{kind}-{state['step']:06d}"
    aside = run_folder / f".{target.name}.partial"
    _remove(aside)
    aside.mkdir(parents=True)
    save_file(weights, aside / WEIGHTS)
    if resume is not None:
        save_file(resume, aside / RESUME)
    (aside / CONFIG).write_text(config_to_json(config), encoding="utf-8")
    (aside / STATE).write_text(json.dumps(state, indent=2) + "\n", encoding="utf-8")
    sums = {file.name: _sha256(file) for file in sorted(aside.iterdir())}
    (aside / CHECKSUMS).write_text(json.dumps(sums, indent=2) + "\n", encoding="utf-8")
    for file in aside.iterdir():
        _sync(file)
    _remove(target)  # the same step, written again after a resume
    aside.rename(target)
    _sync(run_folder)
    for old in _folders(run_folder, kind)[KEPT[kind] :]:
        _remove(old)
    return target


def open_checkpoint(folder) -> Checkpoint:
    """Verify a checkpoint folder and read all but its weights. Raises ValueError that names what is wrong."""
    folder = Path(folder)
    try:
        sums = json.loads((folder / CHECKSUMS).read_text(encoding="utf-8"))
        for name in {WEIGHTS, CONFIG, STATE} | (set(sums) & {RESUME}):
            if sums[name] != _sha256(folder / name):
                raise ValueError(f"{name} does not match its checksum")
        state = json.loads((folder / STATE).read_text(encoding="utf-8"))
        return Checkpoint(
            path=folder,
            config=config_from_json(folder / CONFIG),
            class_names=[str(name) for name in state["class_names"]],
            step=int(state["step"]),
            epoch=int(state["epoch"]),
            metrics=dict(state["metrics"]),
            best_AP=float(state["best_AP"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{folder}: expected a whole checkpoint; received {error}") from None


def find_checkpoint(path, kind="best", warn=print) -> Checkpoint:
    """Open a checkpoint, or the best (or newest) one in a folder of checkpoints or of runs.

    The best has the highest validation AP, the last the highest step of the newest run. A damaged one is named through
    `warn` and passed over. Raises ValueError if there is none.
    """
    path = Path(path)
    if (path / CHECKSUMS).is_file():
        return open_checkpoint(path)
    found = []
    for folder in _folders(path, "*") + _folders(path, "*", "*/"):
        try:
            found.append(open_checkpoint(folder))
        except ValueError as error:
            warn(f"passed over: {error}")
    if kind == "last":
        found = [checkpoint for checkpoint in found if (checkpoint.path / RESUME).is_file()]
    if not found:
        raise ValueError(f"{path}: expected a checkpoint or a folder of them; found none (train first)")
    if kind == "last":
        return max(found, key=lambda checkpoint: (checkpoint.path.stat().st_mtime_ns, checkpoint.step))
    return max(found, key=lambda checkpoint: (checkpoint.metrics.get("AP", -1.0), checkpoint.step))


def _load_tensors(path):
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{path}: expected a safetensors file; received {error}") from None


def _folders(parent, kind, prefix=""):
    """Return checkpoint folders, highest step first."""
    folders = [path for path in parent.glob(f"{prefix}{kind}-*") if FOLDER_NAME.fullmatch(path.name)]
    return sorted(folders, key=lambda path: int(FOLDER_NAME.fullmatch(path.name)[2]), reverse=True)


def _sha256(file):
    digest = hashlib.sha256()
    with open(file, "rb") as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _sync(path):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(folder):
    if folder.exists():
        shutil.rmtree(folder)
