"""The boxes of a data set as a network sees them, in numbers, with or without augmentation."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from yolov3.annotations import MAX_EXACT, Record, Records, read_annotations, stack_boxes
from yolov3.augment import Augmentation, training_sample
from yolov3.data.anchors import Boxes, letterboxed
from yolov3.data.image_files import read_sizes

MAX_AUGMENTED = 2000  # images; their statistics hardly change with more


class Statistics(NamedTuple):
    """The boxes of R images in the letterboxed input."""

    boxes_per_image: np.ndarray  # (R,)
    classes: np.ndarray  # (M,)
    boxes: Boxes  # M
    input_size: int


def read_sized_annotations(path, num_classes: int = MAX_EXACT) -> tuple[Records, np.ndarray]:
    """Read an annotation file and the sizes (R, 2) of its images, width and height in pixels.

    Raises ValueError naming file, line and value for a bad line or an image that cannot be read.
    """
    records = read_annotations(path, num_classes)
    sizes_wh, errors = read_sizes(records.image_paths, "reading image sizes")
    if errors:
        record = records[(sizes_wh[:, 0] == 0).argmax()]
        raise ValueError(f"{path}:{record.line}: {errors[record.image_path]}")
    return records, sizes_wh


def statistics_of(records: Sequence[Record], sizes_wh: np.ndarray, input_size: int) -> Statistics:
    """Collect the boxes of records, whose images have the sizes (R, 2) in pixels."""
    boxes_per_image = np.array([len(record.classes) for record in records], int)
    boxes = letterboxed(records, sizes_wh, input_size)
    return Statistics(boxes_per_image, stack_boxes(records)[2], boxes, input_size)


def augment_boxes(
    records: Sequence[Record],
    sizes_wh: np.ndarray,
    settings: Augmentation,
    seed: int,
    input_size: int,
) -> tuple[Sequence[Record], np.ndarray]:
    """Return records with the boxes that training has, and their sizes (R, 2), those of the input.

    Of many records, a part spread evenly is taken. Boxes move with the size of an image and not
    with what is on it, so blank ones take the place of images that would have to be decoded.
    """
    chosen = np.linspace(0, len(records) - 1, min(len(records), MAX_AUGMENTED)).round().astype(int)
    settings = settings._replace(hue=0.0, saturation=0.0, value=0.0, contrast=0.0)

    def load(index):
        blank = np.zeros((*sizes_wh[index, ::-1], 3), np.uint8)
        return blank, records[index].boxes_xyxy, records[index].classes

    changed = []
    for index in chosen:
        _, boxes, classes = augmented(index, load, len(records), settings, seed, input_size)
        changed.append(replace(records[index], boxes_xyxy=boxes, classes=classes))
    return changed, np.full((len(changed), 2), input_size)


def augmented(index: int, load, count: int, settings: Augmentation, seed: int, input_size: int):
    """Return what training may make of the sample `load(index)`, one of `count`."""
    rng = np.random.default_rng([seed, int(index)])
    sizes = input_size, input_size
    return training_sample(
        load(index), lambda rng: load(rng.integers(count)), *sizes, settings, rng
    )
