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
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from yolov3.configs import Config, config_from_json, config_to_json
from yolov3.typed_json import is_a, read_object

WEIGHTS, RESUME = "model.safetensors", "resume.safetensors"
CONFIG, STATE, CHECKSUMS = "config.json", "state.json", "checksums.json"
FOLDER_NAME = re.compile(r"(best|last)-(\d{6,})")
KEPT = {"best": 1, "last": 2}  # of the last, one more in case the newest is damaged


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint whose checksums hold: its folder, configuration, class names and state."""

    path: Path
    config: Config
    class_names: list[str]
    step: int
    epoch: int
    metrics: dict[str, float]
    input_size: int  # pixels, of the epoch: what the weights are used to
    best_AP: float  # of the run up to here at `best_size` pixels; -1 where nothing was validated
    best_size: int  # pixels

    def weights(self) -> dict[str, np.ndarray]:
        """Read the averaged weights by name."""
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
    name. The files are written to a folder aside, synced, and renamed, so a crash at any moment
    leaves the earlier ones whole. Returns the checkpoint's folder.
    """
    run_folder = Path(run_folder)
    target = run_folder / f"{kind}-{state['step']:06d}"
    for leftover in run_folder.glob(".*.partial"):  # of a crash
        _remove(leftover)
    aside = run_folder / f".{target.name}.partial"
    aside.mkdir(parents=True)
    save_file(weights, aside / WEIGHTS)
    if resume is not None:
        save_file(resume, aside / RESUME)
    (aside / CONFIG).write_text(config_to_json(config), encoding="utf-8")
    (aside / STATE).write_text(json.dumps(state, indent=2) + "\n", encoding="utf-8")
    sums = {file.name: _sha256(file) for file in sorted(aside.iterdir())}
    (aside / CHECKSUMS).write_text(json.dumps(sums, indent=2) + "\n", encoding="utf-8")
    for path in (*aside.iterdir(), aside):
        _sync(path)
    _remove(target)  # the same step, written again after a resume
    aside.rename(target)
    _sync(run_folder)
    older = [folder for folder in _folders(run_folder, kind) if folder != target]
    for folder in older[KEPT[kind] - 1 :]:
        _remove(folder)
    return target


def open_checkpoint(folder) -> Checkpoint:
    """Verify a checkpoint folder and read all but its weights.

    Raises ValueError that names what is wrong.
    """
    folder = Path(folder)
    try:
        sums = read_object(folder / CHECKSUMS)
        if not {WEIGHTS, CONFIG, STATE} <= set(sums) <= {WEIGHTS, CONFIG, STATE, RESUME}:
            raise ValueError(f"{CHECKSUMS} of {sorted(sums)}")
        for name, checksum in sums.items():
            if checksum != _sha256(folder / name):
                raise ValueError(f"{name} does not match its checksum")
        return Checkpoint(folder, config_from_json(folder / CONFIG), **_read_state(folder))
    except (OSError, ValueError) as error:
        raise ValueError(f"{folder}: expected a whole checkpoint; received {error}") from None


def find_checkpoint(path, kind="best", warn=print) -> Checkpoint:
    """Open a checkpoint, or the best (or the last) one in a folder of checkpoints or of runs.

    The best of a run has the highest validation AP at the largest input size that was validated;
    the best of several runs is that with the highest AP. The last is the one written last. A
    damaged one is named through `warn` and passed over. Raises ValueError if there is none.
    """
    path = Path(path)
    if FOLDER_NAME.fullmatch(path.name) or (path / CHECKSUMS).is_file():
        return open_checkpoint(path)
    pattern = "last" if kind == "last" else "*"
    folders = _folders(path, pattern) + _folders(path, pattern, "*/")
    for folder in _newest_first(folders) if kind == "last" else _best_first(folders, warn):
        try:
            return open_checkpoint(folder)
        except ValueError as error:
            warn(f"passed over: {error}")
    raise ValueError(f"{path}: expected a checkpoint or a folder of them; found none (train first)")


def _newest_first(folders):
    return sorted(folders, key=lambda folder: (folder.stat().st_mtime_ns, folder.name))[::-1]


def _best_first(folders, warn):
    """Yield folders by what their small state files say, each run's best before its others."""
    left = {}
    for folder in folders:
        try:
            left[folder] = _read_state(folder)
        except (OSError, ValueError) as error:
            warn(f"passed over: {folder}: expected a whole checkpoint; received {error}")
    while left:
        winners = {}  # of each run
        for folder in sorted(left, key=lambda folder: _rank_in_run(folder, left[folder])):
            winners[folder.parent] = folder
        best = max(winners.values(), key=lambda folder: (_ap(left[folder]), left[folder]["step"]))
        del left[best]
        yield best


def _rank_in_run(folder, state):
    # Of equals best-* goes first: last-* may be some steps past the validation that it names.
    return state["best_size"], _ap(state), folder.name.startswith("best"), state["step"]


def _ap(state):
    value = state["metrics"].get("AP", -1.0)
    return value if value == value else -1.0  # NaN: validated on pictures without boxes


def _read_state(folder) -> dict:
    """Read a checkpoint's state: the fields of `Checkpoint` from class_names on."""
    state = read_object(folder / STATE)
    for name, kind in STATE_TYPES.items():
        if not is_a(state.get(name), kind):
            raise ValueError(f"{STATE} with {name} {state.get(name)!r:.80}")
    return {name: state[name] for name in STATE_TYPES}


def _load_tensors(path):
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{path}: expected a safetensors file; received {error}") from None


def _folders(parent, kind, prefix=""):
    """Return checkpoint folders, highest step first."""
    folders = [
        path for path in parent.glob(f"{prefix}{kind}-*") if FOLDER_NAME.fullmatch(path.name)
    ]
    return sorted(folders, key=lambda path: int(FOLDER_NAME.fullmatch(path.name)[2]), reverse=True)


def _sha256(file):
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _sync(path):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(folder):
    if folder.exists():
        shutil.rmtree(folder)
