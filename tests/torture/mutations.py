"""Damaged images, weights and checkpoints: refused by a ValueError, or read as valid ones."""

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from tests.torture.damaged_checkpoints import Checkpoints
from tests.torture.damaged_images import FORMATS, Images
from tests.torture.isolated import MEMORY_ALLOWED, examine
from tests.torture.mutants import mutate, unless_named
from tests.torture.table import Row, row_of

CLASSES = 2
IMAGE, CHECKPOINT, WEIGHTS = "damaged image", "damaged checkpoint", "damaged Darknet weights"
KINDS = (IMAGE, IMAGE, CHECKPOINT, IMAGE, CHECKPOINT, WEIGHTS)  # in turn
NOTES = {
    IMAGE: ", ".join(suffix[1:] for suffix in FORMATS),
    CHECKPOINT: "any of its files, most with checksums to match",
    WEIGHTS: "YOLOv3-tiny",
}


def run(count: int, seed: int, folder: Path) -> list[Row]:
    """Read `count` damaged files in separate processes, on all cores."""
    outcomes = {kind: [] for kind in NOTES}

    def examine_share(worker):
        here = folder / f"mutations-{worker}"
        for index, fault in examine(make_check, list(range(worker, count, workers)), here, seed):
            outcomes[KINDS[index % len(KINDS)]].append(f"file {index}: {fault}" if fault else "")
        shutil.rmtree(here)

    workers = min(len(os.sched_getaffinity(0)), count)
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(examine_share, range(workers)))
    limit = f"at most {MEMORY_ALLOWED // 2**20} MiB"
    return [row_of(kind, outcomes[kind], f"{NOTES[kind]}; {limit}") for kind in NOTES]


def make_check(folder: Path, seed: int):
    """Prepare undamaged files in a folder; return check(index), which damages and reads one."""
    makers = {IMAGE: Images, WEIGHTS: _Weights, CHECKPOINT: Checkpoints}
    checks = {kind: make(folder / kind) for kind, make in makers.items()}

    def check(index):
        rng = np.random.default_rng([seed, index])
        return checks[KINDS[index % len(KINDS)]](rng)

    return check


class _Weights:
    def __init__(self, folder):
        from yolov3.darknet import save_darknet_weights
        from yolov3.yolov3 import build_yolov3

        self.model = build_yolov3(CLASSES, tiny=True)
        folder.mkdir(exist_ok=True)
        self.path = folder / "damaged.weights"
        save_darknet_weights(self.model, self.path)
        self.data = self.path.read_bytes()

    def __call__(self, rng):
        from yolov3.darknet import read_darknet_weights

        self.path.write_bytes(mutate(self.data, rng))
        try:
            weights = read_darknet_weights(self.path, self.model)
        except ValueError as error:
            return unless_named(self.path, error)
        shapes = {weight.path: tuple(weight.shape) for weight in self.model.weights}
        for name, values in weights.items():
            if values.shape != shapes[name] or not np.isfinite(values).all():
                return f"{name}: {values.shape} with {values.min()} to {values.max()}"
        return ""
