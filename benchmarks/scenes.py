"""The tutorial's scenes, drawn from the offline digits, for what needs images on disk."""

from pathlib import Path

import numpy as np

from mnist.scene_files import SplitWriter
from mnist.scenes import make_scenes
from mnist.sklearn_digits import read_offline_digits

NUM_CLASSES = 10


def write_scenes(folder, count: int, size: int = 416) -> Path:
    """Write `count` scenes to a folder and return their annotation file."""
    images, labels, _, _ = read_offline_digits()
    with SplitWriter(Path(folder), "scenes") as writer:
        writer.draw(make_scenes(images, labels, count, size, np.random.default_rng(0)))
        writer.install()
        return writer.annotations
