"""The tutorial's scenes, drawn from the offline digits, for what needs images on disk."""

from pathlib import Path

import numpy as np

from mnist.scene_files import SplitWriter
from mnist.scenes import make_scenes
from mnist.sklearn_digits import read_offline_digits

NUM_CLASSES = 10
ALL_ON = {"flip": 0.5, "scale": 0.5, "translate": 0.2, "rotate": 5.0, "hue": 0.02}
ALL_ON |= {"saturation": 0.7, "value": 0.4, "contrast": 0.2, "mosaic": 1.0, "mixup": 0.2}


def write_scenes(folder, count: int, size: int = 416) -> Path:
    """Write `count` scenes to a folder and return their annotation file."""
    images, labels, _, _ = read_offline_digits()
    with SplitWriter(Path(folder), "scenes") as writer:
        writer.draw(make_scenes(images, labels, count, size, np.random.default_rng(0)))
        writer.install()
        return writer.annotations


def scene_batches(annotations, batch_size: int, size: int, steps: tuple[int, int]):
    """Return the batches of a range of steps as `training_batches` does, with all augmentations."""
    from yolov3.annotations import read_annotations
    from yolov3.augment import Augmentation
    from yolov3.dataset import training_batches

    records = read_annotations(annotations)
    return training_batches(records, Augmentation(**ALL_ON), 0, batch_size, size, steps)
