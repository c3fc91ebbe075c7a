"""Small checkpoints for tests, and ways to damage them."""

import hashlib
import json
import os

import numpy as np

from yolov3.checkpoints import save_checkpoint
from yolov3.configs import Config

WEIGHTS = {
    "conv_0/kernel": np.random.default_rng(0).normal(size=(3, 3, 3, 4)).astype(np.float32),
    "conv_0/bias": np.float32([np.nan, -0.0, 1e-45, np.inf]),
}
RESUME = {"step": np.int64(7), "optimizer/momentum": np.arange(5, dtype=np.float32)}
CLASS_NAMES = ["zero", "one two"]
STATE = {"class_names": CLASS_NAMES, "best_mAP": 0.5, "best_size": 416}
STATE |= {"trained_on": "1f", "validated_on": "2e"}


def save(run, kind, step, ap=None, size=416, weights=WEIGHTS, state=(), **settings):
    metrics = {} if ap is None else {"mAP": ap, "mAP50": 0.9}
    usual = {**STATE, "step": step, "epoch": 3, "metrics": metrics}
    state = usual | {"best_size": size, "input_size": size} | dict(state)
    resume = {name: np.asarray(value) for name, value in RESUME.items()}
    config = Config(tiny=True, seed=3, **settings)
    return save_checkpoint(run, kind, config, state, weights, resume if kind == "last" else None)


def names(run):
    return sorted(folder.name for folder in run.iterdir())


def rewrite(folder, name, text):
    """Change a file and its checksum, as somebody who means harm would."""
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    sums = json.loads((folder / "checksums.json").read_text())
    sums[name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / "checksums.json").write_text(json.dumps(sums))


def flip_a_byte(folder, name):
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)


def truncate(folder, name):
    os.truncate(folder / name, (folder / name).stat().st_size // 2)


def delete(folder, name):
    (folder / name).unlink()
