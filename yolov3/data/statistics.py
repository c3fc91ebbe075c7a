"""The boxes of a data set as a network sees them, in numbers, with or without augmentation."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from yolov3.annotations import Record, read_annotations, stack_boxes
from yolov3.augment import Augmentation, augment
from yolov3.data.anchors import Boxes, letterboxed
from yolov3.data.image_files import read_sizes
from yolov3.images import ImageFileError

MAX_AUGMENTED = 2000  # images; their statistics hardly change with more


class Statistics(NamedTuple):
    """The boxes of R images in the letterboxed input."""

    boxes_per_image: np.ndarray  # (R,)
    classes: np.ndarray  # (M,)
    boxes: Boxes  # M
    input_size: int


def read_sized_annotations(path, num_classes: int | None = None) -> tuple[list[Record], np.ndarray]:
    """Read an annotation file and the sizes (R, 2) of its images, width and height in pixels.

    Raises ValueError naming file, line and value for a bad line or an image that cannot be read.
    """
    records = read_annotations(path, num_classes)
    paths = [record.image_path for record in records]
    sizes = read_sizes(paths, "reading image sizes")
    for record, size in zip(records, sizes, strict=True):
        if isinstance(size, ImageFileError):
            raise ValueError(f"{path}:{record.line}: {size}")
    return records, np.array(sizes, int)


def statistics_of(records: list[Record], sizes_wh: np.ndarray, input_size: int) -> Statistics:
    """Collect the boxes of records, whose images have the sizes (R, 2) in pixels."""
    boxes_per_image = np.array([len(record.classes) for record in records], int)
    boxes = letterboxed(records, sizes_wh, input_size)
    return Statistics(boxes_per_image, stack_boxes(records)[2], boxes, input_size)


def augment_sizes(
    records: list[Record], sizes_wh: np.ndarray, settings: Augmentation, seed: int
) -> tuple[list[Record], np.ndarray]:
    """Augment the geometry of records and sizes (R, 2); of many records, a part spread evenly.

    Boxes move with the size of an image and not with what is on it, so blank ones take the place
    of images that would have to be decoded.
    """
    chosen = np.linspace(0, len(records) - 1, min(len(records), MAX_AUGMENTED)).round().astype(int)
    geometry = settings._replace(color=0.0)
    changed, changed_wh = [], []
    for index in chosen:
        record, blank = records[index], np.zeros((*sizes_wh[index, ::-1], 3), np.uint8)
        rng = augmentation_rng(seed, index)
        image, boxes_xyxy = augment(blank, record.boxes_xyxy, geometry, rng)
        changed.append(replace(record, boxes_xyxy=boxes_xyxy))
        changed_wh.append(image.shape[1::-1])
    return changed, np.array(changed_wh, int)


def augmentation_rng(seed: int, index: int) -> np.random.Generator:
    """Return the random numbers that augment a record, the same each time."""
    return np.random.default_rng([seed, int(index)])
